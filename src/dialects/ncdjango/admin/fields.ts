// Values of the admin API's fields: each is read as what it must be, and what it is not is said with the field's name.

import { isProjection } from '../../../domains/raster/projection/transform.ts'
import type { Extent } from '../../../domains/raster/values/raster.ts'
import { ApiRefusal } from '../jobs/read-submission.ts'

export type Fields = Readonly<Record<string, unknown>>

/** Refuses a field. */
export function wrongField(name: string, text: string): never {
  throw new ApiRefusal(400, { error: `The '${name}' field ${text}.` })
}

/** The field, else what it was, else (without either) a refusal. */
export function readField<T>(
  fields: Fields,
  name: string,
  { read, was }: { read: (value: unknown, name: string) => T; was: T | undefined },
): T {
  if (Object.hasOwn(fields, name) && fields[name] !== undefined) return read(fields[name], name)
  if (was !== undefined) return was
  return wrongField(name, "has no data and doesn't allow a default or null value")
}

/** A text of at most so many characters. */
export function text(max: number) {
  return (value: unknown, name: string): string => {
    if (typeof value !== 'string' || value.trim() === '') return wrongField(name, 'must be a text')
    return value.length <= max ? value : wrongField(name, `must have at most ${max} characters`)
  }
}

/** A text that may be empty or absent. */
export function optionalText(value: unknown, name: string): string | null {
  if (value === null || typeof value === 'string') return value
  return wrongField(name, 'must be a text')
}

/** A boolean. */
export function flag(value: unknown, name: string): boolean {
  return typeof value === 'boolean' ? value : wrongField(name, 'must be true or false')
}

/** A whole number of at least 0. */
export function position(value: unknown, name: string): number {
  const number = typeof value === 'number' && Number.isSafeInteger(value) ? value : -1
  return number >= 0 ? number : wrongField(name, 'must be a whole number of at least 0')
}

/** A number above 0. */
export function interval(value: unknown, name: string): number {
  const isFine = typeof value === 'number' && Number.isFinite(value) && value > 0
  return isFine ? value : wrongField(name, 'must be a number greater than 0')
}

/** A reader of one of these words. */
export function oneOf<const T extends string>(choices: readonly T[]) {
  return (value: unknown, name: string): T =>
    choices.find(choice => choice === value) ?? wrongField(name, `must be one of ${choices.join(', ')}`)
}

/** A projection that is known here. */
export function projection(value: unknown, name: string): string {
  const isFine = typeof value === 'string' && value.length <= 2000 && isProjection(value)
  return isFine ? value : wrongField(name, 'is not a projection that is known here')
}

export type Box = Omit<Extent, 'projection'>

/** `[xmin, ymin, xmax, ymax]`. */
export function box(value: unknown, name: string): Box {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  const [xmin, ymin, xmax, ymax] = list.map(item =>
    typeof item === 'number' && Number.isFinite(item) ? item : Number.NaN,
  )
  if (list.length !== 4 || !(xmax! > xmin! && ymax! > ymin!))
    return wrongField(name, 'must be [xmin, ymin, xmax, ymax] of a box')
  return { xmin: xmin!, ymin: ymin!, xmax: xmax!, ymax: ymax! }
}

/** A box as four numbers. */
export function showBox({ xmin, ymin, xmax, ymax }: Box): number[] {
  return [xmin, ymin, xmax, ymax]
}

const instantText = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?))?(Z|[+-]\d\d:?\d\d)?$/

/** An instant in ms since 1970, with a zone or without. */
export function instant(value: unknown, name: string): number {
  const match = typeof value === 'string' ? instantText.exec(value) : null
  const at = match ? Date.parse(`${match[1]}T${match[2] ?? '00:00'}${match[3] ?? 'Z'}`) : Number.NaN
  return Number.isNaN(at) ? wrongField(name, 'must be an instant such as 2000-01-01T00:00:00') : at
}

/** `2000-01-01T00:00:00`, without a zone. */
export function showInstant(at: number): string {
  const shown = new Date(at).toISOString()
  return at % 1000 === 0 ? shown.slice(0, 19) : `${shown.slice(0, 23)}000`
}
