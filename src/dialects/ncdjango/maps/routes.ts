// Which of the map interfaces a path belongs to, and how refusals are shown there.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendJson } from '../../../http/json.ts'
import { pathOf } from '../../../http/paths.ts'
import { refusalOf } from '../../../http/refusal-of.ts'
import { mapError, statusOf } from '../errors.ts'
import { type House, pathIn } from '../house.ts'
import { callerOf } from '../jobs/caller.ts'
import { ApiRefusal } from '../jobs/read-submission.ts'
import { answerArcgis } from './arcgis.ts'
import { answerData } from './data.ts'
import { answerTiles } from './tiles.ts'
import { answerWms } from './wms.ts'

/** Answers every request to the maps; pages of any origin may read them. */
export async function answerMaps(house: House, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.header('access-control-allow-origin', '*')
  if (request.method === 'OPTIONS') {
    reply
      .header('access-control-allow-methods', 'GET, HEAD, POST, OPTIONS')
      .header('access-control-max-age', '86400')
    reply.header('access-control-allow-headers', 'content-type').code(204).send()
    return
  }
  try {
    await callerOf(house, request, 'read')
    const path = pathIn(house, request)
    if (path.startsWith('/arcgis/')) await answerArcgis(house, request, reply)
    else if (path.startsWith('/data/')) await answerData(house, request, reply)
    else if (path.startsWith('/tiles')) await answerTiles(house, request, reply)
    else await answerWms(house, request, reply)
  } catch (error) {
    answerError(house, error, request, reply)
  }
}

function answerError(house: House, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (error instanceof ApiRefusal) {
    reply.code(error.status)
    sendJson(reply, error.body)
    return
  }
  const refusal = refusalOf(error)
  if (!refusal) house.kit.log.error({ err: error, path: pathOf(request.url) }, 'a request failed')
  const status = refusal ? statusOf(refusal) : 500
  const text = refusal?.text ?? 'Internal Server Error'
  reply.code(status)
  sendJson(
    reply,
    pathIn(house, request).startsWith('/data/') && status === 400 ? { error: text } : mapError(status, text),
  )
}
