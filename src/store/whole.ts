// What everything in a batch must be for any adapter to take it. What is not is a bug of its maker, and better
// stopped here than found in the tables later.

import type { Flow } from '../core/flow.ts'
import type { Job } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { Entries } from './conditions.ts'
import { StoreFailed } from './store.ts'

/** Throws StoreFailed `broken` unless the job has an end exactly when its state says so: lists live on that. */
export function checkJob(job: Job): void {
  if (isFinal(job.state) === (job.endedAt === null)) {
    throw new StoreFailed(
      'broken',
      `Job ${job.n} cannot be stored: it is ${job.state} with endedAt ${job.endedAt}`,
    )
  }
}

/** The same for a flow. */
export function checkFlow(flow: Flow): void {
  if ((flow.state === 'running') === (flow.endedAt !== null)) {
    throw new StoreFailed(
      'broken',
      `Flow ${flow.n} cannot be stored: it is ${flow.state} with endedAt ${flow.endedAt}`,
    )
  }
}

/** Throws StoreFailed `broken` for index values that have no place in an order. */
export function checkEntries(entries: Entries): void {
  for (const [name, value] of entries) {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new StoreFailed(
        'broken',
        `A record cannot be found by ${name} = ${value}: the number is not finite`,
      )
    }
  }
}
