// The dag planner: decides what a flow of nodes does next. A deterministic state machine without I/O; what it asks
// takes effect through PlannerActs. Its cost follows what changed: a node's end touches its step, and a step's end
// the steps that need it.

import type { DagPlan, Flow, FlowDraft, FlowNode, NodeState } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import { isFinal, isWaiting } from '../../../core/job-state.ts'
import type { Drafter, NodePlace, PlannerActs } from '../../../core/planner.ts'
import { Refused, type Verdict } from '../../../core/refusal.ts'
import { type Graph, isGraph, readGraph } from './graph.ts'

/** A flow that has not ended, with what the planner needs at hand. */
export interface Plan {
  readonly flow: Flow
  readonly spec: unknown
  readonly drafter: Drafter
  readonly graph: Graph
  readonly steps: StepRun[]
  /** How many nodes of the whole flow are in which state. */
  readonly totals: Record<NodeState, number>
  /** Nodes that are free to go, in order, and wait only for room (idleMax). */
  readonly free: { step: number; next: number }[]
  /** Steps with a node that changed, whose children have not heard of it yet. */
  readonly touched: number[]
  /** Jobs of this flow that are made and not yet started. */
  idle: number
  /** Whether the totals changed since the flow's progress was told. */
  isRecounted: boolean
  /** The planner is at work on this flow: what its own asks cause is picked up by the loop that is running. */
  busy: boolean
}

/** Where one step stands: its nodes, and how many of them are in which state. */
interface StepRun {
  readonly nodes: FlowNode[]
  readonly counts: Record<NodeState, number>
  /** Parents that have not ended. */
  open: number
  /** Parents that failed or are blocked, under `spread`. */
  bad: number
  /** Whether its own end has been told to its children, and with what badness. */
  ended: boolean
  isBad: boolean
}

/** The key of one instance: `step`, or `step/index` where the step fans out. */
export function nodeKey(step: { key: string; fansOut: boolean }, index: number): string {
  return step.fansOut ? `${step.key}/${index}` : step.key
}

/** Fresh nodes for a new flow; those named in `done` count as done from the beginning. */
export function makeNodes(flow: Flow, done: ReadonlySet<string>): FlowNode[] {
  const nodes: FlowNode[] = []
  for (const [position, step] of flow.plan.steps.entries()) {
    for (let index = 0; index < step.count; index++) {
      const key = nodeKey(step, index)
      nodes.push({
        flow: flow.n,
        key,
        step: position,
        index,
        state: done.has(key) ? 'done' : 'waiting',
        job: 0,
        child: 0,
        runs: 0,
      })
    }
  }
  return nodes
}

/** Whether a plan's nodes are stored only when their jobs cannot say where they stand. */
export function isSparse(plan: DagPlan): boolean {
  // Plans of earlier versions made all jobs ahead, and stored their nodes in the same way.
  return plan.sparse === true || 'ahead' in plan
}

/** All nodes of a stored flow: those of a sparse plan that are not stored follow from the jobs that live. */
export function completeNodes(
  flow: Flow,
  stored: readonly FlowNode[],
  jobs: Iterable<Job>,
): readonly FlowNode[] {
  if (!isSparse(flow.plan)) return stored
  const known = new Map(stored.map(node => [node.key, node]))
  const nodes = makeNodes(flow, new Set()).map(node => known.get(node.key) ?? node)
  const byKey = new Map(nodes.map(node => [node.key, node]))
  for (const job of jobs) {
    const node = job.node === null || isFinal(job.state) ? undefined : byKey.get(job.node)
    if (node === undefined || node.job > job.n) continue
    // What is stored of the node was written while it had another job, or none.
    const isNewer = node.job < job.n
    if (!isNewer && node.state !== 'waiting' && node.state !== 'blocked') continue
    if (isNewer && job.state === 'blocked' && node.state !== 'blocked') node.state = 'waiting'
    node.job = job.n
    if (job.state === 'blocked') continue
    node.state = 'live'
    node.runs = Math.max(node.runs, 1)
  }
  return nodes
}

/** Takes a flow up, new or from the store, in whatever state its nodes are. Nothing is asked yet. */
export function loadPlan(parts: {
  flow: Flow
  spec: unknown
  drafter: Drafter
  nodes: readonly FlowNode[]
  /** The plan's graph, where it was read already. */
  graph?: Graph
  jobOf(n: number): Job | undefined
}): Plan {
  const graph = parts.graph ?? readGraph(parts.flow.plan)
  if (!isGraph(graph)) throw new Error(`flow ${parts.flow.id} has a plan that was never valid: ${graph.text}`)
  const steps = graph.steps.map(
    ({ count }, at): StepRun => ({
      // Made as long as it will be: an empty list that gets its first node makes room for sixteen more.
      nodes: new Array<FlowNode>(count),
      counts: noNodes(),
      open: graph.parents[at]!.length,
      bad: 0,
      ended: false,
      isBad: false,
    }),
  )
  const plan: Plan = {
    flow: parts.flow,
    spec: parts.spec,
    drafter: parts.drafter,
    graph,
    steps,
    totals: noNodes(),
    free: [],
    touched: [],
    idle: 0,
    isRecounted: true,
    busy: false,
  }
  for (const node of parts.nodes) {
    const run = steps[node.step]!
    run.nodes[node.index] = node
    run.counts[node.state]++
    plan.totals[node.state]++
    if (node.state === 'live') {
      const job = parts.jobOf(node.job)
      if (job !== undefined && isWaiting(job.state)) plan.idle++
    }
  }
  for (const at of graph.order) {
    const run = steps[at]!
    run.isBad = run.counts.failed > 0 || run.counts.blocked > 0
    run.ended = hasEnded(run)
    for (const child of graph.children[at]!) {
      if (run.ended) steps[child]!.open--
      if (run.isBad) steps[child]!.bad++
    }
  }
  for (const at of graph.order) if (isFree(plan, at)) plan.free.push({ step: at, next: 0 })
  return plan
}

/** Goes as far as possible: releases what is free, ends the flow. Call it after loadPlan, once. */
export function beginPlan(plan: Plan, acts: PlannerActs): void {
  for (const at of plan.graph.order) {
    const run = plan.steps[at]!
    if (!run.ended && run.open === 0 && !isFree(plan, at)) decideStep(plan, acts, at)
  }
  advance(plan, acts)
}

/** A job of this flow moved. */
export function jobMoved(plan: Plan, acts: PlannerActs, job: Job, from: Job['state']): void {
  const node = nodeOf(plan, job)
  if (node === undefined) return
  if (node.state === 'live') {
    if (isWaiting(from) && !isWaiting(job.state)) plan.idle--
    if (!isWaiting(from) && isWaiting(job.state)) plan.idle++
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
    if (node.state === 'failed') setNode(plan, acts, node, 'live')
  } else {
    setNode(plan, acts, node, child.state === 'succeeded' ? 'done' : 'failed')
  }
  advance(plan, acts)
}

/** Stops everything: live work is cancelled, the rest is skipped, and the flow ends when the last live node has. */
export function cancelPlan(plan: Plan, acts: PlannerActs, message: string): void {
  plan.free.length = 0
  plan.busy = true
  for (const run of plan.steps) {
    for (const node of run.nodes) {
      const job = node.job === 0 ? undefined : acts.liveJob(node.job)
      if (node.state === 'waiting' || node.state === 'blocked') {
        setNode(plan, acts, node, 'skipped')
        if (job !== undefined) acts.cancel(job, message)
      } else if (node.state === 'live' && job !== undefined) acts.cancel(job, message)
    }
  }
  plan.busy = false
  advance(plan, acts)
}

/** Everything that failed, was blocked or skipped waits again; what is done stays done. For nodes of an ended flow. */
export function resetNodes(nodes: readonly FlowNode[]): FlowNode[] {
  const reset = nodes.filter(node => node.state !== 'done')
  for (const node of reset) {
    node.state = 'waiting'
    node.runs = 0
  }
  return reset
}

/** How many nodes stand where, for the flow's progress. */
export function countNodes({ totals }: Plan): Flow['progress'] {
  const { waiting, blocked, live, done, failed, skipped } = totals
  return {
    total: waiting + blocked + live + done + failed + skipped,
    waiting: waiting + blocked,
    live,
    done,
    failed,
    skipped,
  }
}

function noNodes(): Record<NodeState, number> {
  return { waiting: 0, blocked: 0, live: 0, done: 0, failed: 0, skipped: 0 }
}

/** The node that a job works for, if the job is still the node's newest. */
export function nodeOf(plan: Plan, job: Job): FlowNode | undefined {
  const node = findNode(plan, job.node)
  return node?.job === job.n ? node : undefined
}

/** What a waiting or blocked node waits for: its parents that are not done. */
export function openParents(plan: Plan, key: string): FlowNode[] {
  const node = findNode(plan, key)
  if (node === undefined) return []
  return plan.graph.parents[node.step]!.flatMap(parent =>
    plan.steps[parent]!.nodes.filter(other => other.state !== 'done'),
  )
}

/** Which instance of which step has this key; undefined when the graph has none. */
export function findPlace({ steps, places }: Graph, key: string): NodePlace | undefined {
  const whole = places.get(key)
  if (whole !== undefined && !steps[whole]!.fansOut) return { step: key, index: 0, key }
  const slash = key.lastIndexOf('/')
  const step = slash < 0 ? undefined : places.get(key.slice(0, slash))
  return step === undefined ? undefined : { step: steps[step]!.key, index: Number(key.slice(slash + 1)), key }
}

export function findNode(plan: Plan, key: string | null): FlowNode | undefined {
  if (key === null) return undefined
  const places = plan.graph.places
  const whole = places.get(key)
  if (whole !== undefined && !plan.graph.steps[whole]!.fansOut) return plan.steps[whole]!.nodes[0]
  const slash = key.lastIndexOf('/')
  const step = slash < 0 ? undefined : places.get(key.slice(0, slash))
  return step === undefined ? undefined : plan.steps[step]!.nodes[Number(key.slice(slash + 1))]
}

// ---- what follows from a node's end ----

function jobEnded(plan: Plan, acts: PlannerActs, node: FlowNode, job: Job): void {
  const step = plan.graph.steps[node.step]!
  const told = plan.drafter.ended?.(plan.flow, plan.spec, place(plan, node), job)
  if (told !== undefined) plan.flow.detail = { ...plan.flow.detail, ...told }
  if (job.state === 'succeeded') {
    setNode(plan, acts, node, 'done')
  } else if (job.state === 'failed' && node.runs <= step.retries && plan.flow.stop === 'none') {
    startNode(plan, acts, node)
  } else if (node.state === 'live' || node.state === 'waiting' || node.state === 'blocked') {
    setNode(plan, acts, node, 'failed')
  }
}

/** An ended job of the flow was put back to waiting (resubmit, revive): its node is live, or waits, again. */
function nodeRevived(plan: Plan, acts: PlannerActs, node: FlowNode, job: Job): void {
  if (node.state !== 'failed' && node.state !== 'skipped') return
  if (job.state === 'blocked') {
    setNode(plan, acts, node, plan.steps[node.step]!.bad > 0 ? 'blocked' : 'waiting')
    if (plan.steps[node.step]!.open === 0) decideStep(plan, acts, node.step)
    return
  }
  node.runs = Math.max(node.runs, 1)
  setNode(plan, acts, node, 'live')
  plan.idle++
}

/** The one place where a node changes. What it means to other steps is worked out by `settleSteps`, without recursion. */
function setNode(plan: Plan, acts: PlannerActs, node: FlowNode, state: NodeState): void {
  if (node.state === state) return
  acts.saveNode(node)
  moveNode(plan, node, state)
}

/** As `setNode`, where what is stored of the node's job says as much. */
function moveNode(plan: Plan, node: FlowNode, state: NodeState): void {
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
function settleSteps(plan: Plan, acts: PlannerActs): void {
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
function decideStep(plan: Plan, acts: PlannerActs, at: number): void {
  const run = plan.steps[at]!
  if (run.counts.waiting === 0 || plan.flow.stop !== 'none') return
  if (mayRun(plan, at)) {
    plan.free.push({ step: at, next: 0 })
  } else if (plan.flow.plan.failure === 'cut' || run.bad === 0) {
    skipStep(plan, acts, at)
  }
}

function mayRun({ graph, steps }: Plan, at: number): boolean {
  const { when } = graph.steps[at]!
  if (when === 'ended') return true
  for (const parent of graph.parents[at]!) {
    const { counts, nodes } = steps[parent]!
    if (when === 'failed' && counts.failed > 0) return true
    if (when === 'succeeded' && counts.done < nodes.length) return false
    if (when === 'unfailed' && counts.failed > 0) return false
  }
  return when !== 'failed'
}

function skipStep(plan: Plan, acts: PlannerActs, at: number): void {
  for (const node of plan.steps[at]!.nodes) {
    if (node.state !== 'waiting') continue
    const job = node.job === 0 ? undefined : acts.liveJob(node.job)
    setNode(plan, acts, node, 'skipped')
    if (job !== undefined) acts.cancel(job, 'its condition did not hold')
  }
}

// ---- going on ----

/** Starts free nodes while there is room, then ends the flow if nothing is left to do. */
function advance(plan: Plan, acts: PlannerActs): void {
  if (plan.busy) return
  plan.busy = true
  const idleMax = plan.flow.plan.idleMax ?? Number.POSITIVE_INFINITY
  for (;;) {
    settleSteps(plan, acts)
    const segment = plan.free[0]
    if (segment === undefined || plan.idle >= idleMax) break
    const node = nextWaiting(plan, segment)
    if (node === undefined) plan.free.shift()
    else startNode(plan, acts, node)
  }
  plan.busy = false
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

function startNode(plan: Plan, acts: PlannerActs, node: FlowNode): void {
  const step = plan.graph.steps[node.step]!
  const where = place(plan, node)
  switch (step.does) {
    case 'gate': {
      const opens = plan.drafter.gate?.(plan.flow, plan.spec, where) ?? true
      setNode(plan, acts, node, opens ? 'done' : 'skipped')
      return
    }
    case 'flow': {
      node.runs++
      const child = startChild(plan, acts, node, where)
      if (!child.ok) {
        // What its siblings are filled in with may be fine: only this node fails, and trying again changes nothing.
        acts.tellRefused(plan.flow, node, child.refusal)
        setNode(plan, acts, node, 'failed')
        return
      }
      setNode(plan, acts, node, 'live')
      node.child = child.value.n
      acts.saveNode(node)
      if (child.value.state !== 'running') childMoved(plan, acts, child.value)
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
        plan.idle--
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
  if (isSparse(plan.flow.plan) && node.runs === 1) moveNode(plan, node, 'live')
  else setNode(plan, acts, node, 'live')
  plan.idle++
}

function giveJob(plan: Plan, acts: PlannerActs, node: FlowNode, job: Job): void {
  node.job = job.n
  if (!isSparse(plan.flow.plan) || node.runs > 1) acts.saveNode(node)
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
  if (isFinal(job.state)) setNode(plan, acts, node, 'failed')
  else if (node.state === 'blocked') acts.block(job)
  advance(plan, acts)
  return job
}

/** A flow ends when nothing runs and nothing will; under `spread` a failure can be undone, so it stays open. */
function endIfDone(plan: Plan, acts: PlannerActs): void {
  if (plan.flow.state !== 'running') return
  const { total, done, failed, waiting, skipped } = countNodes(plan)
  if (plan.flow.stop === 'cancel') acts.endFlow(plan.flow, 'cancelled')
  else if (done + skipped === total) acts.endFlow(plan.flow, 'succeeded')
  else if (plan.flow.plan.failure === 'cut' && failed > 0 && waiting === 0) acts.endFlow(plan.flow, 'failed')
}

function hasEnded(run: StepRun): boolean {
  return run.counts.done + run.counts.failed + run.counts.skipped === run.nodes.length
}

/** Free to go: has waiting nodes, all parents ended, and its condition holds. */
function isFree(plan: Plan, at: number): boolean {
  const run = plan.steps[at]!
  return run.counts.waiting > 0 && run.open === 0 && plan.flow.stop === 'none' && mayRun(plan, at)
}

function place(plan: Plan, node: FlowNode): NodePlace {
  return { step: plan.graph.steps[node.step]!.key, index: node.index, key: node.key }
}
