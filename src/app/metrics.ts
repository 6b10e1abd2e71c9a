// The product's metrics, with units in their names, as OpenMetrics text. docs/reference/metrics.md is made from them.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, type OpenMetricsContentType, Registry } from 'prom-client'
import type { Engine, EngineObserver } from '../engine/engine.ts'
import type { AnswerFacts } from '../http/host.ts'
import { Histogram } from './histogram.ts'

export interface Metrics {
  readonly registry: Registry
  readonly engine: EngineObserver
  answered(facts: AnswerFacts): void
  /** Lets the gauges of jobs and pools look at the engine when they are read. */
  watch(engine: Engine): void
  close(): void
}

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const longSecondsBuckets = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400]

/** Makes the metrics and their registry. */
export function makeMetrics(): Metrics {
  const openMetrics = new Registry<OpenMetricsContentType>()
  openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  // The type parameter only says how text() looks; those who register metrics need not know it.
  const registry = openMetrics as unknown as Registry
  const registers = [registry]
  let engine: Engine | undefined
  const kinds = new BoundedLabels(200)

  const answers = new Histogram({
    name: 'switchyard_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer, by dialect, route pattern, method and status',
    labelNames: ['dialect', 'route', 'method', 'status'],
    buckets: secondsBuckets,
    registers,
  })
  const commits = new Histogram({
    name: 'switchyard_commit_duration_seconds',
    help: 'Time to make one batch durable',
    buckets: secondsBuckets,
    registers,
  })
  const commitJobs = new Histogram({
    name: 'switchyard_commit_jobs',
    help: 'Jobs that were new or changed in one batch',
    buckets: [0, 1, 2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000],
    registers,
  })
  const commitEvents = new Counter({
    name: 'switchyard_commit_events_total',
    help: 'Events made durable',
    registers,
  })
  const waits = new Histogram({
    name: 'switchyard_job_queue_wait_seconds',
    help: 'Time from being able to start until the start, by dialect and kind',
    labelNames: ['dialect', 'kind'],
    buckets: longSecondsBuckets,
    registers,
  })
  const runs = new Histogram({
    name: 'switchyard_job_run_seconds',
    help: 'Time from start to end of a job, by dialect, kind and final state',
    labelNames: ['dialect', 'kind', 'state'],
    buckets: longSecondsBuckets,
    registers,
  })
  new Gauge({
    name: 'switchyard_jobs',
    help: 'Jobs that have not ended, by dialect and state',
    labelNames: ['dialect', 'state'],
    registers,
    collect() {
      this.reset()
      const counts = new Map<string, number>()
      for (const job of engine?.liveJobs() ?? []) {
        const key = `${job.state} ${job.dialect}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      for (const [key, count] of counts) {
        const [state, dialect] = key.split(' ') as [string, string]
        this.set({ dialect, state }, count)
      }
    },
  })
  const poolGauge = (
    name: string,
    help: string,
    read: (pool: ReturnType<Engine['poolState']>[number]) => number | null,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: ['pool'],
      registers,
      collect() {
        this.reset()
        for (const pool of engine?.poolState() ?? []) {
          const value = read(pool)
          if (value !== null) this.set({ pool: pool.name }, value)
        }
      },
    })
  poolGauge('switchyard_pool_slots', 'Slots of a pool that has a limit', pool => pool.slots)
  poolGauge('switchyard_pool_slots_used', 'Slots in use', pool => pool.slotsUsed)
  poolGauge('switchyard_pool_ready_jobs', 'Jobs that wait for room in a pool', pool => pool.ready)
  new Gauge({
    name: 'switchyard_up',
    help: 'Whether the engine takes commands: 0 while the store is failing',
    registers,
    collect() {
      this.set(engine?.up === true ? 1 : 0)
    },
  })

  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  new Gauge({
    name: 'switchyard_event_loop_delay_seconds',
    help: 'How late the main thread was since the last reading: quantiles, and the most as quantile 1',
    labelNames: ['quantile'],
    registers,
    collect() {
      // Its samples include the 10 ms between them.
      const seconds = (ns: number) => Math.max(0, (Number.isFinite(ns) ? ns : 0) / 1e9 - 0.01)
      for (const quantile of [0.5, 0.9, 0.99]) {
        this.set({ quantile: String(quantile) }, seconds(delay.percentile(quantile * 100)))
      }
      this.set({ quantile: '1' }, seconds(delay.max))
      delay.reset()
    },
  })
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory of the server process that is in RAM',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Gauge({
    name: 'process_heap_used_bytes',
    help: 'JavaScript heap in use',
    registers,
    collect() {
      this.set(process.memoryUsage().heapUsed)
    },
  })
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time that the server process used',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the server process started, in seconds since 1970',
    registers,
  }).set(Math.round(performance.timeOrigin / 1000))

  return {
    registry,
    engine: {
      committed({ jobs, events, durationMs }) {
        commits.observe(durationMs / 1000)
        commitJobs.observe(jobs)
        commitEvents.inc(events)
      },
      started(job, waitMs) {
        waits.observe(waitMs / 1000, job.dialect, kinds.label(job.kind))
      },
      ended(job, runMs) {
        runs.observe(runMs / 1000, job.dialect, kinds.label(job.kind), job.state)
      },
    },
    answered({ dialect, route, method, status, durationMs }) {
      answers.observe(durationMs / 1000, dialect, route, method, status)
    },
    watch(watched) {
      engine = watched
    },
    close() {
      delay.disable()
      registry.clear()
    },
  }
}

/** Submitters choose what a kind is called, and each name costs memory for ever: after so many, the rest are `other`. */
class BoundedLabels {
  readonly #known = new Set<string>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  label(value: string): string {
    if (this.#known.has(value)) return value
    if (this.#known.size >= this.#most) return 'other'
    this.#known.add(value)
    return value
  }
}
