// Numbers in query strings.

import { codes, fail } from './errors.ts'

/** A whole number; anything else is the original's syntax error. */
export function integer(value: string): number {
  if (!/^[+-]?\d{1,15}$/.test(value)) fail(codes.badType, 'Syntax error in some user-supplied data')
  return Number(value)
}
