// Our end of one work thread: hands batches over, takes unstarted orders back, and sorts out what a dead thread left.

import { Worker } from 'node:worker_threads'
import { Board, batchMax, done, running, type stopWords } from './board.ts'
import type { FromThread, ThreadOrder, ThreadSettings, ToThread } from './messages.ts'

/** One order on a thread. */
export interface Given {
  readonly order: ThreadOrder
  /** Its end was told to the executor. */
  settled: boolean
  /** Its begin was told to the executor. */
  shown: boolean
}

/** Why a thread ended while it ran an order. */
export type ThreadEnd =
  | { readonly type: 'stopped' }
  | { readonly type: 'memory' }
  | { readonly type: 'error'; readonly message: string }

export interface ThreadEvents {
  ready(thread: WorkThread): void
  idle(thread: WorkThread): void
  /** These succeeded, and there is nothing to add. */
  done(thread: WorkThread, indexes: readonly number[]): void
  told(thread: WorkThread, message: Extract<FromThread, { type: 'succeeded' | 'failed' }>): void
  progress(message: Extract<FromThread, { type: 'progress' }>): void
  files(id: string): void
  ask(thread: WorkThread, message: Extract<FromThread, { type: 'ask' }>): void
  /** The thread is gone: `unstarted` go to another, `culprits` (one, if any) ended with it. */
  gone(
    thread: WorkThread,
    rest: { unstarted: Given[]; culprits: Given[]; end: ThreadEnd; wasReady: boolean },
  ): void
}

export class WorkThread {
  readonly #worker: Worker
  readonly #board = new Board()
  readonly #events: ThreadEvents
  #batch: Given[] = []
  #ready = false
  #busy = false
  #end: ThreadEnd = { type: 'error', message: 'its thread ended' }
  #ending: Promise<unknown> | undefined
  /** When it became idle, for ending threads that are not needed. */
  idleAt = 0

  constructor(settings: Omit<ThreadSettings, 'board'>, heapMbMax: number, events: ThreadEvents) {
    this.#events = events
    // Built, the file beside this one has another ending.
    const file = import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js'
    this.#worker = new Worker(new URL(file, import.meta.url), {
      workerData: { ...settings, board: this.#board.buffer } satisfies ThreadSettings,
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax },
      execArgv: [],
      stdin: false,
    })
    this.#worker.on('message', (message: FromThread) => this.#hear(message))
    this.#worker.on('error', (error: Error & { code?: string }) => {
      this.#end =
        error.code === 'ERR_WORKER_OUT_OF_MEMORY'
          ? { type: 'memory' }
          : { type: 'error', message: error?.message ?? String(error) }
    })
    this.#worker.on('exit', code => this.#leave(code))
  }

  get isIdle(): boolean {
    return this.#ready && !this.#busy && !this.#ending
  }

  give(orders: readonly ThreadOrder[]): void {
    this.#batch = orders.slice(0, batchMax).map(order => ({ order, settled: false, shown: false }))
    this.#busy = true
    this.#board.clear(this.#batch.length)
    this.#post({ type: 'batch', orders })
  }

  /** The order that runs now, if any, and since when. */
  current(): { index: number; given: Given; startedAt: number } | undefined {
    for (let index = 0; this.#busy && index < this.#batch.length; index++)
      if (this.#board.state(index) === running)
        return { index, given: this.#batch[index]!, startedAt: this.#board.startedAt(index) }
    return undefined
  }

  /** Takes back what has not been begun. */
  takeBack(): Given[] {
    const back = this.#batch.filter(
      (given, index) => !given.settled && this.#busy && this.#board.takeBack(index),
    )
    for (const given of back) given.settled = true
    return back
  }

  /** Answers a question of an attempt; nobody hears it when that has ended. */
  answer(answer: Extract<ToThread, { type: 'answer' }>): void {
    if (!this.#ending) this.#post(answer)
  }

  /** Takes back one order; false when it has begun. */
  takeBackOne(id: string): boolean {
    const index = this.#indexOf(id)
    if (index < 0 || !this.#board.takeBack(index)) return false
    this.#batch[index]!.settled = true
    return true
  }

  /** Tells of all that is done by the board but not yet told: they may wait behind one that runs long. */
  collect(): void {
    const indexes: number[] = []
    for (const [index, given] of this.#batch.entries()) {
      if (given.settled || this.#board.state(index) !== done) continue
      given.settled = true
      indexes.push(index)
    }
    if (indexes.length > 0) this.#events.done(this, indexes)
  }

  given(index: number): Given {
    return this.#batch[index]!
  }

  startedAt(index: number): number {
    return this.#board.startedAt(index)
  }

  endedAt(index: number): number {
    return this.#board.endedAt(index)
  }

  askToStop(id: string, why: (typeof stopWords)[number]): void {
    const index = this.#indexOf(id)
    if (index < 0) return
    this.#board.askToStop(index, why)
    this.#post({ type: 'stop', index, id })
  }

  /** Ends the thread whatever it does, if it still runs this order. */
  endFor(id: string): void {
    if (this.current()?.given.order.id === id) void this.end()
  }

  end(): Promise<unknown> {
    this.#end = { type: 'stopped' }
    this.#ending ??= this.#worker.terminate()
    return this.#ending
  }

  /** Ends it without a word to anybody. */
  async drop(): Promise<void> {
    this.#worker.removeAllListeners('exit').removeAllListeners('message')
    await this.end()
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message)
  }

  #indexOf(id: string): number {
    return this.#busy ? this.#batch.findIndex(given => given.order.id === id && !given.settled) : -1
  }

  #hear(message: FromThread): void {
    switch (message.type) {
      case 'ready':
        this.#ready = true
        this.#events.ready(this)
        break
      case 'idle':
        this.collect()
        this.#busy = false
        this.#batch = []
        this.#events.idle(this)
        break
      case 'succeeded':
      case 'failed': {
        const given = this.#batch[message.index]
        if (!given || given.settled) break
        given.settled = true
        this.#events.told(this, message)
        break
      }
      case 'progress':
        this.#events.progress(message)
        break
      case 'ask':
        this.#events.ask(this, message)
        break
      case 'files':
        this.#events.files(message.id)
        break
    }
  }

  /** Every message of the thread was heard before this. */
  #leave(code: number): void {
    if (this.#end.type === 'error' && code !== 0 && this.#end.message === 'its thread ended')
      this.#end = { type: 'error', message: `the function ended its thread (exit code ${code})` }
    this.collect()
    const unstarted = this.takeBack()
    const culprits = this.#batch.filter(given => !given.settled)
    this.#busy = false
    this.#batch = []
    this.#events.gone(this, { unstarted, culprits, end: this.#end, wasReady: this.#ready })
  }
}
