// How a route is written here: one handler per method of a path, under both base paths, with the caller recognised
// and the query read.

import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import { sendJson } from '../../http/json.ts'
import type { Parts } from './parts.ts'

/** The original's path in its documentation, and the one that its client has built in. */
export const basePaths = ['/api/v1', '/prominence/v1'] as const

export interface Call {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly who: Principal
  readonly query: URLSearchParams
  /** The parts of the path that vary; `*` is the rest of it. */
  readonly params: Readonly<Record<string, string>>
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'
export type Handlers = Partial<Record<Method, (call: Call) => Promise<unknown> | unknown>>

/** Serves a path of the API. */
export function serve(app: FastifyInstance, parts: Parts, path: string, handlers: Handlers): void {
  for (const base of basePaths)
    serveBare(
      app,
      base + path,
      mapValues(handlers, handler => async (request, reply) => {
        const who = await parts.identity.demand(request)
        const params = request.params as Record<string, string>
        await handler({ request, reply, who, params, query: queryOf(request) })
        return reply
      }),
    )
}

/** Serves a path without looking who asks. */
export function serveBare(
  app: FastifyInstance,
  url: string,
  handlers: Partial<
    Record<Method, (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> | unknown>
  >,
): void {
  for (const [method, handler] of Object.entries(handlers) as [
    Method,
    NonNullable<(typeof handlers)[Method]>,
  ][])
    app.route({
      method: method === 'GET' ? ['GET', 'HEAD'] : [method],
      url,
      handler: (request, reply) => handler(request, reply),
    })
}

/** Answers with JSON as the original writes it: compact, and a newline at the end. */
export function send({ reply }: Call, value: unknown, status = 200): FastifyReply {
  return sendJson(reply.code(status), value, { newline: true })
}

/** Answers with text that every client decodes as UTF-8. */
export function sendText({ reply }: Call, text: Uint8Array | Readable): FastifyReply {
  reply.header('content-type', 'text/plain; charset=utf-8')
  return reply.send(text instanceof Uint8Array ? Buffer.from(text) : text)
}

/** The body as bytes; refuses, as `too-large` unless said otherwise, while it is still coming in. */
export async function readBody(
  request: FastifyRequest,
  bytesMax: number,
  refuseLength: () => never = () => refuse('too-large', `the request body is larger than ${bytesMax} bytes`),
): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > bytesMax) refuseLength()
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of bytesOf(request)) {
    size += chunk.length
    if (size > bytesMax) refuseLength()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** The body as it comes in. Who stops reading early leaves the request alive: it still has to be answered. */
export function bytesOf({ raw }: FastifyRequest): AsyncIterable<Buffer> {
  return raw.iterator({ destroyOnReturn: false })
}

/** A number in a path; undefined for one that is too long to be any id. */
export function idIn(params: Readonly<Record<string, string>>, name = 'id'): number | undefined {
  const id = Number(params[name])
  return Number.isSafeInteger(id) ? id : undefined
}

function queryOf(request: FastifyRequest): URLSearchParams {
  const mark = request.url.indexOf('?')
  return new URLSearchParams(mark < 0 ? '' : request.url.slice(mark + 1))
}

function mapValues<From, To>(
  handlers: Partial<Record<Method, From>>,
  change: (from: From) => To,
): Partial<Record<Method, To>> {
  return Object.fromEntries(Object.entries(handlers).map(([method, from]) => [method, change(from)]))
}
