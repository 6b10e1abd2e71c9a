// Snapshots of running jobs: the newest of each job is kept as a blob, and counts against its owner's quota of stored
// bytes, until no link to it can be good any more.

import type { Job } from '../../core/job.ts'
import type { Rec } from '../../store/store.ts'
import { everyRecord } from './every-record.ts'
import type { Parts } from './parts.ts'
import { countedFor, countedOf, snapshots } from './stored.ts'

/** How long a link to a snapshot is good. */
export const snapshotMs = 3_600_000

interface Snapshot {
  readonly hash: string
  readonly sizeBytes: number
  /** The job's place. */
  readonly n: number
  readonly at: number
  /** Whose quota it counts against. */
  readonly owner: string
}

/** Keeps a packed path as the newest snapshot of a job, within its owner's quota. */
export async function keepSnapshot(parts: Parts, job: Job, pack: AsyncIterable<Uint8Array>): Promise<void> {
  const { kit, settings, stored } = parts
  const { id, owner, n } = job
  await dropOldSnapshots(parts, owner)
  const room = await stored.room(owner, id, countedOf(await kit.records.get(snapshots, id)))
  const blob = await kit.blobs.write(pack, { limitBytes: Math.min(settings.uploadBytesMax, room) })
  const release = kit.blobs.keep(blob.hash)
  try {
    await stored.change(owner, async () => {
      const record = await kit.records.get(snapshots, id)
      const old = readSnapshot(record)
      return {
        more: countedFor(id, blob.sizeBytes) - countedOf(record),
        write(tx) {
          if (old !== undefined) tx.blob({ hash: old.hash, sizeBytes: old.sizeBytes, delta: -1 })
          tx.blob({ hash: blob.hash, sizeBytes: blob.sizeBytes, delta: 1 })
          const body = { ...blob, n, at: tx.now, owner }
          tx.record({ put: { collection: snapshots, id, parent: owner, body } })
        },
      }
    })
  } finally {
    release()
  }
}

/** The blob of a job's newest snapshot. */
export async function findSnapshot({ kit }: Parts, job: string): Promise<string | undefined> {
  return readSnapshot(await kit.records.get(snapshots, job))?.hash
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
  for await (const record of everyRecord(parts.kit.records, { collection: snapshots, parent: owner }))
    if (await isOldSnapshot(parts, record)) old.push(record)
  if (old.length > 0) await parts.stored.drop(old, owner)
}

function readSnapshot(record: Rec | undefined): Snapshot | undefined {
  return record?.body as unknown as Snapshot | undefined
}
