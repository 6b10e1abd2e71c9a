// A page of a ledger: which rows fit, in which order, and how many there are. What the ledger can tell costs what the
// page shows; an order by something that only the rows know has to read every row that fits.

import type { PageWish } from '../web/page.ts'
import type { Ledger, LedgerQuery } from './ledger.ts'
import { rankOf } from './rank.ts'

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
  | { readonly ofRow: (row: T) => number | null }

/** An order asked for. */
export interface Order<T> {
  readonly key: OrderKey<T>
  readonly isDown: boolean
}

/** What is to be listed. */
export interface ListQuery<T> {
  readonly ledger: Ledger
  readonly query: LedgerQuery
  /** Only these, where the request names some. */
  readonly ids?: readonly number[]
  /** None: by last change. */
  readonly orders: readonly Order<T>[]
  /** Whether the only order is that of last change, newest first. */
  readonly isNewestFirst: boolean
  /** Rows by id; those that history has forgotten are left out, and have left the ledger by then. */
  readonly read: (ids: readonly number[]) => Promise<readonly T[]>
}

/** A page of a list. */
export async function listPage<T>(list: ListQuery<T>, { offset, size }: PageWish): Promise<Window<T>> {
  for (;;) {
    const { ids, count } = await chosen(list, offset, size)
    const rows = await list.read(ids)
    // What was forgotten has made the list shorter: then the page is another one.
    if (rows.length === ids.length) return { rows, count }
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
  let places = Uint32Array.from(placesOf(list))
  if (isNewestFirst) places.reverse()
  // Each pass keeps the order of equals, so the first order asked for comes last.
  for (const order of orders.toReversed()) places = await sorted(list, places, order)
  const shown = [...places.subarray(offset, offset + size)]
  return { ids: shown.map(place => ledger.idAt(place)), count: places.length }
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

// The keys are sorted as plain numbers; a place then goes where its key stands, equals one after the other.
async function sorted<T>(
  { ledger, read }: ListQuery<T>,
  places: Uint32Array<ArrayBuffer>,
  { key, isDown }: Order<T>,
): Promise<Uint32Array<ArrayBuffer>> {
  const keys = new Float64Array(places.length)
  const keyAt = 'ofPlace' in key ? key.ofPlace : await rowKeys(ledger, places, read, key.ofRow)
  for (const [at, place] of places.entries()) {
    const value = keyAt(place)
    // What has no value comes last, whichever way.
    keys[at] = value === null ? Number.POSITIVE_INFINITY : isDown ? -value : value
  }
  const ranks = keys.toSorted()
  const taken = new Uint32Array(places.length)
  const result = new Uint32Array(places.length)
  for (const [at, place] of places.entries()) {
    const rank = rankOf(ranks, keys[at]!)
    result[rank + taken[rank]!++] = place
  }
  return result
}

async function rowKeys<T>(
  ledger: Ledger,
  places: Uint32Array,
  read: ListQuery<T>['read'],
  ofRow: (row: T) => number | null,
): Promise<(place: number) => number | null> {
  const values = new Map<number, number | null>()
  for (const place of places) {
    const [row] = await read([ledger.idAt(place)])
    values.set(place, row === undefined ? null : ofRow(row))
  }
  return place => values.get(place) ?? null
}
