// Parts of a thing that has a known size: single byte ranges (RFC 9110 §14), validators, and HEAD. For dialects that
// serve files and logs; where an original has rules of its own, its dialect only borrows `readRange`.

import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'

export interface ByteRange {
  readonly from: number
  /** Without this one: the range ends before it. */
  readonly to: number
}

/**
 * What a Range header asks of a thing of this size. `whole` where there is no header, or one that may be ignored
 * (another unit, several ranges, nonsense); `unsatisfiable` where it lies beyond the end.
 */
export function readRange(
  header: string | undefined,
  sizeBytes: number,
): ByteRange | 'whole' | 'unsatisfiable' {
  const match = /^bytes[ \t]*=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole'
  if (match[1] === '') {
    const last = Number(match[2])
    if (last === 0 || sizeBytes === 0) return 'unsatisfiable'
    return { from: Math.max(0, sizeBytes - last), to: sizeBytes }
  }
  const from = Number(match[1])
  const to = match[2] === '' ? sizeBytes : Math.min(Number(match[2]) + 1, sizeBytes)
  if (match[2] !== '' && Number(match[2]) < from) return 'whole' // Not a range at all, so the header is void.
  return from >= sizeBytes ? 'unsatisfiable' : { from, to }
}

export interface Sendable {
  readonly sizeBytes: number
  readonly mediaType: string
  /** A strong validator with its quotes, such as `"5d41…"`; makes If-None-Match and If-Range work. */
  readonly etag?: string
  /** The bytes of a range. Called only when bytes are sent. */
  open(range: ByteRange): Readable
}

/** Answers with a thing, a part of it, or the news that it has not changed. */
export function sendBytes(request: FastifyRequest, reply: FastifyReply, thing: Sendable): FastifyReply {
  const { sizeBytes, etag } = thing
  reply.header('accept-ranges', 'bytes')
  if (etag !== undefined) {
    reply.header('etag', etag)
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (isRead && matches(request.headers['if-none-match'], etag)) return reply.code(304).send()
  }
  reply.header('content-type', thing.mediaType)
  // A range is about one state of the thing: If-Range names which, and without a match everything is sent.
  const ifRange = request.headers['if-range']
  const isSameState = ifRange === undefined || (etag !== undefined && ifRange === etag)
  const range =
    request.method === 'GET' && isSameState ? readRange(request.headers.range, sizeBytes) : 'whole'
  if (range === 'unsatisfiable') {
    reply.removeHeader('content-type')
    return reply.code(416).header('content-range', `bytes */${sizeBytes}`).send()
  }
  const { from, to } = range === 'whole' ? { from: 0, to: sizeBytes } : range
  reply.header('content-length', to - from)
  if (range !== 'whole') reply.code(206).header('content-range', `bytes ${from}-${to - 1}/${sizeBytes}`)
  if (request.method === 'HEAD') return reply.send()
  if (from === to) return reply.send(Buffer.alloc(0))
  return reply.send(thing.open({ from, to }))
}

/** Whether an If-None-Match (or If-Match) header names this validator. */
export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  const bare = etag.replace(/^W\//, '')
  return header.split(',').some(part => part.trim().replace(/^W\//, '') === bare)
}
