// Append-only facts. They are history, feed and audit; the state rows are the truth, so events are never replayed.

import type { JsonObject } from './json.ts'

/** What an event is about: a job or a flow by its place, or the server itself (0). */
export type Subject = 'job' | 'flow' | 'server'

export interface Event {
  /** Counts up by one; the cursor of every feed. */
  readonly seq: number
  readonly at: number
  readonly subject: Subject
  /** The place (n) of the job or flow. */
  readonly n: number
  /** The seq of the previous event about the same subject, 0 for its first: history without an index. */
  readonly prev: number
  /** `submitted`, or what a move is called when it has happened: `claimed`, `succeeded` … */
  readonly type: string
  readonly body: JsonObject | null
}
