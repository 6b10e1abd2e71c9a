// What leaves for the executors once a batch is durable: starts, stops, and leave to forget. Specs that are not at hand,
// and preparers that complete them, may take a moment; everything else goes out at once, grouped by executor.

import { attemptIdOf } from '../core/ids.ts'
import type { Job, Outcome } from '../core/job.ts'
import type { Json } from '../core/json.ts'
import type { Executor, Report, StartOrder } from '../executors/executor.ts'
import type { Batch } from './batch.ts'
import { type Preparer, Unprepared } from './engine.ts'
import type { KindTable } from './kind-table.ts'

export interface DispatchParts {
  readonly executors: ReadonlyMap<string, Executor>
  readonly preparers: KindTable<Preparer>
  /** The spec of a job that is not on the shelf. */
  readonly specOf: (n: number) => Promise<Json>
  /** Whether the engine still has this very job; after a failed commit everything was read anew and is asked for again. */
  readonly isCurrent: (job: Job) => boolean
  /** How the engine hears of what could not even be started. */
  readonly hear: (executor: Executor, reports: readonly Report[]) => void
}

/** Sends out what a durable batch asks of the world. */
export function dispatch(parts: DispatchParts, batch: Batch): void {
  for (const [name, ids] of grouped(batch.reported))
    parts.executors.get(name)?.forget(ids, { streams: false })
  for (const [name, ids] of grouped(batch.forgotten))
    parts.executors.get(name)?.forget(ids, { streams: true })
  for (const stop of batch.stops) parts.executors.get(stop.executor)?.stop(stop.id, stop.how, stop.why)
  if (batch.starts.length > 0) startAll(parts, batch.starts)
}

function startAll(parts: DispatchParts, starts: Batch['starts']): void {
  const orders = new Map<string, StartOrder[]>()
  for (const { job, spec } of starts) {
    const prepare = parts.preparers.of(job)
    if (spec === undefined || prepare !== undefined) {
      void startPrepared(parts, { job, spec, prepare })
      continue
    }
    const list = orders.get(job.executor)
    if (list === undefined) orders.set(job.executor, [orderOf(job, spec)])
    else list.push(orderOf(job, spec))
  }
  for (const [name, list] of orders) start(parts, name, list)
}

async function startPrepared(
  parts: DispatchParts,
  { job, spec: known, prepare }: { job: Job; spec: Json | undefined; prepare: Preparer | undefined },
): Promise<void> {
  const order = orderOf(job, known ?? null)
  try {
    const spec = known ?? (await parts.specOf(job.n))
    const facts = { spec, job: job.id, ref: job.ref, owner: job.owner, n: job.n, attempt: job.attempts }
    const ready = prepare === undefined ? spec : await prepare(facts)
    if (!parts.isCurrent(job)) return
    if (job.stop !== 'none') {
      // It was asked to stop while its spec was being completed: the executor never heard of it, so it has stopped.
      parts.hear(executorOf(parts, job.executor), [
        { id: order.id, type: 'ended', outcome: { result: 'stopped' } },
      ])
      return
    }
    start(parts, job.executor, [{ ...order, spec: ready }])
  } catch (error) {
    if (!parts.isCurrent(job)) return
    failLaunch(parts, job.executor, [order], error instanceof Error ? error.message : String(error), error)
  }
}

function start(parts: DispatchParts, name: string, orders: readonly StartOrder[]): void {
  const executor = parts.executors.get(name)
  if (executor === undefined) failLaunch(parts, name, orders, noExecutor(name))
  else executor.start(orders)
}

function failLaunch(
  parts: DispatchParts,
  name: string,
  orders: readonly StartOrder[],
  message: string,
  why?: unknown,
): void {
  const outcome: Outcome = {
    result: 'failed',
    reason: why instanceof Unprepared ? why.reason : 'launch',
    message,
    ...(why instanceof Unprepared && why.exitCode !== undefined && { exitCode: why.exitCode }),
  }
  parts.hear(
    executorOf(parts, name),
    orders.map(({ id }) => ({ id, type: 'ended', outcome })),
  )
}

function orderOf(job: Job, spec: Json): StartOrder {
  return {
    id: attemptIdOf(job.id, job.attempts),
    job: job.id,
    dialect: job.dialect,
    kind: job.kind,
    owner: job.owner,
    spec,
    needs: job.needs,
    runMsMax: job.runMsMax,
  }
}

function grouped(list: readonly { executor: string; id: string }[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const { executor, id } of list) {
    const ids = groups.get(executor)
    if (ids === undefined) groups.set(executor, [id])
    else ids.push(id)
  }
  return groups
}

function noExecutor(name: string): string {
  return `there is no executor called ${name} here`
}

/** The executor, or one that stands in for it where it is not configured, so that its jobs can fail with a reason. */
function executorOf(parts: DispatchParts, name: string): Executor {
  return (
    parts.executors.get(name) ?? {
      name,
      can: { survivesRestart: false, pause: false, progress: false, reportsItself: false },
      open: async () => {},
      check: () => noExecutor(name),
      start: () => {},
      look: async ids => ids.map(id => ({ id, type: 'unknown' })),
      stop: () => {},
      read: async () => undefined,
      forget: () => {},
      close: async () => {},
    }
  )
}
