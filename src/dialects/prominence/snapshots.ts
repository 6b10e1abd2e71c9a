// Snapshots of running jobs: the newest of each job is kept as a blob, and counts against its owner's quota of stored
// bytes, until no link to it can be good any more.

import type { Job } from '../../core/job.ts'
import type { Rec } from '../../store/store.ts'
import { everyRecord } from './every-record.ts'
import { dropCounted, refuseOverQuota, roomFor, storedBytes, storedRecord } from './objects.ts'
import type { Parts } from './parts.ts'

/** The newest snapshot of each job, with a blob. */
export const snapshots = 'prominence.snapshot'
const collection = snapshots
/** How long a link to a snapshot is good. */
export const snapshotMs = 3_600_000

interface Snapshot {
  readonly hash: string
  readonly sizeBytes: number
  /** The job's place. */
  readonly n: number
  readonly at: number
  /** Whose quota it counts against; nobody's, where it was taken before snapshots counted. */
  readonly owner?: string
}

/** Keeps a packed path as the newest snapshot of a job, within its owner's quota. */
export async function keepSnapshot(parts: Parts, job: Job, pack: AsyncIterable<Uint8Array>): Promise<void> {
  const { kit, settings, serial } = parts
  const { id, owner, n } = job
  await dropOldSnapshots(parts, owner)
  const room = await roomFor(parts, owner, countedOf(await readSnapshot(parts, id)))
  const blob = await kit.blobs.write(pack, { limitBytes: Math.min(settings.uploadBytesMax, room) })
  const release = kit.blobs.keep(blob.hash)
  try {
    await serial.run(`stored ${owner}`, async () => {
      const old = await readSnapshot(parts, id)
      if (blob.sizeBytes > (await roomFor(parts, owner, countedOf(old)))) refuseOverQuota(parts)
      const stored = (await storedBytes(parts, owner)) - countedOf(old) + blob.sizeBytes
      await kit.engine.write(tx => {
        if (old !== undefined) tx.blob({ hash: old.hash, sizeBytes: old.sizeBytes, delta: -1 })
        tx.blob({ hash: blob.hash, sizeBytes: blob.sizeBytes, delta: 1 })
        const body = { ...blob, n, at: tx.now, owner }
        tx.record({ put: { collection, id, parent: owner, body } })
        tx.record(storedRecord(owner, Math.max(0, stored)))
      })
    })
  } finally {
    release()
  }
}

/** The blob of a job's newest snapshot. */
export async function findSnapshot(parts: Parts, job: string): Promise<string | undefined> {
  return (await readSnapshot(parts, job))?.hash
}

/** Whether no link to a snapshot can be good any more: its job is over, or forgotten, for longer than links last. */
export async function isOldSnapshot({ kit }: Parts, { body }: Rec): Promise<boolean> {
  const { n, at } = body as unknown as Snapshot
  const oldest = kit.clock.now() - snapshotMs
  if (at >= oldest) return false
  const job = await kit.engine.job({ n })
  return job === undefined || (job.endedAt !== null && job.endedAt < oldest)
}

async function dropOldSnapshots(parts: Parts, owner: string): Promise<void> {
  const old: Rec[] = []
  for await (const record of everyRecord(parts.kit.records, { collection, parent: owner }))
    if (await isOldSnapshot(parts, record)) old.push(record)
  for (const [whose, some] of Map.groupBy(old, ({ body }) => (body as unknown as Snapshot).owner))
    await dropCounted(parts, some, whose)
}

async function readSnapshot({ kit }: Parts, job: string): Promise<Snapshot | undefined> {
  return (await kit.records.get(collection, job))?.body as unknown as Snapshot | undefined
}

function countedOf(snapshot: Snapshot | undefined): number {
  return snapshot?.owner === undefined ? 0 : snapshot.sizeBytes
}
