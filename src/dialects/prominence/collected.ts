// What the executor collected as outputs of a job counts against its owner's quota of stored bytes, from soon after the
// job's end until history forgets the job.

import type { Job } from '../../core/job.ts'
import type { Parts } from './parts.ts'
import { collectedOutputs, countedFor, countedOf } from './stored.ts'

/**
 * Writes down how much the outputs of a job that has ended take. The same end may be told again, after a restart or when
 * the job was run once more: only the difference counts then. Done also where there is no quota, for the day there is one.
 */
export async function countCollected({ kit, stored }: Parts, job: Job): Promise<void> {
  if (job.attempts === 0) return
  let sizeBytes = 0
  for (const { blob } of await kit.engine.history.outputs(job.n)) sizeBytes += blob?.sizeBytes ?? 0
  const { owner, id, n } = job
  // What a job made is there: it is counted, and never refused.
  await stored.note(owner, async () => {
    const old = await kit.records.get(collectedOutputs, id)
    const more = (sizeBytes === 0 ? 0 : countedFor(id, sizeBytes)) - countedOf(old)
    if (more === 0) return undefined
    const body = { owner, n, sizeBytes }
    return {
      more,
      write: tx =>
        tx.record(
          sizeBytes === 0
            ? { drop: { collection: collectedOutputs, id } }
            : { put: { collection: collectedOutputs, id, parent: owner, body } },
        ),
    }
  })
}
