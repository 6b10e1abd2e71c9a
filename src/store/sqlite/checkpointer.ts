// Folds the log into the database beside the thread that commits. A checkpoint of a long log writes thousands of pages
// here and there, which would keep everybody waiting; on a thread of its own it takes nobody's time. That thread is
// started when a log first becomes long.

import { Worker } from 'node:worker_threads'
import type { Database, Statement } from './binding.ts'

export interface CheckpointerOptions {
  /** How long the log may become before it is folded, in pages of 4 KiB. */
  readonly pagesMax: number
}

/**
 * In pages of 4 KiB: the log is folded every 32 MiB, because a hot page that is changed in a hundred commits is then
 * written back once.
 */
const defaults: CheckpointerOptions = { pagesMax: 8192 }
/**
 * What was committed during a checkpoint stays in the log, and the log begins anew only when all of it is folded. So
 * few pages are folded by the committing thread itself, between two commits.
 */
const restMax = 256
/** Each pass leaves what was committed meanwhile, which is less and less; unless the disk is slower than the commits. */
const passesMax = 6

export class Checkpointer {
  readonly #file: string
  readonly #options: CheckpointerOptions
  readonly #measure: Statement
  readonly #fold: Statement
  #thread: Worker | undefined
  /** Passes since the log became too long; 0 while nothing is folded. */
  #passes = 0
  #pagesMax: number

  constructor(database: Database, file: string, options: Partial<CheckpointerOptions> = {}) {
    this.#file = file
    this.#options = { ...defaults, ...options }
    this.#pagesMax = this.#options.pagesMax
    this.#measure = database.prepare('PRAGMA wal_checkpoint(NOOP)')
    this.#fold = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  }

  /** To be called after a commit. Costs a microsecond while the log is short. */
  noteCommit(): void {
    if (this.#passes === 0 && this.#unfolded() >= this.#pagesMax) this.#askThread()
  }

  /** Resolves when the thread has let go of the file. */
  async close(): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    if (!thread) return
    const gone = new Promise<void>(resolve => thread.once('exit', () => resolve()))
    thread.removeAllListeners('message')
    thread.ref()
    thread.postMessage('end')
    await gone
  }

  #unfolded(): number {
    const { log, checkpointed } = this.#measure.get() as { log: number; checkpointed: number }
    return log - checkpointed
  }

  #askThread(): void {
    this.#passes++
    this.#thread ??= this.#start()
    this.#thread.postMessage('fold')
  }

  #start(): Worker {
    // Built, the file beside this one has another ending.
    const file = import.meta.url.endsWith('.ts') ? './checkpoint-thread.ts' : './checkpoint-thread.js'
    const thread = new Worker(new URL(file, import.meta.url), {
      workerData: { file: this.#file },
      execArgv: [],
      stdin: false,
    })
    thread.unref()
    thread.on('message', () => this.#goOn())
    // Whatever it was, the next thread may fare better; meanwhile the log is folded here, as SQLite does it itself.
    thread.on('error', () => {})
    thread.on('exit', () => {
      if (this.#thread !== thread) return
      this.#thread = undefined
      this.#foldHere()
    })
    return thread
  }

  #goOn(): void {
    const rest = this.#unfolded()
    if (rest > restMax && this.#passes < passesMax) this.#askThread()
    else if (rest > restMax) this.#wait(rest)
    else this.#foldHere()
  }

  /** Somebody reads what is old, or the disk is slow or full: the next try is worth its while when there is more. */
  #wait(rest: number): void {
    this.#passes = 0
    this.#pagesMax = rest + this.#options.pagesMax
  }

  #foldHere(): void {
    this.#passes = 0
    this.#pagesMax = this.#options.pagesMax
    try {
      this.#fold.get()
    } catch {
      this.#wait(this.#unfolded())
    }
  }
}
