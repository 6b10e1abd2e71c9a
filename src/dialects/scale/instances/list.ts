// A page of a ledger: which rows fit, in which order, and how many there are. What the ledger can tell costs what the
// page shows, or one look at each line; what only rows know is read once of each row at rest (rest-keys.ts).

import { Heap } from '../../../core/heap.ts'
import type { PageWish } from '../web/page.ts'
import type { Ledger, LedgerQuery } from './ledger.ts'
import { rankOf } from './rank.ts'
import type { RestKeys } from './rest-keys.ts'

/** The pages up to here are chosen with a heap; those beyond by sorting everything that fits. */
const heapMax = 4096
const triesMax = 20

/** The part of a list that a page shows, and how long the whole list is. */
export interface Window<T> {
  readonly rows: readonly T[]
  readonly count: number
}

/** What a list can be ordered by: known from a row's place, or only from the row. */
export type OrderKey<T> =
  | { readonly ofPlace: (place: number) => number | null }
  /** Nothing that comes after it decides anything. */
  | { readonly ofPlace: (place: number) => number | null; readonly isById: true }
  | {
      readonly ofRow: (row: T) => number | null
      /** What the place tells of a row at rest, where it does. */
      readonly ofRest?: (place: number) => number | null | undefined
    }

/** An order asked for. */
export interface Order<T> {
  readonly field: string
  readonly key: OrderKey<T>
  readonly isDown: boolean
}

/** What is to be listed. */
export interface ListQuery<T> {
  readonly ledger: Ledger
  readonly query: LedgerQuery
  /** Only these, where the request names some. */
  readonly ids?: readonly number[]
  /** None: by last change. Each field once. */
  readonly orders: readonly Order<T>[]
  /** Whether the only order is that of last change, newest first. */
  readonly isNewestFirst: boolean
  /** Rows by id; those that history has forgotten are left out, and have left the ledger by then. */
  readonly read: (ids: readonly number[]) => Promise<readonly T[]>
  /** The row of an id that may still move; all others are at rest. */
  readonly atHand: (id: number) => T | undefined
  readonly restKeys: RestKeys
}

/** A page of a list. */
export async function listPage<T>(list: ListQuery<T>, { offset, size }: PageWish): Promise<Window<T>> {
  for (let tries = 1; ; tries++) {
    const { ids, count } = await chosen(list, offset, size)
    const rows = await list.read(ids)
    // What was forgotten has made the list shorter: then the page is another one. A ledger that was read anew in
    // between, after a commit that failed, does not become shorter.
    if (rows.length === ids.length || tries === triesMax) return { rows, count }
  }
}

/** The ids of everything that fits, by last change. */
export function idsThatFit(list: Pick<ListQuery<never>, 'ledger' | 'query' | 'ids'>): number[] {
  return [...placesOf(list)].map(place => list.ledger.idAt(place))
}

async function chosen<T>(
  list: ListQuery<T>,
  offset: number,
  size: number,
): Promise<{ ids: number[]; count: number }> {
  const { ledger, query, ids, orders, isNewestFirst } = list
  if (orders.length === 0 && !ids) {
    const part = { offset, size, isDown: isNewestFirst }
    return { ids: ledger.slice(query, part), count: ledger.count(query) }
  }
  if (orders.length > 0 && 'isById' in orders[0]!.key && !ids)
    return chosenById(ledger, query, orders[0]!.isDown, offset, size)
  for (const order of orders) await readKeys(list, order)
  // From here on nothing is waited for: places mean something only until the next change.
  const { places, count } = offset + size <= heapMax ? firstPlaces(list, offset + size) : sortedPlaces(list)
  return { ids: [...places.slice(offset, offset + size)].map(place => ledger.idAt(place)), count }
}

// Ids are dense: the page is walked to, not sorted.
function chosenById(
  ledger: Ledger,
  query: LedgerQuery,
  isDown: boolean,
  offset: number,
  size: number,
): { ids: number[]; count: number } {
  const ids: number[] = []
  let left = offset
  for (const [id, place] of ledger.byId(isDown)) {
    if (ids.length === size) break
    if (!ledger.fits(place, query)) continue
    if (left > 0) left--
    else ids.push(id)
  }
  return { ids, count: ledger.count(query) }
}

function* placesOf({
  ledger,
  query,
  ids,
}: Pick<ListQuery<never>, 'ledger' | 'query' | 'ids'>): Generator<number> {
  if (!ids) {
    yield* ledger.places(query)
    return
  }
  const places = [...new Set(ids)].map(id => ledger.placeOf(id)).filter(place => place !== undefined)
  for (const place of places.toSorted((a, b) => a - b)) if (ledger.fits(place, query)) yield place
}

// Keeps no more than a page needs, whatever fits.
function firstPlaces<T>(list: ListQuery<T>, wanted: number): { places: readonly number[]; count: number } {
  const comesLater = laterOf(list)
  const heap = new Heap<number>(comesLater)
  let count = 0
  for (const place of placesOf(list)) {
    count++
    if (heap.size === wanted && !comesLater(heap.peek()!, place)) continue
    heap.push(place)
    if (heap.size > wanted) heap.pop()
  }
  const places: number[] = []
  for (let last = heap.pop(); last !== undefined; last = heap.pop()) places.push(last)
  return { places: places.reverse(), count }
}

function laterOf<T>(list: ListQuery<T>): (a: number, b: number) => boolean {
  const keys = list.orders.map(order => numberOf(list, order))
  return (a, b) => {
    for (const key of keys) {
      const [left, right] = [key(a), key(b)]
      if (left !== right) return left > right
    }
    return list.isNewestFirst ? a < b : a > b
  }
}

function sortedPlaces<T>(list: ListQuery<T>): { places: Uint32Array; count: number } {
  let places = Uint32Array.from(placesOf(list))
  if (list.isNewestFirst) places.reverse()
  // Each pass keeps the order of equals, so the first order asked for comes last.
  for (const order of list.orders.toReversed()) places = sorted(places, numberOf(list, order))
  return { places, count: places.length }
}

// The keys are sorted as plain numbers; a place then goes where its key stands, equals one after the other.
function sorted(
  places: Uint32Array<ArrayBuffer>,
  keyAt: (place: number) => number,
): Uint32Array<ArrayBuffer> {
  const keys = Float64Array.from(places, keyAt)
  const ranks = keys.toSorted()
  const taken = new Uint32Array(places.length)
  const result = new Uint32Array(places.length)
  for (const [at, place] of places.entries()) {
    const rank = rankOf(ranks, keys[at]!)
    result[rank + taken[rank]!++] = place
  }
  return result
}

/** The key of a place as a number that grows in the order asked for; what has no value comes last, whichever way. */
function numberOf<T>(list: ListQuery<T>, { key, field, isDown }: Order<T>): (place: number) => number {
  const keyAt = 'ofPlace' in key ? key.ofPlace : rowKeyOf(list, key, field)
  return place => {
    const value = keyAt(place) ?? Number.POSITIVE_INFINITY
    return isDown && value !== Number.POSITIVE_INFINITY ? -value : value
  }
}

type RowKey<T> = Extract<OrderKey<T>, { readonly ofRow: unknown }>

// Undefined for a row at rest that has not been read.
function rowKeyOf<T>(
  { ledger, atHand, restKeys }: ListQuery<T>,
  { ofRow, ofRest }: RowKey<T>,
  field: string,
): (place: number) => number | null | undefined {
  const known = restKeys.of(field)
  return place => {
    const id = ledger.idAt(place)
    const row = atHand(id)
    if (row !== undefined) return ofRow(row)
    const told = ofRest?.(place)
    return told === undefined ? known.get(id) : told
  }
}

// What comes to rest while this reads is found by the next look.
function readKeys<T>(list: ListQuery<T>, { key, field }: Order<T>): Promise<void> {
  if ('ofPlace' in key) return Promise.resolve()
  const { ledger, read, restKeys } = list
  return restKeys.read(field, async known => {
    const keyAt = rowKeyOf(list, key, field)
    for (;;) {
      const unread: number[] = []
      for (const place of placesOf(list)) if (keyAt(place) === undefined) unread.push(ledger.idAt(place))
      if (unread.length === 0) return
      for (const id of unread) {
        const [row] = await read([id])
        known.set(id, row === undefined ? null : key.ofRow(row))
      }
    }
  })
}
