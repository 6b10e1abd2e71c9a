// Sends answers as the original does: types, errors with their body, XML and compression on demand.

import { promisify } from 'node:util'
import { deflate, gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { pathOf } from '../../http/paths.ts'
import type { Answer } from './call.ts'
import { failureOf, type OrthancError } from './errors.ts'
import { toXml } from './xml.ts'

export interface SendOptions {
  readonly describesErrors: boolean
  readonly compresses: boolean
}

const jsonType = 'application/json; charset=utf-8'

/** Sends an answer; `undefined` is the empty 404 or 400 of a handler that found nothing. */
export async function sendAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: Answer,
  options: SendOptions & { method: string },
): Promise<void> {
  if (answer === 'sent') return
  if (answer === undefined) {
    sendEmpty(reply, options.method === 'POST' ? 400 : 404)
    return
  }
  reply.headers(answer.headers ?? {})
  if ('status' in answer) {
    sendEmpty(reply, answer.status)
    return
  }
  if ('stream' in answer) {
    reply.type(answer.type)
    if (answer.sizeBytes !== undefined) reply.header('content-length', answer.sizeBytes)
    reply.send(answer.stream)
    return
  }
  const isXml = 'json' in answer && /\bapplication\/xml\b/.test(request.headers.accept ?? '')
  const type = isXml
    ? 'application/xml; charset=utf-8'
    : (answer.type ?? ('json' in answer ? jsonType : 'text/plain'))
  const body = 'json' in answer ? (isXml ? toXml(answer.json) : JSON.stringify(answer.json)) : answer.text
  await sendBody(request, reply, { body, type, compresses: options.compresses })
}

/** Sends an error with its body, or without one where errors are not described. */
export async function sendFailure(
  request: FastifyRequest,
  reply: FastifyReply,
  error: OrthancError,
  options: SendOptions & { method: string; status?: number },
): Promise<void> {
  const at = { method: options.method, path: pathOf(request.url) }
  const { status, body } = failureOf(error, at, options.status)
  reply.code(status)
  if (!options.describesErrors) {
    sendEmpty(reply, status)
    return
  }
  await sendBody(request, reply, { body: JSON.stringify(body), type: jsonType, compresses: false })
}

/** Sends an answer without a body. */
export function sendEmpty(reply: FastifyReply, status: number): void {
  // An answer without a body by its status has no length either.
  if (status === 304) reply.code(status).send()
  else reply.code(status).header('content-length', 0).send(Buffer.alloc(0))
}

async function sendBody(
  request: FastifyRequest,
  reply: FastifyReply,
  { body, type, compresses }: { body: string; type: string; compresses: boolean },
): Promise<void> {
  reply.header('content-type', type)
  const bytes = Buffer.from(body, 'utf8')
  const encoding =
    compresses && bytes.length > 0 ? chosenEncoding(request.headers['accept-encoding']) : undefined
  if (encoding === undefined) {
    reply.send(bytes)
    return
  }
  const packed = await promisify(encoding === 'gzip' ? gzip : deflate)(bytes)
  reply.header('content-encoding', encoding).send(packed)
}

function chosenEncoding(header: string | string[] | undefined): 'gzip' | 'deflate' | undefined {
  const offered = String(header ?? '')
    .split(',')
    .map(part => part.trim().toLowerCase())
    .filter(part => !/;\s*q=0(\.0*)?$/.test(part))
    .map(part => part.split(';', 1)[0]!.trim())
  return offered.includes('gzip') ? 'gzip' : offered.includes('deflate') ? 'deflate' : undefined
}
