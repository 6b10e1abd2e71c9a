// One route of the native API: its path, its schemas, who may call it, and what it does. The table of all of them
// makes both the server's routes and the OpenAPI document, so the two cannot drift apart.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Principal, Right } from '../../core/principal.ts'
import { readJson, sendJson } from '../../http/json.ts'
import type { Kit } from '../dialect.ts'
import { refuseZod } from './errors.ts'

export interface Call<Body = unknown, Query = unknown> {
  readonly principal: Principal
  readonly params: Record<string, string>
  readonly body: Body
  readonly query: Query
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** What a handler gives back: JSON with a status, or `undefined` when it has answered by itself. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly json: unknown
}

/** A schema for JSON, the media type of something else, or `nothing` for an answer without a body. */
export type AnswerShape = z.ZodType | string

export interface NativeRoute {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With `:name` parameters; below /yard/v1. */
  readonly path: string
  readonly id: string
  readonly summary: string
  /** What the caller must be allowed to do; `none` for what everybody may see. */
  readonly right: Right | 'none'
  readonly body?: z.ZodType
  /** The body may be left out. */
  readonly bodyOptional?: boolean
  readonly query?: z.ZodType
  /** Accepts an Idempotency-Key. */
  readonly idempotent?: boolean
  /** Headers that it reads, by name, with what they do. */
  readonly headers?: Readonly<Record<string, string>>
  /** Answers by status. Of several shapes the request chooses one. */
  readonly answers: Readonly<Record<number, AnswerShape | readonly AnswerShape[]>>
  // biome-ignore lint/suspicious/noExplicitAny: each route's own schemas give the types of its body and query
  readonly handle: (call: Call<any, any>) => Promise<Answer | undefined>
}

/** A route with the types of its schemas inside its handler. */
export function route<B extends z.ZodType, Q extends z.ZodType>(
  it: Omit<NativeRoute, 'body' | 'query' | 'handle'> & {
    body?: B
    query?: Q
    handle: (call: Call<z.output<B>, z.output<Q>>) => Promise<Answer | undefined>
  },
): NativeRoute {
  return it
}

export const base = '/yard/v1'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who came with it, from the moment it was let in. */
    caller: Principal | null
  }
}

const nobody: Principal = { name: '', scheme: 'anonymous', role: 'viewer', groups: [] }

/** To be called once on a scope, before its routes are added: every request has a place for its caller. */
export function knowCallers(scope: FastifyInstance): void {
  scope.decorateRequest('caller', null)
}

/** Adds a route to the server: access first, then query and body by their schemas, then the handler. */
export function addRoute(scope: FastifyInstance, kit: Kit, it: NativeRoute): void {
  const { right } = it
  scope.route({
    method: it.method,
    url: base + it.path,
    // Before the body is read: a stranger's sixteen megabytes are not worth keeping.
    ...(right === 'none'
      ? {}
      : {
          onRequest: (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
            const letIn = (principal: Principal) => {
              request.caller = principal
              done()
            }
            const principal = kit.access.demand(request, right)
            if (principal instanceof Promise) principal.then(letIn, done)
            else letIn(principal)
          },
        }),
    handler: async (request, reply) => {
      const principal = request.caller ?? nobody
      const query = it.query === undefined ? undefined : check(it.query, request.query, 'query')
      const body =
        it.body === undefined
          ? undefined
          : check(it.body, readBody(request, it.bodyOptional === true), 'body')
      const params = request.params as Record<string, string>
      const answer = await it.handle({ principal, params, body, query, request, reply })
      if (answer === undefined) return reply
      reply.code(answer.status ?? 200)
      if (answer.headers !== undefined) reply.headers(answer.headers)
      return answer.json === undefined ? reply.send() : sendJson(reply, answer.json)
    },
  })
}

function readBody(request: FastifyRequest, optional: boolean): unknown {
  const bytes = request.body as Buffer | undefined
  if (optional && (bytes === undefined || bytes.length === 0)) return {}
  return readJson(bytes ?? '')
}

function check<T extends z.ZodType>(schema: T, value: unknown, where: 'body' | 'query'): z.output<T> {
  const result = schema.safeParse(value)
  return result.success ? result.data : refuseZod(result.error, where)
}
