// Walks over records in an order, in small pieces: each piece is one finished statement, so a walk may rest between
// two pieces while others write.

import { compareValues, type Entries, type IndexValue, orderValue, type Range } from '../conditions.ts'
import type { Key } from '../cursor.ts'
import { type Database, type Prepared, prepareAll, type Statement } from './binding.ts'
import type { IndexName } from './catalog.ts'
import type { Row } from './rows.ts'
import * as sql from './sql.ts'

/** A condition with what it means here: its name's number and its ranges. */
export interface Condition {
  readonly text: string
  readonly name: IndexName
  readonly ranges: readonly Range[]
}

/** A query with its names looked up. */
export interface Search {
  readonly collection: number
  readonly parent: string | undefined
  readonly conditions: readonly Condition[]
}

/** The order of a list, taken apart. */
export interface Order {
  readonly by: 'seq' | 'id' | 'index'
  readonly index: string
  readonly down: boolean
}

/** A record without its body. */
export interface Candidate {
  readonly seq: number
  readonly id: string
  readonly parent: string | null
  readonly entries: Entries
}

/** SQLite sorts blobs behind all text, so an empty one is an upper bound for everything. */
export const pastAllText = new Uint8Array(0)

/** The first piece is small, because most walks end in it. */
const pieceSizes = { first: 128, rest: 1024 }

type Bound = IndexValue | Uint8Array

export class RecordWalks {
  readonly #read: Prepared<typeof readable>

  constructor(database: Database) {
    this.#read = prepareAll(database, readable)
  }

  /** In order of arrival, over the narrowest of the indexes that have this order. */
  bySeq(
    { collection, parent, conditions }: Search,
    down: boolean,
    after: Key | undefined,
  ): Iterable<Candidate> {
    const from = (after?.[0] as number | undefined) ?? (down ? Number.MAX_SAFE_INTEGER : 0)
    const point = conditions.find(({ ranges: [range, ...more] }) => {
      return range !== undefined && more.length === 0 && !range.open && range.low === range.high
    })
    if (point !== undefined) {
      const statement = down ? this.#read.walkValueDown : this.#read.walkValueUp
      const keys = [point.name.n, point.ranges[0]!.low]
      return this.#withRecords(
        pieces(statement, keys, [from], row => [row[0]]),
        0,
      )
    }
    if (parent !== undefined) {
      const statement = down ? this.#read.walkParentDown : this.#read.walkParentUp
      return candidates(pieces(statement, [collection, parent], [from], row => [row[0]]))
    }
    const statement = down ? this.#read.walkSeqDown : this.#read.walkSeqUp
    return candidates(pieces(statement, [collection], [from], row => [row[0]]))
  }

  byId({ collection }: Search, down: boolean, after: Key | undefined): Iterable<Candidate> {
    const statement = down ? this.#read.walkIdDown : this.#read.walkIdUp
    // Upwards from below all text, which no bound can say but a number can.
    const from = (after?.[0] as string | undefined) ?? (down ? pastAllText : undefined)
    if (from !== undefined) return candidates(pieces(statement, [collection], [from], row => [row[1]]))
    return candidates(pieces(statement, [collection], [''], row => [row[1]], this.#read.walkIdFirst))
  }

  /** By the value of an index name; a record with several comes at its lowest, or its highest when going down. */
  *byIndex(
    { conditions }: Search,
    name: IndexName,
    order: Order,
    after: Key | undefined,
  ): Generator<Candidate> {
    const { down } = order
    // A condition on the same name shortens the walk, unless a record's place may lie outside of its range.
    const same = name.isMultiple
      ? undefined
      : conditions.find(each => each.name === name && each.ranges.length === 1)
    const range = same?.ranges[0]
    const low: Bound = range?.low ?? -Infinity
    const high: Bound = range?.high ?? pastAllText
    const start: Bound[] = down ? [high, Number.MAX_SAFE_INTEGER] : [low, 0]
    const from = after ?? start
    const statement = down ? this.#read.walkRangeDown : this.#read.walkRangeUp
    const rows = pieces(statement, [name.n], from, row => [row[0], row[1]], undefined, down ? low : high)
    for (const [value, seq] of rows) {
      const row = this.#read.candidateBySeq.get(seq) as Row | undefined
      if (row === undefined) continue
      const candidate = readCandidate(row)
      if (!name.isMultiple || compareValues(orderValue(candidate.entries, order.index, down)!, value) === 0) {
        yield candidate
      }
    }
  }

  /** All that satisfy one condition, in no order. */
  inRanges({ name, ranges }: Condition): Candidate[] {
    const seqs = new Set<number>()
    for (const { low, high, open } of ranges) {
      const statement = open ? this.#read.recordsInOpenRange : this.#read.recordsInRange
      for (const row of statement.all(name.n, low, high ?? pastAllText) as unknown as Row[]) seqs.add(row[0])
    }
    return Array.from(seqs, seq => readCandidate(this.#read.candidateBySeq.get(seq) as unknown as Row))
  }

  children(collection: number, parent: string): Candidate[] {
    const rows = this.#read.walkParentUp.all(
      collection,
      parent,
      0,
      Number.MAX_SAFE_INTEGER,
    ) as unknown as Row[]
    return rows.map(readCandidate)
  }

  *#withRecords(rows: Iterable<Row>, at: number): Generator<Candidate> {
    for (const row of rows) {
      const found = this.#read.candidateBySeq.get(row[at]) as Row | undefined
      if (found !== undefined) yield readCandidate(found)
    }
  }
}

const readable = {
  walkSeqUp: sql.walkSeqUp,
  walkSeqDown: sql.walkSeqDown,
  walkIdUp: sql.walkIdUp,
  walkIdFirst: sql.walkIdFirst,
  walkIdDown: sql.walkIdDown,
  walkParentUp: sql.walkParentUp,
  walkParentDown: sql.walkParentDown,
  walkValueUp: sql.walkValueUp,
  walkValueDown: sql.walkValueDown,
  walkRangeUp: sql.walkRangeUp,
  walkRangeDown: sql.walkRangeDown,
  recordsInRange: sql.recordsInRange,
  recordsInOpenRange: sql.recordsInOpenRange,
  candidateBySeq: sql.candidateBySeq,
}

// The rows of a statement, piece by piece: `keys` stay, `from` moves on to the last row's position.
function* pieces(
  statement: Statement,
  keys: readonly Bound[],
  from: readonly Bound[],
  positionOf: (row: Row) => Bound[],
  firstStatement = statement,
  bound?: Bound,
): Generator<Row> {
  let position = from
  const rest = bound === undefined ? [] : [bound]
  for (let size = pieceSizes.first, use = firstStatement; ; size = pieceSizes.rest, use = statement) {
    const rows = use.all(...keys, ...position, ...rest, size) as unknown as Row[]
    yield* rows
    if (rows.length < size) return
    position = positionOf(rows.at(-1)!)
  }
}

function* candidates(rows: Iterable<Row>): Generator<Candidate> {
  for (const row of rows) yield readCandidate(row)
}

function readCandidate(row: Row): Candidate {
  return {
    seq: row[0],
    id: row[1],
    parent: row[2],
    entries: row[3] === null ? [] : (JSON.parse(row[3] as string) as [string, IndexValue][]),
  }
}
