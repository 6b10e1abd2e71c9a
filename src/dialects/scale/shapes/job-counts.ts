// How many jobs of something have which status, as clients read it.

import type { JsonObject } from '../../../core/json.ts'
import { countAll } from '../instances/rows.ts'
import type { Status } from '../words.ts'

/** `jobs_total`, and one count a status. */
export function showJobCounts(counts: Readonly<Record<Status, number>>): JsonObject {
  return {
    jobs_total: countAll(counts),
    jobs_pending: counts.PENDING,
    jobs_blocked: counts.BLOCKED,
    jobs_queued: counts.QUEUED,
    jobs_running: counts.RUNNING,
    jobs_failed: counts.FAILED,
    jobs_completed: counts.COMPLETED,
    jobs_canceled: counts.CANCELED,
  }
}
