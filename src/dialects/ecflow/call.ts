// One request as the handlers see it: its place, its query, its body, and who asks.

import type { FastifyRequest } from 'fastify'
import { isObject } from '../../core/json.ts'
import { refuse } from '../../core/refusal.ts'
import { readJson } from '../../http/json.ts'
import type { Place } from './url-path.ts'

/** Bodies are definitions at most: a hundred thousand tasks are about ten megabytes. */
export const bodyBytesMax = 64 * 1024 * 1024

export interface Call {
  readonly request: FastifyRequest
  /** HEAD asks as GET does. */
  readonly method: string
  readonly place: Place
  readonly query: URLSearchParams
  /** The body as text; '' when there was none. */
  body: string
  /** Who asks, as histories name them; '' until credentials were looked at. */
  by: string
}

/** What is read need not be kept while a large definition is being loaded: only errors echo a piece of it. */
export function dropLargeBody(call: Call): void {
  if (call.body.length < 100_000) return
  // Copied, because a slice would keep the whole text alive.
  const start = Buffer.from(call.body.slice(0, 10_100))
  call.body = start.toString()
  call.request.body = start
}

/** The body as a JSON object, whatever the content type. */
export function bodyObject(call: Call): Record<string, unknown> {
  if (call.body === '') refuse('bad-request', 'The request has no body; expected a JSON object')
  const value = readJson(call.body)
  if (!isObject(value)) refuse('bad-request', 'The body must be a JSON object')
  return value
}

/** The members a child command is told apart by; undefined when the body is none, or not even JSON. */
export function childBody(call: Call): Record<string, unknown> | undefined {
  if (!call.body.includes('ECF_NAME')) return undefined
  try {
    const value = readJson(call.body)
    return isObject(value) && Object.hasOwn(value, 'ECF_NAME') ? value : undefined
  } catch {
    return undefined // Not JSON: the handler of people's commands says so, after it asked for credentials.
  }
}

/** A member that must be a string. */
export function needText(body: Record<string, unknown>, field: string): string {
  const value = body[field]
  if (value === undefined) refuse('bad-field', `The member '${field}' is missing`, { field })
  if (typeof value !== 'string')
    refuse('bad-field', `The member '${field}' must be a string, not ${kindOf(value)}`, { field })
  return value
}

/** A member that may be missing, else a string. */
export function mayText(body: Record<string, unknown>, field: string): string | undefined {
  return body[field] === undefined ? undefined : needText(body, field)
}

/** A member that may be missing, else a string or a number. */
export function mayScalar(body: Record<string, unknown>, field: string): string | undefined {
  const value = body[field]
  if (value === undefined) return undefined
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return value
  return refuse('bad-field', `The member '${field}' must be a string or a number, not ${kindOf(value)}`, {
    field,
  })
}

/** A member that has to be there, whatever plain value it is, as text. */
export function needScalar(body: Record<string, unknown>, field: string): string {
  const value = mayScalar(body, field)
  if (value === undefined) refuse('bad-field', `The member '${field}' is missing`, { field })
  return value
}

/** A JSON boolean; false when missing. */
export function mayFlag(body: Record<string, unknown>, field: string): boolean {
  const value = body[field]
  if (value === undefined) return false
  if (typeof value !== 'boolean')
    refuse('bad-field', `The member '${field}' must be a boolean, not ${kindOf(value)}`, { field })
  return value
}

/** A boolean, or one of the words true and false. */
export function mayLooseFlag(body: Record<string, unknown>, field: string): boolean {
  const value = body[field]
  if (value === 'true') return true
  if (value === 'false') return false
  return mayFlag(body, field)
}

/** The kind of a JSON value, as error texts name it. */
export function kindOf(value: unknown): string {
  return value === null
    ? 'null'
    : Array.isArray(value)
      ? 'an array'
      : typeof value === 'object'
        ? 'an object'
        : `a ${typeof value}`
}
