// How long ended jobs and flows, and events, stay in history. A sweep at a slow pace forgets what is older, a bounded
// number at a time, so that no single turn is long. Jobs of a flow that still runs stay with it; what belongs to a dialect
// that knows more about it is that dialect's to forget.

import type { Clock } from '../core/clock.ts'
import type { Flow } from '../core/flow.ts'
import type { Job } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { Engine, Forgetter } from './engine.ts'

/** How many jobs, and how many flows, one turn looks at. */
const sweptAtOnce = 500
/** A job has some five events. */
const eventsSweptAtOnce = 5_000
const pauseMsMax = 600_000

/** What a sweep works with. */
export interface RetentionParts {
  readonly engine: Engine
  /** By dialect. */
  readonly forgetters: ReadonlyMap<string, Forgetter>
  readonly onError: (error: unknown) => void
}

/** How far a pass over everything that is old has come; a list that is at its end says null. */
interface Progress {
  readonly jobsAfter: string | null | undefined
  readonly flowsAfter: string | null | undefined
}

const begin: Progress = { jobsAfter: undefined, flowsAfter: undefined }

/** Forgets what ended, or happened, longer ago than `retainMs`, again and again until stopped. */
export function startRetention(parts: RetentionParts & { clock: Clock; retainMs: number }): () => void {
  const { engine, clock, retainMs } = parts
  let stopped = false
  let takeBack = () => {}
  let progress: Progress | undefined
  const later = (ms: number) => {
    takeBack = clock.alarm(clock.now() + ms, () => void turn())
  }
  const turn = async () => {
    if (stopped) return
    try {
      if (engine.up) progress = await sweep(parts, clock.now() - retainMs, progress ?? begin)
    } catch (error) {
      progress = undefined
      parts.onError(error)
    }
    if (!stopped) later(progress ? 100 : Math.max(1_000, Math.min(retainMs / 10, pauseMsMax)))
  }
  later(Math.min(retainMs / 10, pauseMsMax))
  return () => {
    stopped = true
    takeBack()
  }
}

// One turn; gives what comes next, or nothing when all that is older has been looked at.
async function sweep(parts: RetentionParts, before: number, at: Progress): Promise<Progress | undefined> {
  const { engine } = parts
  const query = {
    order: 'oldest',
    createdTo: before,
    limit: sweptAtOnce,
    states: ['succeeded', 'failed', 'cancelled'],
  } as const
  const page = (after: string | undefined) => ({ ...query, ...(after !== undefined && { after }) })
  const flows = at.flowsAfter === null ? undefined : await engine.history.flows(page(at.flowsAfter))
  const jobs = at.jobsAfter === null ? undefined : await engine.history.jobs(page(at.jobsAfter))
  await forget(parts, flows?.items ?? [], jobs?.items ?? [], before)
  // Events are numbered as they happen, so those that are too old come first.
  const events = await engine.history.events(0, eventsSweptAtOnce)
  const kept = events.findIndex(event => event.at >= before)
  const oldEvents = kept === -1 ? events : events.slice(0, kept)
  await engine.forget({ eventsTo: oldEvents.at(-1)?.seq ?? 0 })
  const next: Progress = { jobsAfter: jobs?.next ?? null, flowsAfter: flows?.next ?? null }
  const isDone = next.jobsAfter === null && next.flowsAfter === null && oldEvents.length < eventsSweptAtOnce
  return isDone ? undefined : next
}

async function forget(
  { engine, forgetters, onError }: RetentionParts,
  flows: readonly Flow[],
  jobs: readonly Job[],
  before: number,
): Promise<void> {
  const oldFlows = flows.filter(flow => flow.state !== 'running' && (flow.endedAt ?? before) < before)
  const oldJobs = jobs.filter(job => isFinal(job.state) && (job.endedAt ?? before) < before)
  // The planner of a flow that runs looks at its jobs, and so does whoever goes on with it after a restart.
  const loose = oldJobs.filter(
    job => job.flow === null || (!forgetters.has(job.dialect) && engine.atHand.flow(job.flow) === undefined),
  )
  const isPlain = ({ dialect }: Flow | Job): boolean => !forgetters.has(dialect)
  await engine.forget({
    flows: oldFlows.filter(isPlain).map(flow => flow.n),
    jobs: loose.filter(isPlain).map(job => job.n),
  })
  for (const [dialect, forgetter] of forgetters) {
    const ended = {
      flows: oldFlows.filter(flow => flow.dialect === dialect),
      jobs: loose.filter(job => job.dialect === dialect),
    }
    // What one dialect cannot do now is no reason for the others to keep what is theirs.
    if (ended.flows.length + ended.jobs.length > 0) await forgetter(ended, before).catch(onError)
  }
}
