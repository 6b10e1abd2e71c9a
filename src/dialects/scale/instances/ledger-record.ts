// What of the ledgers is written down: only rows that are at rest. Each commit that brings some writes one small record;
// when enough of those have come, they become one packed record, so that a start reads few and large ones.

import type { JsonObject } from '../../../core/json.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { Records } from '../../../store/store.ts'
import { type Status, statuses } from '../words.ts'
import type { Ledger, LedgerRow } from './ledger.ts'
import {
  type BatchTally,
  type JobClass,
  jobInts,
  jobTimes,
  type Ledgers,
  type RecipeClass,
  recipeInts,
  recipeTimes,
  type SourceNames,
} from './ledgers.ts'

const collection = 'scale.ledger'
/** So many rows, or small records, are packed into one. */
const packRows = 4096
const packRecords = 256

/** Rows that came to rest, and what their recipes add to their batches. */
export interface Rest {
  readonly jobs: readonly LedgerRow[]
  readonly recipes: readonly LedgerRow[]
  /** The batches of recipes at the top, with how their jobs ended. */
  readonly batches: readonly (BatchTally & { readonly batch: number })[]
}

interface Small {
  readonly id: string
  readonly rest: Rest
}

/** The small records since the last packed one. */
export class LedgerTail {
  readonly #ledgers: Ledgers
  #small: Small[] = []

  constructor(ledgers: Ledgers) {
    this.#ledgers = ledgers
  }

  /** Fills empty ledgers; they have to be settled when all else is in them. */
  async load(records: Records): Promise<void> {
    let after: string | undefined
    do {
      const page = await records.list({ collection, order: 'id', limit: 20, ...(after && { after }) })
      for (const { id, body } of page.items) this.#take(id, body as unknown as StoredLedger)
      after = page.next
    } while (after)
  }

  /** Writes rows down in the batch of `tx`, and packs what has gathered. */
  write(tx: Tx, rest: Rest): void {
    const id = idOf(tx.next(collection))
    this.#small.push({ id, rest })
    const rows = this.#small.reduce(
      (sum, { rest: { jobs, recipes } }) => sum + jobs.length + recipes.length,
      0,
    )
    if (rows < packRows && this.#small.length < packRecords) {
      tx.record({ put: { collection, id, body: this.#store([rest], false) } })
      return
    }
    // The packed record takes the last one's number; those before it go in the same commit.
    for (const small of this.#small.slice(0, -1)) tx.record({ drop: { collection, id: small.id } })
    tx.record({
      put: {
        collection,
        id,
        body: this.#store(
          this.#small.map(small => small.rest),
          true,
        ),
      },
    })
    this.#small = []
  }

  #take(id: string, stored: StoredLedger): void {
    const ledgers = this.#ledgers
    const sources = stored.sources.map(names => ledgers.sources.numberOf(names))
    const jobClasses = stored.jobClasses.map(facts => ledgers.jobClasses.numberOf(facts))
    const recipeClasses = stored.recipeClasses.map(facts => ledgers.recipeClasses.numberOf(facts))
    const [jobPlan, recipePlan] = [
      { ...jobWidth, classes: jobClasses, sourceAt: jobInts.source, sources },
      { ...recipeWidth, classes: recipeClasses, sourceAt: recipeInts.source, sources },
    ]
    const batches = stored.batches.map(([batch, count, completed, ...counts]) => ({
      batch: batch!,
      recipes: count!,
      completed: completed!,
      jobs: countsOf(counts),
    }))
    for (const tally of batches) ledgers.addTally(tally.batch, tally)
    if (typeof stored.jobs === 'string' || typeof stored.recipes === 'string') {
      takePacked(ledgers.jobs, String(stored.jobs), jobPlan)
      takePacked(ledgers.recipes, String(stored.recipes), recipePlan)
      return
    }
    const jobs = stored.jobs.map(list => readRow(list, jobPlan))
    const recipes = stored.recipes.map(list => readRow(list, recipePlan))
    for (const row of jobs) ledgers.jobs.take(row)
    for (const row of recipes) ledgers.recipes.take(row)
    this.#small.push({ id, rest: { jobs, recipes, batches } })
  }

  #store(rests: readonly Rest[], isPacked: boolean): JsonObject {
    const { jobClasses, recipeClasses, sources } = this.#ledgers
    const jobs = rests.flatMap(rest => rest.jobs)
    const recipes = rests.flatMap(rest => rest.recipes)
    const [jobDictionary, recipeDictionary, sourceDictionary] = [
      new Dictionary(jobClasses.all),
      new Dictionary(recipeClasses.all),
      new Dictionary(sources.all),
    ]
    const stored: StoredLedger = {
      jobs: storeRows(jobs, jobWidth, isPacked, jobDictionary, jobInts.source, sourceDictionary),
      recipes: storeRows(
        recipes,
        recipeWidth,
        isPacked,
        recipeDictionary,
        recipeInts.source,
        sourceDictionary,
      ),
      jobClasses: jobDictionary.used,
      recipeClasses: recipeDictionary.used,
      sources: sourceDictionary.used,
      batches: sumBatches(rests),
    }
    return stored as unknown as JsonObject
  }
}

/** A record; rows are lists of numbers, packed ones the same as floats in base64. Classes are numbered within it. */
interface StoredLedger {
  readonly jobs: string | readonly (readonly (number | null)[])[]
  readonly recipes: string | readonly (readonly (number | null)[])[]
  readonly jobClasses: readonly JobClass[]
  readonly recipeClasses: readonly RecipeClass[]
  readonly sources: readonly SourceNames[]
  /** Batch, recipes, completed ones, and jobs by status. */
  readonly batches: readonly (readonly number[])[]
}

interface Width {
  readonly ints: number
  readonly times: number
}

const jobWidth: Width = { ints: Object.keys(jobInts).length, times: Object.keys(jobTimes).length }
const recipeWidth: Width = { ints: Object.keys(recipeInts).length, times: Object.keys(recipeTimes).length }

/** Numbers the entries that are used, in the order of their first use. */
class Dictionary<T> {
  readonly used: T[] = []
  readonly #all: readonly T[]
  readonly #numbers = new Map<number, number>()

  constructor(all: readonly T[]) {
    this.#all = all
  }

  numberOf(entry: number): number {
    let number = this.#numbers.get(entry)
    if (number === undefined) {
      number = this.used.length
      this.used.push(this.#all[entry]!)
      this.#numbers.set(entry, number)
    }
    return number
  }
}

function storeRows(
  rows: readonly LedgerRow[],
  { ints, times }: Width,
  isPacked: boolean,
  classes: Dictionary<unknown>,
  sourceAt: number,
  sources: Dictionary<unknown>,
): StoredLedger['jobs'] {
  const lists = rows.map(row => [
    row.id,
    row.at,
    classes.numberOf(row.class),
    ...row.ints.map((value, at) => (at === sourceAt ? sources.numberOf(value) : value)),
    // Most times lie close to the change: the difference is shorter to write.
    ...row.times.map(time => (time === null ? null : time - row.at)),
  ])
  if (!isPacked) return lists
  const width = 3 + ints + times
  const floats = new Float64Array(rows.length * width)
  for (const [at, list] of lists.entries())
    for (const [column, value] of list.entries()) floats[at * width + column] = value ?? Number.NaN
  return Buffer.from(floats.buffer).toString('base64')
}

/** How rows of a record are to be read. */
interface ReadingPlan extends Width {
  /** By their numbers in the record. */
  readonly classes: readonly number[]
  readonly sources: readonly number[]
  readonly sourceAt: number
}

function readRow(list: ArrayLike<number | null>, plan: ReadingPlan, from = 0): LedgerRow {
  const [id, at, cls] = [list[from]!, list[from + 1]!, list[from + 2]!]
  const ints: number[] = []
  for (let column = 0; column < plan.ints; column++) {
    const value = list[from + 3 + column]!
    ints.push(column === plan.sourceAt ? plan.sources[value]! : value)
  }
  const times: (number | null)[] = []
  for (let column = 0; column < plan.times; column++) {
    const time = list[from + 3 + plan.ints + column]!
    times.push(time === null || Number.isNaN(time) ? null : time + at)
  }
  return { id, at, class: plan.classes[cls]!, ints, times }
}

function takePacked(ledger: Ledger, text: string, plan: ReadingPlan): void {
  const bytes = Buffer.from(text, 'base64')
  // A copy: the bytes of a small buffer may lie in a larger one at any place.
  const floats = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  const width = 3 + plan.ints + plan.times
  for (let from = 0; from < floats.length; from += width) ledger.take(readRow(floats, plan, from))
}

function sumBatches(rests: readonly Rest[]): number[][] {
  const sums = new Map<number, number[]>()
  for (const { batches } of rests)
    for (const { batch, recipes, completed, jobs } of batches) {
      const sum = sums.get(batch) ?? [batch, 0, 0, ...statuses.map(() => 0)]
      sums.set(batch, sum)
      sum[1]! += recipes
      sum[2]! += completed
      for (const [at, status] of statuses.entries()) sum[3 + at]! += jobs[status]
    }
  return [...sums.values()]
}

function countsOf(counts: readonly number[]): Record<Status, number> {
  return Object.fromEntries(statuses.map((status, at) => [status, counts[at] ?? 0])) as Record<Status, number>
}

// By code points numbers sort as they count only when they are equally long.
function idOf(number: number): string {
  return String(number).padStart(12, '0')
}
