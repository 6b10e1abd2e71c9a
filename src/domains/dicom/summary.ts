// What the index keeps of an instance: its identifiers, its main tags per level, and facts about its file.

import { refuse } from '../../core/refusal.ts'
import { type DicomIds, type ResourceIds, resourceIdsOf } from './identifiers.ts'
import { type Level, levels, mainTags } from './levels.ts'
import type { DataSet, Element } from './reading/data-set.ts'
import { find } from './reading/data-set.ts'
import { isLongerThan, numberOf, showValue, textOf, type Values, valuesOf } from './reading/value.ts'
import { type Tag, tags, tagText } from './tag.ts'

/** Values of main tags, by `gggg,eeee`. */
export type MainTags = Record<string, string>

export interface Summary {
  readonly dicomIds: DicomIds
  readonly ids: ResourceIds
  readonly main: Readonly<Record<Level, MainTags>>
  readonly transferSyntax: string
  readonly sopClassUid: string | undefined
  /** Its number within its series, as written: possibly empty, or not a number. */
  readonly indexInSeries: string | undefined
  /** How many instances the series should have, as far as this instance can tell. */
  readonly expectedCount: number | undefined
  /** Where PixelData begins in the file; undefined without pixels, and in deflated files. */
  readonly pixelDataAt: number | undefined
}

const textBytesMax = 256

/**
 * Summarises an instance. Refuses one that lacks a UID of its three levels (the fault `no-identifiers`), or has an
 * empty one (`empty-identifier`).
 */
export function summarise(set: DataSet, defaultTerm: string): Summary {
  const { values } = valuesOf(set, defaultTerm)
  const byTag = new Map<Tag, Element>()
  for (const element of set.elements) if (!byTag.has(element.tag)) byTag.set(element.tag, element)
  const text = (tag: Tag): string | undefined => {
    const element = byTag.get(tag)
    return element && textOf([element], tag, values)
  }

  const dicomIds: DicomIds = {
    patientId: text(tags.PatientID) ?? '',
    studyUid: requireUid(text(tags.StudyInstanceUID), 'StudyInstanceUID'),
    seriesUid: requireUid(text(tags.SeriesInstanceUID), 'SeriesInstanceUID'),
    instanceUid: requireUid(text(tags.SOPInstanceUID), 'SOPInstanceUID'),
  }
  const main = {} as Record<Level, MainTags>
  for (const level of levels) main[level] = mainTagsOf(level, byTag, values)
  const pixels = set.isDeflated ? undefined : find(set.elements, tags.PixelData)
  return {
    dicomIds,
    ids: resourceIdsOf(dicomIds),
    main,
    transferSyntax: set.transferSyntax,
    sopClassUid: text(tags.SOPClassUID),
    indexInSeries: (text(tags.InstanceNumber) ?? text(tags.ImageIndex))?.trim(),
    expectedCount: expectedCountOf(set.elements, values),
    pixelDataAt: pixels?.at,
  }
}

function requireUid(value: string | undefined, name: string): string {
  if (value === undefined)
    refuse('bad-request', `The file has no ${name}`, { field: name, facts: { fault: 'no-identifiers' } })
  if (value === '')
    refuse('bad-request', `The ${name} of the file is empty`, {
      field: name,
      facts: { fault: 'empty-identifier' },
    })
  return value
}

function mainTagsOf(level: Level, byTag: ReadonlyMap<Tag, Element>, values: Values): MainTags {
  const found: MainTags = {}
  for (const tag of mainTags[level]) {
    const element = byTag.get(tag)
    if (!element || element.items || element.fragments || element.length > textBytesMax * 16) continue
    const value = showValue(element, values)
    if (value !== null && !isLongerThan(value, textBytesMax)) found[tagText(tag)] = value
  }
  return found
}

/** Positions × times, slices × times, or heart phases: whichever the instance tells (contracts/orthanc.md §3.11). */
function expectedCountOf(elements: readonly Element[], values: Values): number | undefined {
  const count = (tag: Tag): number | undefined => {
    const number = numberOf(elements, tag, values)
    return number !== undefined && Number.isSafeInteger(number) && number >= 0 ? number : undefined
  }
  const product = (a: Tag, b: Tag): number | undefined => {
    const first = count(a)
    const second = count(b)
    return first === undefined || second === undefined ? undefined : first * second
  }
  return (
    product(tags.ImagesInAcquisition, tags.NumberOfTemporalPositions) ??
    product(tags.NumberOfSlices, tags.NumberOfTimeSlices) ??
    count(tags.CardiacNumberOfImages)
  )
}
