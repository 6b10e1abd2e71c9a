// Answers to what is not even HTTP: no request object exists, so a plain answer is written to the socket by hand.

import type { Socket } from 'node:net'
import { nodeHttp } from './node-http.ts'

const statusOf: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

const sentenceOf: Readonly<Record<number, string>> = {
  400: 'This is not an HTTP request that can be understood.',
  408: 'The request took too long to arrive.',
  413: 'The chunk extensions are larger than allowed.',
  431: 'The headers are larger than allowed.',
}

/** For the server's `clientError`: one short answer, and the connection is closed. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  // Node keeps the answer in progress here; its own default handler looks at it too.
  const answering = (socket as Socket & { _httpMessage?: { headersSent: boolean } | null })._httpMessage
  // A connection that was reset, or is in the middle of an answer, cannot be told anything.
  if (error.code === 'ECONNRESET' || !socket.writable || answering?.headersSent === true) {
    socket.destroy()
    return
  }
  const status = statusOf[error.code ?? ''] ?? 400
  const body = `${sentenceOf[status]}\n`
  socket.end(
    `HTTP/1.1 ${status} ${nodeHttp.STATUS_CODES[status]}\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  )
}
