// What a dialect hands to the talk executor: a function that runs on the server's own event loop.

import type { JobId } from './ids.ts'
import type { Json, JsonObject } from './json.ts'
import type { WorkResult, WorkTools } from './work.ts'

/** What a running talk may use besides its input. */
export interface TalkTools extends Pick<WorkTools, 'signal' | 'stopReason' | 'progress' | 'log'> {
  readonly job: JobId
}

/**
 * Work that mostly waits for others: it asks machines over the network, and needs what only the main thread has. It
 * must never compute for long. Throwing fails the attempt with the error's message; a `detail` of the error becomes part
 * of the job's detail. Asked to stop, it throws as soon as it can leave off; returning means that it succeeded.
 */
export type Talk = (input: Json, tools: TalkTools) => Promise<WorkResult | undefined | void>

/** An error that tells facts beside its sentence. */
export class TalkFailed extends Error {
  readonly detail: JsonObject
  constructor(message: string, detail: JsonObject) {
    super(message)
    this.name = 'TalkFailed'
    this.detail = detail
  }
}

/** The talks of a server, by name: dialects add theirs before the engine recovers. */
export type Talks = Map<string, Talk>
