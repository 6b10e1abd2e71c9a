// How many jobs a user may have that have not ended.

import { isWaiting } from '../../core/job-state.ts'
import { refuse } from '../../core/refusal.ts'
import type { Parts } from './parts.ts'
import { dialectName } from './spec.ts'

/** Refuses `more` jobs when they would be too many. Counts no further than the quota. */
export function checkQuota({ kit, settings }: Parts, owner: string, more: number): void {
  const { waitingJobs, jobs } = settings.quota
  if (waitingJobs === undefined && jobs === undefined) return
  let waiting = more
  let all = more
  for (const job of kit.engine.liveJobs({ dialect: dialectName, owner })) {
    all++
    if (isWaiting(job.state)) waiting++
    if (waitingJobs !== undefined && waiting > waitingJobs)
      refuse('quota-exceeded', `the quota of ${waitingJobs} waiting jobs is used up`)
    if (jobs !== undefined && all > jobs) refuse('quota-exceeded', `the quota of ${jobs} jobs is used up`)
  }
}
