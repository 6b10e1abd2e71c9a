// What the planner knows of a flow that has not ended: its graph, its nodes by step, and how many stand where.

import type { Flow, FlowNode, NodeState } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import { isWaiting } from '../../../core/job-state.ts'
import type { Drafter, NodePlace } from '../../../core/planner.ts'
import { hasEnded, hasTrouble, isFree } from './conditions.ts'
import { type Graph, isGraph, readGraph } from './graph.ts'
import { indexOf, stepOf } from './nodes.ts'

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
  idleCount: number
  /** Whether the totals changed since the flow's progress was told. */
  isRecounted: boolean
  /** The planner is at work on this flow: what its own asks cause is picked up by the loop that is running. */
  isBusy: boolean
}

/** Where one step stands: its nodes, and how many of them are in which state. */
export interface StepRun {
  readonly nodes: FlowNode[]
  readonly counts: Record<NodeState, number>
  /** Parents that have not ended. */
  openCount: number
  /** Parents that failed or are blocked, under `spread`. */
  badCount: number
  /** Whether its own end has been told to its children, and with what badness. */
  isOver: boolean
  isBad: boolean
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
      openCount: graph.parents[at]!.length,
      badCount: 0,
      isOver: false,
      isBad: false,
    }),
  )
  const plan: Plan = {
    flow: parts.flow,
    spec: parts.drafter.hold === undefined ? parts.spec : parts.drafter.hold(parts.spec),
    drafter: parts.drafter,
    graph,
    steps,
    totals: noNodes(),
    free: [],
    touched: [],
    idleCount: 0,
    isRecounted: true,
    isBusy: false,
  }
  for (const node of parts.nodes) {
    const run = steps[node.step]!
    run.nodes[node.index] = node
    run.counts[node.state]++
    plan.totals[node.state]++
    if (node.state === 'live') {
      const job = parts.jobOf(node.job)
      if (job !== undefined && isWaiting(job.state)) plan.idleCount++
    }
  }
  for (const at of graph.order) {
    const run = steps[at]!
    run.isBad = hasTrouble(run)
    run.isOver = hasEnded(run)
    for (const child of graph.children[at]!) {
      if (run.isOver) steps[child]!.openCount--
      if (run.isBad) steps[child]!.badCount++
    }
  }
  for (const at of graph.order) if (isFree(plan, at)) plan.free.push({ step: at, next: 0 })
  return plan
}

function noNodes(): Record<NodeState, number> {
  return { waiting: 0, blocked: 0, live: 0, done: 0, failed: 0, skipped: 0 }
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

/** The node that a job works for, if the job is still the node's newest. */
export function nodeOf(plan: Plan, job: Job): FlowNode | undefined {
  const node = findNode(plan, job.node)
  return node?.job === job.n ? node : undefined
}

/** The node of a key; undefined when the flow has none. */
export function findNode(plan: Plan, key: string | null): FlowNode | undefined {
  if (key === null) return undefined
  const at = stepOf(plan.graph, key)
  return at === undefined ? undefined : plan.steps[at]!.nodes[indexOf(plan.graph.steps[at]!, key)]
}

/** What a drafter is told of a node. */
export function place(plan: Plan, node: FlowNode): NodePlace {
  return { step: plan.graph.steps[node.step]!.key, index: node.index, key: node.key }
}

/** What a waiting or blocked node waits for: its parents that are not done. */
export function openParents(plan: Plan, key: string): FlowNode[] {
  const node = findNode(plan, key)
  if (node === undefined) return []
  return plan.graph.parents[node.step]!.flatMap(parent =>
    plan.steps[parent]!.nodes.filter(other => other.state !== 'done'),
  )
}
