// What belongs to no dialect: /healthz (it came up, and the process answers), /readyz (it takes jobs, or why not), /metrics.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Registry } from 'prom-client'
import type { Access } from '../dialects/dialect.ts'
import { isLoopbackHost } from '../http/addresses.ts'
import { sendJson } from '../http/json.ts'

export interface HealthParts {
  readonly registry: Registry
  readonly access: Access
  readonly version: string
  /** The port is taken already, and dialects do not answer yet. */
  isStarting(): boolean
  /** Why the server takes no commands; undefined when it does. */
  notReady(): string | undefined
  /** Whether callers on this machine may read the metrics without a token. */
  readonly isMetricsOpen: boolean
}

/** `/healthz`, whether the server is up; `/readyz`, whether it takes commands; and its metrics. */
export function addHealthRoutes(root: FastifyInstance, parts: HealthParts): void {
  root.route({
    method: ['GET', 'HEAD'],
    url: '/healthz',
    handler: (_request, reply) => {
      // Who waits for a server to come up asks here, and sends its first job as soon as this is good.
      const isStarting = parts.isStarting()
      if (isStarting) reply.code(503).header('retry-after', '1')
      const status = isStarting ? 'starting' : 'ok'
      return sendJson(reply, { status, version: parts.version }, { newline: true })
    },
  })
  root.route({
    method: ['GET', 'HEAD'],
    url: '/readyz',
    handler: (_request, reply) => {
      const why = parts.notReady()
      if (why === undefined) return sendJson(reply, { status: 'ready' }, { newline: true })
      reply.code(503).header('retry-after', '1')
      return sendJson(reply, { status: 'not ready', why }, { newline: true })
    },
  })
  root.get('/metrics', async (request, reply) => {
    if (!parts.isMetricsOpen || !isFromHere(request)) await parts.access.demand(request, 'read')
    const text = await parts.registry.metrics()
    reply.header('content-type', parts.registry.contentType)
    return reply.send(Buffer.from(text))
  })
}

/** Asked from this machine, and not by a proxy on it for somebody else. */
function isFromHere({ headers, socket }: FastifyRequest): boolean {
  if (headers['x-forwarded-for'] !== undefined || headers['forwarded'] !== undefined) return false
  return isLoopbackHost(socket.remoteAddress?.replace(/^::ffff:/, '') ?? '')
}
