// The shape of a dag, checked and made fast to walk: steps by position, edges both ways, an order without cycles.

import type { DagPlan, Step } from '../../../core/flow.ts'
import { type Refusal, refused } from '../../../core/refusal.ts'

/** Bounds on what one flow may ask for. */
export const graphLimits = { stepsMax: 50_000, nodesMax: 1_000_000, edgesMax: 1_000_000 } as const

export interface Graph {
  readonly steps: readonly Step[]
  /** Where the step of a key stands. */
  readonly places: ReadonlyMap<string, number>
  readonly parents: readonly (readonly number[])[]
  readonly children: readonly (readonly number[])[]
  /** Positions in an order in which every step comes after those it needs. */
  readonly order: readonly number[]
}

/** Checks a plan: keys unique and known, counts sane, no cycle. The refusal names the step, and the cycle's members. */
export function readGraph(plan: DagPlan): Graph | Refusal {
  const places = new Map<string, number>()
  let nodes = 0
  let edges = 0
  for (const [at, step] of plan.steps.entries()) {
    if (places.has(step.key)) return bad(`two steps are called ${step.key}`, step)
    if (!Number.isSafeInteger(step.count) || step.count < 0)
      return bad(`step ${step.key} has no sane count`, step)
    places.set(step.key, at)
    nodes += step.count
    edges += step.needs.length
  }
  if (plan.steps.length > graphLimits.stepsMax)
    return bad(`a flow may have at most ${graphLimits.stepsMax} steps`)
  if (nodes > graphLimits.nodesMax) return bad(`a flow may have at most ${graphLimits.nodesMax} nodes`)
  if (edges > graphLimits.edgesMax) return bad(`a flow may have at most ${graphLimits.edgesMax} edges`)
  const parents: number[][] = plan.steps.map(() => [])
  const children: number[][] = plan.steps.map(() => [])
  for (const [at, step] of plan.steps.entries()) {
    for (const need of new Set(step.needs)) {
      const parent = places.get(need)
      if (parent === undefined)
        return bad(`step ${step.key} needs ${need}, which is not a step of this flow`, step)
      parents[at]!.push(parent)
      children[parent]!.push(at)
    }
  }
  const order = sortSteps(parents, children)
  if (order.length < plan.steps.length) {
    const inOrder = new Set(order)
    const cycle = plan.steps.filter((_, at) => !inOrder.has(at)).map(step => step.key)
    return bad(
      `these steps wait for each other: ${cycle.slice(0, 20).join(', ')}${cycle.length > 20 ? ' …' : ''}`,
    )
  }
  return { steps: plan.steps, places, parents, children, order }
}

/** Whether a plan was found to be good. */
export function isGraph(value: Graph | Refusal): value is Graph {
  return 'order' in value
}

/** Takes away steps without open parents, again and again; what remains lies on or behind a cycle. */
function sortSteps(
  parents: readonly (readonly number[])[],
  children: readonly (readonly number[])[],
): number[] {
  const open = parents.map(list => list.length)
  const order: number[] = []
  for (const [at, count] of open.entries()) if (count === 0) order.push(at)
  for (let next = 0; next < order.length; next++) {
    for (const child of children[order[next]!]!) if (--open[child]! === 0) order.push(child)
  }
  return order
}

function bad(text: string, step?: Step): Refusal {
  return refused('bad-field', text, { field: step === undefined ? 'steps' : `steps.${step.key}` }).refusal
}
