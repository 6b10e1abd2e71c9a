// `GET /v1/events`: what happens to nodes, as it happens, as server-sent events. Ours: the original has polling only.

import type { FastifyReply } from 'fastify'
import type { LogEntry } from '../../domains/suite/planner/living.ts'
import type { Call } from './call.ts'
import type { Parts } from './parts.ts'

/** A listener that is so far behind is let go: it can come back and read the tree. */
const backlogBytesMax = 4 * 1024 * 1024

/** Streams state changes until the client leaves or the server stops. `?path=` keeps to one subtree. */
export function streamEvents(parts: Parts, call: Call, reply: FastifyReply): void {
  const path = call.query.get('path') ?? '/'
  const isWanted = (entry: LogEntry) =>
    path === '/' || entry.path === path || entry.path.startsWith(`${path}/`)
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'access-control-allow-origin': '*',
  })
  raw.write(': connected\n\n')
  const end = parts.keeper.listen(log => {
    const lines = log.filter(isWanted).map(entry => `data: ${JSON.stringify(entry)}\n\n`)
    if (lines.length > 0) raw.write(lines.join(''))
    if (raw.writableLength > backlogBytesMax) raw.destroy()
  })
  const stop = () => {
    end()
    raw.end()
  }
  raw.once('close', end)
  const { draining } = call.request.server
  if (draining?.aborted) stop()
  else draining?.addEventListener('abort', stop, { once: true })
}
