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
import { findSnapshot, keepSnapshot, snapshotMs } from './snapshots.ts'
import { jobStatus } from './words.ts'

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
  if (!parts.settings.snapshots) refuse('not-authenticated', 'Functionality disabled')
  const job = await demandRunning(call, parts)
  const asked = call.query.get('path') ?? ''
  if (asked === '') refuse('bad-field', 'A path to snapshot must be specified')
  const path = await pathInHome(parts, job, asked)
  const sandbox = demandSandbox(parts, job, 'Unable to execute command')
  const pack = await sandbox.pack(attemptIdOf(job.id, job.attempts), path)
  if (pack === undefined) refuse('bad-field', 'Invalid path')
  await keepSnapshot(parts, job, pack)
  return send(call, {})
}

async function linkSnapshot(call: Call, parts: Parts): Promise<unknown> {
  const job = await demandRunning(call, parts)
  if ((await findSnapshot(parts, job.id)) === undefined) refuse('bad-field', 'No snapshot has been taken')
  const { kit, links } = parts
  const url = links.make(
    kit.publicUrl(call.request),
    { may: 'get-snapshot', job: job.id },
    { expiresAt: kit.clock.now() + snapshotMs, fileName: 'snapshot.tgz' },
  )
  return send(call, { url })
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
