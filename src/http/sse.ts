// Server-sent events: one long answer, line by line, that ends when the client leaves or the server stops.

import { once } from 'node:events'
import type { FastifyReply, FastifyRequest } from 'fastify'

export interface EventStream {
  /** Aborted when the client has left, or the server stops. */
  readonly closed: AbortSignal
  /** Resolves when there is room for more; await it, or memory grows with a slow reader. */
  send(message: { id?: string | number; event?: string; data: string }): Promise<void>
  end(): void
}

/** How often a silent stream says that it lives, so that proxies do not cut it and a dead client is noticed. */
const beatMs = 15_000

/** Begins a stream of events as the answer to a request; the reply is taken over. */
export function openEventStream(
  request: FastifyRequest,
  reply: FastifyReply,
  options: { retryMs?: number; headers?: Readonly<Record<string, string>> } = {},
): EventStream {
  reply.hijack()
  const response = reply.raw
  const left = new AbortController()
  const closed = AbortSignal.any([left.signal, request.server.draining])
  response.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    ...options.headers,
  })
  response.write(`retry: ${options.retryMs ?? 2_000}\n\n`)
  const beat = setInterval(() => response.write(': \n\n'), beatMs)

  const end = () => {
    clearInterval(beat)
    left.abort()
    response.end()
  }
  // A stream is never idle, so a stopping server would wait for it until its patience ends.
  request.server.draining.addEventListener('abort', end, { once: true })
  response.on('error', end) // The client went away in the middle of a message.
  response.once('close', () => {
    request.server.draining.removeEventListener('abort', end)
    end()
  })
  if (request.server.draining.aborted) end()

  return {
    closed,
    async send({ id, event, data }) {
      if (closed.aborted) return
      let text = ''
      if (id !== undefined) text += `id: ${oneLine(String(id))}\n`
      if (event !== undefined) text += `event: ${oneLine(event)}\n`
      for (const line of data.split(/\r\n|\r|\n/)) text += `data: ${line}\n`
      if (!response.write(`${text}\n`)) {
        await once(response, 'drain', { signal: closed }).catch(() => undefined) // Closed: there is nobody to wait for.
      }
    },
    end,
  }
}

function oneLine(text: string): string {
  return text.replace(/[\r\n\0]/g, ' ')
}
