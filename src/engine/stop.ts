// Cancel, hold, pause and release: at once while a job waits; asked of the executor, and confirmed later, while it is live.

import { attemptIdOf } from '../core/ids.ts'
import type { Job } from '../core/job.ts'
import { isFinal, isLive, type StopRequest } from '../core/job-state.ts'
import { granted, refused, type Verdict } from '../core/refusal.ts'
import { applyMove, queue } from './move.ts'
import { noteJob, type Yard } from './yard.ts'

/** Repeating a cancel is fine; a job that has ended refuses. */
export function cancelJob(
  yard: Yard,
  job: Job,
  options: { message?: string; kill?: boolean } = {},
): Verdict<Job> {
  if (isFinal(job.state))
    return refused('illegal-move', `job ${job.id} has ended: it ${job.state}`, {
      facts: { state: job.state },
    })
  if (isLive(job.state)) {
    if (options.message !== undefined) job.message = options.message
    return askToStop(yard, job, options.kill === true ? 'kill' : 'cancel')
  }
  return applyMove(yard, job, 'cancel', {
    reason: 'user',
    ...(options.message !== undefined ? { message: options.message } : {}),
  })
}

/** A waiting job may not start until it is released. */
export function holdJob(yard: Yard, job: Job): Verdict<Job> {
  if (isFinal(job.state) || isLive(job.state)) {
    return refused('illegal-move', `job ${job.id} is ${job.state}; only a waiting job can be held`, {
      facts: { state: job.state },
    })
  }
  if (job.held) return granted(job)
  if (job.state === 'ready') yard.model.pool(job.pool).remove(job)
  job.held = true
  noteJob(yard, job, 'held')
  return granted(job)
}

/** Takes a hold back; also one that a live job would get once it has paused: it stops, and goes on at once. */
export function releaseJob(yard: Yard, job: Job): Verdict<Job> {
  if (isFinal(job.state))
    return refused('illegal-move', `job ${job.id} has ended: it ${job.state}`, {
      facts: { state: job.state },
    })
  if (job.stop === 'pause') {
    job.stop = 'none'
    noteJob(yard, job, 'unheld')
    return granted(job)
  }
  if (!job.held) return granted(job)
  job.held = false
  if (job.state === 'ready') {
    job.readyAt = yard.now()
    queue(yard, job)
  }
  noteJob(yard, job, 'unheld')
  return granted(job)
}

/** A live job is asked to stop and is held when it has; a waiting one is held at once. */
export function pauseJob(yard: Yard, job: Job): Verdict<Job> {
  if (!isLive(job.state)) return holdJob(yard, job)
  if (yard.executors.get(job.executor)?.can.pause !== true) {
    return refused('not-supported', `executor ${job.executor} cannot pause a running job`)
  }
  return askToStop(yard, job, 'pause')
}

/** Asks the live attempt to stop. A stronger request replaces a weaker one; the same again changes nothing. */
export function askToStop(yard: Yard, job: Job, why: Exclude<StopRequest, 'none'>): Verdict<Job> {
  if (strength[why] <= strength[job.stop]) return granted(job)
  job.stop = why
  noteJob(yard, job, 'stop-asked', { stop: why })
  yard.batch.stops.push({
    executor: job.executor,
    id: attemptIdOf(job.id, job.attempts),
    how: why === 'kill' ? 'kill' : 'ask',
    why,
  })
  return granted(job)
}

const strength: Record<StopRequest, number> = { none: 0, pause: 1, expire: 2, cancel: 3, kill: 4 }

/** Changes a waiting job's place in its pool; a live one keeps the new rank for its next try. */
export function rerankJob(yard: Yard, job: Job, rank: number): Verdict<Job> {
  if (isFinal(job.state))
    return refused('illegal-move', `job ${job.id} has ended: it ${job.state}`, {
      facts: { state: job.state },
    })
  if (job.rank === rank) return granted(job)
  const queued = job.state === 'ready' && !job.held
  if (queued) yard.model.pool(job.pool).remove(job)
  job.rank = rank
  if (queued) yard.model.pool(job.pool).add(job)
  noteJob(yard, job, 'reranked', { rank })
  return granted(job)
}
