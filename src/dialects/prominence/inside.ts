// Looking into running jobs: exec, and snapshots of a path that are kept as blobs.

import type { FastifyInstance } from 'fastify'
import { attemptIdOf } from '../../core/ids.ts'
import type { Job } from '../../core/job.ts'
import type { Json } from '../../core/json.ts'
import { refuse } from '../../core/refusal.ts'
import { type Call, send, sendText, serve } from './call.ts'
import { demandJob } from './jobs.ts'
import type { Parts } from './parts.ts'
import { type Sandbox, sandboxOf } from './sandbox.ts'
import { jobStatus } from './words.ts'

/** The newest snapshot of each job, with a blob. */
export const snapshots = 'prominence.snapshot'
const collection = snapshots
const snapshotMs = 3_600_000
const execBytesMax = 16 * 1024 * 1024
/** Commands that a description still shows; older ones are dropped. */
const commandsMax = 1_000

/** Serves /jobs/ID/exec and /jobs/ID/snapshot. */
export function insideRoutes(app: FastifyInstance, parts: Parts): void {
  serve(app, parts, '/jobs/:id(\\d+)/exec', { POST: call => exec(call, parts) })
  serve(app, parts, '/jobs/:id(\\d+)/snapshot', {
    PUT: call => takeSnapshot(call, parts),
    GET: call => linkSnapshot(call, parts),
  })
}

async function exec(call: Call, parts: Parts): Promise<unknown> {
  const { kit, settings } = parts
  if (!settings.exec) refuse('not-authenticated', 'Functionality disabled')
  const job = await demandRunning(call, parts)
  const words = call.query.get('command') ?? ''
  if (words === '') return sendText(call, new Uint8Array())
  const sandbox = demandSandbox(parts, job, 'Unable to execute command')
  // The client joins the words with commas, and quoting is lost in it: contracts/prominence.md §3.4.
  const ran = await sandbox.exec(attemptIdOf(job.id, job.attempts), words.split(',').join(' '), {
    msMax: settings.execSecondsMax * 1000,
    bytesMax: execBytesMax,
  })
  if (ran?.exitCode !== 0) refuse('bad-field', 'Unable to execute command')
  await kit.engine.write(tx => {
    const known = job.detail?.['commands']
    const commands: Json[] = Array.isArray(known) ? known.slice(1 - commandsMax) : []
    tx.note(job.n, { commands: [...commands, { time: Math.floor(tx.now / 1000), command: words }] })
  })
  return sendText(call, ran.output)
}

async function takeSnapshot(call: Call, parts: Parts): Promise<unknown> {
  const { kit, settings, serial } = parts
  if (!settings.snapshots) refuse('not-authenticated', 'Functionality disabled')
  const job = await demandRunning(call, parts)
  const asked = call.query.get('path') ?? ''
  if (asked === '') refuse('bad-field', 'A path to snapshot must be specified')
  const path = await pathInHome(parts, job, asked)
  const sandbox = demandSandbox(parts, job, 'Unable to execute command')
  const pack = await sandbox.pack(attemptIdOf(job.id, job.attempts), path)
  if (pack === undefined) refuse('bad-field', 'Invalid path')
  const blob = await kit.blobs.write(pack, { limitBytes: settings.uploadBytesMax })
  const release = kit.blobs.keep(blob.hash)
  try {
    await serial.run(`snapshot ${job.id}`, async () => {
      const old = await readSnapshot(parts, job.id)
      await kit.engine.write(tx => {
        if (old !== undefined) tx.blob({ hash: old.hash, sizeBytes: old.sizeBytes, delta: -1 })
        tx.blob({ hash: blob.hash, sizeBytes: blob.sizeBytes, delta: 1 })
        tx.record({
          put: { collection, id: job.id, parent: job.owner, body: { ...blob, n: job.n, at: tx.now } },
        })
      })
    })
  } finally {
    release()
  }
  await dropOldSnapshots(parts, job.owner)
  return send(call, {})
}

async function linkSnapshot(call: Call, parts: Parts): Promise<unknown> {
  const job = await demandRunning(call, parts)
  if ((await readSnapshot(parts, job.id)) === undefined) refuse('bad-field', 'No snapshot has been taken')
  const { kit, links } = parts
  const url = links.make(
    kit.publicUrl(call.request),
    { may: 'get-snapshot', job: job.id },
    { expiresAt: kit.clock.now() + snapshotMs, fileName: 'snapshot.tgz' },
  )
  return send(call, { url })
}

/** The blob of a job's newest snapshot. */
export async function findSnapshot(parts: Parts, job: string): Promise<string | undefined> {
  return (await readSnapshot(parts, job))?.hash
}

async function readSnapshot({ kit }: Parts, job: string) {
  const found = await kit.records.get(collection, job)
  return found?.body as { hash: string; sizeBytes: number; n: number; at: number } | undefined
}

/** Snapshots of jobs that are over are dropped once no link to them can be good any more. */
async function dropOldSnapshots({ kit }: Parts, owner: string): Promise<void> {
  const oldest = kit.clock.now() - snapshotMs
  const { items } = await kit.records.list({ collection, parent: owner, limit: 100 })
  for (const { id, body } of items) {
    const { hash, sizeBytes, n, at } = body as { hash: string; sizeBytes: number; n: number; at: number }
    if (at >= oldest) continue
    const job = await kit.engine.job({ n })
    if (job !== undefined && (job.endedAt === null || job.endedAt >= oldest)) continue
    await kit.engine.write(tx => {
      tx.blob({ hash, sizeBytes, delta: -1 })
      tx.record({ drop: { collection, id } })
    })
  }
}

/** A path below the home directory: given as such, or as the target of an artifact's mountpoint. */
async function pathInHome({ specs }: Parts, job: Job, asked: string): Promise<string> {
  const told = await specs.job(job)
  for (const { mountpoint } of told?.document.artifacts ?? []) {
    const colon = mountpoint?.indexOf(':') ?? -1
    if (mountpoint !== undefined && mountpoint.slice(colon + 1) === asked) return mountpoint.slice(0, colon)
  }
  if (asked.startsWith('/') || asked.split('/').includes('..') || asked.includes('\0'))
    refuse('bad-field', 'Invalid path')
  return asked
}

async function demandRunning(call: Call, parts: Parts): Promise<Job> {
  const job = await demandJob(call, parts)
  return jobStatus(job) === 'running' ? job : refuse('bad-field', 'Job is not running')
}

function demandSandbox({ kit }: Parts, job: Job, otherwise: string): Sandbox {
  return sandboxOf(kit.engine.executors.get(job.executor)) ?? refuse('bad-field', otherwise)
}
