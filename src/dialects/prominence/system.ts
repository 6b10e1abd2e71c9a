// The endpoints about the server itself: health, worker tokens, time series.

import type { FastifyInstance } from 'fastify'
import { sendJson } from '../../http/json.ts'
import { basePaths, send, serve, serveBare } from './call.ts'
import { sendError } from './errors.ts'
import type { Parts } from './parts.ts'

const workerTokenMs = 86_400_000

/** Serves /health, /token and /ts. */
export function systemRoutes(app: FastifyInstance, parts: Parts): void {
  const { kit } = parts
  for (const base of basePaths)
    serveBare(app, `${base}/health`, {
      GET: (_request, reply) =>
        kit.engine.up
          ? reply.code(204).send()
          : sendJson(reply.code(409), { errors: 'STORE' }, { newline: true }),
    })
  serve(app, parts, '/token', {
    POST: async call => {
      const { name, groups, email } = call.who
      const token = await kit.access.issue({
        user: name,
        groups,
        role: 'submitter',
        expiresAt: kit.clock.now() + workerTokenMs,
        ...(email === undefined ? {} : { email }),
      })
      return send(call, { token }, 201)
    },
  })
  // Off by default upstream, and never switched on here: there is no store for time series.
  serve(app, parts, '/ts', { POST: call => sendError(call.reply, 401, 'Functionality disabled') })
  serve(app, parts, '/ts/:id', { GET: call => sendError(call.reply, 401, 'Functionality disabled') })
}
