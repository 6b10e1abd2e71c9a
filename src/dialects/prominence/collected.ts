// What the executor collected as outputs of a job counts against its owner's quota of stored bytes, from soon after the
// job's end until history forgets the job.

import type { Job } from '../../core/job.ts'
import { storedBytes, storedRecord } from './objects.ts'
import type { Parts } from './parts.ts'

/** One record for each job with outputs: whose they are, and how many bytes were counted. */
export const collectedOutputs = 'prominence.collected'
const collection = collectedOutputs

/**
 * Counts the outputs of a job that has ended. The same end may be told again, after a restart or when the job was run
 * once more: only the difference counts then. Nothing is counted where there is no quota.
 */
export async function countCollected(parts: Parts, job: Job): Promise<void> {
  const { kit, settings, serial } = parts
  if (settings.quota.storedBytes === undefined || job.attempts === 0) return
  let sizeBytes = 0
  for (const { blob } of await kit.engine.history.outputs(job.n)) sizeBytes += blob?.sizeBytes ?? 0
  const { owner, id, n } = job
  const countedBytes = async () =>
    ((await kit.records.get(collection, id))?.body as { sizeBytes?: number } | undefined)?.sizeBytes ?? 0
  if (sizeBytes === 0 && (await countedBytes()) === 0) return
  await serial.run(`stored ${owner}`, async () => {
    const more = sizeBytes - (await countedBytes())
    if (more === 0) return
    const stored = Math.max(0, (await storedBytes(parts, owner)) + more)
    await kit.engine.write(tx => {
      tx.record({ put: { collection, id, body: { owner, n, sizeBytes } } })
      tx.record(storedRecord(owner, stored))
    })
  })
}
