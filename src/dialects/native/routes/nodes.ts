// What other dialects keep and the engine has no model of, such as the nodes of suites: why it does not run.

import { refuse } from '../../../core/refusal.ts'
import type { Kit } from '../../dialect.ts'
import { type NativeRoute, route } from '../route.ts'
import { whyHeldOut } from '../shapes.ts'
import { showExplanation } from '../show.ts'

/** Routes about things that only other dialects know. */
export function nodeRoutes({ engine }: Kit): NativeRoute[] {
  return [
    route({
      method: 'GET',
      path: '/nodes/:kind/*',
      id: 'whyHeld',
      summary:
        'Why something that a dialect keeps does not run. Kind suite: the path ends in the path of a suite’s node and /why.',
      right: 'read',
      answers: { 200: whyHeldOut },
      handle: async ({ params }) => {
        const kind = params['kind']!
        const rest = params['*']!
        if (!rest.endsWith('/why'))
          refuse('not-found', `There is nothing at nodes/${kind.slice(0, 100)}/${rest.slice(0, 200)}`)
        const name = `/${rest.slice(0, -4)}`
        const explanation = await engine.explain(kind, name)
        if (!explanation) refuse('not-found', `There is no ${kind.slice(0, 100)} node ${name.slice(0, 200)}`)
        return { json: showExplanation(explanation) }
      },
    }),
  ]
}
