// What a node's move means to other steps: passed on step by step, without recursion, to those that need to know.

import type { PlannerActs } from '../../../core/planner.ts'
import { canBeBlocked, hasEnded, hasTrouble, mayRun } from './conditions.ts'
import { moveNode } from './move-node.ts'
import type { Plan } from './plan.ts'

/** Passes every change on, step by step, until nothing changes any more. */
export function settleSteps(plan: Plan, acts: PlannerActs): void {
  for (let at = plan.touched.pop(); at !== undefined; at = plan.touched.pop()) tellChildren(plan, acts, at)
}

/** Passes on whether a step has ended, and whether it is bad, when either has changed. */
function tellChildren(plan: Plan, acts: PlannerActs, at: number): void {
  const run = plan.steps[at]!
  const isBad = hasTrouble(run)
  if (isBad !== run.isBad) {
    run.isBad = isBad
    for (const child of plan.graph.children[at]!) {
      plan.steps[child]!.badCount += isBad ? 1 : -1
      if (plan.flow.plan.failure === 'spread') spreadTo(plan, acts, child)
    }
  }
  const isOver = hasEnded(run)
  if (isOver !== run.isOver) {
    run.isOver = isOver
    for (const child of plan.graph.children[at]!) {
      plan.steps[child]!.openCount += isOver ? -1 : 1
      if (plan.steps[child]!.openCount === 0) openStep(plan, acts, child)
    }
  }
}

/** Waiting nodes are blocked while a parent is bad, and wait again when none is. */
function spreadTo(plan: Plan, acts: PlannerActs, at: number): void {
  const run = plan.steps[at]!
  if (!canBeBlocked(plan.graph.steps[at]!)) return
  const [from, move] = run.badCount > 0 ? (['waiting', 'block'] as const) : (['blocked', 'unblock'] as const)
  if (run.counts[from] === 0) return
  for (const node of run.nodes) {
    if (node.state !== from) continue
    moveNode(plan, acts, node, move)
    const job = node.job === 0 ? undefined : acts.liveJob(node.job)
    if (job !== undefined) acts.block(job)
  }
}

/** All parents of a step have ended: it goes, is skipped, or stays blocked until one of them is run again. */
export function openStep(plan: Plan, acts: PlannerActs, at: number): void {
  const run = plan.steps[at]!
  if (run.counts.waiting === 0 || plan.flow.stop !== 'none') return
  if (mayRun(plan, at)) {
    plan.free.push({ step: at, next: 0 })
  } else if (plan.flow.plan.failure === 'cut' || run.badCount === 0) {
    skipStep(plan, acts, at)
  }
}

function skipStep(plan: Plan, acts: PlannerActs, at: number): void {
  for (const node of plan.steps[at]!.nodes) {
    if (node.state !== 'waiting') continue
    const job = node.job === 0 ? undefined : acts.liveJob(node.job)
    moveNode(plan, acts, node, 'skip')
    if (job !== undefined) acts.cancel(job, 'its condition did not hold')
  }
}
