// The executor port: the hands. An executor starts attempts, tells what became of them, and forgets them when told.
// Adapters (function, process, container, later slurm and kubernetes) must pass conformance.ts.

import type { AttemptId, JobId } from '../core/ids.ts'
import type { Outcome, Resources } from '../core/job.ts'
import type { StopRequest } from '../core/job-state.ts'
import type { Json, JsonObject } from '../core/json.ts'

export interface Executor {
  readonly name: string
  readonly can: Abilities
  /** Makes ready to work; `report` takes news of attempts, in batches, at any time until close. */
  open(report: (reports: readonly Report[]) => void): Promise<void>
  /** Refuses, with a sentence, a spec that can never run in a job of this dialect; called before a job is accepted. */
  check(spec: Json, dialect: string): string | undefined
  /** Idempotent by attempt id. Never throws: what cannot start is reported as ended, reason `launch`. */
  start(orders: readonly StartOrder[]): void
  /** What became of these attempts, one report for each: `began`, `ended`, or `unknown`. Adopts the living. */
  look(ids: readonly AttemptId[]): Promise<Report[]>
  /** `ask` lets it end by itself within the grace time, `kill` does not. The end is reported, once. */
  stop(id: AttemptId, how: 'ask' | 'kill', why: StopRequest): void
  /** Bytes of a stream from an offset, also while it runs and after its end; undefined when there is no such stream. */
  read(id: AttemptId, stream: string, from: number, maxBytes: number): Promise<Chunk | undefined>
  /** The outcome is committed: what was kept in order to report it may go. `streams` too when the job is forgotten. */
  forget(ids: readonly AttemptId[], what: { streams: boolean }): void
  /** Ends the executor; attempts that survive restarts are left running, others are ended and not reported. */
  close(): Promise<void>
}

export interface Abilities {
  /** Its attempts go on when the server is gone, and `look` finds them again. */
  readonly survivesRestart: boolean
  /** A stopped attempt can be taken up later where it was: pause means something. */
  readonly pause: boolean
  /** It tells how far an attempt is. */
  readonly progress: boolean
  /** The attempt itself reports begin and end through a dialect (ecFlow's child commands). */
  readonly reportsItself: boolean
}

export interface StartOrder {
  readonly id: AttemptId
  readonly job: JobId
  readonly dialect: string
  readonly kind: string
  readonly owner: string
  readonly spec: Json
  readonly needs: Resources | null
  readonly runMsMax: number | null
}

export type Report =
  | { readonly id: AttemptId; readonly type: 'began'; readonly at: number }
  | {
      readonly id: AttemptId
      readonly type: 'progress'
      readonly fraction: number | null
      readonly detail?: JsonObject
    }
  | { readonly id: AttemptId; readonly type: 'ended'; readonly outcome: Outcome }
  /** Only an answer to look: no trace of it was found, and it will never be reported. */
  | { readonly id: AttemptId; readonly type: 'unknown' }

export interface Chunk {
  readonly bytes: Uint8Array
  /** Where the stream's known end is, in bytes from its beginning. */
  readonly sizeBytes: number
}
