// What follows when an attempt did not end well: another try, or the end of the job.

import type { EndReason } from '../core/job-state.ts'

/** Longest pause between two tries. */
const backoffMsMax = 3_600_000

/** Reasons that another try cannot mend: the budget is spent, or somebody wanted it so. */
const hopeless: ReadonlySet<EndReason> = new Set(['timeout', 'no-resources', 'expired', 'user', 'upstream'])

/**
 * How long to pause before the next try, or undefined when there is none.
 * `tries` counts the failed ones, the present one included; the pause doubles with each.
 */
export function decideRetry(
  job: { tries: number; triesMax: number; backoffMs: number },
  reason: EndReason,
): number | undefined {
  if (job.tries >= job.triesMax || hopeless.has(reason)) return undefined
  return Math.min(job.backoffMs * 2 ** Math.min(job.tries - 1, 30), backoffMsMax)
}
