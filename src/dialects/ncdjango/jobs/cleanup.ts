// Ours: an operator has temporary services deleted now, as the original's management command does.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendJson } from '../../../http/json.ts'
import type { House } from '../house.ts'
import { callerOf } from './caller.ts'
import { ApiRefusal } from './read-submission.ts'

/** `POST …/cleanup?max-age=SECONDS`: says how many services went. */
export async function answerCleanup(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  await callerOf(house, request, 'operate')
  if (request.method !== 'POST') {
    reply.header('allow', 'POST')
    throw new ApiRefusal(405, { detail: `Method "${request.method}" not allowed.` })
  }
  const text = new URL(request.url, 'http://localhost').searchParams.get('max-age')
  const seconds = text === null || text.trim() === '' ? undefined : Number(text)
  if (seconds !== undefined && !(seconds >= 0))
    throw new ApiRefusal(400, { 'max-age': ['A number of seconds is required.'] })
  const removed = await house.shelf.cleanUp(
    seconds === undefined ? house.settings.serviceAgeMs : seconds * 1000,
  )
  sendJson(reply, { removed })
}
