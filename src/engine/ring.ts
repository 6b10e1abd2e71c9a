// What an alarm means to its job when it rings: most have been overtaken by then, and mean nothing.

import type { Alarm } from './alarms.ts'
import { applyMove } from './move.ts'
import { askToStop } from './stop.ts'
import type { Yard } from './yard.ts'

/** Applies an alarm that is due. */
export function applyAlarm(yard: Yard, { kind, n }: Alarm): void {
  const job = yard.model.jobs.get(n)
  if (job === undefined) return
  const now = yard.now()
  const isOver = (since: number | null, most: number | null) =>
    (since ?? now) + (most ?? Number.POSITIVE_INFINITY) <= now
  if (kind === 'due' && job.state === 'delayed' && (job.dueAt ?? 0) <= now) applyMove(yard, job, 'due')
  if (kind === 'queue' && job.state === 'ready' && !job.held && isOver(job.readyAt, job.queueMsMax))
    applyMove(yard, job, 'fail', { reason: 'expired', message: 'it waited longer than it may' })
  if (kind === 'run' && job.state === 'running' && isOver(job.startedAt, job.runMsMax))
    askToStop(yard, job, 'expire')
}
