// The feed: every event, as server-sent events that resume where a client stopped, or as pages.
// A stream is read from the store by its cursor each time something new is durable: nothing is buffered for slow
// clients, and nothing is skipped.

import { setImmediate as turn } from 'node:timers/promises'
import { z } from 'zod'
import type { Event } from '../../../core/event.ts'
import { refuse } from '../../../core/refusal.ts'
import { type EventStream, openEventStream } from '../../../http/sse.ts'
import type { Kit } from '../../dialect.ts'
import { type NativeRoute, route } from '../route.ts'
import { eventOut, eventsQuery } from '../shapes.ts'
import { showEvent } from '../show.ts'

const pageMax = 1_000

type Query = z.output<typeof eventsQuery>

/** Routes of events: pages of them, and the feed as they happen. */
export function eventRoutes(kit: Kit): NativeRoute[] {
  return [
    route({
      method: 'GET',
      path: '/events',
      id: 'listEvents',
      summary:
        'With Accept: text/event-stream a live feed that resumes by Last-Event-ID; else one page of events.',
      right: 'read',
      query: eventsQuery,
      headers: { 'Last-Event-ID': 'The id of the last event that the client of a stream has got' },
      answers: { 200: [z.object({ items: z.array(eventOut), next: z.int() }), 'text/event-stream'] },
      handle: async ({ query, request, reply, principal }) => {
        if (principal.role === 'submitter')
          refuse('not-allowed', 'The feed tells of everybody’s jobs: it needs the role viewer or more')
        if (!String(request.headers.accept ?? '').includes('text/event-stream'))
          return { json: await onePage(kit, query) }
        const last = request.headers['last-event-id']
        if (last !== undefined && !/^\d{1,15}$/.test(String(last)))
          refuse('bad-field', 'Last-Event-ID must be the seq of an event', { field: 'Last-Event-ID' })
        const after = last === undefined ? query.after : Number(last)
        const from = after ?? (await kit.engine.lastEvent())
        await follow({ kit, stream: openEventStream(request, reply) }, query, from)
        return undefined
      },
    }),
  ]
}

async function onePage({ engine }: Kit, query: Query) {
  const page = await engine.history.events(query.after ?? 0, query.limit ?? 100)
  const items = page.filter(event => wanted(event, query)).map(showEvent)
  return { items, next: page.at(-1)?.seq ?? query.after ?? 0 }
}

/** Sends everything after a cursor, and goes on with what comes, until the client leaves or the server stops. */
async function follow(
  { kit, stream }: { kit: Kit; stream: EventStream },
  query: Query,
  after: number,
): Promise<void> {
  let wake = () => {}
  const unwatch = kit.engine.watch(() => wake())
  stream.closed.addEventListener('abort', () => wake(), { once: true })
  let cursor = after
  try {
    while (!stream.closed.aborted) {
      const news = new Promise<void>(resolve => {
        wake = resolve
      })
      const page = await kit.engine.history.events(cursor, pageMax)
      for (const event of page) {
        cursor = event.seq
        if (wanted(event, query))
          await stream.send({ id: event.seq, event: event.type, data: JSON.stringify(showEvent(event)) })
      }
      if (stream.closed.aborted) break
      // A full page may have more behind it: then there is nothing to wait for but everybody else's turn.
      await (page.length < pageMax ? news : turn())
    }
  } catch (error) {
    // The store failed: the client comes back with its Last-Event-ID.
    kit.log.warn({ err: error }, 'a feed ended')
  } finally {
    unwatch()
    stream.end()
  }
}

function wanted(event: Event, { subject, n, type }: Query): boolean {
  return (
    (subject === undefined || event.subject === subject) &&
    (n === undefined || event.n === n) &&
    (type === undefined || type.split(',').includes(event.type))
  )
}
