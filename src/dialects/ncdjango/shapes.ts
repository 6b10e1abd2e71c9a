// The job record as clients are shown it.

import type { Job } from '../../core/job.ts'
import { statusWord } from './words.ts'

export interface JobRecord {
  readonly uuid: string
  readonly job: string
  readonly created: string
  readonly status: string
  readonly inputs: string
  readonly outputs: string
}

/** A job as clients read it. Its inputs and outputs are JSON texts, as in the original. */
export function showJob(job: Job, { inputs, outputs }: { inputs: string; outputs: string }): JobRecord {
  return {
    uuid: job.ref!,
    job: job.name,
    created: showInstant(job.createdAt),
    status: statusWord(job),
    inputs,
    outputs,
  }
}

/** `2026-11-22T01:11:08.107000Z`; without a fraction when it is exactly 0. */
export function showInstant(ms: number): string {
  const text = new Date(ms).toISOString()
  return ms % 1000 === 0 ? `${text.slice(0, 19)}Z` : `${text.slice(0, 23)}000Z`
}
