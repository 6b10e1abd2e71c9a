// Pages of lists: `page` and `page_size`, and the envelope with absolute addresses of the neighbours.

import type { Json, JsonObject } from '../../../core/json.ts'
import { answerError } from './answer-error.ts'
import type { Params } from './params.ts'

const sizeUsual = 100
const sizeMax = 1000

/** Which part of a list is asked for. */
export interface PageWish {
  readonly number: number
  readonly size: number
  readonly offset: number
}

/** Reads the page asked for; a size that cannot be read is the usual one, a page that cannot be is an error. */
export function readPage(params: Params): PageWish {
  const size = Number(params.query.get('page_size')?.at(-1) ?? sizeUsual)
  const text = params.query.get('page')?.at(-1) ?? '1'
  const number = /^\d+$/.test(text) ? Number(text) : 0
  if (number < 1 || !Number.isSafeInteger(number)) throw answerError(404, 'Invalid page.')
  const sane = Number.isInteger(size) && size >= 1 ? Math.min(size, sizeMax) : sizeUsual
  return { number, size: sane, offset: (number - 1) * sane }
}

/** The envelope of a page. `address` is the request's own absolute URL. */
export function showPage(wish: PageWish, count: number, address: string, results: Json[]): JsonObject {
  if (wish.number > 1 && wish.offset >= count) throw answerError(404, 'Invalid page.')
  const isLast = wish.offset + wish.size >= count
  return {
    count,
    next: isLast ? null : withPage(address, wish.number + 1),
    previous: wish.number > 1 ? withPage(address, wish.number - 1) : null,
    results,
  }
}

/** A page of things that are all at hand. */
export async function pageOf<T>(
  wish: PageWish,
  address: string,
  items: readonly T[],
  show: (item: T) => Json | Promise<Json>,
): Promise<JsonObject> {
  const shown = await Promise.all(items.slice(wish.offset, wish.offset + wish.size).map(show))
  return showPage(wish, items.length, address, shown)
}

/** A page of which only its own things are at hand. */
export async function pageOfWindow<T>(
  wish: PageWish,
  address: string,
  { rows, count }: { readonly rows: readonly T[]; readonly count: number },
  show: (item: T) => Json | Promise<Json>,
): Promise<JsonObject> {
  return showPage(wish, count, address, await Promise.all(rows.map(show)))
}

function withPage(address: string, number: number): string {
  const url = new URL(address)
  // Page 1 is told without a number, as the original does.
  if (number === 1) url.searchParams.delete('page')
  else url.searchParams.set('page', String(number))
  return url.toString()
}
