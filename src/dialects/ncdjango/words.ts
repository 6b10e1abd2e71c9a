// The status that clients are told, as a function of core facts. Clients know four words and no fifth: one more would
// make some of them poll for ever (contracts/ncdjango.md §3.1).

import type { Job } from '../../core/job.ts'

export type Status = 'pending' | 'started' | 'success' | 'failure'

/** The status that a client is told. */
export function statusWord({ state }: Pick<Job, 'state'>): Status {
  switch (state) {
    case 'blocked':
    case 'ready':
    case 'delayed':
    case 'starting':
      return 'pending'
    case 'running':
      return 'started'
    case 'succeeded':
      return 'success'
    case 'failed':
    case 'cancelled':
      return 'failure'
  }
}
