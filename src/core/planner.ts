// The planner port: deterministic state machines without I/O that decide what a flow does next.
// `dag` lives in engine/planners/dag/, `suite` in domains/suite/. What they ask takes effect in the model at once,
// and in the world after the commit. Planning twice without a new stimulus must yield nothing.

import type { Flow, FlowDraft, FlowNode, FlowState } from './flow.ts'
import type { Job, JobDraft } from './job.ts'
import type { JsonObject } from './json.ts'
import type { Refusal, Verdict } from './refusal.ts'

/** What a planner may do to the world. Each call changes the model before it returns. */
export interface PlannerActs {
  /** Makes a job that works for (flow, node). `isFirst`: the drafter would draft the same again, whenever it is asked. */
  enqueue(draft: JobDraft, options: { readonly isFirst: boolean }): Job
  /** Starts a child flow; refuses, with nothing changed, a plan that is no good. */
  startFlow(draft: FlowDraft): Verdict<Flow>
  /** Writes down why a node failed that never came to have a job or flow. */
  tellRefused(flow: Flow, node: FlowNode, refusal: Refusal): void
  /** Lets a blocked job go, or makes a job wait for upstream again. */
  release(job: Job): void
  block(job: Job): void
  cancel(job: Job, message: string): void
  cancelFlow(flow: Flow): void
  /** Looks up a job that has not ended. */
  liveJob(n: number): Job | undefined
  /** The node was changed: it is part of the open batch. */
  saveNode(node: FlowNode): void
  /** Ends a flow; waiters wake after the commit. */
  endFlow(flow: Flow, state: Exclude<FlowState, 'running'>): void
  /** Puts an ended flow back to running. */
  reopenFlow(flow: Flow): void
}

/**
 * Turns nodes into jobs: registered by a dialect for its kind of flow. Pure, and the same each time; only how much of
 * its pool a job asks for may follow what is free of it.
 */
export interface Drafter {
  /** The job of a node; `run` counts from 1 and rises with each retry of the node. */
  job(flow: Flow, spec: unknown, node: NodePlace, run: number): JobDraft
  /**
   * What of a flow's document this drafter looks at: only that is held in memory while the flow lives. All of it unless
   * given. Whoever calls may hand in the whole document as well.
   */
  hold?(spec: unknown): unknown
  /** The child flow of a node that does a flow; throws Refused where there can be none, and the node fails. */
  flow?(flow: Flow, spec: unknown, node: NodePlace): FlowDraft
  /**
   * Whether a gate opens, given what its upstream jobs brought: `true`, `false`, or a child's detail.
   * Called once, when everything it needs has ended well.
   */
  gate?(flow: Flow, spec: unknown, node: NodePlace): boolean
  /** More to say, and to keep, when a job of the flow has ended: becomes part of the flow's detail. */
  ended?(flow: Flow, spec: unknown, node: NodePlace, job: Job): JsonObject | undefined
}

/** Which instance of which step. */
export interface NodePlace {
  readonly step: string
  readonly index: number
  /** `step` or `step/index`: unique in the flow. */
  readonly key: string
}
