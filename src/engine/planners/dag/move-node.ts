// Every move of a node of a living flow, as one table, and the one place that applies it.

import type { FlowNode, NodeState } from '../../../core/flow.ts'
import type { PlannerActs } from '../../../core/planner.ts'
import type { Plan } from './plan.ts'

/** What happens to nodes, and where it leads from each state; from a state that is absent it leads nowhere. */
export const nodeMoves = {
  start: { waiting: 'live', blocked: 'live' }, // its job or flow is on its way
  pass: { waiting: 'done' }, // a gate opened
  skip: { waiting: 'skipped' }, // its condition did not hold, or its gate stayed shut
  drop: { waiting: 'skipped', blocked: 'skipped' }, // the flow is cancelled
  block: { waiting: 'blocked' }, // a step it needs is bad
  unblock: { blocked: 'waiting' },
  // A child flow may have been run again by itself, before its node was or after it was skipped.
  succeed: { live: 'done', waiting: 'done', blocked: 'done', skipped: 'done' },
  fail: { live: 'failed', waiting: 'failed', blocked: 'failed', skipped: 'failed' },
  reopen: { failed: 'live' }, // its child flow was run again
  revive: { failed: 'live', skipped: 'live' }, // its job was put back into its queue
  await: { failed: 'waiting', skipped: 'waiting' }, // its job was, and waits for what it needs
  awaitBlocked: { failed: 'blocked', skipped: 'blocked' },
} as const satisfies Record<string, Partial<Record<NodeState, NodeState>>>

/** The name of a row of the table. */
export type NodeMove = keyof typeof nodeMoves

/** Moves a node and writes it down. What that means to other steps is worked out by `settleSteps`, without recursion. */
export function moveNode(plan: Plan, acts: PlannerActs, node: FlowNode, move: NodeMove): void {
  if (applyNodeMove(plan, node, move)) acts.saveNode(node)
}

/** As `moveNode`, where what is stored of the node's job says as much; whether the move led anywhere. */
export function applyNodeMove(plan: Plan, node: FlowNode, move: NodeMove): boolean {
  const to = (nodeMoves[move] as Partial<Record<NodeState, NodeState>>)[node.state]
  if (to === undefined) return false
  const { counts } = plan.steps[node.step]!
  counts[node.state]--
  counts[to]++
  plan.totals[node.state]--
  plan.totals[to]++
  plan.isRecounted = true
  node.state = to
  plan.touched.push(node.step)
  return true
}
