// What of the ledgers is written down: only rows that are at rest. Each commit that brings some writes one small record;
// when enough of those have come, they become one packed record, so that a start reads few and large ones.

import type { JsonObject } from '../../../core/json.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { Records } from '../../../store/store.ts'
import { type Status, statuses } from '../words.ts'
import type { Ledger, LedgerRow } from './ledger.ts'
import { RowWriter, readRows, type Width } from './ledger-rows.ts'
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
  /** Taken one after the other: one that is given out may be reused for the next. */
  readonly jobs: Iterable<LedgerRow>
  readonly recipes: Iterable<LedgerRow>
  /** The batches of recipes at the top, with how their jobs ended. */
  readonly batches: readonly (BatchTally & { readonly batch: number })[]
}

/** A small record, as it is stored and as it will be packed. */
interface Small {
  readonly id: string
  readonly stored: JsonObject
  readonly rows: number
}

/** The small records since the last packed one. */
export class LedgerTail {
  readonly #ledgers: Ledgers
  readonly #writer = new RowWriter()
  #small: Small[] = []
  #smallRows = 0

  constructor(ledgers: Ledgers) {
    this.#ledgers = ledgers
  }

  /** Fills empty ledgers; they have to be settled when all else is in them. */
  async load(records: Records): Promise<void> {
    let after: string | undefined
    do {
      const page = await records.list({ collection, order: 'id', limit: 20, ...(after && { after }) })
      for (const { id, body } of page.items) {
        const stored = body as unknown as StoredPack | StoredLedger | StoredBefore
        if ('parts' in stored) for (const part of stored.parts) this.#take(part)
        else {
          const rows = this.#take(stored)
          // A record of an earlier version that was packed already stays as it is.
          if (typeof stored.jobs === 'string' && !('v' in stored)) continue
          this.#keep({ id, stored: body as JsonObject, rows })
        }
      }
      after = page.next
    } while (after)
  }

  /** Writes rows down in the batch of `tx`, and packs what has gathered. */
  write(tx: Tx, rest: Rest): void {
    const id = idOf(tx.next(collection))
    const { stored, rows } = this.#store(rest)
    this.#keep({ id, stored: stored as unknown as JsonObject, rows })
    if (this.#smallRows < packRows && this.#small.length < packRecords) {
      tx.record({ put: { collection, id, body: this.#small.at(-1)!.stored } })
      return
    }
    // The packed record takes the last one's number; those before it go in the same commit.
    for (const small of this.#small.slice(0, -1)) tx.record({ drop: { collection, id: small.id } })
    tx.record({ put: { collection, id, body: { parts: this.#small.map(small => small.stored) } } })
    this.#small = []
    this.#smallRows = 0
  }

  #keep(small: Small): void {
    this.#small.push(small)
    this.#smallRows += small.rows
  }

  /** Takes the rows of a record in, and tells how many there were. */
  #take(stored: StoredLedger | StoredBefore): number {
    const ledgers = this.#ledgers
    const sources = stored.sources.map(names => ledgers.sources.numberOf(names))
    const jobClasses = stored.jobClasses.map(facts => ledgers.jobClasses.numberOf(facts))
    const recipeClasses = stored.recipeClasses.map(facts => ledgers.recipeClasses.numberOf(facts))
    const [jobPlan, recipePlan] = [
      { classes: jobClasses, sourceAt: jobInts.source, sources },
      { classes: recipeClasses, sourceAt: recipeInts.source, sources },
    ]
    for (const [batch, count, completed, ...counts] of stored.batches)
      ledgers.addTally(batch!, { recipes: count!, completed: completed!, jobs: countsOf(counts) })
    const read = 'v' in stored ? readRows : readRowsBefore
    return (
      takeAll(ledgers.jobs, read(stored.jobs as string, jobWidth, jobPlan)) +
      takeAll(ledgers.recipes, read(stored.recipes as string, recipeWidth, recipePlan))
    )
  }

  #store({ jobs, recipes, batches }: Rest): { stored: StoredLedger; rows: number } {
    const { jobClasses, recipeClasses, sources } = this.#ledgers
    const [jobDictionary, recipeDictionary, sourceDictionary] = [
      new Dictionary(jobClasses.all),
      new Dictionary(recipeClasses.all),
      new Dictionary(sources.all),
    ]
    const sourceNumber = (source: number): number => sourceDictionary.numberOf(source)
    const jobText = this.#writer.write(jobs, jobWidth, {
      sourceAt: jobInts.source,
      classNumber: cls => jobDictionary.numberOf(cls),
      sourceNumber,
    })
    const recipeText = this.#writer.write(recipes, recipeWidth, {
      sourceAt: recipeInts.source,
      classNumber: cls => recipeDictionary.numberOf(cls),
      sourceNumber,
    })
    const stored: StoredLedger = {
      v: 2,
      jobs: jobText.text,
      recipes: recipeText.text,
      jobClasses: jobDictionary.used,
      recipeClasses: recipeDictionary.used,
      sources: sourceDictionary.used,
      batches: sumBatches(batches),
    }
    return { stored, rows: jobText.count + recipeText.count }
  }
}

/** Many small records in one. */
interface StoredPack {
  readonly parts: readonly (StoredLedger | StoredBefore)[]
}

/** A record; rows are text (ledger-rows.ts). Classes and sources are numbered within it. */
interface StoredLedger {
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
interface StoredBefore extends Omit<StoredLedger, 'v' | 'jobs' | 'recipes'> {
  readonly jobs: RowsBefore
  readonly recipes: RowsBefore
}

type RowsBefore = string | readonly (readonly (number | null)[])[]

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

function takeAll(ledger: Ledger, rows: Iterable<LedgerRow>): number {
  let count = 0
  for (const row of rows) {
    ledger.take(row)
    count++
  }
  return count
}

/** How rows of a record are to be read: what its numbers stand for. */
type ReadingPlan = Parameters<typeof readRows>[2]

function* readRowsBefore(rows: RowsBefore, width: Width, plan: ReadingPlan): Generator<LedgerRow> {
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

function sumBatches(batches: Rest['batches']): number[][] {
  const sums = new Map<number, number[]>()
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
