// What stands in a page's `next`: the key of the last row seen, in a form that goes into a URL. A cursor that was
// not made here, or was made for another order, is the caller's mistake and is refused.

import { refuse } from '../core/refusal.ts'

/** A key: the values that place a row in its order. */
export type Key = readonly (string | number)[]

/** The cursor of a key within an order. */
export function writeCursor(order: string, key: Key): string {
  return Buffer.from(JSON.stringify([order, ...key])).toString('base64url')
}

/** The key in a cursor, or undefined without one. `shape` says what its values must be. */
export function readCursor(
  after: string | undefined,
  order: string,
  shape: readonly ('number' | 'string' | 'any')[],
): Key | undefined {
  if (after === undefined) return undefined
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(after, 'base64url').toString())
  } catch {
    // Not JSON: refused below like everything else that is not ours.
  }
  const fits =
    Array.isArray(parts) &&
    parts.length === shape.length + 1 &&
    parts[0] === order &&
    shape.every((wanted, at) => {
      const value: unknown = parts[at + 1]
      return wanted === 'any' ? isPlain(value) : typeof value === wanted
    })
  if (!fits) refuse('bad-field', 'This is not a cursor of this list', { field: 'after' })
  return (parts as (string | number)[]).slice(1)
}

function isPlain(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}
