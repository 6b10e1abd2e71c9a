// Flows: sets of nodes planned together. A step is what a definition names; a node is one instance of a step.

import type { Json, JsonObject } from './json.ts'

export const flowStates = ['running', 'succeeded', 'failed', 'cancelled'] as const
export type FlowState = (typeof flowStates)[number]

/** When a step may start, judged on the steps it needs. */
export type StepWhen =
  | 'succeeded' // all of them succeeded
  | 'ended' // all of them ended, no matter how
  | 'unfailed' // all of them ended and none failed: what was skipped is as good as done
  | 'failed' // all of them ended, and at least one failed

/** One step of a dag. `count` instances of it (fan-out) become nodes `key` or `key/0`, `key/1` … */
export interface Step {
  readonly key: string
  /** `job` runs a job, `flow` runs a flow of its own, `gate` only decides whether the way goes on. */
  readonly does: 'job' | 'flow' | 'gate'
  readonly count: number
  /** Whether instances are numbered even when there is only one. */
  readonly fansOut: boolean
  readonly needs: readonly string[]
  readonly when: StepWhen
  /** How often a failed node is tried again as a new job. */
  readonly retries: number
}

/** The shape of a dag: what the planner needs to know, and nothing of what the nodes do. */
export interface DagPlan {
  readonly steps: readonly Step[]
  /**
   * What a failure does downstream. `cut`: the branch is dead, and the flow ends when nothing else can run.
   * `spread`: dependents are blocked, which is undone when the failed node is run again.
   */
  readonly failure: 'cut' | 'spread'
  /** At most this many of its jobs waiting to start at a time; further nodes are released as those start. */
  readonly idleMax?: number
  /**
   * Its nodes are stored when they end, are blocked or run again, and not before: until then their jobs, or that they
   * have none, say where they stand. The spec of a node's first job is not stored: it is drafted again. For flows of
   * many short jobs, in which each such row is a tenth of a job's cost.
   */
  readonly sparse?: boolean
}

export interface FlowDraft {
  readonly dialect: string
  /** Names the drafter that turns nodes into jobs: `native.flow`, `prominence.workflow`, `scale.recipe`. */
  readonly kind: string
  readonly plan: DagPlan
  /** The dialect's document, opaque to the engine; its drafter reads it. */
  readonly spec: Json
  readonly owner?: string
  readonly name?: string
  readonly ref?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Nodes that count as done from the beginning (a rerun of the failed part). */
  readonly done?: readonly string[]
  readonly parent?: { readonly flow: number; readonly node: string }
  readonly detail?: JsonObject
}

export interface Flow {
  readonly n: number
  readonly id: string
  readonly dialect: string
  readonly kind: string
  readonly owner: string
  readonly name: string
  readonly ref: string | null
  readonly labels: Readonly<Record<string, string>> | null
  readonly plan: DagPlan
  readonly parentFlow: number | null
  readonly parentNode: string | null
  readonly createdAt: number
  state: FlowState
  /** Somebody asked to cancel it; it ends when its live jobs have. */
  stop: 'none' | 'cancel'
  startedAt: number | null
  endedAt: number | null
  /** Nodes by where they stand; waiting + live + done + failed + skipped = total. */
  progress: FlowProgress
  detail: JsonObject | null
  lastEvent: number
}

export interface FlowProgress {
  readonly total: number
  readonly waiting: number
  readonly live: number
  readonly done: number
  readonly failed: number
  readonly skipped: number
}

export const nodeStates = [
  'waiting', // for the steps it needs, or for room in the flow
  'blocked', // a step it needs failed; undone when that step is run again
  'live', // its job or flow is on its way
  'done',
  'failed',
  'skipped', // its condition did not hold, or its branch was cut
] as const
export type NodeState = (typeof nodeStates)[number]

export interface FlowNode {
  readonly flow: number
  /** `step` or `step/index`. */
  readonly key: string
  readonly step: number
  readonly index: number
  state: NodeState
  /** The place of its newest job or child flow, 0 when there is none yet. */
  job: number
  child: number
  /** How many jobs were made for it. */
  runs: number
}
