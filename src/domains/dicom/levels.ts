// The four levels of the archive, and which tags belong to each: those kept in the index, and those of its modules.

import data from './levels.json' with { type: 'json' }
import { type Tag, tagFromHex } from './tag.ts'

export const levels = ['patient', 'study', 'series', 'instance'] as const
export type Level = (typeof levels)[number]

/** As the original names a level in answers: `Patient`, `Study` … */
export const levelNames: Readonly<Record<Level, keyof typeof data.main>> = {
  patient: 'Patient',
  study: 'Study',
  series: 'Series',
  instance: 'Instance',
}

/** Tags whose values the index keeps, per level. */
export const mainTags: Readonly<Record<Level, readonly Tag[]>> = tagsPerLevel(data.main)

/** Tags of the DICOM modules of a level: what a new object inherits from its parent. */
export const moduleTags: Readonly<Record<Level, readonly Tag[]>> = tagsPerLevel(data.modules)

function tagsPerLevel(
  lists: Readonly<Record<'Patient' | 'Study' | 'Series' | 'Instance', readonly string[]>>,
) {
  const read = (list: readonly string[]): Tag[] => list.map(text => tagFromHex(text)!)
  return {
    patient: read(lists.Patient),
    study: read(lists.Study),
    series: read(lists.Series),
    instance: read(lists.Instance),
  }
}

/** The level above, undefined for patients. */
export function levelAbove(level: Level): Level | undefined {
  return levels[levels.indexOf(level) - 1]
}

/** The level below, undefined for instances. */
export function levelBelow(level: Level): Level | undefined {
  return levels[levels.indexOf(level) + 1]
}
