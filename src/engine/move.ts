// The only place where a job's state changes. One function applies a legal move and keeps everything that hangs on
// the state true: the queue, the slots, the alarms, the event, the waiters and the planner.

import { attemptIdOf } from '../core/ids.ts'
import type { Job } from '../core/job.ts'
import { type EndReason, isFinal, isLive, type JobMove, type JobState, nextState } from '../core/job-state.ts'
import type { JsonObject } from '../core/json.ts'
import { granted, refused, type Verdict } from '../core/refusal.ts'
import { noteJob, type Yard } from './yard.ts'

/** What a move says besides where it leads. */
export interface MoveFacts {
  readonly reason?: EndReason
  readonly message?: string
  readonly exitCode?: number
  readonly dueAt?: number
  readonly startedAt?: number
  /** For the event only. */
  readonly body?: JsonObject
}

/** What the event of a move is called: what has happened, not what was asked. */
const told: Record<JobMove, string> = {
  release: 'released',
  block: 'blocked',
  wait: 'delayed',
  due: 'due',
  claim: 'claimed',
  begin: 'began',
  succeed: 'succeeded',
  fail: 'failed',
  retry: 'retried',
  yield: 'yielded',
  cancel: 'cancelled',
  stopped: 'cancelled',
  resubmit: 'resubmitted',
  revive: 'revived',
  writeOff: 'written-off',
}

/** Applies a move, or refuses it and changes nothing. */
export function applyMove(yard: Yard, job: Job, move: JobMove, facts: MoveFacts = {}): Verdict<Job> {
  const from = job.state
  const to = nextState(from, move)
  if (to === undefined) {
    return refused('illegal-move', `job ${job.id} is ${from}, which does not allow: ${move}`, {
      facts: { state: from, move },
    })
  }
  leave(yard, job, from, to)
  job.state = to
  job.reason = facts.reason ?? null
  job.message = facts.message ?? null
  if (facts.exitCode !== undefined) job.exitCode = facts.exitCode
  enter(yard, job, from, facts)
  noteJob(yard, job, told[move], eventBody(job, facts))
  yard.jobMoved(job, from)
  return granted(job)
}

function leave(yard: Yard, job: Job, from: JobState, to: JobState): void {
  const pool = yard.model.pool(job.pool)
  if (from === 'ready') pool.remove(job)
  if (isLive(from) && !isLive(to)) {
    pool.free(job)
    yard.model.liveById.delete(job.id)
  }
  if (from === 'delayed') job.dueAt = null
  if (isFinal(from)) {
    job.endedAt = null
    job.exitCode = null
    job.stop = 'none'
    yard.model.addJob(job)
  }
}

function enter(yard: Yard, job: Job, from: JobState, facts: MoveFacts): void {
  const now = yard.now()
  switch (job.state) {
    case 'blocked':
      break
    case 'ready':
      job.stop = 'none'
      job.readyAt = now
      queue(yard, job)
      break
    case 'delayed':
      job.stop = 'none'
      job.dueAt = facts.dueAt ?? now
      yard.alarms.set({ at: job.dueAt, kind: 'due', n: job.n })
      break
    case 'starting':
      job.attempts++
      job.startedAt = null
      goLive(yard, job)
      break
    case 'running':
      job.startedAt = facts.startedAt ?? now
      watchWalltime(yard, job)
      break
    case 'succeeded':
    case 'failed':
    case 'cancelled':
      if (job.startedAt === null && isLive(from)) job.startedAt = facts.startedAt ?? null
      job.endedAt = now
      job.stop = 'none'
      yard.batch.endedJobs.push(job)
      break
  }
}

/** A job with an attempt holds room in its pool, and its executor may report. */
export function goLive(yard: Yard, job: Job): void {
  yard.model.pool(job.pool).take(job)
  yard.model.liveById.set(job.id, job)
}

/** Puts a ready job into its pool's queue, unless it is held, and watches how long it waits. */
export function queue(yard: Yard, job: Job): void {
  if (!job.held) yard.model.pool(job.pool).add(job)
  if (job.queueMsMax !== null)
    yard.alarms.set({ at: (job.readyAt ?? yard.now()) + job.queueMsMax, kind: 'queue', n: job.n })
}

/** Sets the alarm for a job that has begun and may run only so long. */
export function watchWalltime(yard: Yard, job: Job): void {
  if (job.runMsMax !== null && job.startedAt !== null) {
    yard.alarms.set({ at: job.startedAt + job.runMsMax, kind: 'run', n: job.n })
  }
}

function eventBody(job: Job, facts: MoveFacts): JsonObject | null {
  const body: JsonObject = { ...facts.body }
  // The first attempt goes without saying: most jobs have no other, and every move of every job is an event.
  if (job.state === 'starting' && job.attempts > 1) body['attempt'] = attemptIdOf(job.id, job.attempts)
  if (facts.reason !== undefined) body['reason'] = facts.reason
  if (facts.message !== undefined) body['message'] = facts.message
  if (facts.exitCode !== undefined) body['exitCode'] = facts.exitCode
  if (facts.dueAt !== undefined) body['dueAt'] = facts.dueAt
  return Object.keys(body).length === 0 ? null : body
}
