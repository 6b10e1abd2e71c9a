// Records on a memory disk: filter, sort, cut.

import {
  compareValues,
  conditionHolds,
  type IndexValue,
  orderValue,
  wellFormedCondition,
} from '../conditions.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { Page, Rec, RecordQuery, Records } from '../store.ts'
import { copyJson } from './copy.ts'
import type { KeptRecord, MemoryDisk } from './disk.ts'

type Wanted = Omit<RecordQuery, 'after' | 'skip' | 'limit' | 'order'>

export class MemoryRecords implements Records {
  readonly #disk: MemoryDisk
  readonly #live: () => void

  /** `live` throws once the store can no longer be used. */
  constructor(disk: MemoryDisk, live: () => void) {
    this.#disk = disk
    this.#live = live
  }

  async get(collection: string, id: string): Promise<Rec | undefined> {
    this.#live()
    const found = this.#disk.records.get(collection.toWellFormed())?.get(id.toWellFormed())
    return found && show(found)
  }

  async getMany(collection: string, ids: readonly string[]): Promise<Map<string, Rec>> {
    this.#live()
    const records = this.#disk.records.get(collection.toWellFormed())
    const found = new Map<string, Rec>()
    for (const id of ids) {
      const record = records?.get(id.toWellFormed())
      if (record !== undefined) found.set(id, show(record))
    }
    return found
  }

  async list(query: RecordQuery): Promise<Page<Rec>> {
    this.#live()
    const { order = 'seq', limit } = query
    const down = typeof order === 'string' ? order.startsWith('-') : order.down === true
    const byIndex = typeof order === 'object' ? order.index : undefined
    const byId = order === 'id' || order === '-id'
    const orderName = typeof order === 'string' ? order : `${down ? '-' : ''}.${order.index}`
    const keyOf = (record: KeptRecord): IndexValue[] =>
      byIndex !== undefined
        ? [orderValue(record.entries, byIndex, down)!, record.seq]
        : [byId ? record.id : record.seq]
    const compare = (a: readonly IndexValue[], b: readonly IndexValue[]) => {
      const up = compareValues(a[0]!, b[0]!) || Number(a[1] ?? 0) - Number(b[1] ?? 0)
      return down ? -up : up
    }
    const shape =
      byIndex !== undefined ? (['any', 'number'] as const) : ([byId ? 'string' : 'number'] as const)
    const after = readCursor(query.after, orderName, shape)

    const found = this.#matching(query).filter(
      record =>
        (byIndex === undefined || orderValue(record.entries, byIndex, down) !== undefined) &&
        (after === undefined || compare(keyOf(record), after) > 0),
    )
    found.sort((a, b) => compare(keyOf(a), keyOf(b)))
    const skip = Math.max(0, query.skip ?? 0)
    const items = found.slice(skip, skip + Math.max(0, limit))
    const last = items.at(-1)
    if (last === undefined || found.length <= skip + items.length) return { items: items.map(show) }
    return { items: items.map(show), next: writeCursor(orderName, keyOf(last)) }
  }

  async count(query: Wanted): Promise<number> {
    this.#live()
    return this.#matching(query).length
  }

  #matching({ collection, parent, where = [] }: Wanted): KeptRecord[] {
    const conditions = where.map(wellFormedCondition)
    const wantedParent = parent?.toWellFormed()
    return [...(this.#disk.records.get(collection.toWellFormed())?.values() ?? [])].filter(
      record =>
        (wantedParent === undefined || record.parent === wantedParent) &&
        conditions.every(condition => conditionHolds(record.entries, condition)),
    )
  }
}

function show({ entries: _, ...record }: KeptRecord): Rec {
  return { ...record, body: copyJson(record.body) }
}
