// What an adapter hands to the conformance suite: its name, how one is made, and specs in its own language.

import type { Json } from '../../core/json.ts'

export interface ConformanceSubject {
  readonly name: string
  /** A module that exports `makeExecutor(folder)`; killed servers of the tests load it, too. */
  readonly moduleUrl: string
  /** Specs of the adapter's own language; `folder` is a place for files of the test. */
  samples(folder: string): ConformanceSamples
  /** How many attempts the crowd has; 1 000 unless given. */
  readonly crowdCount?: number
  /** Why the whole suite cannot run here, if it cannot. */
  readonly skip?: string
}

export interface ConformanceSamples {
  /** Ends well and at once. */
  readonly succeeds: Json
  readonly fails: { readonly spec: Json; readonly exitCode: number }
  /** Runs for minutes unless asked to stop, and then ends at once. */
  readonly runsLong: Json
  /** Does not end when asked; its grace time is short (below a second). */
  readonly ignoresAsking: Json
  /** Writes `text` to `stream`, and ends once the file `until` exists, which the test makes. */
  readonly prints: {
    readonly spec: Json
    readonly stream: string
    readonly text: string
    readonly until: string
  }
  /** Appends one line to the file `path` each time it is run, then ends well. */
  marks(path: string): Json
  /** A spec that can never run. */
  readonly impossible: Json
  /** Leaves a process behind that would append to `path` for ever; absent where there are no processes. */
  leavesProcess?(path: string): Json
}
