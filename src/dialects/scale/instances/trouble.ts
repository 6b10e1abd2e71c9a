// Which steps of a flow wait below something that failed or was cancelled. The engine's planner knows of failures, and
// nothing of what a user cancelled before it ran: that job only waits. Both block what is below them.

import type { DagPlan } from '../../../core/flow.ts'
import type { JobRow } from './rows.ts'

/**
 * The steps below trouble, each with the time of the newest trouble above it (ms). One pass over the plan, whose steps
 * come after those that they need.
 */
export function stepsBelowTrouble(
  { steps }: DagPlan,
  jobs: ReadonlyMap<string, JobRow>,
): ReadonlyMap<string, number> {
  const below = new Map<string, number>()
  if (!some(jobs.values(), isTrouble)) return below
  for (const { key, needs } of steps) {
    let at = -1
    for (const need of needs) {
      const row = jobs.get(need)
      if (row && isTrouble(row)) at = Math.max(at, row.changedAt)
      at = Math.max(at, below.get(need) ?? -1)
    }
    if (at >= 0) below.set(key, at)
  }
  return below
}

// What no condition let exist was skipped, which holds nobody up.
function isTrouble({ status, isVisible }: JobRow): boolean {
  return (status === 'FAILED' || status === 'CANCELED') && isVisible
}

function some<T>(items: Iterable<T>, fits: (item: T) => boolean): boolean {
  for (const item of items) if (fits(item)) return true
  return false
}
