// One node at work: its job or child flow is started, ends, is tried again, or is taken back from its end.

import type { Flow, FlowDraft, FlowNode } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import { isFinal } from '../../../core/job-state.ts'
import type { NodePlace, PlannerActs } from '../../../core/planner.ts'
import { Refused, type Verdict } from '../../../core/refusal.ts'
import { applyNodeMove, moveNode } from './move-node.ts'
import { isSparse } from './nodes.ts'
import { type Plan, place } from './plan.ts'
import { openStep } from './steps.ts'

/** Starts a node: its job, its flow, or the question whether its gate opens. */
export function startNode(plan: Plan, acts: PlannerActs, node: FlowNode): void {
  const step = plan.graph.steps[node.step]!
  const where = place(plan, node)
  switch (step.does) {
    case 'gate': {
      const opens = plan.drafter.gate?.(plan.flow, plan.spec, where) ?? true
      moveNode(plan, acts, node, opens ? 'pass' : 'skip')
      return
    }
    case 'flow': {
      node.runs++
      const child = startChild(plan, acts, node, where)
      if (!child.ok) {
        // What its siblings are filled in with may be fine: only this node fails, and trying again changes nothing.
        acts.tellRefused(plan.flow, node, child.refusal)
        moveNode(plan, acts, node, 'fail')
        return
      }
      moveNode(plan, acts, node, 'start')
      node.child = child.value.n
      acts.saveNode(node)
      if (child.value.state !== 'running') childEnded(plan, acts, node, child.value)
      return
    }
    case 'job': {
      const existing = node.job === 0 ? undefined : acts.liveJob(node.job)
      if (existing !== undefined && existing.state === 'blocked') {
        node.runs = Math.max(node.runs, 1)
        goLive(plan, acts, node)
        acts.release(existing)
        return
      }
      node.runs++
      const draft = plan.drafter.job(plan.flow, plan.spec, where, node.runs)
      goLive(plan, acts, node)
      const job = acts.enqueue({ ...draft, flow: plan.flow.n, node: node.key }, { isFirst: node.runs === 1 })
      giveJob(plan, acts, node, job)
      // Refused by its pool on the spot: it moved before the node knew of it.
      if (isFinal(job.state)) {
        plan.idleCount--
        jobEnded(plan, acts, node, job)
      }
      return
    }
  }
}

function startChild(plan: Plan, acts: PlannerActs, node: FlowNode, where: NodePlace): Verdict<Flow> {
  let draft: FlowDraft | undefined
  try {
    draft = plan.drafter.flow?.(plan.flow, plan.spec, where)
  } catch (error) {
    if (error instanceof Refused) return { ok: false, refusal: error.refusal }
    throw error
  }
  if (draft === undefined) throw new Error(`${plan.flow.kind} drafts no child flow for ${where.key}`)
  return acts.startFlow({ ...draft, parent: { flow: plan.flow.n, node: node.key } })
}

/** The first job of a sparse plan's node is stored in the same batch, and says that the node is live. */
function goLive(plan: Plan, acts: PlannerActs, node: FlowNode): void {
  if (isSparse(plan.flow.plan) && node.runs === 1) applyNodeMove(plan, node, 'start')
  else moveNode(plan, acts, node, 'start')
  plan.idleCount++
}

/** The node has this job now. */
export function giveJob(plan: Plan, acts: PlannerActs, node: FlowNode, job: Job): void {
  node.job = job.n
  if (!isSparse(plan.flow.plan) || node.runs > 1) acts.saveNode(node)
}

/** The job of a node ended: the node has, too, or is tried again. */
export function jobEnded(plan: Plan, acts: PlannerActs, node: FlowNode, job: Job): void {
  const step = plan.graph.steps[node.step]!
  const told = plan.drafter.ended?.(plan.flow, plan.spec, place(plan, node), job)
  if (told !== undefined) plan.flow.detail = { ...plan.flow.detail, ...told }
  if (job.state === 'succeeded') {
    moveNode(plan, acts, node, 'succeed')
  } else if (job.state === 'failed' && node.runs <= step.retries && plan.flow.stop === 'none') {
    startNode(plan, acts, node)
  } else if (node.state !== 'skipped') {
    // The job of a skipped node was cancelled because its node was skipped.
    moveNode(plan, acts, node, 'fail')
  }
}

/** The child flow of a node ended. */
export function childEnded(plan: Plan, acts: PlannerActs, node: FlowNode, child: Flow): void {
  moveNode(plan, acts, node, child.state === 'succeeded' ? 'succeed' : 'fail')
}

/** An ended job of the flow was put back to waiting (resubmit, revive): its node is live, or waits, again. */
export function nodeRevived(plan: Plan, acts: PlannerActs, node: FlowNode, job: Job): void {
  if (node.state !== 'failed' && node.state !== 'skipped') return
  if (job.state === 'blocked') {
    moveNode(plan, acts, node, plan.steps[node.step]!.badCount > 0 ? 'awaitBlocked' : 'await')
    if (plan.steps[node.step]!.openCount === 0) openStep(plan, acts, node.step)
    return
  }
  node.runs = Math.max(node.runs, 1)
  moveNode(plan, acts, node, 'revive')
  plan.idleCount++
}
