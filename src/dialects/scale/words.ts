// The statuses that a Scale client is told, as a function of what the engine knows of a job's program and of the
// collecting of its outputs (contracts/scale.md §5.4).

import type { JobState } from '../../core/job-state.ts'

/** Every status of a job, in the order of its life. */
export const statuses = [
  'PENDING',
  'BLOCKED',
  'QUEUED',
  'RUNNING',
  'FAILED',
  'COMPLETED',
  'CANCELED',
] as const
/** A job's status. */
export type Status = (typeof statuses)[number]

/** What a status follows from. */
export interface JobFacts {
  /** The engine's state of the program. */
  readonly main: JobState
  /** The engine's state of collecting its outputs; null when there is nothing to collect. */
  readonly post: JobState | null
  /** Something above it failed or was cancelled. */
  readonly isBelowTrouble: boolean
  /** A user cancelled it, and the engine may not have got there yet. */
  readonly isCanceled: boolean
}

/** The status of a job. */
export function statusWord(facts: JobFacts): Status {
  if (facts.isCanceled) return 'CANCELED'
  switch (facts.main) {
    case 'blocked':
      return facts.isBelowTrouble ? 'BLOCKED' : 'PENDING'
    case 'ready':
    case 'delayed':
    case 'starting':
      return 'QUEUED'
    case 'running':
      return 'RUNNING'
    case 'failed':
      return 'FAILED'
    case 'cancelled':
      return 'CANCELED'
    case 'succeeded':
      return facts.post === null ? 'COMPLETED' : postWord(facts.post)
  }
}

// While outputs are collected the job still runs, as far as anybody outside can tell.
function postWord(post: JobState): Status {
  switch (post) {
    case 'succeeded':
      return 'COMPLETED'
    case 'failed':
      return 'FAILED'
    case 'cancelled':
      return 'CANCELED'
    default:
      return 'RUNNING'
  }
}
