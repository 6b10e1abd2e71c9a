// For tests: a dialect with one route for each right, whose rule lets anybody read.

import type { Dialect } from '../../dialects/dialect.ts'
import { sendJson } from '../../http/json.ts'

/** Claims /dummy; `calls` says what happened to it, in order. */
export function dummyDialect(calls: string[] = []): Dialect {
  return {
    name: 'dummy',
    claims: ['/dummy'],
    access: { anonymous: ['read'] },
    async open(kit) {
      calls.push('open')
      return {
        async routes(scope) {
          for (const right of ['read', 'submit', 'operate', 'administer'] as const) {
            scope.post(`/dummy/${right}`, async (request, reply) =>
              sendJson(reply, await kit.access.demand(request, right)),
            )
          }
          scope.get('/dummy/url', async (request, reply) =>
            sendJson(reply, [kit.publicUrl(request), kit.publicUrl()]),
          )
          scope.get('/dummy/settings', async (_request, reply) => sendJson(reply, kit.settings))
          scope.get('/dummy/slow', async (_request, reply) => {
            calls.push('slow')
            await new Promise(resolve => setTimeout(resolve, 100))
            return sendJson(reply, 'done')
          })
          scope.post('/dummy/jobs', async (request, reply) => {
            await kit.access.demand(request, 'submit')
            const job = await kit.engine.write(tx =>
              tx.submit({
                dialect: 'dummy',
                executor: 'function',
                kind: 'dummy.job',
                spec: { function: 'noop' },
              }),
            )
            const ended = await kit.engine.settled(job.n, { timeoutMs: 20_000 })
            return sendJson(reply, { n: job.n, state: ended?.state ?? null })
          })
        },
        async ready() {
          calls.push(`ready, engine ${kit.engine.up ? 'up' : 'down'}`)
        },
        async close() {
          calls.push(`close, engine ${kit.engine.up ? 'up' : 'down'}`)
        },
      }
    },
  }
}
