// What a node's move means to other steps: passed on step by step, without recursion, to those that need to know.

import type { FlowNode, NodeState } from '../../../core/flow.ts'
import type { PlannerActs } from '../../../core/planner.ts'
import { hasEnded, mayRun } from './conditions.ts'
import type { Plan } from './plan.ts'

/** The one place where a node changes. What it means to other steps is worked out by `settleSteps`, without recursion. */
export function setNode(plan: Plan, acts: PlannerActs, node: FlowNode, state: NodeState): void {
  if (node.state === state) return
  acts.saveNode(node)
  moveNode(plan, node, state)
}

/** As `setNode`, where what is stored of the node's job says as much. */
export function moveNode(plan: Plan, node: FlowNode, state: NodeState): void {
  const run = plan.steps[node.step]!
  run.counts[node.state]--
  run.counts[state]++
  plan.totals[node.state]--
  plan.totals[state]++
  plan.isRecounted = true
  node.state = state
  plan.touched.push(node.step)
}

/** Passes every change on, step by step, until nothing changes any more. */
export function settleSteps(plan: Plan, acts: PlannerActs): void {
  for (let at = plan.touched.pop(); at !== undefined; at = plan.touched.pop()) tellChildren(plan, acts, at)
}

/** Passes on whether a step has ended, and whether it is bad, when either has changed. */
function tellChildren(plan: Plan, acts: PlannerActs, at: number): void {
  const run = plan.steps[at]!
  const isBad = run.counts.failed > 0 || run.counts.blocked > 0
  if (isBad !== run.isBad) {
    run.isBad = isBad
    for (const child of plan.graph.children[at]!) {
      plan.steps[child]!.bad += isBad ? 1 : -1
      if (plan.flow.plan.failure === 'spread') spreadTo(plan, acts, child)
    }
  }
  const ended = hasEnded(run)
  if (ended !== run.ended) {
    run.ended = ended
    for (const child of plan.graph.children[at]!) {
      plan.steps[child]!.open += ended ? -1 : 1
      if (plan.steps[child]!.open === 0) decideStep(plan, acts, child)
    }
  }
}

/** Under `spread`, waiting nodes are blocked while a parent is bad, and wait again when none is. */
function spreadTo(plan: Plan, acts: PlannerActs, at: number): void {
  const run = plan.steps[at]!
  const { when } = plan.graph.steps[at]!
  if (when !== 'succeeded' && when !== 'unfailed') return
  const [from, to]: [NodeState, NodeState] = run.bad > 0 ? ['waiting', 'blocked'] : ['blocked', 'waiting']
  if (run.counts[from] === 0) return
  for (const node of run.nodes) {
    if (node.state !== from) continue
    setNode(plan, acts, node, to)
    const job = node.job === 0 ? undefined : acts.liveJob(node.job)
    if (job !== undefined) acts.block(job)
  }
}

/** All parents of a step have ended: it goes, is skipped, or stays blocked until one of them is run again. */
export function decideStep(plan: Plan, acts: PlannerActs, at: number): void {
  const run = plan.steps[at]!
  if (run.counts.waiting === 0 || plan.flow.stop !== 'none') return
  if (mayRun(plan, at)) {
    plan.free.push({ step: at, next: 0 })
  } else if (plan.flow.plan.failure === 'cut' || run.bad === 0) {
    skipStep(plan, acts, at)
  }
}

function skipStep(plan: Plan, acts: PlannerActs, at: number): void {
  for (const node of plan.steps[at]!.nodes) {
    if (node.state !== 'waiting') continue
    const job = node.job === 0 ? undefined : acts.liveJob(node.job)
    setNode(plan, acts, node, 'skipped')
    if (job !== undefined) acts.cancel(job, 'its condition did not hold')
  }
}
