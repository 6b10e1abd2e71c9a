// Reads what a request says, wherever it says it: query parameters and body members go by one name, the query first
// (contracts/scale.md §2). Every complaint names the parameter in the original's words.

import type { FastifyRequest } from 'fastify'
import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import { answerError } from './answer-error.ts'
import { readTime } from './time-text.ts'

/** The parameters of one request. */
export class Params {
  readonly query: ReadonlyMap<string, readonly string[]>
  readonly body: JsonObject
  readonly #now: number

  constructor(request: FastifyRequest, now: number) {
    const query = new Map<string, string[]>()
    for (const [name, value] of Object.entries((request.query ?? {}) as Record<string, unknown>))
      query.set(name, (Array.isArray(value) ? value : [value]).map(String))
    this.query = query
    this.body = isObject(request.body) ? (request.body as JsonObject) : {}
    this.#now = now
  }

  /** The value of a name: the query's (last one said), else the body's; null counts as not given. */
  value(name: string): Json | undefined {
    const asked = this.query.get(name)?.at(-1)
    if (asked !== undefined) return asked
    return Object.hasOwn(this.body, name) && this.body[name] !== null ? this.body[name] : undefined
  }

  has(name: string): boolean {
    return this.value(name) !== undefined
  }

  required(name: string): Json {
    const value = this.value(name)
    if (value === undefined) throw answerError(400, `Missing required parameter: "${name}"`)
    return value
  }

  object(name: string): JsonObject | undefined {
    const value = this.value(name)
    if (value !== undefined && !isObject(value))
      throw answerError(400, `Parameter must be a valid JSON object: "${name}"`)
    return value as JsonObject | undefined
  }

  requiredObject(name: string): JsonObject {
    this.required(name)
    return this.object(name)!
  }

  text(name: string): string | undefined {
    const value = this.value(name)
    if (value === undefined || typeof value === 'string') return value
    if (typeof value === 'object') throw answerError(400, `Parameter must be a string: "${name}"`)
    return String(value)
  }

  integer(name: string): number | undefined {
    const value = this.value(name)
    return value === undefined ? undefined : readInteger(value, name)
  }

  requiredInteger(name: string): number {
    return readInteger(this.required(name), name)
  }

  flag(name: string): boolean | undefined {
    const value = this.value(name)
    if (value === undefined || typeof value === 'boolean') return value
    const word = String(value).toLowerCase()
    if (['true', 't', '1'].includes(word)) return true
    if (['false', 'f', '0'].includes(word)) return false
    throw answerError(400, `Parameter must be a valid boolean: "${name}"`)
  }

  /** Everything said under a name: repeated in the query, or a list in the body. */
  texts(name: string): readonly string[] | undefined {
    const asked = this.query.get(name)
    if (asked) return asked
    const value = this.value(name)
    return value === undefined ? undefined : (Array.isArray(value) ? value : [value]).map(String)
  }

  integers(name: string): readonly number[] | undefined {
    const asked = this.query.get(name)
    const value = asked ?? this.value(name)
    if (value === undefined) return undefined
    return (Array.isArray(value) ? value : [value]).map(item => readInteger(item as Json, name))
  }

  time(name: string): number | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    const at = typeof value === 'string' ? readTime(value, this.#now) : undefined
    if (at === undefined) throw answerError(400, `Invalid ISO timestamp format for parameter: ${name}`)
    return at
  }

  /** A span of time; either end may be open. */
  span(startName: string, endName: string): { from?: number; to?: number } {
    const [from, to] = [this.time(startName), this.time(endName)]
    if (from !== undefined && to !== undefined) {
      if (from === to) throw answerError(400, 'Start and end values must be different')
      if (from > to) throw answerError(400, 'Start time must come before end time')
    }
    return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
  }

  /** The orders asked for: field names, and whether downward. */
  orders(): { field: string; isDown: boolean }[] {
    return (this.texts('order') ?? []).map(text => ({
      field: text.replace(/^-/, ''),
      isDown: text.startsWith('-'),
    }))
  }
}

function readInteger(value: Json, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  if (typeof value === 'string' && /^\s*[+-]?\d+\s*$/.test(value) && Number.isSafeInteger(Number(value)))
    return Number(value)
  throw answerError(400, `Parameter must be a valid integer: "${name}"`)
}
