// The job and what belongs to it: one piece of work with a fixed spec, a place in a pool, and an outcome.

import type { AttemptId, JobId } from './ids.ts'
import type { EndReason, JobState, StopRequest } from './job-state.ts'
import type { Json, JsonObject } from './json.ts'

/** What a job takes from its pool while it is live. A pool limits only what it declares. */
export interface Resources {
  readonly cpus?: number
  readonly memoryBytes?: number
  readonly diskBytes?: number
}

/** What a submitter says. Everything but `dialect`, `executor`, `kind` and `spec` has a default. */
export interface JobDraft {
  readonly dialect: string
  /** The name of the executor that runs it: `function`, `process`, `container` … */
  readonly executor: string
  /** What kind of work it is, for people and metrics: `process`, `dicom.archive`, `prominence.job` … */
  readonly kind: string
  /** Fixed for life and opaque to the engine; the executor reads it. */
  readonly spec: Json
  readonly owner?: string
  readonly name?: string
  /** The dialect's own name for it (a number, a path); unique within the dialect when given. */
  readonly ref?: string
  readonly labels?: Readonly<Record<string, string>>
  /** The pool it competes in; `default` unless said. */
  readonly pool?: string
  /** Its place in the pool, ascending: a lower rank starts first. */
  readonly rank?: number
  readonly needs?: Resources
  /** What becomes of a job that its pool can never hold: refused, or accepted and failed at once (`no-resources`). */
  readonly unfit?: 'refuse' | 'fail'
  /** It may not start until released by an operator. */
  readonly held?: boolean
  /** Not before this instant (epoch ms). */
  readonly dueAt?: number
  /** It waits for upstream work; only its planner releases it. */
  readonly blocked?: boolean
  /** How many attempts may fail before it does; 1 unless said. */
  readonly triesMax?: number
  /** The first pause between attempts; doubled each time, up to an hour. */
  readonly backoffMs?: number
  /** Longest wait in the queue; without it, for ever. */
  readonly queueMsMax?: number
  /** Longest run of one attempt; without it, for ever. */
  readonly runMsMax?: number
  /** The flow (its place) and the node that this job works for. */
  readonly flow?: number
  readonly node?: string
  /** Facts of the dialect's own that are kept with the job and may change. */
  readonly detail?: JsonObject
}

/** A job as the engine keeps it while it is not final, and as the store gives it back. Specs are kept apart. */
export interface Job {
  /** Its place in the order of submission; never reused. Lists page by it. */
  readonly n: number
  readonly id: JobId
  readonly dialect: string
  readonly executor: string
  readonly kind: string
  readonly owner: string
  readonly name: string
  readonly ref: string | null
  readonly labels: Readonly<Record<string, string>> | null
  readonly pool: string
  readonly needs: Resources | null
  readonly flow: number | null
  readonly node: string | null
  readonly triesMax: number
  readonly backoffMs: number
  readonly queueMsMax: number | null
  readonly runMsMax: number | null
  readonly createdAt: number
  rank: number
  state: JobState
  held: boolean
  stop: StopRequest
  reason: EndReason | null
  /** A sentence for people: why it ended or waits as it does. */
  message: string | null
  exitCode: number | null
  /** How many attempts were made; the last one's id is attemptIdOf(id, attempts). */
  attempts: number
  /** How many of them count against triesMax. */
  tries: number
  /** When it became able to start, for the queue's time-out and its wait. */
  readyAt: number | null
  /** When it may become ready again; only while delayed. */
  dueAt: number | null
  startedAt: number | null
  endedAt: number | null
  /** The executor's and the dialect's facts: usage, task records, outputs that are values. */
  detail: JsonObject | null
  /** The newest event about it; events of one subject are chained backwards. */
  lastEvent: number
}

/** What an attempt came to. */
export interface Outcome {
  readonly result: 'succeeded' | 'failed' | 'stopped' | 'lost'
  readonly reason?: EndReason
  readonly message?: string
  readonly exitCode?: number
  readonly startedAt?: number
  readonly endedAt?: number
  readonly usage?: Usage
  /** Facts that become part of the job's detail. */
  readonly detail?: JsonObject
  /** Results of the job, by name. */
  readonly outputs?: readonly OutputDraft[]
}

/** What an attempt used. Times in ms, sizes in bytes. */
export interface Usage {
  readonly wallMs?: number
  readonly cpuMs?: number
  readonly maxRssBytes?: number
}

/** An ended attempt, as history keeps it. */
export interface Attempt {
  readonly id: AttemptId
  readonly job: number
  readonly number: number
  readonly startedAt: number | null
  readonly endedAt: number
  readonly result: Outcome['result']
  readonly reason: EndReason | null
  readonly message: string | null
  readonly exitCode: number | null
  readonly usage: Usage | null
}

/** A named result of a job: a JSON value, or bytes kept as a blob. */
export interface OutputDraft {
  readonly name: string
  readonly value?: Json
  readonly blob?: { readonly hash: string; readonly sizeBytes: number; readonly mediaType?: string }
}

export interface Output extends OutputDraft {
  readonly job: number
  readonly createdAt: number
}
