// How a validator says no: one sentence, thrown as a refusal, in the words of the contract.

import { isObject } from '../../../core/json.ts'
import { refuse } from '../../../core/refusal.ts'

/** Refuses the document with exactly these words. */
export function bad(text: string, field?: string): never {
  refuse('bad-field', text, field === undefined ? {} : { field })
}

/** The value as an object, or a refusal. */
export function objectOr(value: unknown, text: string, field?: string): { [name: string]: unknown } {
  return isObject(value) ? value : bad(text, field)
}

/** The value as a list, or a refusal. */
export function listOr(value: unknown, text: string, field?: string): unknown[] {
  return Array.isArray(value) ? value : bad(text, field)
}

/** Whether a member is there at all; `null` counts as there. */
export function has(object: object, name: string): boolean {
  return Object.hasOwn(object, name)
}

/** Refuses the first member, in document order, that is not one of `known`. */
export function onlyKnown(
  object: object,
  known: ReadonlySet<string>,
  sentence: (item: string) => string,
): void {
  for (const item of Object.keys(object)) if (!known.has(item)) bad(sentence(item), item)
}

/** A whole number of at least 0: what the original recognises as an integer. Its checks refuse signs as text. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** A whole number of at least 1, or one of the two refusals. */
export function atLeastOne(value: unknown, notInteger: string, tooSmall: string, field: string): number {
  if (!isCount(value)) bad(notInteger, field)
  return value < 1 ? bad(tooSmall, field) : value
}

/** Refuses a member that is there and is not a boolean. */
export function booleanOr(object: { [name: string]: unknown }, name: string): void {
  if (has(object, name) && typeof object[name] !== 'boolean')
    bad(`${name} must be either true or false`, name)
}

/** Text that can be handed to a program: programs and file names end at a NUL. */
export function textOr(value: unknown, text: string, field: string): string {
  if (typeof value !== 'string') bad(text, field)
  return value.includes('\0') ? bad(`${field} must not contain a NUL character`, field) : value
}

/** Whether a path stays below the folder that it is relative to. */
export function staysBelow(path: string): boolean {
  return path !== '' && !path.startsWith('/') && !path.split('/').includes('..')
}

/** Refuses a text that nothing of its kind can be as long as; what runs jobs would refuse it later, and say less. */
export function notLonger(text: string, max: number, field: string): void {
  if (text.length > max) bad(`${field} must not be longer than ${max} characters`, field)
}

/** Refuses a list with more entries than what runs jobs takes. */
export function notMore(list: readonly unknown[], max: number, field: string): void {
  if (list.length > max) bad(`${field} must not have more than ${max} entries`, field)
}

/** Refuses a name that no file can have: file systems take 255 bytes. */
export function checkFileName(name: string, field: string): void {
  if (Buffer.byteLength(name) > 255) bad(`${field} must not name a file with more than 255 bytes`, field)
}
