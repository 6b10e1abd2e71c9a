// Runs programs as processes of this machine. They outlive the server, and are found again by its next start.

import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { AttemptId } from '../../core/ids.ts'
import type { Outcome } from '../../core/job.ts'
import type { StopRequest } from '../../core/job-state.ts'
import type { Json } from '../../core/json.ts'
import type { Abilities, Chunk, Executor, Report, StartOrder } from '../executor.ts'
import { isFileKey, streamPath } from '../stream-files.ts'
import { type LimitsInForce, outcomeOf } from './ending.ts'
import type { SpawnNews } from './spawn-entry.ts'
import type { SpawnOrder } from './spawn-order.ts'
import { Spawner, type SpawnerOptions } from './spawner.ts'
import { type ProcessSpec, readProcessSpec } from './spec.ts'

export interface ProcessExecutorOptions
  extends Pick<SpawnerOptions, 'perl' | 'memoryLimiter' | 'lockWaitMs'> {
  /** Where attempts, their records and streams are kept. */
  readonly folder: string
  /** The largest stream of an attempt unless its spec says less; 1 GiB unless given. */
  readonly streamBytesMax?: number
}

/** The executor named `process`. */
export class ProcessExecutor implements Executor {
  readonly name = 'process'
  readonly can: Abilities = { survivesRestart: true, pause: false, progress: false, reportsItself: false }
  readonly #folder: string
  readonly #streamBytesMax: number
  readonly #spawner: Spawner
  /** For saying which limit it was; after a restart of ours the sentence does without. */
  readonly #limits = new Map<AttemptId, LimitsInForce>()
  /** Attempts whose stdin is being written: they have not reached the spawner yet. */
  readonly #preparing = new Map<AttemptId, { stop: { how: 'ask' | 'kill'; why: StopRequest } | undefined }>()
  /** What ended without ever reaching the spawner. */
  readonly #unspawned = new Map<AttemptId, Outcome>()
  #report: ((reports: readonly Report[]) => void) | undefined

  constructor(options: ProcessExecutorOptions) {
    const { folder, streamBytesMax = 1024 ** 3, ...rest } = options
    this.#folder = resolve(folder)
    this.#streamBytesMax = streamBytesMax
    this.#spawner = new Spawner({
      ...rest,
      folder: this.#folder,
      onNews: news => this.#report?.(news.map(item => this.#showNews(item))),
    })
  }

  /** The process id of the helper that starts programs. */
  get helperPid(): number | undefined {
    return this.#spawner.launcherPid
  }

  async open(report: (reports: readonly Report[]) => void): Promise<void> {
    this.#report = report
    await this.#spawner.open()
  }

  check(spec: Json): string | undefined {
    const read = readProcessSpec(spec)
    return 'problem' in read ? read.problem : undefined
  }

  start(orders: readonly StartOrder[]): void {
    const ready: SpawnOrder[] = []
    for (const { id, spec } of orders) {
      if (this.#preparing.has(id) || this.#unspawned.has(id)) continue
      const read = isFileKey(id)
        ? readProcessSpec(spec)
        : { problem: `${JSON.stringify(id)} cannot name an attempt` }
      if ('problem' in read) {
        this.#endUnspawned(id, { result: 'failed', reason: 'launch', message: read.problem })
        continue
      }
      const order = this.#spawnOrder(id, read.spec)
      // What is known already only wants to be told, and its input may be in use.
      if (read.spec.stdin === undefined || this.#spawner.has(id)) ready.push(order)
      else void this.#prepare(order, read.spec.stdin)
    }
    this.#spawner.spawn(ready)
  }

  look(ids: readonly AttemptId[]): Promise<Report[]> {
    return Promise.resolve(
      ids.map(id => {
        const outcome = this.#unspawned.get(id)
        if (outcome) return { id, type: 'ended', outcome }
        if (this.#preparing.has(id)) return { id, type: 'began', at: Date.now() }
        const news = this.#spawner.look(id)
        return news ? this.#showNews(news) : { id, type: 'unknown' }
      }),
    )
  }

  stop(id: AttemptId, how: 'ask' | 'kill', why: StopRequest): void {
    const preparing = this.#preparing.get(id)
    if (preparing) preparing.stop = { how, why }
    else this.#spawner.stop(id, how, why)
  }

  async read(id: AttemptId, stream: string, from: number, maxBytes: number): Promise<Chunk | undefined> {
    return stream === 'out' || stream === 'err' ? this.#spawner.read(id, stream, from, maxBytes) : undefined
  }

  forget(ids: readonly AttemptId[], what: { streams: boolean }): void {
    for (const id of ids) {
      this.#limits.delete(id)
      this.#unspawned.delete(id)
    }
    this.#spawner.forget(ids, what)
  }

  async close(): Promise<void> {
    this.#report = undefined
    await this.#spawner.close()
  }

  /** Its standard input becomes a file first: a file outlives us, a pipe from us would not. */
  async #prepare(order: SpawnOrder, text: string): Promise<void> {
    const state = { stop: undefined as { how: 'ask' | 'kill'; why: StopRequest } | undefined }
    this.#preparing.set(order.key, state)
    let problem: string | undefined
    try {
      mkdirSync(dirname(order.stdinFile!), { recursive: true })
      await writeFile(order.stdinFile!, text, { mode: 0o600 })
    } catch (error) {
      problem = (error as Error).message
    }
    this.#preparing.delete(order.key)
    if (problem !== undefined)
      this.#endUnspawned(order.key, { result: 'failed', reason: 'launch', message: problem })
    else if (state.stop) {
      const reason = state.stop.why === 'expire' ? 'timeout' : 'user'
      this.#endUnspawned(order.key, { result: 'stopped', reason, message: 'stopped before it began' })
    } else this.#spawner.spawn([order])
  }

  #endUnspawned(id: AttemptId, outcome: Outcome): void {
    this.#unspawned.set(id, outcome)
    setImmediate(() => this.#report?.([{ id, type: 'ended', outcome }]))
  }

  #spawnOrder(id: AttemptId, spec: ProcessSpec): SpawnOrder {
    const limits = { ...withoutUndefined(spec.limits ?? {}) } as LimitsInForce
    const inForce = { ...limits, streamBytes: Math.min(limits.streamBytes ?? Infinity, this.#streamBytesMax) }
    this.#limits.set(id, inForce)
    return {
      key: id,
      argv: spec.argv,
      env: { ...baseEnvironment(), ...spec.env },
      cwd: spec.cwd ?? '/',
      limits: inForce,
      ...(spec.stdin === undefined ? {} : { stdinFile: streamPath(this.#folder, id, 'in') }),
      ...(spec.graceMs === undefined ? {} : { graceMs: spec.graceMs }),
      ...(spec.leftovers === undefined ? {} : { leftovers: spec.leftovers }),
    }
  }

  #showNews(news: SpawnNews): Report {
    switch (news.type) {
      case 'began':
        return { id: news.key, type: 'began', at: news.at }
      case 'ended':
        return { id: news.key, type: 'ended', outcome: outcomeOf(news.ending, this.#limits.get(news.key)) }
      case 'lost':
        return {
          id: news.key,
          type: 'ended',
          outcome: { result: 'failed', reason: 'lost', message: news.message },
        }
    }
  }
}

/** What a program needs to run at all. Nothing else of the server's environment reaches a job: it may hold secrets. */
function baseEnvironment(): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: process.env['HOME'] ?? '/',
    LANG: 'C.UTF-8',
  }
}

function withoutUndefined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Partial<T>
}
