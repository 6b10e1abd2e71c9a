// What a domain hands to the function executor: a named function that runs on a worker thread.

import type { AttemptId } from './ids.ts'
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
  /** Finds blobs by hash, small ones included, which have no file. */
  blobs(): Promise<WorkBlobs>
  /** Lines for the job's log streams. */
  log(line: string): void
  /**
   * Asks the server, where whoever brought this kind of work answers (Kit.answer): for what only the main thread may
   * do, such as writing records. Question and answer are copied as messages between threads are; buffers named in
   * `give` are handed over instead. Rejects when nobody answers this kind, and with the answerer's error.
   */
  ask(question: unknown, give?: readonly ArrayBuffer[]): Promise<unknown>
  /**
   * A thread beside this one for parts of the work, where there are cores for two; it begins to start when it is first
   * asked for, is kept for the next function of this thread that asks for the same, and ends with the thread.
   */
  assistant(part: WorkModule): WorkAssistant | undefined
}

/** Another thread that answers questions by a `WorkPart`, one after the other. */
export interface WorkAssistant {
  /** False while it starts, which takes some ten milliseconds: nobody needs to wait for it. */
  readonly isReady: boolean
  /** How many questions of this function are not answered yet. */
  readonly waiting: number
  /** Question and answer are copied as messages are. Rejects with what the part threw, or when the thread ended. */
  ask(question: unknown): Promise<unknown>
}

/** What an assistant answers by: called once, with what it may use; then with each question. */
export type WorkPart = (tools: { blobs(): Promise<WorkBlobs> }) => PartAnswerer | Promise<PartAnswerer>

/** Gives the answer, and what of it is handed over instead of copied. */
export type PartAnswerer = (question: unknown) => { value: unknown; give?: readonly ArrayBuffer[] }

/** Where the bytes of a blob are: at hand, or in a file of their own. */
export interface WorkBlobs {
  find(hash: string): { readonly bytes: Uint8Array } | { readonly path: string }
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

/** Answers what running functions of one kind ask. `attempt` is the asking attempt's id; it may be gone by now. */
export type Answerer = (question: unknown, attempt: AttemptId) => Promise<unknown>

/** Where to find a kind of work: a module that exports it. Loaded by name inside the worker thread. */
export interface WorkModule {
  /** A file URL. */
  readonly url: string
  /** The export's name; `default` unless said. */
  readonly export?: string
}

/** What the function executor can run, and for whom. */
export interface FunctionModule extends WorkModule {
  /** The dialect whose jobs alone may run it; anybody's unless said. */
  readonly dialect?: string
}

/**
 * A kind of work in a file beside the caller's: `workAt(import.meta.url, './run/collect.ts', 'collect')`. Built, the
 * file has another ending, the same as the caller's.
 */
export function workAt(caller: string, file: string, name: string): WorkModule {
  const built = caller.endsWith('.js')
  return { url: new URL(built ? file.replace(/\.ts$/, '.js') : file, caller).href, export: name }
}
