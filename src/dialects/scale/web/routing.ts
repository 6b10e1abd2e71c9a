// The plumbing of one Fastify scope: every path under all prefixes and with or without its last slash, bodies of the
// accepted types, who is asking, and the shapes of errors. What the paths mean is in routes/.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Json } from '../../../core/json.ts'
import { may, type Principal, type Right } from '../../../core/principal.ts'
import { Refused, refuse } from '../../../core/refusal.ts'
import { readJson, sendJson } from '../../../http/json.ts'
import { allowedMethods } from '../../../http/paths.ts'
import type { Access, Kit } from '../../dialect.ts'
import { AnswerError, answerError, showRefusal } from './answer-error.ts'
import { Params } from './params.ts'

/** First segments of the dialect: `/v7` is another name of `/v6`, and installations put `/api` before both. */
export const prefixes = ['/v6', '/v7', '/api/v6', '/api/v7'] as const

/** One request, as the rooms see it. */
export interface Call {
  readonly params: Params
  /** The named parts of the path, decoded. */
  readonly path: Readonly<Record<string, string>>
  readonly principal: Principal
  /** Scheme, host and prefix under which this client reaches the dialect: `http://HOST/v6`. */
  readonly base: string
  /** The request's own absolute address. */
  readonly address: string
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** An answer: a status, a body (absent for an empty one), headers. */
export interface Answer {
  readonly status: number
  readonly body?: Json
  readonly headers?: Readonly<Record<string, string>>
}

/** A path and what it does; `right` is `read` for GET and `submit` for the rest unless said. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH'
  /** Without prefix and without the last slash: `/recipes/:id`. */
  readonly path: string
  readonly right?: Right
  /** It only adds: what was queued just before need not be durable yet. */
  readonly onlyAdds?: boolean
  readonly handle: (call: Call) => Promise<Answer | 'streamed'> | Answer
}

/** The number in a path; anything else there is an unknown thing. */
export function pathNumber(call: Call, name: string): number {
  const text = call.path[name] ?? ''
  if (!/^\d{1,15}$/.test(text)) throw answerError(404, 'Not found.')
  return Number(text)
}

/** Adds all routes to a scope, with everything that is the same for all of them. */
export function addRoutes(
  app: FastifyInstance,
  kit: Kit,
  routes: readonly Route[],
  ready: (route: Route) => Promise<void>,
): void {
  addParsers(app)
  app.setErrorHandler((error, request, reply) => sendError(kit, error, request, reply))
  app.setNotFoundHandler((request, reply) => sendMissing(request, reply))
  const byPath = Map.groupBy(routes, route => route.path)
  for (const prefix of prefixes)
    for (const [path, sharing] of byPath) {
      const methods = inOrder([
        ...sharing.map(route => route.method as string),
        ...(sharing.some(route => route.method === 'GET') ? ['HEAD'] : []),
        'OPTIONS',
      ])
      const allow = methods.join(', ')
      // One route of the server for all methods of a path: each costs memory for as long as the server lives.
      const byMethod = new Map(sharing.map(route => [route.method as string, route]))
      const handler = (request: FastifyRequest, reply: FastifyReply) => {
        const route = byMethod.get(request.method === 'HEAD' ? 'GET' : request.method)
        return route === undefined
          ? sendJson(reply.header('allow', allow), { name: path, parses: parsedTypes })
          : run({ kit, route, prefix, ready, allow }, request, reply)
      }
      for (const url of [`${prefix}${path}/`, `${prefix}${path}`])
        app.route({ method: methods, url, handler })
    }
}

const parsedTypes = ['application/json', 'application/x-www-form-urlencoded']

/** Methods as the original lists them. */
function inOrder(methods: readonly string[]): string[] {
  return ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'].filter(name => methods.includes(name))
}

async function run(
  parts: { kit: Kit; route: Route; prefix: string; ready: (route: Route) => Promise<void>; allow: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { kit, route } = parts
  const principal = await recognise(kit.access, request, route)
  await parts.ready(route)
  const origin = kit.publicUrl(request).replace(/\/$/, '')
  const call: Call = {
    params: new Params(request, kit.clock.now()),
    path: (request.params ?? {}) as Record<string, string>,
    principal,
    base: origin + parts.prefix,
    address: origin + request.url,
    request,
    reply,
  }
  const answer = await route.handle(call)
  if (answer === 'streamed') return reply
  reply.code(answer.status).header('vary', 'Accept').header('allow', parts.allow)
  for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value)
  return answer.body === undefined ? reply.send() : sendJson(reply, answer.body)
}

async function recognise(access: Access, request: FastifyRequest, route: Route): Promise<Principal> {
  const [scheme, key] = (request.headers.authorization ?? '').split(' ')
  // Scale's own scheme is `Token KEY`; the others are the server's.
  const credentials = scheme?.toLowerCase() === 'token' && key ? { token: key } : undefined
  const principal = await access.recognise(request, credentials)
  if (!principal) throw answerError(403, 'Authentication credentials were not provided.')
  const right = route.right ?? (route.method === 'GET' ? 'read' : 'submit')
  if (!may(principal, right))
    refuse(
      principal.scheme === 'anonymous' ? 'not-authenticated' : 'not-allowed',
      `this needs the right to ${right}`,
    )
  return principal
}

function addParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(/^application\/([a-z.+-]*\+)?json\b/i, { parseAs: 'buffer' }, (_, body, done) => {
    if (body.length === 0) return done(null, {})
    try {
      done(null, readJson(body as Buffer))
    } catch (error) {
      const text = error instanceof Refused ? error.refusal.text : String(error)
      done(answerError(400, `JSON parse error - ${text}`))
    }
  })
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(String(body))))
  })
  app.addContentTypeParser('*', (request, payload, done) => {
    payload.resume()
    // A request without a body needs no type: some clients send one with every request.
    if (!request.headers['content-length'] || request.headers['content-length'] === '0') return done(null, {})
    const type = request.headers['content-type'] ?? ''
    done(answerError(415, `Unsupported media type "${type}" in request.`))
  })
}

function sendError(kit: Kit, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const shown =
    error instanceof AnswerError
      ? error
      : error instanceof Refused
        ? showRefusal(error)
        : frameworkError(error)
  if (shown) return sendJson(reply.code(shown.status).header('vary', 'Accept'), shown.body)
  kit.log.error({ err: error, url: request.url }, 'a Scale request failed')
  return sendJson(reply.code(500), { detail: 'The server failed on this request; its log says why.' })
}

// What Fastify itself turns down, such as a body over the limit or a broken percent escape.
function frameworkError(error: unknown): AnswerError | undefined {
  const status = (error as { statusCode?: unknown }).statusCode
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined
  return answerError(status, (error as Error).message)
}

function sendMissing(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const allowed = allowedMethods(request)
  if (allowed.length === 0) return sendJson(reply.code(404), { detail: 'Not found.' })
  reply.code(405).header('allow', inOrder(allowed).join(', '))
  return sendJson(reply, { detail: `Method "${request.method}" not allowed.` })
}
