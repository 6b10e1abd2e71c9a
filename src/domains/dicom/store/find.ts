// Searching the archive: conditions on any tags, with wildcards, lists and ranges. Main tags are answered from the
// index; others by opening the file of the first instance of each candidate.

import { refuse } from '../../../core/refusal.ts'
import { type Dictionary, settleVr } from '../dictionary/dictionary.ts'
import { type Level, levels, mainTags } from '../levels.ts'
import { type Tag, tags, tagText } from '../tag.ts'
import { isIndexed, type Resource } from './bodies.ts'
import type { Browse } from './browse.ts'
import { normalise } from './normalise.ts'

export interface Search {
  readonly level: Level
  /** Conditions: tag and text. An empty text, or `*`, holds for anything. */
  readonly query: readonly (readonly [Tag, string])[]
  readonly isCaseSensitive: boolean
}

/** Reads a tag's text from the file of an instance, for tags that the index does not keep. */
export type TagReader = (instance: Resource, tags: readonly Tag[]) => Promise<ReadonlyMap<Tag, string>>

interface Condition {
  readonly tag: Tag
  readonly key: string
  /** The level in whose main tags its value stands. */
  readonly level: Level | undefined
  readonly holds: (value: string | undefined) => boolean
  /** A single text that must be equal (normalised): can be looked up in the index. */
  readonly exact: string | undefined
}

/** VRs on whose values DICOM allows wildcards. */
const wildcardVrs = new Set(['AE', 'CS', 'LO', 'LT', 'PN', 'SH', 'UC', 'UR', 'UT'])
const rangeVrs = new Set(['DA', 'DT', 'TM'])

/** The resources that a search finds: instances in order of arrival, others in order of their ids, as in the original. */
export async function* findResources(
  browse: Browse,
  search: Search,
  tools: { dictionary: Dictionary; readTags: TagReader },
): AsyncGenerator<Resource> {
  const conditions = search.query
    .filter(([, text]) => text !== '' && text !== '*')
    .map(([tag, text]) => readCondition(tag, text, search, tools.dictionary))
  const judge = makeJudge(browse, search.level, conditions, tools.readTags)
  for await (const candidate of candidates(browse, search.level, conditions)) {
    if (await judge(candidate)) yield candidate
  }
}

/** The smallest set that is surely enough: below what an exact condition names, else everything of the level. */
async function* candidates(
  browse: Browse,
  level: Level,
  conditions: readonly Condition[],
): AsyncGenerator<Resource> {
  const depth = levels.indexOf(level)
  const exact = conditions
    .filter(condition => condition.exact !== undefined && condition.level !== undefined)
    .filter(({ level: at, key }) => levels.indexOf(at!) <= depth && isIndexed(at!, key))
    .sort((a, b) => levels.indexOf(b.level!) - levels.indexOf(a.level!))[0]
  if (!exact) {
    yield* level === 'instance' ? browse.all(level) : browse.byId(level)
    return
  }
  const found = new Map<string, Resource>()
  for await (const top of browse.having(exact.level!, exact.key, exact.exact!)) {
    for await (const resource of browse.descendants(top, level)) found.set(resource.id, resource)
  }
  const byArrival = (a: Resource, b: Resource): number => a.seq - b.seq
  const byId = (a: Resource, b: Resource): number => (a.id < b.id ? -1 : 1)
  yield* [...found.values()].sort(level === 'instance' ? byArrival : byId)
}

function makeJudge(browse: Browse, level: Level, conditions: readonly Condition[], readTags: TagReader) {
  const own = conditions.filter(condition => condition.level === level)
  const above = conditions.filter(({ level: at }) => at && levels.indexOf(at) < levels.indexOf(level))
  const modalities = conditions.filter(({ tag }) => tag === tags.ModalitiesInStudy)
  const other = conditions.filter(
    condition => !own.includes(condition) && !above.includes(condition) && !modalities.includes(condition),
  )
  // Siblings share their ancestors: the last ones are kept.
  const parents = new Map<string, Resource | undefined>()

  async function ancestor(resource: Resource, at: Level): Promise<Resource | undefined> {
    const key = `${at} ${resource.parent}`
    if (!parents.has(key)) {
      if (parents.size > 1000) parents.clear()
      parents.set(key, await browse.ancestor(resource, at))
    }
    return parents.get(key)
  }

  return async (resource: Resource): Promise<boolean> => {
    for (const { key, holds } of own) if (!holds(resource.body.main[key])) return false
    for (const { key, holds, level: at } of above) {
      if (!holds((await ancestor(resource, at!))?.body.main[key])) return false
    }
    for (const condition of modalities) if (!(await hasModality(browse, resource, condition))) return false
    if (other.length === 0) return true
    const instance = await browse.firstInstance(resource)
    if (!instance) return false
    const values = await readTags(
      instance,
      other.map(condition => condition.tag),
    )
    return other.every(({ tag, holds }) => holds(values.get(tag)))
  }
}

/** ModalitiesInStudy holds when one of the study's series has the modality. */
async function hasModality(browse: Browse, resource: Resource, condition: Condition): Promise<boolean> {
  const study = await browse.ancestor(resource, 'study')
  const top = study ?? resource
  for await (const series of browse.descendants(top, 'series')) {
    if (condition.holds(series.body.main['0008,0060'])) return true
  }
  return false
}

function readCondition(tag: Tag, text: string, search: Search, dictionary: Dictionary): Condition {
  const vr = tag === tags.ModalitiesInStudy ? 'CS' : settleVr(dictionary.vrOf(tag), tag, 0)
  const key = tagText(tag)
  const level = levels.slice(0, levels.indexOf(search.level) + 1).find(at => mainTags[at].includes(tag))
  const fold = search.isCaseSensitive ? (value: string) => value.trim() : normalise
  const parts = text.split('\\')
  const tests = parts.map(part => readTest(tag, vr, part, fold))
  const isExact = parts.length === 1 && !/[*?]/.test(text) && !(rangeVrs.has(vr) && text.includes('-'))
  return {
    tag,
    key,
    level,
    holds: value => value !== undefined && tests.some(test => test(value)),
    exact: isExact ? normalise(text) : undefined,
  }
}

function readTest(
  tag: Tag,
  vr: string,
  text: string,
  fold: (text: string) => string,
): (value: string) => boolean {
  if (rangeVrs.has(vr) && text.includes('-')) {
    const [from, to] = splitRange(text)
    return value => {
      const at = value.trim()
      if (at === '') return false
      // A day, or a minute, is meant whole: `2024` ends with its last moment.
      return (from === '' || at >= from) && (to === '' || at.slice(0, to.length) <= to)
    }
  }
  if (!/[*?]/.test(text)) {
    const wanted = fold(text)
    return value => fold(value) === wanted
  }
  if (!wildcardVrs.has(vr)) {
    refuse('bad-field', `Wildcards are not allowed on tag ${tagText(tag)}`, {
      field: tagText(tag),
      facts: { fault: 'out-of-range' },
    })
  }
  const pattern = fold(text)
  return value => matches(fold(value), pattern)
}

function splitRange(text: string): [string, string] {
  const dash = text.indexOf('-')
  return [text.slice(0, dash).trim(), text.slice(dash + 1).trim()]
}

/** Wildcards without a regular expression, whose time could explode: `*` any text, `?` one character. */
export function matches(text: string, pattern: string): boolean {
  let at = 0
  let p = 0
  let star = -1
  let starAt = 0
  while (at < text.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++
      starAt = at
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[at])) {
      p++
      at++
    } else if (star >= 0) {
      p = star + 1
      at = ++starAt
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}
