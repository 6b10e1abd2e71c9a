// Lists and counts of records. If any condition leaves few records, those are read, filtered and sorted; otherwise
// an index is walked in the order asked for, and what does not fit is passed over. Long walks let others have the
// thread now and then.

import { setImmediate as turn } from 'node:timers/promises'
import {
  compareValues,
  holdsIn,
  orderValue,
  type Range,
  rangesOf,
  wellFormedCondition,
} from '../conditions.ts'
import { type Key, readCursor, writeCursor } from '../cursor.ts'
import type { Page, Rec, RecordQuery, Records } from '../store.ts'
import { type Database, type Prepared, prepareAll, type Statement } from './binding.ts'
import { type Catalog, countName } from './catalog.ts'
import {
  type Candidate,
  type Condition,
  type Order,
  pastAllText,
  RecordWalks,
  type Search,
} from './record-walks.ts'
import type { Row } from './rows.ts'
import * as sql from './sql.ts'

/** Up to this many candidates are read and sorted at once, which takes some ms; more are walked in order. */
const fewMax = 1000
/** After this many candidates a walk gives way to others. */
const turnEvery = 4000

type Wanted = Omit<RecordQuery, 'after' | 'skip' | 'limit' | 'order'>

export class SqliteRecords implements Records {
  readonly #catalog: Catalog
  readonly #walks: RecordWalks
  readonly #read: Prepared<typeof readable>

  constructor(database: Database, catalog: Catalog) {
    this.#catalog = catalog
    this.#walks = new RecordWalks(database)
    this.#read = prepareAll(database, readable)
  }

  async get(collection: string, id: string): Promise<Rec | undefined> {
    return this.#one(collection, id)
  }

  async getMany(collection: string, ids: readonly string[]): Promise<Map<string, Rec>> {
    const found = new Map<string, Rec>()
    for (const id of ids) {
      const record = this.#one(collection, id)
      if (record !== undefined) found.set(id, record)
    }
    return found
  }

  async list(query: RecordQuery): Promise<Page<Rec>> {
    const order = readOrder(query.order)
    const orderName = orderNameOf(order)
    const after = readCursor(query.after, orderName, cursorShapes[order.by])
    const limit = Math.max(0, Math.floor(query.limit))
    const search = this.#search(query)
    if (search === undefined || limit === 0) return { items: [] }
    if (order.by === 'seq' && search.parent !== undefined && !search.conditions.length && !query.skip) {
      return this.#childrenPage(query, {
        place: search.collection,
        parent: search.parent,
        order,
        after,
        limit,
      })
    }

    const found: { key: Key; seq: number }[] = []
    let skip = Math.max(0, query.skip ?? 0)
    for await (const candidate of this.#inOrder(search, order, after)) {
      if (skip-- > 0) continue
      found.push({ key: keyOf(candidate, order), seq: candidate.seq })
      if (found.length > limit) break
    }
    const items = found
      .slice(0, limit)
      .map(({ seq }) => this.#read.recordBySeq.get(seq) as Row | undefined)
      .filter(row => row !== undefined) // one may have been dropped while a long walk went on
      .map(row => readRecord(query.collection.toWellFormed(), row))
    if (found.length <= limit) return { items }
    return { items, next: writeCursor(orderName, found[limit - 1]!.key) }
  }

  /** The direct children of a record in order of arrival: what is asked for most, so that it is read in one go. */
  #childrenPage(
    { collection }: RecordQuery,
    wanted: { place: number; parent: string; order: Order; after: Key | undefined; limit: number },
  ): Page<Rec> {
    const { place, parent, order, after, limit } = wanted
    const statement = order.down ? this.#read.recordsOfParentDown : this.#read.recordsOfParentUp
    const from = (after?.[0] as number | undefined) ?? (order.down ? Number.MAX_SAFE_INTEGER : 0)
    const rows = statement.all(place, parent, from, limit + 1) as unknown as Row[]
    const isLast = rows.length <= limit
    if (!isLast) rows.pop()
    const name = collection.toWellFormed()
    const items = rows.map(row => readRecord(name, row))
    if (isLast) return { items }
    return { items, next: writeCursor(orderNameOf(order), [items.at(-1)!.seq]) }
  }

  async count(query: Wanted): Promise<number> {
    const search = this.#search(query)
    if (search === undefined) return 0
    const { collection, parent, conditions } = search
    if (conditions.length === 0) {
      return parent === undefined
        ? this.#number(this.#read.countCollection, countName(collection))
        : this.#number(this.#read.countChildren, collection, parent)
    }
    const [only] = conditions
    if (
      conditions.length === 1 &&
      parent === undefined &&
      (only!.ranges.length < 2 || !only!.name.isMultiple)
    ) {
      // With one range of several values a record with many entries may lie in it more than once.
      if (!only!.name.isMultiple || isPoint(only!.ranges[0])) return this.#countEntries(only!)
    }
    let count = 0
    for await (const _ of this.#inOrder(search, { by: 'seq', index: '', down: false }, undefined)) count++
    return count
  }

  /** Everything that fits, in order, after a key. */
  async *#inOrder(search: Search, order: Order, after: Key | undefined): AsyncGenerator<Candidate> {
    const few = isInOrder(search, order) ? undefined : this.#fewest(search)
    if (few !== undefined) {
      const fitting = few.filter(
        candidate =>
          holds(search, candidate) &&
          (order.by !== 'index' || orderValue(candidate.entries, order.index, order.down) !== undefined) &&
          (after === undefined || compareKeys(keyOf(candidate, order), after, order) > 0),
      )
      yield* fitting.sort((a, b) => compareKeys(keyOf(a, order), keyOf(b, order), order))
      return
    }
    let looked = 0
    for (const candidate of this.#walk(search, order, after)) {
      if (++looked % turnEvery === 0) await turn()
      if (holds(search, candidate)) yield candidate
    }
  }

  #walk(search: Search, order: Order, after: Key | undefined): Iterable<Candidate> {
    if (order.by === 'id') return this.#walks.byId(search, order.down, after)
    if (order.by === 'seq') return this.#walks.bySeq(search, order.down, after)
    const name = this.#catalog.indexName(search.collection, order.index.toWellFormed())
    return name === undefined ? [] : this.#walks.byIndex(search, name, order, after)
  }

  /** All candidates of the narrowest condition if they are few. */
  #fewest(search: Search): Candidate[] | undefined {
    let least = fewMax + 1
    let gather: (() => Candidate[]) | undefined
    if (search.parent !== undefined) {
      const count = this.#number(this.#read.countSomeChildren, search.collection, search.parent, least)
      if (count < least) {
        least = count
        gather = () => this.#walks.children(search.collection, search.parent!)
      }
    }
    for (const condition of search.conditions) {
      const count = this.#countEntries(condition, least)
      if (count >= least) continue
      least = count
      gather = () => this.#walks.inRanges(condition)
    }
    return gather?.()
  }

  /** How many entries satisfy a condition; no more than `max` are counted when it is given. */
  #countEntries({ name, ranges }: Condition, max?: number): number {
    let count = 0
    for (const { low, high, open } of ranges) {
      const top = high ?? pastAllText
      if (max === undefined) {
        count += this.#number(open ? this.#read.countOpenRange : this.#read.countRange, name.n, low, top)
      } else {
        const statement = open ? this.#read.countSomeOpen : this.#read.countSome
        count += this.#number(statement, name.n, low, top, max - count)
        if (count >= max) break
      }
    }
    return count
  }

  /** Undefined when nothing can be found, because a name was never used. */
  #search({ collection, parent, where = [] }: Wanted): Search | undefined {
    const place = this.#catalog.collection(collection.toWellFormed())
    if (place === undefined) return undefined
    const conditions: Condition[] = []
    for (const each of where.map(wellFormedCondition)) {
      const name = this.#catalog.indexName(place, each.name)
      if (name === undefined) return undefined
      conditions.push({ text: each.name, name, ranges: rangesOf(each) })
    }
    return { collection: place, parent: parent?.toWellFormed(), conditions }
  }

  #one(collection: string, id: string): Rec | undefined {
    const place = this.#catalog.collection(collection.toWellFormed())
    const row = place === undefined ? undefined : (this.#read.recordById.get(place, id) as Row | undefined)
    return row && readRecord(collection.toWellFormed(), row)
  }

  #number(statement: Statement, ...values: (string | number | Uint8Array)[]): number {
    return ((statement.get(...values) as Row | undefined)?.[0] as number | undefined) ?? 0
  }
}

const readable = {
  recordById: sql.recordById,
  recordBySeq: sql.recordBySeq,
  recordsOfParentUp: sql.recordsOfParentUp,
  recordsOfParentDown: sql.recordsOfParentDown,
  countCollection: sql.countCollection,
  countChildren: sql.countChildren,
  countRange: sql.countRange,
  countOpenRange: sql.countOpenRange,
  countSome: sql.countSome,
  countSomeOpen: sql.countSomeOpen,
  countSomeChildren: sql.countSomeChildren,
}

const cursorShapes = { seq: ['number'], id: ['string'], index: ['any', 'number'] } as const

function readOrder(order: RecordQuery['order'] = 'seq'): Order {
  if (typeof order === 'object')
    return { by: 'index', index: order.index.toWellFormed(), down: order.down === true }
  return { by: order.endsWith('seq') ? 'seq' : 'id', index: '', down: order.startsWith('-') }
}

function orderNameOf({ by, index, down }: Order): string {
  return `${down ? '-' : ''}${by === 'index' ? '.' + index : by}`
}

function keyOf({ seq, id, entries }: Candidate, order: Order): Key {
  if (order.by === 'index') return [orderValue(entries, order.index, order.down)!, seq]
  return [order.by === 'id' ? id : seq]
}

function compareKeys(a: Key, b: Key, { down }: Order): number {
  const up = compareValues(a[0]!, b[0]!) || compareValues(a[1] ?? 0, b[1] ?? 0)
  return down ? -up : up
}

function holds({ parent, conditions }: Search, candidate: Candidate): boolean {
  return (
    (parent === undefined || candidate.parent === parent) &&
    conditions.every(({ ranges, text }) => holdsIn(ranges, text, candidate.entries))
  )
}

// One index has exactly what is asked for in the order asked for, so that a page costs no more than its length.
function isInOrder({ parent, conditions }: Search, order: Order): boolean {
  if (order.by !== 'seq') return false
  if (parent !== undefined) return conditions.length === 0
  const [only] = conditions
  return conditions.length === 1 && only!.ranges.length === 1 && isPoint(only!.ranges[0])
}

function isPoint(range: Range | undefined): boolean {
  return range === undefined || (!range.open && range.low === range.high)
}

function readRecord(collection: string, row: Row): Rec {
  return { collection, seq: row[0], id: row[1], parent: row[2], body: JSON.parse(row[4]) }
}
