// Answers of the maps: JSON (with a callback where one is asked for) and images with their ETag.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ImageFormat, mediaTypes } from '../../../domains/raster/drawing/encode.ts'
import type { PainterOrder } from '../../../domains/raster/drawing/painter-thread.ts'
import type { Service } from '../../../domains/raster/services/service.ts'
import { sendJson } from '../../../http/json.ts'
import type { House } from '../house.ts'
import { type Parameters, wrong } from './parameters.ts'
import { etagOf } from './tile-cache.ts'

/** How long clients may keep an image: published files never change, but services go. */
const maxAgeSeconds = 3600

/** Answers a map request with JSON, or with a call of the function named `callback`. */
export function sendMap(
  request: FastifyRequest,
  reply: FastifyReply,
  parameters: Parameters,
  value: object,
): void {
  const callback = parameters.text('callback')
  if (callback === undefined) {
    sendJson(reply, value)
    return
  }
  if (request.method === 'POST' || !/^[\w$.]{1,200}$/.test(callback))
    wrong('callback', 'must be the name of a function')
  const body = JSON.stringify(value).replace(
    /[\u2028\u2029]/g,
    mark => `\\u${mark.charCodeAt(0).toString(16)}`,
  )
  reply.header('content-type', 'application/javascript').header('x-content-type-options', 'nosniff')
  // The comment keeps the answer from being taken for something else by plug-ins that guess types.
  reply.send(Buffer.from(`/**/${callback}(${body});`))
}

type ImageAsked = Omit<Extract<PainterOrder, { type: 'image' }>, 'type'>

/** WebP for whoever says to take it: where that is configured, it goes before what was asked. */
function formatFor(request: FastifyRequest, reply: FastifyReply, { format }: ImageAsked): ImageFormat {
  reply.header('vary', 'Accept')
  return /\bimage\/webp\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(request.headers.accept ?? '') ? 'webp' : format
}

/** Draws an image, or takes it from the cache, or tells the client that it has it. */
export async function sendImage(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
  { service, order: asked }: { service: Service; order: ImageAsked },
): Promise<void> {
  const order = house.settings.forcesWebp ? { ...asked, format: formatFor(request, reply, asked) } : asked
  const type = mediaTypes[order.format]
  const key = `${service.hash} ${JSON.stringify(order)}`
  const etag = etagOf(key)
  reply.header('etag', etag).header('cache-control', `public, max-age=${maxAgeSeconds}`)
  if (request.headers['if-none-match']?.split(',').some(tag => tag.trim().replace(/^W\//, '') === etag)) {
    reply.code(304).send()
    return
  }
  const image = await house.tiles.get(key, async () => ({ bytes: await house.painters.image(order), type }))
  reply.header('content-type', image.type)
  reply.send(Buffer.from(image.bytes.buffer, image.bytes.byteOffset, image.bytes.byteLength))
}
