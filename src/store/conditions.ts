// What the words of the store's queries mean, once for all adapters: how text and numbers compare, when labels and
// index conditions hold. SQLite decides the same with its BINARY collation; conformance.ts holds the two together.

import type { Flow } from '../core/flow.ts'
import type { Job } from '../core/job.ts'
import type { FlowQuery, IndexCondition } from './store.ts'

export type IndexValue = string | number
/** The index entries of one record. */
export type Entries = readonly (readonly [name: string, value: IndexValue])[]

/** Compares text by code points, as UTF-8 bytes do; JavaScript's own `<` would sort emoji before U+FFFD. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    let x = a.charCodeAt(at)
    let y = b.charCodeAt(at)
    if (x === y) continue
    // Surrogates stand for the code points above U+FFFF, so they are moved above the rest of the plane.
    if (x >= 0xd800 && y >= 0xd800) {
      x += x >= 0xe000 ? -0x800 : 0x2000
      y += y >= 0xe000 ? -0x800 : 0x2000
    }
    return x - y
  }
  return a.length - b.length
}

/** Numbers by value and before all text; text by code points. */
export function compareValues(a: IndexValue, b: IndexValue): number {
  if (typeof a === 'number') return typeof b === 'number' ? (a < b ? -1 : a > b ? 1 : 0) : -1
  return typeof b === 'number' ? 1 : compareText(a, b)
}

/** The least text that is above every text with this prefix; undefined when there is none. */
export function pastPrefix(prefix: string): string | undefined {
  const highest = '\u{10ffff}'
  let kept = prefix.toWellFormed()
  while (kept.endsWith(highest)) kept = kept.slice(0, -highest.length)
  if (kept === '') return undefined
  const last = kept.codePointAt(kept.length - 2)! > 0xffff ? kept.length - 2 : kept.length - 1
  const point = kept.codePointAt(last)!
  // There are no characters between U+D7FF and U+E000.
  return kept.slice(0, last) + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1)
}

/** Values from `low` up to `high` (`open`: without it; null: up to the end of all text). */
export interface Range {
  readonly low: IndexValue
  readonly high: IndexValue | null
  readonly open: boolean
}

/** Above every number and not above any text: where numbers end and text begins. */
const firstText = ''

/** The ranges of values that a condition asks for; values outside of them never satisfy it. */
export function rangesOf(condition: IndexCondition): Range[] {
  if ('is' in condition) return [{ low: condition.is, high: condition.is, open: false }]
  if ('in' in condition) {
    return [...new Set(condition.in)].map(value => ({ low: value, high: value, open: false }))
  }
  if ('prefix' in condition) {
    const high = pastPrefix(condition.prefix)
    return [{ low: condition.prefix, high: high ?? null, open: high !== undefined }]
  }
  const { from, to } = condition
  if (from === undefined && to === undefined) return [{ low: -Infinity, high: null, open: false }]
  const numeric = typeof (from ?? to) === 'number'
  // A bound of one type never lets values of the other type through.
  if (from !== undefined && to !== undefined && typeof from !== typeof to) return []
  return [
    {
      low: from ?? (numeric ? -Infinity : firstText),
      high: to ?? (numeric ? Infinity : null),
      open: false,
    },
  ]
}

/** Whether a record with these entries satisfies the condition: one of its entries does. */
export function conditionHolds(entries: Entries, condition: IndexCondition): boolean {
  return holdsIn(rangesOf(condition), condition.name, entries)
}

/** The same with the ranges worked out beforehand, for walks over many records. */
export function holdsIn(ranges: readonly Range[], name: string, entries: Entries): boolean {
  for (const [entryName, value] of entries) {
    if (entryName !== name) continue
    for (const range of ranges) {
      if (compareValues(value, range.low) < 0) continue
      if (range.high === null) return true
      const past = compareValues(value, range.high)
      if (range.open ? past < 0 : past <= 0) return true
    }
  }
  return false
}

/** The value that places a record in an order by an index name: its lowest, or its highest when going down. */
export function orderValue(entries: Entries, name: string, down: boolean): IndexValue | undefined {
  let found: IndexValue | undefined
  for (const [entryName, value] of entries) {
    if (entryName !== name) continue
    if (found === undefined || (down ? compareValues(value, found) > 0 : compareValues(value, found) < 0)) {
      found = value
    }
  }
  return found
}

/** Whether all the wanted labels are there with their values. */
export function labelsHold(
  labels: Readonly<Record<string, string>> | null,
  wanted: readonly (readonly [key: string, value: string])[],
  foldKeys: boolean,
): boolean {
  if (wanted.length === 0) return true
  if (labels === null) return false
  return wanted.every(([key, value]) => {
    if (!foldKeys) return Object.hasOwn(labels, key) && labels[key] === value
    const folded = key.toLowerCase()
    return Object.keys(labels).some(own => own.toLowerCase() === folded && labels[own] === value)
  })
}

/** The entries as they can be stored: text as Unicode. */
export function wellFormedEntries(entries: Entries): Entries {
  return entries.map(([name, value]) => [name.toWellFormed(), wellFormedValue(value)])
}

/** The condition in the same words as the stored entries. */
export function wellFormedCondition(condition: IndexCondition): IndexCondition {
  const name = condition.name.toWellFormed()
  if ('is' in condition) return { name, is: wellFormedValue(condition.is) }
  if ('in' in condition) return { name, in: condition.in.map(wellFormedValue) }
  if ('prefix' in condition) return { name, prefix: condition.prefix.toWellFormed() }
  return {
    name,
    ...(condition.from !== undefined ? { from: wellFormedValue(condition.from) } : {}),
    ...(condition.to !== undefined ? { to: wellFormedValue(condition.to) } : {}),
  }
}

function wellFormedValue(value: IndexValue): IndexValue {
  return typeof value === 'string' ? value.toWellFormed() : value
}

/** What lists of jobs and of flows can be narrowed by. */
export type Filter = Omit<FlowQuery, 'states' | 'order' | 'after' | 'limit'> & {
  readonly states?: readonly string[]
}

/** Whether a job or a flow has all that a query asks for. */
export function queryHolds(thing: Job | Flow, query: Filter): boolean {
  const same = (wanted: string | undefined, own: string) =>
    wanted === undefined || wanted.toWellFormed() === own
  return (
    same(query.dialect, thing.dialect) &&
    same(query.owner, thing.owner) &&
    same(query.kind, thing.kind) &&
    same(query.name, thing.name) &&
    (query.states === undefined || query.states.includes(thing.state)) &&
    (query.createdFrom === undefined || thing.createdAt >= query.createdFrom) &&
    (query.createdTo === undefined || thing.createdAt <= query.createdTo) &&
    labelsHold(thing.labels, query.labels ?? [], query.foldKeys ?? false)
  )
}
