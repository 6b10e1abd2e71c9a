// Refusals as this dialect shows them: always `{"error": "text"}`, and hardly ever a 404, because its client
// takes that for a wrong address of the server: contracts/prominence.md §4.5.

import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Refusal } from '../../core/refusal.ts'
import { sendJson } from '../../http/json.ts'
import { allowedMethods } from '../../http/paths.ts'
import { refusalOf } from '../../http/refusal-of.ts'

/** Status and text of a refusal. */
export function showRefusal({ kind, text }: Refusal): { status: number; text: string } {
  switch (kind) {
    case 'bad-request':
    case 'bad-field':
    case 'illegal-move':
    case 'conflict':
      return { status: 400, text }
    case 'cannot-fit':
      return { status: 400, text: 'No matching resources' }
    case 'not-authenticated':
      return { status: 401, text }
    case 'not-allowed':
      return { status: 403, text }
    case 'not-found':
      return { status: 404, text }
    case 'too-large':
      return { status: 413, text }
    case 'key-reused':
      return { status: 422, text }
    case 'quota-exceeded':
      return { status: 429, text }
    case 'not-supported':
      return { status: 501, text }
    case 'unavailable':
      return { status: 503, text }
  }
}

/** Answers with an error object. */
export function sendError(reply: FastifyReply, status: number, text: string): FastifyReply {
  return sendJson(reply.code(status), { error: text }, { newline: true })
}

/** Makes every error, also of unknown paths, an error object. */
export function installErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    // What is left of a body would be taken for the next request of this connection.
    if (!request.raw.complete) reply.header('connection', 'close')
    const refusal = refusalOf(error)
    if (refusal === undefined) {
      request.log.error({ err: error }, 'a PROMINENCE request failed')
      return sendError(reply, 500, 'Internal server error')
    }
    const { status, text } = showRefusal(refusal)
    if (status === 503) request.log.warn({ err: error }, 'a PROMINENCE request could not be served')
    if (status === 429 || status === 503) reply.header('retry-after', '10')
    return sendError(reply, status, text)
  })
  app.setNotFoundHandler((request, reply) => {
    const methods = allowedMethods(request)
    if (methods.length === 0) return sendError(reply, 404, 'Not found')
    return sendError(reply.header('allow', methods.join(', ')), 405, 'Method not allowed')
  })
}
