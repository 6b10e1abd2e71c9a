// All jobs, or all recipes, in the order of their last change: numbers in columns, some fifty bytes a row, with counts
// by class for every block of rows. A list takes its page and its count from here; the rows themselves may lie in the
// store. Whatever changes goes to the end; the place it leaves is empty until the columns are packed.

import { IdPlaces } from './id-places.ts'
import { rankOf } from './rank.ts'

const blockSize = 1024
const leastRows = 1024

/** What of a row is the same for many rows and decides most filters: its type, its status … Known by a number. */
export interface Classes<C> {
  readonly all: readonly C[]
  numberOf(facts: C): number
}

/** Gives every combination of facts its number. `keyOf` must tell apart what is to be told apart. */
export function classesOf<C>(keyOf: (facts: C) => string): Classes<C> {
  const all: C[] = []
  const numbers = new Map<string, number>()
  return {
    all,
    numberOf(facts) {
      const key = keyOf(facts)
      const known = numbers.get(key)
      if (known !== undefined) return known
      numbers.set(key, all.length)
      all.push(facts)
      return all.length - 1
    },
  }
}

/** What a list asks for. */
export interface LedgerQuery {
  /** By the number of a class: whether its rows fit at all. */
  readonly fits: readonly boolean[]
  /** Changed at or after the one and before or at the other, in ms. */
  readonly from?: number
  readonly to?: number
  /** What classes cannot say, asked of a row's place. */
  readonly also?: (place: number) => boolean
}

/** Numbers of a row: whole ones by column, and times in ms (null: none). */
export interface LedgerFacts {
  readonly ints: readonly number[]
  readonly times: readonly (number | null)[]
}

/** A row, as it is written down and taken up again. */
export interface LedgerRow extends LedgerFacts {
  readonly id: number
  readonly at: number
  readonly class: number
}

export class Ledger {
  #capacity = leastRows
  #ids = new Uint32Array(leastRows)
  #ats = new Float64Array(leastRows)
  #classes = new Uint32Array(leastRows)
  #ints: Uint32Array[]
  // Most rows have no times of some kinds: such a column is made when the first value comes.
  #times: (Float64Array | undefined)[]
  readonly #placeOf = new IdPlaces()
  /** For every block of places, how many rows of each class are in it. */
  #blocks: Map<number, number>[] = []
  readonly #totals: number[] = []
  #end = 0
  #size = 0

  constructor(ints: number, times: number) {
    this.#ints = Array.from({ length: ints }, () => new Uint32Array(leastRows))
    this.#times = Array.from({ length: times }, () => undefined)
  }

  /** How many rows there are. */
  get size(): number {
    return this.#size
  }

  has(id: number): boolean {
    return this.placeOf(id) !== undefined
  }

  /** A row's place in the order; undefined when it is not here. */
  placeOf(id: number): number | undefined {
    return this.#placeOf.get(id)
  }

  idAt(place: number): number {
    return this.#ids[place]!
  }

  changedAt(place: number): number {
    return this.#ats[place]!
  }

  classAt(place: number): number {
    return this.#classes[place]!
  }

  intAt(column: number, place: number): number {
    return this.#ints[column]![place]!
  }

  timeAt(column: number, place: number): number | null {
    const value = this.#times[column]?.[place]
    return value === undefined || Number.isNaN(value) ? null : value
  }

  /** The row with an id, as it is written down. */
  rowOf(id: number): LedgerRow | undefined {
    const place = this.placeOf(id)
    if (place === undefined) return undefined
    return {
      id,
      at: this.#ats[place]!,
      class: this.#classes[place]!,
      ints: this.#ints.map(column => column[place]!),
      times: this.#times.map((_, at) => this.timeAt(at, place)),
    }
  }

  /** Puts a row at the end, new or changed, and gives its time: later than asked when the clock went back. */
  put(row: LedgerRow): number {
    this.#leave(row.id)
    const place = this.#room()
    const at = Math.max(row.at, place === 0 ? row.at : this.#ats[place - 1]!)
    this.#ats[place] = at
    this.#enter(place, row)
    return at
  }

  /** Changes a row where it stands: something became known of it that is no change to whoever watches. */
  amend(row: LedgerRow): void {
    const place = this.placeOf(row.id)
    if (place === undefined) return
    this.#tally(place, this.#classes[place]!, -1)
    this.#write(place, row)
    this.#tally(place, row.class, 1)
  }

  /** Takes in a row in no order; `settle` must follow before anything is asked. */
  take(row: LedgerRow): void {
    this.#leave(row.id)
    const place = this.#room()
    this.#ats[place] = row.at
    this.#enter(place, row)
  }

  /** Puts rows that were taken in no order into the order of their changes. */
  settle(): void {
    const ats = new Float64Array(this.#size)
    const places = new Uint32Array(this.#size)
    let count = 0
    for (let place = 0; place < this.#end; place++) {
      if (this.#ids[place] === 0) continue
      places[count] = place
      ats[count++] = this.#ats[place]!
    }
    ats.sort()
    // A row's rank is that of its time, and among equal times the order in which they came.
    const taken = new Uint32Array(count)
    const order = new Uint32Array(count)
    for (const place of places) {
      const first = rankOf(ats, this.#ats[place]!)
      order[first + taken[first]!++] = place
    }
    this.#pack(order)
  }

  /** Takes a row out. */
  drop(id: number): void {
    this.#leave(id)
  }

  /** How many rows fit. */
  count(query: LedgerQuery): number {
    if (query.also) {
      let count = 0
      for (const _ of this.places(query)) count++
      return count
    }
    if (query.from === undefined && query.to === undefined)
      return this.#totals.reduce((sum, total, at) => sum + (query.fits[at] ? total : 0), 0)
    const [low, high] = this.#range(query)
    let count = 0
    for (let place = low; place < high; ) {
      const block = Math.floor(place / blockSize)
      const next = (block + 1) * blockSize
      if (place % blockSize === 0 && next <= high) count += this.#countBlock(block, query.fits)
      else for (let at = place; at < Math.min(next, high); at++) if (this.#fitsAt(at, query)) count++
      place = next
    }
    return count
  }

  /** How many rows of each class changed in a time. */
  tally(query: Pick<LedgerQuery, 'from' | 'to'>): Map<number, number> {
    const [low, high] = this.#range(query)
    const counts = new Map<number, number>()
    const add = (cls: number, by: number): void => void counts.set(cls, (counts.get(cls) ?? 0) + by)
    for (let place = low; place < high; ) {
      const block = Math.floor(place / blockSize)
      const next = (block + 1) * blockSize
      if (place % blockSize === 0 && next <= high)
        for (const [cls, count] of this.#blocks[block] ?? []) add(cls, count)
      else
        for (let at = place; at < Math.min(next, high); at++)
          if (this.#ids[at] !== 0) add(this.#classes[at]!, 1)
      place = next
    }
    return counts
  }

  /** Some of what fits, in the order of change or against it; whole blocks are passed over by their counts. */
  slice(query: LedgerQuery, part: { offset: number; size: number; isDown: boolean }): number[] {
    const ids: number[] = []
    const [low, high] = this.#range(query)
    let left = part.offset
    let place = part.isDown ? high - 1 : low
    const step = part.isDown ? -1 : 1
    while (place >= low && place < high && ids.length < part.size) {
      const block = Math.floor(place / blockSize)
      const [first, last] = [block * blockSize, (block + 1) * blockSize - 1]
      const isWhole = place === (part.isDown ? last : first) && first >= low && last < high
      if (left > 0 && isWhole && !query.also) {
        const inBlock = this.#countBlock(block, query.fits)
        if (inBlock <= left) {
          left -= inBlock
          place = part.isDown ? first - 1 : last + 1
          continue
        }
      }
      if (this.#fitsAt(place, query)) {
        if (left > 0) left--
        else ids.push(this.#ids[place]!)
      }
      place += step
    }
    return ids
  }

  /** The places of everything that fits, in the order of change. */
  *places(query: LedgerQuery): Generator<number> {
    const [low, high] = this.#range(query)
    for (let place = low; place < high; place++) if (this.#fitsAt(place, query)) yield place
  }

  /** Whether the row at a place fits. */
  fits(place: number, query: LedgerQuery): boolean {
    const at = this.#ats[place]!
    return at >= (query.from ?? at) && at <= (query.to ?? at) && this.#fitsAt(place, query)
  }

  /** The ids and places of all rows, from the oldest or from the newest. */
  byId(isDown: boolean): Iterable<readonly [id: number, place: number]> {
    return this.#placeOf.entries(isDown)
  }

  #fitsAt(place: number, query: LedgerQuery): boolean {
    return (
      this.#ids[place] !== 0 &&
      query.fits[this.#classes[place]!] === true &&
      (query.also === undefined || query.also(place))
    )
  }

  #countBlock(block: number, fits: readonly boolean[]): number {
    let count = 0
    for (const [cls, rows] of this.#blocks[block] ?? []) if (fits[cls]) count += rows
    return count
  }

  // Times only grow from place to place, so a span of time is a span of places.
  #range({ from, to }: Pick<LedgerQuery, 'from' | 'to'>): [number, number] {
    const low = from === undefined ? 0 : this.#firstWhere(at => at >= from)
    const high = to === undefined ? this.#end : this.#firstWhere(at => at > to)
    return [low, high]
  }

  #firstWhere(holds: (at: number) => boolean): number {
    let [low, high] = [0, this.#end]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (holds(this.#ats[middle]!)) high = middle
      else low = middle + 1
    }
    return low
  }

  #enter(place: number, row: LedgerRow): void {
    this.#ids[place] = row.id
    this.#write(place, row)
    this.#placeOf.set(row.id, place)
    this.#size++
    this.#tally(place, row.class, 1)
  }

  #write(place: number, row: LedgerRow): void {
    this.#classes[place] = row.class
    for (let at = 0; at < this.#ints.length; at++) this.#ints[at]![place] = row.ints[at]!
    for (let at = 0; at < this.#times.length; at++) this.#setTime(at, place, row.times[at] ?? null)
  }

  #leave(id: number): void {
    const place = this.placeOf(id)
    if (place === undefined) return
    this.#tally(place, this.#classes[place]!, -1)
    this.#ids[place] = 0
    this.#placeOf.delete(id)
    this.#size--
  }

  #tally(place: number, cls: number, by: number): void {
    const at = Math.floor(place / blockSize)
    let block = this.#blocks[at]
    if (!block) {
      block = new Map()
      this.#blocks[at] = block
    }
    const count = (block.get(cls) ?? 0) + by
    if (count === 0) block.delete(cls)
    else block.set(cls, count)
    this.#totals[cls] = (this.#totals[cls] ?? 0) + by
  }

  #setTime(column: number, place: number, value: number | null): void {
    let times = this.#times[column]
    if (!times) {
      if (value === null) return
      times = new Float64Array(this.#capacity).fill(Number.NaN)
      this.#times[column] = times
    }
    times[place] = value ?? Number.NaN
  }

  /** The next free place; packs, or grows, when there is none. */
  #room(): number {
    if (this.#end === this.#capacity) this.#repack()
    return this.#end++
  }

  // Half of the places stay free, so that packing costs each change a constant share.
  #repack(): void {
    const places = new Uint32Array(this.#size)
    let count = 0
    for (let place = 0; place < this.#end; place++) if (this.#ids[place] !== 0) places[count++] = place
    this.#pack(places)
  }

  #pack(places: Uint32Array): void {
    const capacity = Math.max(leastRows, 2 ** Math.ceil(Math.log2((places.length + 1) * 2)))
    const moved = <T extends Uint32Array | Float64Array>(from: T, to: T): T => {
      for (let at = 0; at < places.length; at++) to[at] = from[places[at]!]!
      return to
    }
    this.#capacity = capacity
    this.#ids = moved(this.#ids, new Uint32Array(capacity))
    this.#ats = moved(this.#ats, new Float64Array(capacity))
    this.#classes = moved(this.#classes, new Uint32Array(capacity))
    this.#ints = this.#ints.map(column => moved(column, new Uint32Array(capacity)))
    this.#times = this.#times.map(
      column => column && moved(column, new Float64Array(capacity).fill(Number.NaN)),
    )
    this.#end = places.length
    this.#blocks = []
    this.#totals.fill(0)
    for (let place = 0; place < this.#end; place++) {
      this.#placeOf.set(this.#ids[place]!, place)
      this.#tally(place, this.#classes[place]!, 1)
    }
  }
}
