// The nodes of a flow as they are named and stored: fresh ones, those that follow from their jobs, those to run again.

import type { DagPlan, Flow, FlowNode } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import { isFinal } from '../../../core/job-state.ts'
import type { NodePlace } from '../../../core/planner.ts'
import type { Graph } from './graph.ts'

/** The key of one instance: `step`, or `step/index` where the step fans out. */
export function nodeKey(step: { key: string; fansOut: boolean }, index: number): string {
  return step.fansOut ? `${step.key}/${index}` : step.key
}

/** The position of the step that has an instance of this key; undefined when the graph has none. */
export function stepOf({ steps, places }: Graph, key: string): number | undefined {
  const whole = places.get(key)
  if (whole !== undefined && !steps[whole]!.fansOut) return whole
  const slash = key.lastIndexOf('/')
  return slash < 0 ? undefined : places.get(key.slice(0, slash))
}

/** Which instance of its step a key names. */
export function indexOf(step: { key: string }, key: string): number {
  return step.key === key ? 0 : Number(key.slice(key.lastIndexOf('/') + 1))
}

/** Which instance of which step has this key; undefined when the graph has none. */
export function findPlace(graph: Graph, key: string): NodePlace | undefined {
  const at = stepOf(graph, key)
  if (at === undefined) return undefined
  const step = graph.steps[at]!
  return { step: step.key, index: indexOf(step, key), key }
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

/** Everything that failed, was blocked or skipped waits again; what is done stays done. For nodes of an ended flow. */
export function resetNodes(nodes: readonly FlowNode[]): FlowNode[] {
  const reset = nodes.filter(node => node.state !== 'done')
  for (const node of reset) {
    node.state = 'waiting'
    node.runs = 0
  }
  return reset
}
