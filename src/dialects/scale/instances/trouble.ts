// Which steps of a flow wait below something that failed or was cancelled, or did so until it was put back. The engine's planner knows of failures, and
// nothing of what a user cancelled before it ran: that job only waits. Both block what is below them.

import type { DagPlan } from '../../../core/flow.ts'
import type { JobRow } from './rows.ts'

/** The steps below trouble, each with the time since when something above it is in trouble (ms). */
export function stepsBelowTrouble(
  plan: DagPlan,
  jobs: ReadonlyMap<string, JobRow>,
): ReadonlyMap<string, number> {
  if (!some(jobs.values(), isTrouble)) return new Map()
  const since = (step: string): number | undefined => {
    const row = jobs.get(step)
    return row && isTrouble(row) ? row.changedAt : undefined
  }
  return timesAbove(plan, since, Math.min)
}

/** The steps below jobs that were put back after trouble, each with the last time that happened above it (ms). */
export function stepsBelowMended(
  plan: DagPlan,
  mended: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  return mended.size === 0 ? mended : timesAbove(plan, step => mended.get(step), Math.max)
}

// One pass over the plan, whose steps come after those that they need.
function timesAbove(
  { steps }: DagPlan,
  timeOf: (step: string) => number | undefined,
  choose: (a: number, b: number) => number,
): ReadonlyMap<string, number> {
  const above = new Map<string, number>()
  for (const { key, needs } of steps) {
    let at: number | undefined
    for (const need of needs)
      for (const time of [timeOf(need), above.get(need)])
        if (time !== undefined) at = at === undefined ? time : choose(at, time)
    if (at !== undefined) above.set(key, at)
  }
  return above
}

// What no condition let exist was skipped, which holds nobody up.
function isTrouble({ status, isVisible }: JobRow): boolean {
  return (status === 'FAILED' || status === 'CANCELED') && isVisible
}

function some<T>(items: Iterable<T>, fits: (item: T) => boolean): boolean {
  for (const item of items) if (fits(item)) return true
  return false
}
