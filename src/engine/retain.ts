// How long ended jobs and flows, and events, stay in history. A sweep at a slow pace forgets what is older, a bounded
// number at a time, so that no single turn is long.

import type { Clock } from '../core/clock.ts'
import { isFinal } from '../core/job-state.ts'
import type { Engine } from './engine.ts'

/** How many jobs, and how many flows, one turn looks at. */
const sweptAtOnce = 500
/** A job has some five events. */
const eventsSweptAtOnce = 5_000
const pauseMsMax = 600_000

/** Forgets what ended, or happened, longer ago than `retainMs`, again and again until stopped. */
export function startRetention(parts: {
  engine: Engine
  clock: Clock
  retainMs: number
  onError: (error: unknown) => void
}): () => void {
  const { engine, clock, retainMs } = parts
  let stopped = false
  let takeBack = () => {}
  const later = (ms: number) => {
    takeBack = clock.alarm(clock.now() + ms, () => void turn())
  }
  const turn = async () => {
    if (stopped) return
    let isDone = true
    try {
      if (engine.up) isDone = await sweep(engine, clock.now() - retainMs)
    } catch (error) {
      parts.onError(error)
    }
    if (!stopped) later(!isDone ? 100 : Math.max(1_000, Math.min(retainMs / 10, pauseMsMax)))
  }
  later(Math.min(retainMs / 10, pauseMsMax))
  return () => {
    stopped = true
    takeBack()
  }
}

/** One turn; tells whether all that is older is gone. */
export async function sweep(engine: Engine, before: number): Promise<boolean> {
  const query = { order: 'oldest', createdTo: before, limit: sweptAtOnce } as const
  const jobs = await engine.history.jobs({ ...query, states: ['succeeded', 'failed', 'cancelled'] })
  const flows = await engine.history.flows({ ...query, states: ['succeeded', 'failed', 'cancelled'] })
  const oldJobs = jobs.items
    .filter(job => isFinal(job.state) && (job.endedAt ?? before) < before)
    .map(job => job.n)
  const oldFlows = flows.items
    .filter(flow => flow.state !== 'running' && (flow.endedAt ?? before) < before)
    .map(flow => flow.n)
  // Events are numbered as they happen, so those that are too old come first.
  const events = await engine.history.events(0, eventsSweptAtOnce)
  const kept = events.findIndex(event => event.at >= before)
  const oldEvents = kept === -1 ? events : events.slice(0, kept)
  const eventsTo = oldEvents.at(-1)?.seq ?? 0
  await engine.forget({ jobs: oldJobs, flows: oldFlows, eventsTo })
  return oldJobs.length + oldFlows.length < sweptAtOnce && oldEvents.length < eventsSweptAtOnce
}
