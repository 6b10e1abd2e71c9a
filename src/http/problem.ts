// The host's own answers (RFC 9457 problem documents): for paths that no dialect claims, and for /healthz and its kin.

import type { FastifyReply } from 'fastify'
import { type Refusal, refusals } from '../core/refusal.ts'
import { sendJson } from './json.ts'

/** Answers a refusal as problem+json, with the status of the catalogue. */
export function sendProblem(reply: FastifyReply, refusal: Refusal): FastifyReply {
  const { status, title } = refusals[refusal.kind]
  const actual = typeof refusal.facts?.['status'] === 'number' ? refusal.facts['status'] : status
  if (actual === 401) reply.header('www-authenticate', 'Bearer realm="switchyard"')
  reply.code(actual)
  return sendJson(
    reply,
    {
      type: `urn:switchyard:refusal:${refusal.kind}`,
      title,
      status: actual,
      detail: refusal.text,
      ...(refusal.field !== undefined ? { field: refusal.field } : {}),
    },
    { mediaType: 'application/problem+json' },
  )
}
