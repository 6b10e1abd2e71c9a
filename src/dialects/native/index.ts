// The native dialect: Switchyard's own API at /yard/v1, in the words of the core. It sees the jobs of all dialects.

import { takeAnyBody } from '../../http/bodies.ts'
import type { Dialect } from '../dialect.ts'
import { answerError, answerNotFound } from './errors.ts'
import { checkFlow, judgeOf } from './flow-check.ts'
import { flowKind, nativeDrafter } from './flow-drafter.ts'
import { idempotency } from './idempotency.ts'
import { describeApi } from './openapi.ts'
import { addRoute, base, knowCallers, type NativeRoute } from './route.ts'
import { eventRoutes } from './routes/events.ts'
import { flowRoutes } from './routes/flows.ts'
import { jobRoutes } from './routes/jobs.ts'
import { nodeRoutes } from './routes/nodes.ts'
import { serverRoutes } from './routes/server.ts'
import { streamRoutes } from './routes/streams.ts'

export const native: Dialect = {
  name: 'native',
  claims: [base],
  // A job of this API is a program of the caller's choice: nothing goes without credentials.
  access: { anonymous: [] },
  async open(kit) {
    const judge = judgeOf(kit.engine)
    kit.draft(
      flowKind,
      nativeDrafter(flow => checkFlow(flow, judge)),
    )
    const keys = idempotency(kit)
    const routes: NativeRoute[] = [
      ...jobRoutes(kit, keys),
      ...streamRoutes(kit),
      ...flowRoutes(kit, keys),
      ...eventRoutes(kit),
      ...nodeRoutes(kit),
      ...serverRoutes(kit, describe),
    ]
    // Made when somebody asks for it: most servers are never asked, and it is memory.
    let document: ReturnType<typeof describeApi> | undefined
    function describe() {
      document ??= describeApi(routes, '1')
      return document
    }
    return {
      routes: async scope => {
        takeAnyBody(scope, 'bytes')
        knowCallers(scope)
        scope.setErrorHandler((error, request, reply) => answerError(kit.log, error, request, reply))
        scope.setNotFoundHandler(answerNotFound)
        for (const it of routes) addRoute(scope, kit, it)
      },
    }
  },
}
