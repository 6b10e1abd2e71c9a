// When a job may start: its pool has a slot and room for what it needs, and it is the next in rank.

import { applyMove } from './move.ts'
import type { Pool } from './pool.ts'
import type { Yard } from './yard.ts'

/** Claims from every pool as much as fits. Each claim writes the intent; the start is asked after the commit. */
export function claimAll(yard: Yard): number {
  let claimed = 0
  for (const pool of yard.model.pools.values()) claimed += claimFrom(yard, pool)
  return claimed
}

function claimFrom(yard: Yard, pool: Pool): number {
  let claimed = 0
  for (let job = pool.next(yard.now()); job !== undefined; job = pool.next(yard.now())) {
    applyMove(yard, job, 'claim')
    yard.batch.starts.push({ job, spec: yard.model.specs.get(job.n) })
    claimed++
  }
  return claimed
}
