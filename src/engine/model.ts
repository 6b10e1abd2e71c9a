// What the engine keeps in memory: every job and flow that has not ended, the pools, and the counters.

import type { Flow } from '../core/flow.ts'
import type { Job } from '../core/job.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { PoolSettings } from './engine.ts'
import { PlaceMap } from './place-map.ts'
import { Pool } from './pool.ts'

/** How many ended jobs are kept at hand. */
const endedKept = 2_048

export class Model {
  readonly jobs = new PlaceMap<Job>()
  /** Those that have an attempt, which its executor names by the job's id. All others are found by id in the store. */
  readonly liveById = new Map<string, Job>()
  readonly jobsByRef = new Map<string, Job>()
  readonly flows = new Map<number, Flow>()
  readonly flowsById = new Map<string, Flow>()
  readonly flowsByRef = new Map<string, Flow>()
  readonly pools = new Map<string, Pool>()
  readonly counters = new Map<string, number>()
  /** How far live jobs are, as last heard. Not durable on purpose. */
  readonly progress = new Map<number, { fraction: number | null; detail: JsonObject | null }>()
  readonly specs = new SpecShelf()
  /** Jobs that ended lately: whoever hears of an end asks for the job next, and need not read it back. */
  readonly #ended = new Map<number, Job>()
  lastN = 0
  lastEvent = 0

  constructor(pools: Readonly<Record<string, PoolSettings>>) {
    for (const [name, settings] of Object.entries(pools)) this.pools.set(name, new Pool(name, settings))
    if (!this.pools.has('default')) this.pools.set('default', new Pool('default', {}))
  }

  /** The pool of that name; a name nobody declared is a pool without limits. */
  pool(name: string): Pool {
    let pool = this.pools.get(name)
    if (pool === undefined) {
      pool = new Pool(name, {})
      this.pools.set(name, pool)
    }
    return pool
  }

  addJob(job: Job): void {
    this.jobs.set(job.n, job)
    if (job.ref !== null) this.jobsByRef.set(refKey(job.dialect, job.ref), job)
  }

  /** A job that ended, and whose end is durable, is found in the store from now on. */
  dropJob(job: Job): void {
    this.#ended.delete(job.n)
    this.#ended.set(job.n, job)
    if (this.#ended.size > endedKept) this.#ended.delete(this.#ended.keys().next().value!)
    this.jobs.delete(job.n)
    if (job.ref !== null) this.jobsByRef.delete(refKey(job.dialect, job.ref))
    this.specs.drop(job.n)
    this.progress.delete(job.n)
  }

  /** A job that ended lately, as it ended. */
  endedJob(n: number): Job | undefined {
    return this.#ended.get(n)
  }

  /** It was taken out of history. */
  forgetJob(n: number): void {
    this.#ended.delete(n)
  }

  addFlow(flow: Flow): void {
    this.flows.set(flow.n, flow)
    this.flowsById.set(flow.id, flow)
    if (flow.ref !== null) this.flowsByRef.set(refKey(flow.dialect, flow.ref), flow)
  }

  dropFlow(flow: Flow): void {
    this.flows.delete(flow.n)
    this.flowsById.delete(flow.id)
    if (flow.ref !== null) this.flowsByRef.delete(refKey(flow.dialect, flow.ref))
  }
}

/** One key for a name within a dialect. */
export function refKey(dialect: string, ref: string): string {
  return `${dialect}\u0000${ref}`
}

/**
 * Specs of waiting jobs, so that starting one needs no read. Bounded: what comes when the shelf is full is read from
 * the store at its start; the oldest stay, since they start soonest.
 */
class SpecShelf {
  static readonly bytesMax = 32 * 1024 * 1024
  readonly #specs = new PlaceMap<{ readonly spec: Json; readonly bytes: number }>()
  #bytes = 0

  put(n: number, spec: Json, bytes: number): void {
    if (this.#bytes + bytes > SpecShelf.bytesMax) return
    this.#specs.set(n, { spec, bytes })
    this.#bytes += bytes
  }

  get(n: number): Json | undefined {
    return this.#specs.get(n)?.spec
  }

  drop(n: number): void {
    const entry = this.#specs.get(n)
    if (entry === undefined) return
    this.#bytes -= entry.bytes
    this.#specs.delete(n)
  }
}
