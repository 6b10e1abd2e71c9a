// The HTTP server that carries the dialects: one Fastify, each dialect in a scope of its own (parsers, errors, 404
// and 405 answers), with Fastify's defaults that old APIs contradict undone once, here.

import type { IncomingMessage, Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import {
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  fastify,
  LogController,
} from 'fastify'
import type { Logger } from 'pino'
import { authority } from './addresses.ts'
import { answerClientError } from './client-errors.ts'
import type { HttpLimits } from './limits.ts'
import { nodeHttp } from './node-http.ts'
import { allowedMethods, claimFor, PathTable, pathOf } from './paths.ts'
import { sendProblem } from './problem.ts'
import { refusalOf } from './refusal-of.ts'
import { YardResponse } from './response.ts'
import { readTls, type TlsFiles } from './tls.ts'

export interface HostParts {
  readonly log: Logger
  readonly limits: HttpLimits
  readonly tls?: TlsFiles
  /** Looks at each request first; throws Refused for those that may not come in. */
  readonly guard?: (request: FastifyRequest) => void
  /** Told about each answer, for metrics. */
  readonly observe?: (facts: AnswerFacts) => void
  /** Who answers for paths that nobody claims; the host itself, in plain words, unless said. */
  readonly strays?: string
}

export interface AnswerFacts {
  readonly dialect: string
  /** The route's pattern; `unmatched` where none fits. Never the path itself: there are too many of those. */
  readonly route: string
  readonly method: string
  readonly status: number
  readonly durationMs: number
}

export interface Host {
  /** The outermost scope, for routes that belong to no dialect. */
  readonly root: FastifyInstance
  /** Aborted when the server begins to stop: streams that would go on for ever end then. */
  readonly draining: AbortSignal
  /** Adds a dialect (or a room of our own) under its claims. Before listen. */
  mount(name: string, claims: readonly string[], routes: FastifyPluginAsync): void
  /** Starts to answer; resolves with the address as clients write it. */
  listen(at: { host: string; port: number }): Promise<{ url: string; port: number }>
  /** Reads the TLS files again; new connections use them. */
  reloadTls(): Promise<void>
  /** Stops accepting, lets requests in progress end within the bound, closes what is left. */
  close(): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborted when the server begins to stop. */
    readonly draining: AbortSignal
  }
  interface FastifyContextConfig {
    /** Whose route it is, for metrics. */
    dialect?: string
    /** Pages of any origin may change things through this route: it has no effect that needs protection. */
    anyOrigin?: boolean
    allowed?: (path: string) => string[]
    unmatched?: boolean
  }
}

type NotFound = (request: FastifyRequest, reply: FastifyReply) => unknown
type OnError = (error: Error, request: FastifyRequest, reply: FastifyReply) => unknown

/** What the host remembers of a mounted dialect, for requests that reach no route. */
interface Mounted {
  readonly name: string
  notFound: NotFound
  onError: OnError | undefined
}

/** Makes a host; it does not listen yet. */
export async function makeHost(parts: HostParts): Promise<Host> {
  const { limits, log } = parts
  const claims = new Map<string, Mounted>()
  const all = new Map<string, Mounted>()
  const stop = new AbortController()
  const tls = parts.tls === undefined ? undefined : await readTls(parts.tls)

  const node = {
    ServerResponse: YardResponse,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: Math.max(100, Math.min(5_000, limits.headersMs / 4)),
  }
  const options: FastifyServerOptions = {
    // Fastify's own lines (it listens; a request came) are left out, and no request gets a logger of its own: what
    // is worth a line is logged here, and `observe` counts the rest.
    loggerInstance: log.child({}, { level: log.isLevelEnabled('trace') ? 'trace' : 'warn' }),
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: logger => logger,
    genReqId: () => '',
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    connectionTimeout: limits.silenceMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Each dialect reads by schemas of its own. Without compilers of ours, Fastify would load two that nobody asks.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    clientErrorHandler: answerClientError as NonNullable<FastifyServerOptions['clientErrorHandler']>,
    // The bound on a parameter is the bound on the whole request head.
    routerOptions: { maxParamLength: limits.headerBytes },
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      const owner = claimFor(claims, pathOf(request.url))
      if (owner?.onError !== undefined) owner.onError(error, request, reply)
      else answerError(error, request, reply)
    },
    ...(tls === undefined ? { http: node } : { https: { ...node, ...tls } }),
  } as FastifyServerOptions
  const root = fastify(options) as unknown as FastifyInstance
  const server = root.server as Server | TlsServer
  server.maxConnections = limits.connections
  server.maxHeadersCount = 200

  // Connections that have not brought a whole request head yet: a stopping server has nothing to finish for them.
  const silent = new Set<Socket>()
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  server.on('request', ({ socket }: IncomingMessage) => silent.delete(socket))

  root.decorate('draining', stop.signal)
  root.setErrorHandler(answerError)
  root.addHook('onRequest', (request, reply, done) => {
    parts.guard?.(request)
    if (!request.is404) {
      done()
      return
    }
    // Here, because the handler of Fastify's own 404 comes only after the body was read and found to be good. Paths
    // that are claimed come this far with methods outside Fastify's own set (PROPFIND, say).
    const owner = claimFor(claims, pathOf(request.url)) ?? all.get(parts.strays ?? '')
    answerWith(owner?.notFound ?? plainNotFound, request, reply).catch(done)
  })
  if (parts.observe !== undefined) {
    const observe = parts.observe
    root.addHook('onResponse', (request, reply, done) => {
      const { config, url } = request.routeOptions
      observe({
        dialect: config.dialect ?? 'none',
        route: config.unmatched === true || url === undefined ? 'unmatched' : url,
        method: request.method,
        status: reply.statusCode,
        durationMs: reply.elapsedTime,
      })
      done()
    })
  }

  function mount(name: string, paths: readonly string[], routes: FastifyPluginAsync): void {
    const mounted: Mounted = { name, notFound: plainNotFound, onError: undefined }
    all.set(name, mounted)
    for (const path of paths) {
      const other = claims.get(path)
      if (other !== undefined) throw new Error(`Both ${other.name} and ${name} claim the path ${path}`)
      claims.set(path, mounted)
    }
    root.register(async scope => {
      const table = new PathTable()
      listenIn(scope, mounted)
      scope.addHook('onRoute', route => {
        route.config = { ...route.config, dialect: name }
        if (route.config.unmatched !== true) table.add(route.url, [route.method].flat())
      })
      await routes(scope, {})
      // What the dialect registers in turn is loaded by now.
      await scope.after()
      catchUnmatched(scope, { paths, mounted, allowed: path => table.methods(path) })
    })
  }

  return {
    root,
    draining: stop.signal,
    mount,
    async listen({ host, port }) {
      // One address, whatever the machine's resolver thinks of the name; clients that try ::1 first come back.
      await root.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port })
      const actual = (server.address() as AddressInfo).port
      return { url: `${tls === undefined ? 'http' : 'https'}://${authority(host, actual)}`, port: actual }
    },
    async reloadTls() {
      if (parts.tls !== undefined) (server as TlsServer).setSecureContext(await readTls(parts.tls))
    },
    async close() {
      stop.abort()
      const bound = setTimeout(() => server.closeAllConnections(), limits.drainMs)
      for (const socket of silent) socket.destroy()
      // Connections whose last answer goes out during the closing would be kept for another request.
      const idle = setInterval(() => server.closeIdleConnections(), 20)
      await root.close().finally(() => {
        clearTimeout(bound)
        clearInterval(idle)
      })
    },
  }

  function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const refusal = refusalOf(error)
    if (refusal !== undefined) {
      sendProblem(reply, refusal)
      return
    }
    log.error({ err: error, method: request.method, path: pathOf(request.url) }, 'a request failed')
    reply.code(500).header('content-type', 'application/problem+json')
    reply.send(Buffer.from('{"type":"about:blank","title":"Internal Server Error","status":500}'))
  }
}

/** Stands in for a compiler of schemas: routes have none. */
function noCompiler(): never {
  throw new Error('Routes of this server have no schemas for Fastify')
}

/** A JSON answer for paths that lead nowhere, where a dialect has none of its own. */
function plainNotFound(request: FastifyRequest, reply: FastifyReply): void {
  const path = pathOf(request.url).slice(0, 500)
  const allowed = allowedMethods(request)
  if (allowed.length > 0) {
    reply.header('allow', allowed.join(', '))
    const text = `${path} does not have the method ${request.method}; it has ${allowed.join(', ')}`
    sendProblem(reply, { kind: 'bad-request', text, facts: { status: 405 } })
    return
  }
  sendProblem(reply, { kind: 'not-found', text: `There is nothing at ${path}` })
}

/**
 * Fastify knows one not-found handler for each path prefix, and dialects have none. So what a dialect sets is kept
 * here, and called for every path below its claims that no route fits; its error handler likewise serves errors that
 * come before a route is known.
 */
function listenIn(scope: FastifyInstance, mounted: Mounted): void {
  const setErrorHandler = scope.setErrorHandler
  Object.assign(scope, {
    setNotFoundHandler(this: FastifyInstance, first: unknown, second?: unknown) {
      const handler = (typeof first === 'function' ? first : second) as NotFound | undefined
      if (handler !== undefined) mounted.notFound = handler.bind(this)
      return this
    },
    setErrorHandler(this: FastifyInstance, handler: OnError) {
      if (this === scope) mounted.onError = handler.bind(scope)
      return setErrorHandler.call(this, handler as Parameters<typeof setErrorHandler>[0])
    },
  })
}

/** Leads every path below the claims that has no route to the dialect's not-found handler, in the dialect's scope. */
function catchUnmatched(
  scope: FastifyInstance,
  catching: { paths: readonly string[]; mounted: Mounted; allowed: (path: string) => string[] },
): void {
  const { mounted, allowed } = catching
  const methods = nodeHttp.METHODS.filter(method => scope.supportedMethods.includes(method))
  for (const path of catching.paths) {
    for (const url of path === '/' ? ['/'] : [path, `${path}/*`]) {
      const free = methods.filter(method => !scope.hasRoute({ url, method }))
      if (free.length === 0) continue
      scope.route({
        url,
        method: free,
        config: { unmatched: true, allowed },
        // Answered here, after the scope's own hooks and before any body is read: a path that leads nowhere is not
        // told about its media type.
        onRequest: async (request, reply) => {
          await answerWith(mounted.notFound, request, reply)
          return reply
        },
        handler: () => undefined,
      })
    }
  }
}

async function answerWith(handler: NotFound, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const value = await handler(request, reply)
  if (!reply.sent && value !== undefined && value !== reply) reply.send(value)
}
