// What executors say, applied to jobs. A report of an attempt that is no longer the job's current one changes nothing.

import { attemptIdOf, readAttemptId } from '../core/ids.ts'
import type { Job, Outcome } from '../core/job.ts'
import { type EndReason, isLive } from '../core/job-state.ts'
import type { Executor, Report } from '../executors/executor.ts'
import type { Completion } from './engine.ts'
import { applyMove } from './move.ts'
import { decideRetry } from './retry.ts'
import { nextNumber, saveOutput, type Yard } from './yard.ts'

/** Applies one report. Ended attempts, known or not, are forgotten by their executor after the commit. */
export function applyReport(yard: Yard, executor: Executor, report: Report): void {
  const job = currentJob(yard, report.id)
  switch (report.type) {
    case 'began':
      if (job?.state === 'starting') applyMove(yard, job, 'begin', { startedAt: report.at })
      return
    case 'progress':
      if (job !== undefined) {
        yard.model.progress.set(job.n, { fraction: report.fraction, detail: report.detail ?? null })
      }
      return
    case 'ended':
      yard.batch.changeCount++
      yard.batch.reported.push({ executor: executor.name, id: report.id })
      if (job !== undefined) applyOutcome(yard, job, report.outcome)
      return
    case 'unknown':
      if (job !== undefined) applyLoss(yard, job, executor)
      return
  }
}

/** The job whose current, live attempt this is. */
function currentJob(yard: Yard, id: string): Job | undefined {
  const parts = readAttemptId(id)
  if (parts === undefined) return undefined
  const job = yard.model.liveById.get(parts.job)
  return job !== undefined && isLive(job.state) && job.attempts === parts.number ? job : undefined
}

function applyOutcome(yard: Yard, job: Job, reported: Outcome): void {
  const { outcome, completion } = completed(yard, job, reported)
  const startedAt = outcome.startedAt ?? job.startedAt
  writeAttempt(yard, job, outcome, startedAt)
  if (outcome.detail !== undefined || outcome.usage !== undefined) {
    job.detail = {
      ...job.detail,
      ...outcome.detail,
      ...(outcome.usage !== undefined ? { usage: { ...outcome.usage } } : {}),
    }
  }
  const facts = {
    ...(outcome.exitCode !== undefined ? { exitCode: outcome.exitCode } : {}),
    ...(startedAt !== null ? { startedAt } : {}),
  }
  const asked = job.stop
  if (outcome.result === 'succeeded') {
    // The first final fact wins, also when a stop had been asked.
    keepOutputs(yard, job, completion?.outputs ?? outcome.outputs)
    yard.batch.records.push(...(completion?.records ?? []))
    yard.batch.blobs.push(...(completion?.blobs ?? []))
    applyMove(yard, job, 'succeed', { exitCode: 0, ...facts })
  } else if (asked === 'cancel' || asked === 'kill') {
    applyMove(yard, job, 'stopped', {
      reason: 'user',
      ...facts,
      ...(job.message !== null ? { message: job.message } : {}),
    })
  } else if (asked === 'expire') {
    keepOutputs(yard, job, outcome.outputs)
    applyMove(yard, job, 'fail', { reason: 'timeout', message: 'it ran longer than it may', ...facts })
  } else if (outcome.result === 'lost' || outcome.result === 'stopped') {
    // Nobody's fault: paused, stopped by a shutdown, or gone with the server.
    applyYield(yard, job, outcome.message ?? 'its executor stopped')
  } else {
    // What a failed attempt brought is kept with it: logs and partial results are what people look at then.
    keepOutputs(yard, job, outcome.outputs)
    applyFailure(yard, job, outcome.reason ?? 'exit', {
      ...facts,
      ...(outcome.message !== undefined ? { message: outcome.message } : {}),
    })
  }
}

/** Asks what else comes with a success before anything is applied: what cannot be completed has failed. */
function completed(
  yard: Yard,
  job: Job,
  outcome: Outcome,
): { outcome: Outcome; completion?: Completion | undefined } {
  const complete = outcome.result === 'succeeded' ? yard.completers.of(job) : undefined
  if (complete === undefined) return { outcome }
  try {
    const next = (counter: string) => nextNumber(yard, counter)
    return { outcome, completion: complete({ job, outcome, now: yard.now(), next }) }
  } catch (error) {
    const { exitCode: _, ...rest } = outcome
    const message = error instanceof Error ? error.message : String(error)
    return { outcome: { ...rest, result: 'failed', reason: 'stage-out', message } }
  }
}

function keepOutputs(yard: Yard, job: Job, outputs: Outcome['outputs']): void {
  for (const output of outputs ?? []) saveOutput(yard, { ...output, job: job.n, createdAt: yard.now() })
}

/** Back to the queue without blame; held if that is what a pause was asked for. */
function applyYield(yard: Yard, job: Job, message: string): void {
  const isPaused = holdIfPausing(job)
  applyMove(yard, job, 'yield', { message: isPaused ? 'paused' : message })
}

/** However an attempt ends that was asked to pause: what was promised is that the job does not go on by itself. */
function holdIfPausing(job: Job): boolean {
  if (job.stop !== 'pause') return false
  job.held = true
  return true
}

/** A try failed: wait for the next one, or fail for good. */
export function applyFailure(
  yard: Yard,
  job: Job,
  reason: EndReason,
  facts: { message?: string; exitCode?: number; startedAt?: number },
): void {
  job.tries++
  const pauseMs = decideRetry(job, reason)
  if (pauseMs === undefined) {
    applyMove(yard, job, 'fail', { reason, ...facts })
    return
  }
  holdIfPausing(job)
  const told = `try ${job.tries} of ${job.triesMax} failed (${reason}${facts.message === undefined ? '' : `: ${facts.message}`})`
  applyMove(yard, job, 'retry', { dueAt: yard.now() + pauseMs, message: told })
  if (pauseMs === 0) applyMove(yard, job, 'due', { message: told })
}

const goneMessage = 'its executor lost it'

/** The executor knows nothing of a live attempt. Without blame it goes back to the queue; else it cost a try. */
function applyLoss(yard: Yard, job: Job, executor: Executor): void {
  if (job.stop === 'cancel' || job.stop === 'kill') {
    writeAttempt(yard, job, { result: 'stopped', reason: 'user', message: goneMessage }, job.startedAt)
    applyMove(yard, job, 'stopped', { reason: 'user' })
  } else if (job.state === 'starting' && job.stop === 'pause') {
    applyYield(yard, job, 'paused')
  } else if (job.state === 'starting') {
    // The intent was written, and nothing came of it: the same attempt is started again.
    yard.batch.changeCount++
    yard.batch.starts.push({ job, spec: yard.model.specs.get(job.n) })
  } else if (executor.can.survivesRestart) {
    writeAttempt(yard, job, { result: 'failed', reason: 'lost', message: goneMessage }, job.startedAt)
    applyFailure(yard, job, 'lost', { message: goneMessage })
  } else {
    writeAttempt(yard, job, { result: 'lost', message: 'the server stopped while it ran' }, job.startedAt)
    applyYield(yard, job, 'the server stopped while it ran')
  }
}

function writeAttempt(yard: Yard, job: Job, outcome: Outcome, startedAt: number | null): void {
  yard.batch.changeCount++
  yard.batch.attempts.push({
    id: attemptIdOf(job.id, job.attempts),
    job: job.n,
    number: job.attempts,
    startedAt,
    endedAt: outcome.endedAt ?? yard.now(),
    result: outcome.result,
    reason: outcome.reason ?? null,
    message: outcome.message ?? null,
    exitCode: outcome.exitCode ?? null,
    usage: outcome.usage ?? null,
  })
}
