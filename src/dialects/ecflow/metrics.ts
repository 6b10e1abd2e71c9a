// What the product's metrics say about suites: requests by kind, nodes by state, zombies.

import { Counter, Gauge, type Registry } from 'prom-client'
import { visitAll } from '../../domains/suite/tree/node.ts'
import { nodeStates } from '../../domains/suite/tree/state.ts'
import type { Keeper } from './keeper.ts'

/** Registers them; the answer counts one request of a kind. */
export function registerMetrics(registry: Registry, keeper: () => Keeper): (name: string) => void {
  const registers = [registry]
  const requests = new Counter({
    name: 'switchyard_ecflow_requests_total',
    help: 'Requests to the ecFlow API, by what was asked for, under the names of GET /v1/server/status',
    labelNames: ['command'],
    registers,
  })
  new Gauge({
    name: 'switchyard_ecflow_tasks',
    help: 'Tasks of all suites, by state',
    labelNames: ['state'],
    registers,
    collect() {
      const counts = new Map<string, number>(nodeStates.map(state => [state, 0]))
      visitAll(keeper().living.root, node => {
        if (node.kind === 'task') counts.set(node.state, counts.get(node.state)! + 1)
      })
      for (const [state, count] of counts) this.set({ state }, count)
    },
  })
  new Gauge({
    name: 'switchyard_ecflow_suites',
    help: 'Suites that are loaded',
    registers,
    collect() {
      this.set(keeper().living.root.children?.length ?? 0)
    },
  })
  new Gauge({
    name: 'switchyard_ecflow_zombies',
    help: 'Jobs that reported although their task is not theirs any more, as remembered now',
    registers,
    collect() {
      let count = 0
      for (const records of keeper().living.zombies.values()) count += records.length
      this.set(count)
    },
  })
  return name => requests.inc({ command: name })
}
