// One request and the ways to answer it. A handler gives back an answer; nothing at all means that it found nothing to
// answer, which the original shows as an empty 404 (or an empty 400 to a POST).

import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../core/principal.ts'
import { codes, fail } from './errors.ts'
import { readObject } from './read-json.ts'

export type Answer =
  | { readonly json: unknown; readonly type?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly text: string; readonly type?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | {
      readonly stream: Readable
      readonly type: string
      readonly sizeBytes?: number
      readonly headers?: Readonly<Record<string, string>>
    }
  | 'sent'
  | undefined

export type Handler = (call: Call) => Promise<Answer> | Answer

/** The longest body that is read into memory: JSON with documents in base64. */
const bodyBytesMax = 256 * 1024 * 1024

export class Call {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly principal: Principal
  readonly params: Readonly<Record<string, string>>
  readonly rest: readonly string[]
  readonly query: URLSearchParams
  #body: Promise<Buffer> | undefined

  constructor(parts: {
    request: FastifyRequest
    reply: FastifyReply
    principal: Principal
    params: Readonly<Record<string, string>>
    rest: readonly string[]
    query: URLSearchParams
  }) {
    this.request = parts.request
    this.reply = parts.reply
    this.principal = parts.principal
    this.params = parts.params
    this.rest = parts.rest
    this.query = parts.query
  }

  param(name: string): string {
    return this.params[name] ?? ''
  }

  /** Booleans in query strings count by their presence: `expand=false` expands. */
  has(name: string): boolean {
    return this.query.has(name)
  }

  /** The body as a stream; undefined when there is none. */
  get stream(): (Readable & AsyncIterable<Uint8Array>) | undefined {
    return this.request.body as (Readable & AsyncIterable<Uint8Array>) | undefined
  }

  /** The whole body. */
  bytes(): Promise<Buffer> {
    this.#body ??= this.#readBody()
    return this.#body
  }

  async text(): Promise<string> {
    return (await this.bytes()).toString('utf8')
  }

  /** The body as a JSON object, else the error of this code. */
  async object(code?: number): Promise<Record<string, unknown>> {
    return readObject(await this.bytes(), code)
  }

  async #readBody(): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of this.stream ?? []) {
      length += chunk.length
      if (length > bodyBytesMax) fail(codes.badRequest, `The body is larger than ${bodyBytesMax} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }
}

export const nothingToSay: Answer = { json: {}, type: 'application/json' }
export const emptyText: Answer = { text: '' }

/** An answer of JSON. */
export function json(value: unknown): Answer {
  return { json: value }
}

/** An answer of plain text. */
export function text(value: string): Answer {
  return { text: value }
}

/** `1`, `0`, `true` and `false`, as the original reads switches. */
export function readSwitch(body: string): boolean {
  const value = body.trim()
  if (value === '1' || value === 'true') return true
  if (value === '0' || value === 'false') return false
  return fail(codes.badFormat, 'Boolean value expected')
}
