// The dag planner: decides what a flow of nodes does next. A deterministic state machine without I/O; what it asks
// takes effect through PlannerActs. Its cost follows what changed: a node's end touches its step, and a step's end
// the steps that need it.

import type { Flow, FlowNode } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import { isFinal, isWaiting } from '../../../core/job-state.ts'
import type { PlannerActs } from '../../../core/planner.ts'
import { isFree } from './conditions.ts'
import { moveNode } from './move-node.ts'
import { countNodes, findNode, nodeOf, type Plan, place } from './plan.ts'
import { childEnded, giveJob, jobEnded, nodeRevived, startNode } from './run-node.ts'
import { openStep, settleSteps } from './steps.ts'

/** Goes as far as possible: releases what is free, ends the flow. Call it after loadPlan, once. */
export function beginPlan(plan: Plan, acts: PlannerActs): void {
  for (const at of plan.graph.order) {
    const run = plan.steps[at]!
    if (!run.isOver && run.openCount === 0 && !isFree(plan, at)) openStep(plan, acts, at)
  }
  advance(plan, acts)
}

/** A job of this flow moved. */
export function jobMoved(plan: Plan, acts: PlannerActs, job: Job, from: Job['state']): void {
  const node = nodeOf(plan, job)
  if (node === undefined) return
  if (node.state === 'live') {
    if (isWaiting(from) && !isWaiting(job.state)) plan.idleCount--
    if (!isWaiting(from) && isWaiting(job.state)) plan.idleCount++
  }
  if (isFinal(job.state)) jobEnded(plan, acts, node, job)
  else if (isFinal(from)) nodeRevived(plan, acts, node, job)
  advance(plan, acts)
}

/** A child flow of this flow ended, or was opened again. */
export function childMoved(plan: Plan, acts: PlannerActs, child: Flow): void {
  const node = findNode(plan, child.parentNode)
  if (node === undefined || node.child !== child.n) return
  if (child.state === 'running') {
    moveNode(plan, acts, node, 'reopen')
  } else {
    childEnded(plan, acts, node, child)
  }
  advance(plan, acts)
}

/** Stops everything: live work is cancelled, the rest is skipped, and the flow ends when the last live node has. */
export function cancelPlan(plan: Plan, acts: PlannerActs, message: string): void {
  plan.free.length = 0
  plan.isBusy = true
  for (const run of plan.steps) {
    for (const node of run.nodes) {
      const job = node.job === 0 ? undefined : acts.liveJob(node.job)
      if (node.state === 'waiting' || node.state === 'blocked') {
        moveNode(plan, acts, node, 'drop')
        if (job !== undefined) acts.cancel(job, message)
      } else if (node.state === 'live' && job !== undefined) acts.cancel(job, message)
    }
  }
  plan.isBusy = false
  advance(plan, acts)
}

/**
 * The job of a node that waits for what it needs, made before its time and blocked until then, so that it can be held,
 * ranked or noted; or the one that the node has. Undefined when it is no node that waits for a job of its own.
 */
export function makeJobOf(plan: Plan, acts: PlannerActs, key: string): Job | undefined {
  const node = findNode(plan, key)
  if (node === undefined || plan.graph.steps[node.step]!.does !== 'job') return undefined
  const known = node.job === 0 ? undefined : acts.liveJob(node.job)
  if (known !== undefined) return known
  if (node.state !== 'waiting' && node.state !== 'blocked') return undefined
  const draft = plan.drafter.job(plan.flow, plan.spec, place(plan, node), node.runs + 1)
  const job = acts.enqueue(
    { ...draft, blocked: true, flow: plan.flow.n, node: node.key },
    { isFirst: node.runs === 0 },
  )
  giveJob(plan, acts, node, job)
  if (isFinal(job.state)) moveNode(plan, acts, node, 'fail')
  else if (node.state === 'blocked') acts.block(job)
  advance(plan, acts)
  return job
}

/** Starts free nodes while there is room, then ends the flow if nothing is left to do. */
function advance(plan: Plan, acts: PlannerActs): void {
  if (plan.isBusy) return
  plan.isBusy = true
  const idleMax = plan.flow.plan.idleMax ?? Number.POSITIVE_INFINITY
  for (;;) {
    settleSteps(plan, acts)
    const segment = plan.free[0]
    if (segment === undefined || plan.idleCount >= idleMax) break
    const node = nextWaiting(plan, segment)
    if (node === undefined) plan.free.shift()
    else startNode(plan, acts, node)
  }
  plan.isBusy = false
  if (plan.totals.live === 0 && plan.free.length === 0) endIfDone(plan, acts)
}

function nextWaiting(plan: Plan, segment: { step: number; next: number }): FlowNode | undefined {
  const nodes = plan.steps[segment.step]!.nodes
  while (segment.next < nodes.length) {
    const node = nodes[segment.next]!
    if (node.state === 'waiting') return node
    segment.next++
  }
  return undefined
}

/** A flow ends when nothing runs and nothing will; under `spread` a failure can be undone, so it stays open. */
function endIfDone(plan: Plan, acts: PlannerActs): void {
  if (plan.flow.state !== 'running') return
  const { total, done, failed, waiting, skipped } = countNodes(plan)
  if (plan.flow.stop === 'cancel') acts.endFlow(plan.flow, 'cancelled')
  else if (done + skipped === total) acts.endFlow(plan.flow, 'succeeded')
  else if (plan.flow.plan.failure === 'cut' && failed > 0 && waiting === 0) acts.endFlow(plan.flow, 'failed')
}
