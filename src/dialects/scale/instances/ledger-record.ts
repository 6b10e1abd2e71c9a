// What of the ledgers is written down: only rows that are at rest. Each commit that brings some writes one small record;
// when enough of those have come, they become one packed record, so that a start reads few and large ones.

import type { JsonObject } from '../../../core/json.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { Records } from '../../../store/store.ts'
import { type Status, statuses } from '../words.ts'
import type { Ledger, LedgerRow } from './ledger.ts'
import { type Blocks, blocksOf, cutPack, cutRecord, type Gone, touchedBy } from './ledger-cut.ts'
import { RowWriter } from './ledger-rows.ts'
import {
  jobWidth,
  readStoredRows,
  recipeWidth,
  type StoredBefore,
  type StoredLedger,
  type StoredPack,
} from './ledger-stored.ts'
import { type BatchTally, jobInts, type Ledgers, recipeInts } from './ledgers.ts'

const collection = 'scale.ledger'
/** So many rows, or small records, are packed into one. */
const packRows = 4096
const packRecords = 256
/** So many packed records are read at a time. */
const readAtOnce = 20

/** Rows that came to rest, and what their recipes add to their batches. */
export interface Rest {
  /** Taken one after the other: one that is given out may be reused for the next. */
  readonly jobs: Iterable<LedgerRow>
  readonly recipes: Iterable<LedgerRow>
  /** The batches of recipes at the top, with how their jobs ended. */
  readonly batches: readonly (BatchTally & { readonly batch: number })[]
}

/** Packed records as they will be without what is gone; null for those of which nothing is left. */
export interface PacksCut {
  readonly packs: ReadonlyMap<string, StoredPack | null>
  /** How often records had been packed by then. */
  readonly packedTimes: number
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
  /** Which ids are in each packed record; known since something had to be taken out of one for the first time. */
  #packs: Map<string, Blocks> | undefined
  #packedTimes = 0

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
          if (!isPacked(stored)) this.#keep({ id, stored: body as JsonObject, rows })
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
    const pack = { parts: this.#small.map(small => small.stored) }
    tx.record({ put: { collection, id, body: pack } })
    this.#packs?.set(id, blocksOf(pack as unknown as StoredPack))
    this.#packedTimes++
    this.#small = []
    this.#smallRows = 0
  }

  /** Finds what becomes of the packed records without what is gone. Nothing is changed by asking. */
  async findCut(records: Records, gone: Gone): Promise<PacksCut> {
    const packedTimes = this.#packedTimes
    const touched = touchedBy(gone, await this.#knownPacks(records))
    const packs = new Map<string, StoredPack | null>()
    for (let at = 0; at < touched.length; at += readAtOnce) {
      const ids = touched.slice(at, at + readAtOnce)
      for (const [id, { body }] of await records.getMany(collection, ids)) {
        const cut = cutPack(body as unknown as StoredPack | StoredBefore, gone)
        if (cut !== undefined) packs.set(id, cut)
      }
    }
    return { packs, packedTimes }
  }

  /** Takes out what is gone, in the batch of `tx`; false, and nothing done, when records were packed in between. */
  cut(tx: Tx, { packs, packedTimes }: PacksCut, gone: Gone): boolean {
    if (packedTimes !== this.#packedTimes) return false
    for (const [id, body] of packs) {
      if (body === null) this.#packs?.delete(id)
      else this.#packs?.set(id, blocksOf(body))
      tx.record(
        body === null
          ? { drop: { collection, id } }
          : { put: { collection, id, body: body as unknown as JsonObject } },
      )
    }
    this.#small = this.#small.flatMap(small => {
      const cut = cutRecord(small.stored as unknown as StoredLedger, gone)
      if (cut === undefined) return [small]
      if (cut === null) tx.record({ drop: { collection, id: small.id } })
      else tx.record({ put: { collection, id: small.id, body: cut as unknown as JsonObject } })
      return cut === null ? [] : [{ ...small, stored: cut as unknown as JsonObject }]
    })
    return true
  }

  async #knownPacks(records: Records): Promise<ReadonlyMap<string, Blocks>> {
    if (this.#packs) return this.#packs
    const packs = new Map<string, Blocks>()
    // What is packed while the others are read finds its place by itself.
    this.#packs = packs
    let after: string | undefined
    do {
      const query = { collection, order: 'id', limit: readAtOnce, ...(after && { after }) } as const
      const page = await records.list(query).catch(error => {
        this.#packs = undefined
        throw error
      })
      for (const { id, body } of page.items) {
        const stored = body as unknown as StoredPack | StoredLedger | StoredBefore
        if (isPacked(stored) && !packs.has(id)) packs.set(id, blocksOf(stored))
      }
      after = page.next
    } while (after)
    return packs
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
    for (const [batch, count, completed, ...counts] of stored.batches)
      ledgers.addTally(batch!, { recipes: count!, completed: completed!, jobs: countsOf(counts) })
    return (
      takeAll(ledgers.jobs, readStoredRows(stored, 'jobs', { classes: jobClasses, sources })) +
      takeAll(ledgers.recipes, readStoredRows(stored, 'recipes', { classes: recipeClasses, sources }))
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

// A record of an earlier version that was packed already stays as it is.
function isPacked(stored: StoredPack | StoredLedger | StoredBefore): boolean {
  return 'parts' in stored || (typeof stored.jobs === 'string' && !('v' in stored))
}

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
