// Runs functions of ours on worker threads. Attempts end with the server; what ended is known until it is forgotten.

import { mkdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import type { AttemptId } from '../../core/ids.ts'
import type { Outcome } from '../../core/job.ts'
import type { StopRequest } from '../../core/job-state.ts'
import { isObject, type Json } from '../../core/json.ts'
import type { FunctionModule } from '../../core/work.ts'
import type { Abilities, Chunk, Executor, Report, StartOrder } from '../executor.ts'
import { isFileKey, readStream, removeStreams, streamPath } from '../stream-files.ts'
import { batchMax } from './board.ts'
import type { BlobFinderModule, ThreadOrder } from './messages.ts'
import { OrderQueue } from './order-queue.ts'
import { scratchPath } from './scratch.ts'
import { type Given, type ThreadEnd, type ThreadEvents, WorkThread } from './work-thread.ts'

export interface FunctionExecutorOptions {
  /** What can be run, by name. */
  readonly functions: Readonly<Record<string, FunctionModule>>
  /** Where log streams and scratch folders are kept. */
  readonly folder: string
  /** Handed to functions as it is. */
  readonly blobsDir: string
  /** How work threads find blobs; without it every blob is a file below `blobsDir`. */
  readonly blobFinder?: BlobFinderModule
  /** How many functions run at once; one a core, and at least two, unless given. */
  readonly threadsMax?: number
  /** Answers what functions ask. */
  readonly answer?: (name: string, question: unknown, attempt: AttemptId) => Promise<unknown>
  /** From the abort signal to the end of the thread; 10 s unless given. */
  readonly graceMs?: number
  /** The largest heap of one thread in MiB; 1024 unless given. */
  readonly heapMbMax?: number
  /** How often progress is reported at most; 250 unless given. */
  readonly progressMs?: number
  /** How long a thread may be idle before it is ended; a minute unless given. */
  readonly idleMsMax?: number
}

interface Attempt {
  readonly order: ThreadOrder
  readonly takenAt: number
  thread: WorkThread | undefined
  stop: StopRequest
  stopTimer: NodeJS.Timeout | undefined
}

/** Functions that take less on average are handed over in batches. */
const quickMs = 1
/** An order that runs longer is told to have begun, and gives the rest of its batch back. */
const watchMs = 10
const idleWatchMs = 1000

/** The executor named `function`. */
export class FunctionExecutor implements Executor {
  readonly name = 'function'
  /** Paused is stopped: a function taken up again begins anew, which is all that its callers' promises need. */
  readonly can: Abilities = { survivesRestart: false, pause: true, progress: true, reportsItself: false }
  readonly #options: Required<Omit<FunctionExecutorOptions, 'blobFinder'>> &
    Pick<FunctionExecutorOptions, 'blobFinder'>
  readonly #queue = new OrderQueue()
  readonly #attempts = new Map<AttemptId, Attempt>()
  readonly #outcomes = new Map<AttemptId, Outcome>()
  readonly #withFiles = new Set<AttemptId>()
  readonly #threads = new Set<WorkThread>()
  /** Average run time by function, newest counting most. */
  readonly #averageMs = new Map<string, number>()
  #startingCount = 0
  #report: ((reports: readonly Report[]) => void) | undefined
  #reports: Report[] = []
  #watchTimer: NodeJS.Timeout | undefined
  #watchesClosely = false

  constructor(options: FunctionExecutorOptions) {
    this.#options = {
      threadsMax: Math.max(2, availableParallelism()),
      graceMs: 10_000,
      heapMbMax: 1024,
      progressMs: 250,
      idleMsMax: 60_000,
      answer: name => Promise.reject(new Error(`nobody answers what ${name} asks`)),
      ...options,
      folder: resolve(options.folder),
      blobsDir: resolve(options.blobsDir),
    }
  }

  /** How many threads there are now. */
  get threadCount(): number {
    return this.#threads.size
  }

  async open(report: (reports: readonly Report[]) => void): Promise<void> {
    this.#report = report
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 })
    // Whoever wrote there ended with the server that ran it.
    rmSync(join(this.#options.folder, 'scratch'), { recursive: true, force: true })
  }

  check(spec: Json, dialect: string): string | undefined {
    if (!isObject(spec)) return 'the spec must be an object with the name of a function and its input'
    const name = spec['function']
    if (typeof name !== 'string') return 'spec.function: must be the name of a function'
    const { functions } = this.#options
    if (!Object.hasOwn(functions, name)) return `spec.function: there is no function ${JSON.stringify(name)}`
    const whose = functions[name]!.dialect
    if (whose !== undefined && whose !== dialect)
      return `spec.function: ${JSON.stringify(name)} is for jobs of the dialect ${whose} alone`
    const other = Object.keys(spec).find(field => field !== 'function' && field !== 'input')
    return other === undefined ? undefined : `spec: unknown field ${JSON.stringify(other)}`
  }

  start(orders: readonly StartOrder[]): void {
    const now = Date.now()
    for (const { id, dialect, spec } of orders) {
      if (this.#attempts.has(id) || this.#outcomes.has(id)) continue
      const problem = !isFileKey(id)
        ? `${JSON.stringify(id)} cannot name an attempt`
        : this.check(spec, dialect)
      if (problem !== undefined) {
        this.#settle(id, { result: 'failed', reason: 'launch', message: problem })
        continue
      }
      const { function: name, input } = spec as { function: string; input?: Json }
      const order = { id, function: name, input: input ?? null }
      this.#attempts.set(id, { order, takenAt: now, thread: undefined, stop: 'none', stopTimer: undefined })
      this.#queue.push(order)
    }
    this.#dispatch()
    if (this.#reports.length > 0) setImmediate(() => this.#flush())
  }

  look(ids: readonly AttemptId[]): Promise<Report[]> {
    return Promise.resolve(
      ids.map(id => {
        const outcome = this.#outcomes.get(id)
        if (outcome) return { id, type: 'ended', outcome }
        const attempt = this.#attempts.get(id)
        return attempt ? { id, type: 'began', at: attempt.takenAt } : { id, type: 'unknown' }
      }),
    )
  }

  stop(id: AttemptId, how: 'ask' | 'kill', why: StopRequest): void {
    const attempt = this.#attempts.get(id)
    if (!attempt) return
    attempt.stop = why
    const { thread } = attempt
    if (!thread || thread.takeBackOne(id)) {
      if (!thread) this.#queue.remove(id)
      this.#settle(id, stoppedOutcome(why, 'stopped before it began'))
      setImmediate(() => this.#flush())
      return
    }
    if (how === 'kill') {
      clearTimeout(attempt.stopTimer)
      thread.endFor(id)
      return
    }
    thread.askToStop(id, why)
    attempt.stopTimer ??= setTimeout(() => thread.endFor(id), this.#options.graceMs)
  }

  async read(id: AttemptId, stream: string, from: number, maxBytes: number): Promise<Chunk | undefined> {
    if (stream !== 'out' || !isFileKey(id)) return undefined
    const chunk = await readStream(streamPath(this.#options.folder, id, 'out'), from, maxBytes)
    if (chunk) return chunk
    const known = this.#attempts.has(id) || this.#outcomes.has(id)
    return known ? { bytes: new Uint8Array(), sizeBytes: 0 } : undefined
  }

  forget(ids: readonly AttemptId[], { streams }: { streams: boolean }): void {
    const removable: AttemptId[] = []
    for (const id of ids) {
      if (this.#attempts.has(id)) continue
      const silent = this.#outcomes.delete(id) && !this.#withFiles.has(id)
      if (silent || !isFileKey(id)) continue
      if (this.#withFiles.has(id)) void this.#removeScratch(id)
      if (!streams) continue
      this.#withFiles.delete(id)
      removable.push(id)
    }
    if (removable.length > 0) removeStreams(this.#options.folder, removable)
  }

  async close(): Promise<void> {
    this.#report = undefined
    clearTimeout(this.#watchTimer)
    for (const attempt of this.#attempts.values()) clearTimeout(attempt.stopTimer)
    const threads = [...this.#threads]
    this.#threads.clear()
    await Promise.all(threads.map(thread => thread.drop()))
    this.#queue.clear()
    this.#attempts.clear()
    this.#outcomes.clear()
    this.#reports = []
  }

  /** Gives idle threads something to do. */
  #dispatch(): void {
    if (!this.#report) return
    for (const thread of this.#threads) {
      if (this.#queue.length === 0) break
      if (!thread.isIdle) continue
      const batch = this.#takeBatch()
      for (const order of batch) this.#attempts.get(order.id)!.thread = thread
      thread.give(batch)
    }
    // One more thread at once where there is none; others when the queue has waited (see #watch).
    if (this.#queue.length > 0 && this.#threads.size === 0) this.#addThread()
    this.#watchSoon()
  }

  /** Quick ones together, up to a batch; anything else alone. */
  #takeBatch(): ThreadOrder[] {
    const batch = [this.#queue.shift()!]
    if (!this.#isQuick(batch[0]!)) return batch
    for (
      let next = this.#queue.peek();
      next && batch.length < batchMax && this.#isQuick(next);
      next = this.#queue.peek()
    )
      batch.push(this.#queue.shift()!)
    return batch
  }

  #isQuick(order: ThreadOrder): boolean {
    return (this.#averageMs.get(order.function) ?? Infinity) < quickMs
  }

  #addThread(): void {
    const { functions, folder, blobsDir, blobFinder, progressMs, heapMbMax } = this.#options
    this.#startingCount++
    const settings = { modules: functions, folder, blobsDir, blobFinder, progressMs }
    const thread = new WorkThread(settings, heapMbMax, {
      ready: () => {
        this.#startingCount--
        thread.idleAt = Date.now()
        this.#dispatch()
      },
      idle: () => {
        thread.idleAt = Date.now()
        this.#dispatch()
        this.#flush()
      },
      done: (_, indexes) => {
        for (const index of indexes) {
          const { order } = thread.given(index)
          this.#settle(order.id, { result: 'succeeded', ...this.#times(thread, index, order) })
        }
      },
      told: (_, message) => {
        const { order } = thread.given(message.index)
        const { wall, cpuMs } = { wall: this.#times(thread, message.index, order), cpuMs: message.cpuMs }
        const facts = { ...wall, usage: { ...wall.usage, cpuMs } }
        this.#settle(order.id, this.#outcomeOf(order.id, message, facts))
        this.#flush()
      },
      progress: message => {
        if (!this.#attempts.has(message.id)) return
        const { id, fraction, detail } = message
        this.#reports.push({ id, type: 'progress', fraction, ...(detail === undefined ? {} : { detail }) })
        this.#flush()
      },
      files: id => this.#withFiles.add(id),
      ask: (_, message) => this.#answer(thread, message),
      gone: (_, rest) => this.#replace(thread, rest),
    })
    this.#threads.add(thread)
  }

  #answer(thread: WorkThread, { index, id, question, body }: Parameters<ThreadEvents['ask']>[1]): void {
    const { order } = thread.given(index)
    this.#options.answer(order.function, body, id).then(
      value => thread.answer({ type: 'answer', id, question, value }),
      (error: unknown) => {
        const text = error instanceof Error ? error.message || error.name : String(error)
        thread.answer({ type: 'answer', id, question, error: text })
      },
    )
  }

  #times(thread: WorkThread, index: number, order: ThreadOrder) {
    const startedAt = thread.startedAt(index)
    // A message can be ahead of the board by an instant; the end is then now.
    const endedAt = Math.max(
      startedAt,
      thread.endedAt(index) >= startedAt ? thread.endedAt(index) : Date.now(),
    )
    const wallMs = endedAt - startedAt
    const before = this.#averageMs.get(order.function)
    this.#averageMs.set(order.function, before === undefined ? wallMs : before + (wallMs - before) / 4)
    return { startedAt, endedAt, usage: { wallMs } }
  }

  #outcomeOf(
    id: AttemptId,
    message: Parameters<ConstructorParameters<typeof WorkThread>[2]['told']>[1],
    facts: Pick<Outcome, 'startedAt' | 'endedAt' | 'usage'>,
  ): Outcome {
    if (message.type === 'succeeded') {
      const { detail, outputs } = message
      return {
        result: 'succeeded',
        ...facts,
        ...(detail === undefined ? {} : { detail }),
        ...(outputs === undefined ? {} : { outputs }),
      }
    }
    const { reason, message: text, exitCode } = message
    const stop = this.#attempts.get(id)?.stop ?? 'none'
    if (stop !== 'none') return { ...stoppedOutcome(stop, text), ...facts }
    return {
      result: 'failed',
      reason,
      message: text,
      ...facts,
      ...(exitCode === undefined ? {} : { exitCode }),
    }
  }

  #settle(id: AttemptId, outcome: Outcome): void {
    clearTimeout(this.#attempts.get(id)?.stopTimer)
    this.#attempts.delete(id)
    this.#outcomes.set(id, outcome)
    this.#reports.push({ id, type: 'ended', outcome })
  }

  #flush(): void {
    if (this.#reports.length === 0) return
    const reports = this.#reports
    this.#reports = []
    this.#report?.(reports)
  }

  /** Looks after what takes long: a batch gives its rest back, a waiting queue gets one more thread. */
  #watch(): void {
    this.#watchTimer = undefined
    const now = Date.now()
    const back: ThreadOrder[] = []
    for (const thread of this.#threads) {
      if (thread.isIdle && now - thread.idleAt > this.#options.idleMsMax && this.#queue.length === 0)
        void thread.end()
      const current = thread.current()
      if (!current || now - current.startedAt < watchMs) continue
      thread.collect()
      back.push(...thread.takeBack().map(({ order }) => order))
      if (current.given.shown || current.given.settled) continue
      current.given.shown = true
      this.#reports.push({ id: current.given.order.id, type: 'began', at: current.startedAt })
    }
    this.#putBack(back)
    if (this.#queue.length > 0 && this.#threads.size < this.#options.threadsMax && this.#startingCount === 0)
      this.#addThread()
    this.#dispatch()
    this.#flush()
  }

  /** With nothing to watch but idle threads, a slow beat is enough to end them one day. */
  #watchSoon(): void {
    if (this.#threads.size === 0 || !this.#report) return
    const isBusy = this.#queue.length > 0 || [...this.#threads].some(thread => !thread.isIdle)
    if (this.#watchTimer && (this.#watchesClosely || !isBusy)) return
    clearTimeout(this.#watchTimer)
    this.#watchesClosely = isBusy
    this.#watchTimer = setTimeout(() => this.#watch(), isBusy ? watchMs : idleWatchMs)
  }

  #putBack(orders: readonly ThreadOrder[]): void {
    for (const order of orders) this.#attempts.get(order.id)!.thread = undefined
    this.#queue.unshift(orders)
  }

  #replace(
    thread: WorkThread,
    rest: { unstarted: Given[]; culprits: Given[]; end: ThreadEnd; wasReady: boolean },
  ): void {
    this.#threads.delete(thread)
    if (!rest.wasReady) this.#startingCount--
    for (const { order } of rest.culprits) this.#settle(order.id, this.#endedWith(order.id, rest.end))
    this.#putBack(rest.unstarted.map(({ order }) => order))
    if (!rest.wasReady && rest.end.type === 'error' && this.#threads.size === 0) {
      // Threads cannot be started here at all: to try again and again would help nobody.
      for (let order = this.#queue.shift(); order; order = this.#queue.shift())
        this.#settle(order.id, {
          result: 'failed',
          reason: 'launch',
          message: `no thread could be started: ${rest.end.message}`,
        })
    }
    this.#dispatch()
    this.#flush()
  }

  #endedWith(id: AttemptId, end: ThreadEnd): Outcome {
    const stop = this.#attempts.get(id)?.stop ?? 'none'
    if (end.type === 'memory')
      return {
        result: 'failed',
        reason: 'memory',
        message: `it used more memory than the ${this.#options.heapMbMax} MiB of a thread`,
      }
    if (stop !== 'none') return stoppedOutcome(stop, 'stopped with its thread')
    if (end.type === 'stopped') return { result: 'lost', reason: 'lost', message: 'its thread was ended' }
    return { result: 'failed', reason: 'exit', message: end.message }
  }

  async #removeScratch(id: AttemptId): Promise<void> {
    await rm(scratchPath(this.#options.folder, id), { recursive: true, force: true }).catch(() => {
      // Left for the next start, which removes them all.
    })
  }
}

function stoppedOutcome(why: StopRequest, message: string): Outcome {
  return { result: 'stopped', reason: why === 'expire' ? 'timeout' : 'user', message }
}
