// The records in which the ledgers are written down: what stands in them, and how their rows are read, also as earlier
// versions wrote them.

import type { LedgerRow } from './ledger.ts'
import { readRows, type Width } from './ledger-rows.ts'
import {
  type JobClass,
  jobInts,
  jobTimes,
  type RecipeClass,
  recipeInts,
  recipeTimes,
  type SourceNames,
} from './ledgers.ts'

/** Many small records in one. */
export interface StoredPack {
  readonly parts: readonly (StoredLedger | StoredBefore)[]
}

/** A record; rows are text (ledger-rows.ts). Classes and sources are numbered within it. */
export interface StoredLedger {
  readonly v: 2
  readonly jobs: string
  readonly recipes: string
  readonly jobClasses: readonly JobClass[]
  readonly recipeClasses: readonly RecipeClass[]
  readonly sources: readonly SourceNames[]
  /** Batch, recipes, completed ones, and jobs by status. */
  readonly batches: readonly (readonly number[])[]
}

/** A record of earlier versions: rows are lists of numbers, packed ones the same as floats in base64. */
export interface StoredBefore extends Omit<StoredLedger, 'v' | 'jobs' | 'recipes'> {
  readonly jobs: RowsBefore
  readonly recipes: RowsBefore
}

export type RowsBefore = string | readonly (readonly (number | null)[])[]

/** The columns of each ledger. */
export const jobWidth: Width = { ints: Object.keys(jobInts).length, times: Object.keys(jobTimes).length }
export const recipeWidth: Width = {
  ints: Object.keys(recipeInts).length,
  times: Object.keys(recipeTimes).length,
}

/** What the numbers of a record stand for. */
export interface Numbers {
  readonly classes: readonly number[]
  readonly sources: readonly number[]
}

/** The rows of a record; without `numbers`, classes and sources are as they are numbered within it. */
export function readStoredRows(
  stored: StoredLedger | StoredBefore,
  which: 'jobs' | 'recipes',
  numbers?: Numbers,
): Iterable<LedgerRow> {
  const isOfJobs = which === 'jobs'
  const classes = isOfJobs ? stored.jobClasses : stored.recipeClasses
  const plan = {
    sourceAt: isOfJobs ? jobInts.source : recipeInts.source,
    classes: numbers?.classes ?? [...classes.keys()],
    sources: numbers?.sources ?? [...stored.sources.keys()],
  }
  const width = isOfJobs ? jobWidth : recipeWidth
  return 'v' in stored ? readRows(stored[which], width, plan) : readRowsBefore(stored[which], width, plan)
}

type ReadingPlan = Parameters<typeof readRows>[2]

function* readRowsBefore(
  rows: RowsBefore | undefined,
  width: Width,
  plan: ReadingPlan,
): Generator<LedgerRow> {
  if (rows === undefined) return
  if (typeof rows !== 'string') {
    for (const list of rows) yield readRowBefore(list, width, plan)
    return
  }
  const bytes = Buffer.from(rows, 'base64')
  // A copy: the bytes of a small buffer may lie in a larger one at any place.
  const floats = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  const size = 3 + width.ints + width.times
  for (let from = 0; from < floats.length; from += size)
    yield readRowBefore(floats.subarray(from, from + size), width, plan)
}

function readRowBefore(list: ArrayLike<number | null>, width: Width, plan: ReadingPlan): LedgerRow {
  const [id, at, cls] = [list[0]!, list[1]!, list[2]!]
  const ints = Array.from({ length: width.ints }, (_, column) => {
    const value = list[3 + column]!
    return column === plan.sourceAt ? plan.sources[value]! : value
  })
  const times = Array.from({ length: width.times }, (_, column) => {
    const time = list[3 + width.ints + column]!
    return time === null || Number.isNaN(time) ? null : time + at
  })
  return { id, at, class: plan.classes[cls]!, ints, times }
}
