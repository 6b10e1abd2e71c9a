// Refusals as problem documents (RFC 9457), one status for each kind.

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { ZodError } from 'zod'
import { type Refusal, Refused } from '../../core/refusal.ts'
import { allowedMethods, pathOf } from '../../http/paths.ts'
import { sendProblem } from '../../http/problem.ts'
import { refusalOf } from '../../http/refusal-of.ts'

/** The answer to whatever was thrown: the refusal, or a 500 that tells nothing but its logged number. */
export function answerError(
  log: Logger,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const refusal = refusalOf(error)
  if (refusal !== undefined) return sendProblem(reply, refusal)
  log.error({ err: error, method: request.method, path: pathOf(request.url) }, 'a request failed')
  reply.code(500).header('content-type', 'application/problem+json')
  return reply.send(Buffer.from('{"type":"about:blank","title":"Internal Server Error","status":500}'))
}

/** Paths below the claim that lead nowhere: 404, or 405 with what is allowed. */
export function answerNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const allowed = allowedMethods(request)
  const path = pathOf(request.url).slice(0, 200)
  if (allowed.length === 0)
    return sendProblem(reply, { kind: 'not-found', text: `There is nothing at ${path}` })
  reply.header('allow', allowed.join(', '))
  const text = `${path} has no ${request.method}; it has ${allowed.join(', ')}`
  return sendProblem(reply, { kind: 'bad-request', text, facts: { status: 405 } })
}

/** The first thing wrong with a body or query, as a refusal that names the field. */
export function refusalOfZod(error: ZodError, where: 'body' | 'query' | 'path'): Refusal {
  const issue = error.issues[0]!
  // Of a union, the branch that came furthest says most.
  const path = [...issue.path]
  if (issue.code === 'unrecognized_keys') path.push(issue.keys[0]!)
  const field = path.map(String).join('.')
  const text =
    field === '' ? `The ${where} is not acceptable: ${issue.message}` : `${field}: ${issue.message}`
  return { kind: field === '' ? 'bad-request' : 'bad-field', text, ...(field === '' ? {} : { field }) }
}

/** Refuses what a schema did not let through, by the first field that is wrong. */
export function refuseZod(error: ZodError, where: 'body' | 'query' | 'path'): never {
  throw new Refused(refusalOfZod(error, where))
}
