// The flows that have not ended, each with its plan: starts them, tells the planner what happened, ends them.

import type { DagPlan, Flow, FlowDraft, FlowNode } from '../../../core/flow.ts'
import type { Job, JobDraft } from '../../../core/job.ts'
import { isFinal } from '../../../core/job-state.ts'
import type { Json } from '../../../core/json.ts'
import type { Drafter, PlannerActs } from '../../../core/planner.ts'
import { granted, type Refusal, Refused, refused, type Verdict } from '../../../core/refusal.ts'
import { applyMove } from '../../move.ts'
import { cancelJob } from '../../stop.ts'
import { noteFlow, noteJob, saveNode, type Yard } from '../../yard.ts'
import { beginPlan, cancelPlan, childMoved, jobMoved, makeJobOf } from './dag.ts'
import { type Graph, isGraph, readGraph } from './graph.ts'
import { completeNodes, findPlace, isSparse, makeNodes, resetNodes } from './nodes.ts'
import { countNodes, findNode, loadPlan, type Plan } from './plan.ts'

/** Flows in flows in flows: deeper is refused, since each level holds the ones above open. */
const nestingMax = 32

export interface FlowsParts {
  readonly yard: Yard
  readonly newId: () => string
  /** `isDrafted`: the spec follows from the flow's document, and need not be stored. */
  readonly submit: (draft: JobDraft, options: { isDrafted: boolean }) => Job
}

export class Flows {
  readonly plans = new Map<number, Plan>()
  readonly drafters = new Map<string, Drafter>()
  readonly #parts: FlowsParts
  readonly #acts: PlannerActs
  readonly #graphs = new WeakMap<DagPlan, Graph>()

  constructor(parts: FlowsParts) {
    this.#parts = parts
    this.#acts = this.#makeActs()
  }

  clear(): void {
    this.plans.clear()
  }

  /** Makes a flow with its nodes and releases what is free. Throws a refusal when the plan or its drafter is no good. */
  start(draft: FlowDraft): Flow {
    const graph = this.#graphOf(draft)
    if (!isGraph(graph)) throw new Refused(graph)
    return this.#open(draft, graph)
  }

  /** The graph of a draft, or why it could never be a flow. */
  #graphOf(draft: FlowDraft): Graph | Refusal {
    // Flows of one kind often share their plan, and a plan never changes.
    const graph = this.#graphs.get(draft.plan) ?? readGraph(draft.plan)
    if (isGraph(graph)) this.#graphs.set(draft.plan, graph)
    if (isGraph(graph) && this.#depthOf(draft.parent?.flow) >= nestingMax)
      return refused('bad-request', `flows may be nested ${nestingMax} deep at most`).refusal
    return graph
  }

  #open(draft: FlowDraft, graph: Graph): Flow {
    const drafter = this.#drafterOf(draft.kind)
    const { yard } = this.#parts
    const flow: Flow = {
      n: ++yard.model.lastN,
      id: this.#parts.newId(),
      dialect: draft.dialect,
      kind: draft.kind,
      owner: draft.owner ?? '',
      name: draft.name ?? '',
      ref: draft.ref ?? null,
      labels: draft.labels ?? null,
      plan: draft.plan,
      parentFlow: draft.parent?.flow ?? null,
      parentNode: draft.parent?.node ?? null,
      createdAt: yard.now(),
      state: 'running',
      stop: 'none',
      startedAt: null,
      endedAt: null,
      progress: { total: 0, waiting: 0, live: 0, done: 0, failed: 0, skipped: 0 },
      detail: draft.detail ?? null,
      lastEvent: 0,
    }
    yard.model.addFlow(flow)
    yard.batch.addFlow(flow, JSON.stringify(draft.spec))
    noteFlow(yard, flow, 'submitted')
    const nodes = makeNodes(flow, new Set(draft.done))
    for (const node of nodes) if (!isSparse(draft.plan) || node.state !== 'waiting') saveNode(yard, node)
    this.#begin(
      loadPlan({ flow, spec: draft.spec, drafter, nodes, graph, jobOf: n => yard.model.jobs.get(n) }),
    )
    return flow
  }

  /** Takes up a running flow after a restart, without asking anything yet. */
  adopt(flow: Flow, spec: unknown, stored: readonly FlowNode[], jobs: readonly Job[]): void {
    const { yard } = this.#parts
    yard.model.addFlow(flow)
    const plan = loadPlan({
      flow,
      spec,
      drafter: this.#drafterOf(flow.kind),
      nodes: completeNodes(flow, stored, jobs),
      jobOf: n => yard.model.jobs.get(n),
    })
    this.plans.set(flow.n, plan)
    flow.progress = countNodes(plan)
  }

  /** Lets all adopted flows go on. */
  resume(): void {
    for (const plan of [...this.plans.values()]) beginPlan(plan, this.#acts)
  }

  /** Runs the failed, blocked and skipped part of an ended flow again. */
  rerun(flow: Flow, spec: unknown, nodes: readonly FlowNode[]): Verdict<Flow> {
    if (flow.state === 'running') return refused('illegal-move', `flow ${flow.id} has not ended`)
    if (flow.state === 'succeeded')
      return refused('illegal-move', `flow ${flow.id} succeeded: there is nothing to run again`)
    const { yard } = this.#parts
    for (const node of resetNodes(nodes)) saveNode(yard, node)
    yard.model.addFlow(flow)
    this.#acts.reopenFlow(flow)
    this.#begin(
      loadPlan({
        flow,
        spec,
        drafter: this.#drafterOf(flow.kind),
        nodes,
        jobOf: n => yard.model.jobs.get(n),
      }),
    )
    return granted(flow)
  }

  cancel(flow: Flow, message: string): Verdict<Flow> {
    const plan = this.plans.get(flow.n)
    if (plan === undefined || flow.state !== 'running') {
      return refused('illegal-move', `flow ${flow.id} has ended: it ${flow.state}`, {
        facts: { state: flow.state },
      })
    }
    if (flow.stop === 'cancel') return granted(flow)
    flow.stop = 'cancel'
    noteFlow(this.#parts.yard, flow, 'stop-asked', { stop: 'cancel' })
    for (const { nodes } of plan.steps) {
      for (const node of nodes) {
        const child =
          node.state === 'live' && node.child !== 0 ? this.#parts.yard.model.flows.get(node.child) : undefined
        if (child?.state === 'running') this.cancel(child, message)
      }
    }
    cancelPlan(plan, this.#acts, message)
    return granted(flow)
  }

  /** The spec of a node's first job, as it was drafted; undefined when there is none of its own to be had. */
  draftSpec(flow: Flow, spec: unknown, key: string): Json | undefined {
    const graph = isSparse(flow.plan) ? (this.plans.get(flow.n)?.graph ?? readGraph(flow.plan)) : undefined
    const place = graph !== undefined && isGraph(graph) ? findPlace(graph, key) : undefined
    return place && this.drafters.get(flow.kind)?.job(flow, spec, place, 1).spec
  }

  /** Makes the job of a node that waits, before its time. */
  makeJob(flow: Flow, key: string): Verdict<Job> {
    const plan = this.plans.get(flow.n)
    const job = plan === undefined ? undefined : makeJobOf(plan, this.#acts, key)
    if (plan === undefined || job === undefined)
      return refused('illegal-move', `flow ${flow.id} has no node ${key} that waits for a job`)
    plan.flow.progress = countNodes(plan)
    return granted(job)
  }

  /** Tells the planner of a job's move; keeps the flow's progress in step. */
  jobMoved(job: Job, from: Job['state']): void {
    const plan = job.flow === null ? undefined : this.plans.get(job.flow)
    if (plan === undefined) return
    const flow = plan.flow
    if (
      flow.startedAt === null &&
      (job.state === 'running' || isFinal(job.state)) &&
      job.startedAt !== null
    ) {
      flow.startedAt = job.startedAt
      this.#parts.yard.batch.changeFlow(flow)
    }
    jobMoved(plan, this.#acts, job, from)
    // A start, which is half of all moves, changes nothing that is counted.
    if (plan.isRecounted) flow.progress = countNodes(plan)
    plan.isRecounted = false
  }

  #begin(plan: Plan): void {
    this.plans.set(plan.flow.n, plan)
    beginPlan(plan, this.#acts)
    plan.flow.progress = countNodes(plan)
  }

  #drafterOf(kind: string): Drafter {
    const drafter = this.drafters.get(kind)
    if (drafter === undefined) throw new Error(`nobody drafts jobs for flows of kind ${kind}`)
    return drafter
  }

  #depthOf(parent: number | undefined): number {
    let depth = 0
    for (let at = parent; at !== undefined; depth++)
      at = this.#parts.yard.model.flows.get(at)?.parentFlow ?? undefined
    return depth
  }

  #makeActs(): PlannerActs {
    const { yard } = this.#parts
    return {
      enqueue: (draft, { isFirst }) => {
        const plan = this.plans.get(draft.flow!)
        return this.#parts.submit(draft, {
          isDrafted: isFirst && plan !== undefined && isSparse(plan.flow.plan),
        })
      },
      startFlow: draft => {
        const graph = this.#graphOf(draft)
        return isGraph(graph) ? granted(this.#open(draft, graph)) : { ok: false, refusal: graph }
      },
      tellRefused: (flow, node, { text }) =>
        noteFlow(yard, flow, 'node-refused', { node: node.key, message: text }),
      release: job => {
        job.reason = null
        applyMove(yard, job, 'release')
      },
      block: job => this.#block(job),
      cancel: (job, message) => {
        cancelJob(yard, job, { message })
      },
      cancelFlow: flow => {
        this.cancel(flow, 'cancelled with the flow it belongs to')
      },
      liveJob: n => {
        const job = yard.model.jobs.get(n)
        return job === undefined || isFinal(job.state) ? undefined : job
      },
      saveNode: node => saveNode(yard, node),
      endFlow: (flow, state) => {
        const plan = this.plans.get(flow.n)
        if (plan !== undefined) flow.progress = countNodes(plan)
        flow.state = state
        flow.endedAt = yard.now()
        this.plans.delete(flow.n)
        yard.batch.endedFlows.push(flow)
        noteFlow(yard, flow, state)
        this.#tellParent(flow)
      },
      reopenFlow: flow => {
        flow.state = 'running'
        flow.stop = 'none'
        flow.endedAt = null
        noteFlow(yard, flow, 'reopened')
        this.#tellParent(flow)
      },
    }
  }

  /** A blocked job shows, by its reason, whether something upstream failed; that may come and go. */
  #block(job: Job): void {
    const { yard } = this.#parts
    const plan = job.flow === null ? undefined : this.plans.get(job.flow)
    const node = plan === undefined ? undefined : findNode(plan, job.node)
    const reason = node?.state === 'blocked' ? 'upstream' : null
    if (job.state !== 'blocked') applyMove(yard, job, 'block', reason === null ? {} : { reason })
    else if (job.reason !== reason) {
      job.reason = reason
      noteJob(yard, job, reason === null ? 'upstream-mended' : 'upstream-failed')
    }
  }

  #tellParent(flow: Flow): void {
    const parent = flow.parentFlow === null ? undefined : this.plans.get(flow.parentFlow)
    if (parent === undefined) return
    childMoved(parent, this.#acts, flow)
    parent.flow.progress = countNodes(parent)
  }
}
