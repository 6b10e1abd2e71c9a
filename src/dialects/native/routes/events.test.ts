import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Event } from '../../../core/event.ts'
import type { Kit } from '../../dialect.ts'
import { eventRoutes } from './events.ts'

test('a feed that passes by events nobody asked for lets everybody else have a turn after each page', async () => {
  const leaving = new AbortController()
  let pages = 0
  const engine = {
    watch: () => () => {},
    history: {
      // As a store does that has its rows at hand: without giving the turn away.
      async events(after: number, limit: number): Promise<Event[]> {
        if (++pages === 1_000) leaving.abort()
        const event = { at: 0, prev: 0, subject: 'job', n: 1, type: 'submitted', body: null } as const
        return Array.from({ length: limit }, (_, at) => ({ ...event, seq: after + at + 1 }))
      },
    },
  }
  const raw = Object.assign(new PassThrough(), { writeHead: () => {} })
  const feed = eventRoutes({ engine } as unknown as Kit)[0]!.handle({
    principal: { name: 'ann', scheme: 'token', role: 'viewer', groups: [] },
    params: {},
    body: undefined,
    query: { after: 0, type: 'nothing' },
    request: { headers: { accept: 'text/event-stream' }, server: { draining: leaving.signal } },
    reply: { raw, hijack: () => {}, getHeaders: () => ({}) },
  } as never)
  for (let turns = 0; turns < 10; turns++) await turn()
  const passed = pages
  leaving.abort()
  await feed
  expect(passed).toBeGreaterThan(0)
  expect(passed).toBeLessThan(20)
})
