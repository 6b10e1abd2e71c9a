// Runs talks on the server's own event loop: network work that waits more than it computes, and needs what only the
// main thread has. Attempts end with the server; what ended is known until it is forgotten.

import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { AttemptId } from '../../core/ids.ts'
import type { Outcome } from '../../core/job.ts'
import type { StopRequest } from '../../core/job-state.ts'
import { isObject, type Json, type JsonObject } from '../../core/json.ts'
import type { Talk, Talks, TalkTools } from '../../core/talk.ts'
import type { Abilities, Chunk, Executor, Report, StartOrder } from '../executor.ts'
import { isFileKey, readStream, removeStreams, streamPath } from '../stream-files.ts'

export interface TalkExecutorOptions {
  /** What can be run, by name; more may be added until the first attempt. */
  readonly talks: Talks
  /** Where log streams are kept. */
  readonly folder: string
  /** From the abort signal until the attempt counts as ended, whether it has heard or not; 10 s unless given. */
  readonly graceMs?: number
  /** How often progress is reported at most; 250 unless given. */
  readonly progressMs?: number
}

/** The executor named `talk`. */
export class TalkExecutor implements Executor {
  readonly name = 'talk'
  /** A paused talk begins anew; what it noted in its job's detail tells it where it was. */
  readonly can: Abilities = { survivesRestart: false, pause: true, progress: true, reportsItself: false }
  readonly #options: Required<TalkExecutorOptions>
  readonly #running = new Map<AttemptId, Run>()
  readonly #outcomes = new Map<AttemptId, Outcome>()
  readonly #withStream = new Set<AttemptId>()
  #report: ((reports: readonly Report[]) => void) | undefined

  constructor(options: TalkExecutorOptions) {
    this.#options = { graceMs: 10_000, progressMs: 250, ...options }
  }

  async open(report: (reports: readonly Report[]) => void): Promise<void> {
    this.#report = report
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 })
  }

  check(spec: Json): string | undefined {
    if (!isObject(spec)) return 'the spec must be an object with the name of a talk and its input'
    const name = spec['talk']
    if (typeof name !== 'string') return 'spec.talk: must be the name of a talk'
    if (!this.#options.talks.has(name)) return `spec.talk: there is no talk ${JSON.stringify(name)}`
    const other = Object.keys(spec).find(field => field !== 'talk' && field !== 'input')
    return other === undefined ? undefined : `spec: unknown field ${JSON.stringify(other)}`
  }

  start(orders: readonly StartOrder[]): void {
    for (const order of orders) {
      const { id } = order
      if (this.#running.has(id) || this.#outcomes.has(id)) continue
      const problem = isFileKey(id) ? this.check(order.spec) : `${JSON.stringify(id)} cannot name an attempt`
      // Reported later, never from within the call that starts it.
      if (problem !== undefined) {
        const outcome: Outcome = { result: 'failed', reason: 'launch', message: problem }
        this.#outcomes.set(id, outcome)
        setImmediate(() => this.#report?.([{ id, type: 'ended', outcome }]))
        continue
      }
      const { talk, input } = order.spec as { talk: string; input?: Json }
      const run = new Run(order, this.#options, {
        began: at => this.#report?.([{ id, type: 'began', at }]),
        progress: (fraction, detail) =>
          this.#report?.([{ id, type: 'progress', fraction, ...(detail === undefined ? {} : { detail }) }]),
        stream: () => this.#withStream.add(id),
        ended: outcome => {
          this.#running.delete(id)
          this.#outcomes.set(id, outcome)
          this.#report?.([{ id, type: 'ended', outcome }])
        },
      })
      this.#running.set(id, run)
      setImmediate(() => run.begin(this.#options.talks.get(talk)!, input ?? null))
    }
  }

  look(ids: readonly AttemptId[]): Promise<Report[]> {
    return Promise.resolve(
      ids.map(id => {
        const outcome = this.#outcomes.get(id)
        if (outcome) return { id, type: 'ended', outcome }
        const run = this.#running.get(id)
        return run ? { id, type: 'began', at: run.startedAt } : { id, type: 'unknown' }
      }),
    )
  }

  stop(id: AttemptId, how: 'ask' | 'kill', why: StopRequest): void {
    this.#running.get(id)?.stop(how, why)
  }

  async read(id: AttemptId, stream: string, from: number, maxBytes: number): Promise<Chunk | undefined> {
    if (stream !== 'out' || !isFileKey(id)) return undefined
    return readStream(streamPath(this.#options.folder, id, 'out'), from, maxBytes)
  }

  forget(ids: readonly AttemptId[], what: { streams: boolean }): void {
    const ended = ids.filter(id => isFileKey(id) && !this.#running.has(id))
    for (const id of ended) this.#outcomes.delete(id)
    if (!what.streams) return
    // Those of an earlier server are not remembered here, so the files themselves are asked.
    removeStreams(this.#options.folder, ended)
    for (const id of ended) this.#withStream.delete(id)
  }

  async close(): Promise<void> {
    this.#report = undefined
    const runs = [...this.#running.values()]
    for (const run of runs) run.stop('ask', 'none')
    await Promise.all(runs.map(run => run.over))
    this.#running.clear()
    this.#outcomes.clear()
  }
}

interface RunEvents {
  began(at: number): void
  progress(fraction: number, detail: JsonObject | undefined): void
  stream(): void
  ended(outcome: Outcome): void
}

/** One run of a talk: the tools it is given, and the telling of its end. */
class Run implements TalkTools {
  readonly job: string
  readonly startedAt = Date.now()
  readonly #id: AttemptId
  readonly #options: Required<TalkExecutorOptions>
  readonly #events: RunEvents
  readonly #controller = new AbortController()
  readonly #over = Promise.withResolvers<void>()
  #stop: StopRequest | 'close' | undefined
  #graceTimer: NodeJS.Timeout | undefined
  #progressAt = 0
  #progressTimer: NodeJS.Timeout | undefined
  #unsaid: (() => void) | undefined
  #log: number | undefined
  #isOver = false

  constructor(order: StartOrder, options: Required<TalkExecutorOptions>, events: RunEvents) {
    this.#id = order.id
    this.job = order.job
    this.#options = options
    this.#events = events
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Resolves when the talk has left off, or its grace time is over. */
  get over(): Promise<void> {
    return this.#over.promise
  }

  stopReason(): 'cancel' | 'pause' | 'kill' | 'expire' | undefined {
    return this.#stop === undefined || this.#stop === 'close' || this.#stop === 'none'
      ? undefined
      : this.#stop
  }

  begin(talk: Talk, input: Json): void {
    if (this.#isOver) return
    if (this.#stop !== undefined) {
      this.#end({ result: 'stopped', message: 'stopped before it began' })
      return
    }
    this.#events.began(this.startedAt)
    // An async wrapper, so that a throw before the first wait is a failure like any other.
    const running = (async () => talk(input, this))()
    running.then(
      result =>
        this.#end({
          result: 'succeeded',
          ...(result?.detail === undefined ? {} : { detail: result.detail }),
          ...(result?.outputs === undefined ? {} : { outputs: result.outputs }),
        }),
      (error: unknown) => this.#end({ result: 'failed', reason: 'exit', ...factsOf(error) }),
    )
  }

  stop(how: 'ask' | 'kill', why: StopRequest): void {
    if (this.#isOver) return
    this.#stop = why === 'none' ? 'close' : why
    if (!this.#controller.signal.aborted)
      this.#controller.abort(new DOMException(`the job was asked to stop (${why})`, 'AbortError'))
    clearTimeout(this.#graceTimer)
    const giveUp = (): void =>
      this.#end({ result: 'stopped', message: 'it did not listen, and was left behind' })
    if (how === 'kill') setImmediate(giveUp)
    else this.#graceTimer = setTimeout(giveUp, this.#options.graceMs)
  }

  /** At most one report in progressMs, and always the newest figure. */
  progress(fraction: number, detail?: JsonObject): void {
    if (this.#isOver) return
    clearTimeout(this.#progressTimer)
    const send = (): void => {
      this.#progressAt = Date.now()
      this.#unsaid = undefined
      this.#events.progress(fraction, detail)
    }
    const waitMs = this.#progressAt + this.#options.progressMs - Date.now()
    if (waitMs <= 0) send()
    else {
      this.#unsaid = send
      this.#progressTimer = setTimeout(send, waitMs).unref()
    }
  }

  log(line: string): void {
    if (this.#isOver) return
    if (this.#log === undefined) {
      const path = streamPath(this.#options.folder, this.#id, 'out')
      this.#events.stream()
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      this.#log = openSync(path, 'a', 0o600)
    }
    writeSync(this.#log, line.endsWith('\n') ? line : `${line}\n`)
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) return
    // Paused or failed, it is where it was last, not where it was last told to be.
    this.#unsaid?.()
    this.#isOver = true
    clearTimeout(this.#graceTimer)
    clearTimeout(this.#progressTimer)
    if (this.#log !== undefined) closeSync(this.#log)
    const endedAt = Math.max(this.startedAt, Date.now())
    const why = this.stopReason()
    const stopped: Partial<Outcome> =
      this.#stop === undefined || outcome.result === 'succeeded'
        ? {}
        : { result: 'stopped', reason: why === 'expire' ? 'timeout' : 'user' }
    this.#events.ended({
      ...outcome,
      ...stopped,
      startedAt: this.startedAt,
      endedAt,
      usage: { wallMs: endedAt - this.startedAt },
    })
    this.#over.resolve()
  }
}

function factsOf(error: unknown): Pick<Outcome, 'message' | 'exitCode' | 'detail'> {
  const { exitCode, detail } = (error ?? {}) as { exitCode?: unknown; detail?: unknown }
  const text = error instanceof Error ? error.message || error.name : String(error ?? '')
  return {
    message: text === '' ? 'it failed without a message' : text,
    ...(Number.isSafeInteger(exitCode) ? { exitCode: exitCode as number } : {}),
    ...(isObject(detail) ? { detail: detail as JsonObject } : {}),
  }
}
