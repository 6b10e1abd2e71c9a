// Answers on the wire: compact JSON, open to scripts of any page, compressed for those who take gzip.

import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { createGzip, gzip } from 'node:zlib'
import type { FastifyReply } from 'fastify'
import { matches, type Sendable, sendBytes } from '../../http/ranges.ts'
import type { Call } from './call.ts'
import { pick } from './filter.ts'

const compress = promisify(gzip)

/** What a handler says. */
export interface Answer {
  readonly status: number
  readonly value?: unknown
  /** JSON that is made while it is sent. */
  readonly chunks?: Iterable<string>
  readonly location?: string
  readonly contentType?: string
  /** With `contentType`: the body as it is. */
  readonly text?: string
  /** With `chunks`: what stands for their contents, so that a client that has them need not get them again. */
  readonly version?: string
  /** A thing of known size, of which a range may be asked for. */
  readonly thing?: Sendable
}

/** What every answer carries, errors included: dashboards are served from elsewhere. */
export function allowAnyPage(reply: FastifyReply): void {
  reply.header('access-control-allow-origin', '*')
  reply.header('access-control-allow-credentials', 'true')
  reply.header('access-control-allow-headers', '*')
}

/**
 * Sends an answer. What was made from the living tree goes out only once it is durable: `settled` is asked for after
 * each piece was made, before it leaves.
 */
export async function sendAnswer(
  reply: FastifyReply,
  answer: Answer,
  at: { call: Call; settled: () => Promise<void> },
): Promise<FastifyReply> {
  const { call, settled } = at
  allowAnyPage(reply)
  if (answer.thing) return sendBytes(call.request, reply, answer.thing)
  reply.code(answer.status)
  if (answer.location !== undefined) reply.header('location', answer.location)
  reply.header('content-type', answer.contentType ?? 'application/json')
  if (answer.status === 204) return reply.send()
  if (answer.text !== undefined) return sendText(reply, answer.text, call)
  const filter = call.query.get('filter')
  if (answer.chunks !== undefined && !filter) {
    await settled()
    if (isKnown(reply, call, answer.version)) return reply.code(304).removeHeader('content-type').send()
    return sendChunks(reply, answer.chunks, at)
  }
  let value = answer.chunks === undefined ? answer.value : JSON.parse([...answer.chunks].join(''))
  if (filter && answer.status < 300) {
    const picked = pick(value, filter)
    if (picked === 'nothing') return reply.send(Buffer.alloc(0))
    value = picked.value
  }
  return sendText(reply, JSON.stringify(value), call)
}

async function sendText(reply: FastifyReply, text: string, call: Call): Promise<FastifyReply> {
  const bytes = Buffer.from(text)
  if (reply.statusCode === 200 && call.method === 'GET') {
    const version = createHash('sha1').update(bytes).digest('base64url')
    if (isKnown(reply, call, version)) return reply.code(304).removeHeader('content-type').send()
  }
  if (!takesGzip(call)) return reply.send(bytes)
  const packed = await compress(bytes)
  reply.header('content-encoding', 'gzip')
  return reply.send(packed)
}

/** Names the answer's version, and says whether the client has it. Weak, as it may come compressed or not. */
function isKnown(reply: FastifyReply, call: Call, version: string | undefined): boolean {
  if (version === undefined) return false
  const tag = `W/"${version}"`
  reply.header('etag', tag)
  return matches(call.request.headers['if-none-match'], tag)
}

function sendChunks(
  reply: FastifyReply,
  chunks: Iterable<string>,
  { call, settled }: { call: Call; settled: () => Promise<void> },
): FastifyReply {
  const pieces = (async function* () {
    for (const chunk of chunks) {
      await settled()
      yield Buffer.from(chunk)
    }
  })()
  const source = Readable.from(pieces, { objectMode: false, highWaterMark: 256 * 1024 })
  if (!takesGzip(call)) return reply.send(source)
  reply.header('content-encoding', 'gzip')
  const packer = createGzip({ level: 5 })
  source.on('error', error => packer.destroy(error))
  return reply.send(source.pipe(packer))
}

/** Only gzip by name, as recorded: neither deflate nor `*` makes the original compress. */
function takesGzip(call: Call): boolean {
  const accepted = call.request.headers['accept-encoding']
  if (typeof accepted !== 'string') return false
  return accepted.split(',').some(part => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)[\d.]+\s*)?$/i.test(part))
}
