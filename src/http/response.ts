// The response object of our server: header names go out in the usual spelling (Fastify hands them over in lower
// case), and an answer that is given before the request's body was read still reaches the client.

import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { nodeHttp } from './node-http.ts'

type HeadersIn = OutgoingHttpHeaders | OutgoingHttpHeader[]

export class YardResponse extends nodeHttp.ServerResponse<IncomingMessage> {
  override writeHead(status: number, reason?: string | HeadersIn, headers?: HeadersIn): this {
    const given = typeof reason === 'string' ? headers : reason
    const spelled = given !== undefined && !Array.isArray(given) ? spellAll(given) : given
    if (!this.req.complete && (spelled as OutgoingHttpHeaders | undefined)?.['Connection'] === 'close') {
      closeGently(this.req)
    }
    return typeof reason === 'string'
      ? super.writeHead(status, reason, spelled)
      : super.writeHead(status, spelled)
  }
}

/** A header's name as people write it: `content-type` becomes `Content-Type`, `etag` becomes `ETag`. */
export function spellHeader(name: string): string {
  return spelled.get(name) ?? learn(name)
}

function spellAll(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const out: OutgoingHttpHeaders = {}
  for (const name in headers) out[spellHeader(name)] = headers[name]
  return out
}

// Names that do not follow the rule of a capital after each hyphen. The map also remembers what was worked out;
// names come from our own code, so it stays small, and it is bounded all the same.
const spelled = new Map<string, string>([
  ['etag', 'ETag'],
  ['www-authenticate', 'WWW-Authenticate'],
  ['content-md5', 'Content-MD5'],
])

function learn(name: string): string {
  const spelling = name.replace(
    /(^|-)([a-z])/g,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  )
  if (spelled.size < 500) spelled.set(name, spelling)
  return spelling
}

const lingerMsMax = 2_000
const lingerBytesMax = 256 * 1024 * 1024

/**
 * Closing a socket that still has unread bytes makes the kernel reset the connection, and the client may lose the
 * answer (a 413, say) before reading it. So we end our half, and throw away what still comes, within bounds.
 */
function closeGently(request: IncomingMessage): void {
  const socket: Socket = request.socket
  if (socket.destroyed) return
  socket.destroySoon = () => {
    socket.end()
    const deadline = setTimeout(() => socket.destroy(), lingerMsMax)
    const start = socket.bytesRead
    request.on('data', () => {
      if (socket.bytesRead - start > lingerBytesMax) socket.destroy()
    })
    request.on('error', () => socket.destroy())
    request.once('end', () => socket.destroy())
    socket.once('close', () => clearTimeout(deadline))
    request.resume()
  }
}
