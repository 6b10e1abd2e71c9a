// What a domain hands to the function executor: a named function that runs on a worker thread.

import type { OutputDraft } from './job.ts'
import type { Json, JsonObject } from './json.ts'

/** What a running function may use besides its input. */
export interface WorkTools {
  /** Aborted when the job is cancelled, paused or out of time; the thread is ended after a grace time. */
  readonly signal: AbortSignal
  /** Which stop was asked for, once the signal is aborted. */
  stopReason(): 'cancel' | 'pause' | 'kill' | 'expire' | undefined
  /** Says how far it is; kept in memory only. `fraction` runs from 0 to 1. */
  progress(fraction: number, detail?: JsonObject): void
  /** A folder of this attempt's own, removed when the attempt is forgotten. */
  readonly scratchDir: string
  /** The folder in which finished blobs are kept, for reading by hash and for writing new ones. */
  readonly blobsDir: string
  /** Lines for the job's log streams. */
  log(line: string): void
}

export interface WorkResult {
  readonly outputs?: readonly OutputDraft[]
  readonly detail?: JsonObject
}

/** One kind of work. Throwing fails the attempt with the error's message (`exitCode` if the error has one). */
export type Work = (
  input: Json,
  tools: WorkTools,
) => WorkResult | undefined | void | Promise<WorkResult | undefined | void>

/** Where to find a kind of work: a module that exports it. Loaded by name inside the worker thread. */
export interface WorkModule {
  /** A file URL. */
  readonly url: string
  /** The export's name; `default` unless said. */
  readonly export?: string
}

/**
 * A kind of work in a file beside the caller's: `workAt(import.meta.url, './run/collect.ts', 'collect')`. Built, the
 * file has another ending, the same as the caller's.
 */
export function workAt(caller: string, file: string, name: string): WorkModule {
  const built = caller.endsWith('.js')
  return { url: new URL(built ? file.replace(/\.ts$/, '.js') : file, caller).href, export: name }
}
