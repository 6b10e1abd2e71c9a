// Queries that were asked of modalities, with their answers: in memory, the newest ones only (QueryRetrieveSize).

import { randomUUID } from 'node:crypto'
import type { JsonObject } from '../../../core/json.ts'
import type { Level } from '../../../domains/dicom/levels.ts'
import { moduleTags } from '../../../domains/dicom/levels.ts'
import type { DataSet } from '../../../domains/dicom/reading/data-set.ts'
import { readDataSet } from '../../../domains/dicom/reading/reader.ts'
import { memorySource } from '../../../domains/dicom/reading/source.ts'
import { textOf, valuesOf } from '../../../domains/dicom/reading/value.ts'
import { showTags, type TagForm } from '../../../domains/dicom/show-tags.ts'
import { type Tag, tags, tagText } from '../../../domains/dicom/tag.ts'
import { defaultTerm, type House } from '../house.ts'
import type { Caller } from './dial.ts'
import type { Modality } from './modality.ts'
import { find, levelTag } from './service-client.ts'

export type QueryTags = readonly (readonly [Tag, string])[]

export interface Query {
  readonly id: string
  readonly level: Level
  /** As it was asked. */
  readonly query: QueryTags
  readonly modalityName: string
  readonly caller: Caller
  /** Each as a file without pixels. */
  readonly answers: readonly Buffer[]
}

/** Answers of all queries together; the oldest queries make room. */
const answersBytesMax = 256 * 1024 * 1024

export class Queries {
  readonly #known = new Map<string, Query>()
  #bytes = 0
  readonly #countMax: number

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  ids(): string[] {
    return [...this.#known.keys()].sort()
  }

  get(id: string): Query | undefined {
    return this.#known.get(id)
  }

  add(query: Omit<Query, 'id'>): Query {
    const whole = { id: randomUUID(), ...query }
    this.#known.set(whole.id, whole)
    this.#bytes += sizeOf(whole)
    for (const id of this.#known.keys()) {
      const isOver = this.#known.size > this.#countMax || this.#bytes > answersBytesMax
      if (!isOver || id === whole.id) break
      this.drop(id)
    }
    return whole
  }

  drop(id: string): void {
    const query = this.#known.get(id)
    if (query && this.#known.delete(id)) this.#bytes -= sizeOf(query)
  }
}

function sizeOf({ answers }: Query): number {
  return answers.reduce((sum, answer) => sum + answer.length, 0)
}

export const levelWords: Readonly<Record<Level, string>> = {
  patient: 'PATIENT',
  study: 'STUDY',
  series: 'SERIES',
  instance: 'IMAGE',
}

/** Tags that name one resource of a level, each level with those above it. */
const uniqueTags: Readonly<Record<Level, readonly Tag[]>> = {
  patient: [tags.PatientID],
  study: [tags.AccessionNumber, tags.PatientID, tags.StudyInstanceUID],
  series: [tags.AccessionNumber, tags.PatientID, tags.StudyInstanceUID, tags.SeriesInstanceUID],
  instance: [
    ...[tags.AccessionNumber, tags.PatientID, tags.StudyInstanceUID, tags.SeriesInstanceUID],
    tags.SOPInstanceUID,
  ],
}

/** Tags beside those of the module that a level may be asked for: counts, and what is below. */
const countTags: Readonly<Record<Level, readonly Tag[]>> = {
  patient: [0x00201200, 0x00201202, 0x00201204],
  study: [tags.ModalitiesInStudy, 0x00080062, 0x00201206, 0x00201208],
  series: [0x00201209],
  instance: [],
}

const order: readonly Level[] = ['patient', 'study', 'series', 'instance']

/** Takes out what the level knows nothing of, as the original does with `Normalize`. */
export function normalised(level: Level, query: QueryTags): QueryTags {
  const levels = order.slice(0, order.indexOf(level) + 1)
  const allowed = new Set<Tag>([
    tags.SpecificCharacterSet,
    ...levels.flatMap(at => [...moduleTags[at], ...countTags[at]]),
  ])
  return query.filter(([tag]) => allowed.has(tag))
}

/** Asks a modality. The keys of the level are asked for whether they were named or not. */
export async function askModality(
  house: House,
  parts: { caller: Caller; level: Level; query: QueryTags; normalises: boolean },
): Promise<Buffer[]> {
  const { caller, level } = parts
  const asked = parts.normalises ? normalised(level, parts.query) : parts.query
  const wanted = new Map(asked.map(([tag, text]) => [tag, wordFor(house, caller.modality, tag, text)]))
  const anything = caller.modality.manufacturer === 'GE' ? '*' : ''
  for (const tag of uniqueTags[level]) if (!wanted.has(tag)) wanted.set(tag, anything)
  return find(house, caller, { level: levelWords[level], query: [...wanted] })
}

/** What some devices make of a lone asterisk differs. */
function wordFor(house: House, { manufacturer }: Modality, tag: Tag, text: string): string {
  if (text !== '*') return manufacturer === 'GE' && text === '' ? '*' : text
  if (manufacturer === 'GenericNoUniversalWildcard') return ''
  const isDated = manufacturer === 'GenericNoWildcardInDates' || manufacturer === 'Vitrea'
  return isDated && ['DA', 'TM', 'DT'].includes(house.dictionary.vrOf(tag)) ? '' : text
}

/** An answer of a modality, read. */
export function readAnswer(house: House, answer: Buffer): DataSet {
  return readDataSet(memorySource(answer), { dictionary: house.dictionary, keep: 'all' })
}

/** An answer of a modality, in the form that a client wants tags in. */
export function showAnswer(house: House, answer: Buffer, form: TagForm): JsonObject {
  return showTags(readAnswer(house, answer), {
    dictionary: house.dictionary,
    form,
    defaultTerm: defaultTerm(house),
  })
}

/** Tags with texts in one of the forms of tags. */
export function showQuery(house: House, query: QueryTags, form: TagForm): JsonObject {
  const shown: JsonObject = {}
  for (const [tag, text] of query) {
    const name = house.dictionary.nameOf(tag)
    if (form === 'simplified') shown[name] = text
    else shown[tagText(tag)] = form === 'short' ? text : { Name: name, Type: 'String', Value: text }
  }
  return shown
}

/** What names the resource of an answer: for a move, or for a query below it. */
export function keysOf(house: House, level: Level, answer: Buffer): [Tag, string][] {
  const set = readAnswer(house, answer)
  const { values } = valuesOf(set, defaultTerm(house))
  return uniqueTags[level].flatMap(tag => {
    const text = textOf(set.elements, tag, values)
    return text === undefined ? [] : [[tag, text] as [Tag, string]]
  })
}

/** The level of a retrieve is told with its keys. */
export function moveKeys(house: House, level: Level, answer: Buffer): [Tag, string][] {
  return [...keysOf(house, level, answer), [levelTag, levelWords[level]] as [Tag, string]].sort(
    ([a], [b]) => a - b,
  )
}
