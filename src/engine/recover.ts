// After a start, or after the store failed: from the hot set back to a working model. What executors still have is
// adopted, what they lost is started again or retried; see the table in docs/explanation/durability.md.

import { attemptIdOf } from '../core/ids.ts'
import type { Job } from '../core/job.ts'
import { isLive } from '../core/job-state.ts'
import type { Executor, Report } from '../executors/executor.ts'
import type { HotSet, Store } from '../store/store.ts'
import { goLive, queue, watchWalltime } from './move.ts'
import type { Flows } from './planners/dag/flows.ts'
import { applyReport } from './report.ts'
import type { Yard } from './yard.ts'

/** How many attempts an executor is asked about at a time. */
const lookAtOnce = 1_000

/** Fills an empty model. Nothing is claimed, planned or asked yet. */
export async function refill(
  yard: Yard,
  flows: Flows,
  hot: HotSet,
  store: Pick<Store, 'history'>,
): Promise<void> {
  const { model } = yard
  model.lastN = hot.lastN
  model.lastEvent = hot.lastEvent
  for (const [name, value] of hot.counters) model.counters.set(name, value)
  for (const job of hot.jobs) refillJob(yard, job)
  const nodes = Map.groupBy(hot.nodes, node => node.flow)
  const jobs = Map.groupBy(hot.jobs, job => job.flow)
  for (const flow of hot.flows) {
    const spec = (await store.history.specs([flow.n])).get(flow.n)
    flows.adopt(
      flow,
      spec === undefined ? null : JSON.parse(spec),
      nodes.get(flow.n) ?? [],
      jobs.get(flow.n) ?? [],
    )
  }
}

function refillJob(yard: Yard, job: Job): void {
  yard.model.addJob(job)
  if (job.state === 'ready') queue(yard, job)
  if (job.state === 'delayed') yard.alarms.set({ at: job.dueAt ?? 0, kind: 'due', n: job.n })
  if (isLive(job.state)) goLive(yard, job)
  if (job.state === 'running') watchWalltime(yard, job)
}

/** Asks every executor what became of the attempts that were live, and applies the answers. */
export async function adoptAttempts(yard: Yard): Promise<void> {
  const live = [...yard.model.jobs.values()].filter(job => isLive(job.state))
  for (const [name, jobs] of Map.groupBy(live, job => job.executor)) {
    const executor = yard.executors.get(name)
    for (let from = 0; from < jobs.length; from += lookAtOnce) {
      const some = jobs.slice(from, from + lookAtOnce)
      const reports = await lookAt(executor, some)
      for (const report of reports) if (executor !== undefined) applyReport(yard, executor, report)
      for (const job of some) askAgain(yard, job)
    }
  }
}

/** An executor that is not configured any more has lost everything. */
async function lookAt(executor: Executor | undefined, jobs: readonly Job[]): Promise<Report[]> {
  const ids = jobs.map(job => attemptIdOf(job.id, job.attempts))
  return executor === undefined ? [] : executor.look(ids)
}

/** A stop that was asked before the crash is asked again. */
function askAgain(yard: Yard, job: Job): void {
  if (!isLive(job.state) || job.stop === 'none') return
  yard.batch.changeCount++
  yard.batch.stops.push({
    executor: job.executor,
    id: attemptIdOf(job.id, job.attempts),
    how: job.stop === 'kill' ? 'kill' : 'ask',
    why: job.stop,
  })
}
