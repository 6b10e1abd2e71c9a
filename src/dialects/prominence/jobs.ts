// The job endpoints: submit, list, describe, delete, remove, clone.

import type { FastifyInstance } from 'fastify'
import type { Job } from '../../core/job.ts'
import type { Json } from '../../core/json.ts'
import type { Principal } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import { type Call, idIn, send, serve } from './call.ts'
import type { JobDocument } from './document.ts'
import { draftJob } from './draft.ts'
import { printEnvironment } from './environment.ts'
import { freeIn } from './free.ts'
import { isLeftInQueue, leaveChange, removeChange } from './left-in-queue.ts'
import { anyJob, listJobs, ownJob, someJobs } from './listing.ts'
import { withDocument } from './long-body.ts'
import { checkObjects } from './objects-check.ts'
import { objectsOfJob } from './objects-needed.ts'
import { substituteForLater } from './parameters.ts'
import type { Parts } from './parts.ts'
import { readIds, readListQuery, readStretch } from './query.ts'
import { checkQuota } from './quota.ts'
import { linkNext, sendList } from './send-list.ts'
import { showJobs } from './show-many.ts'
import type { ToldJob } from './spec.ts'
import { readJob } from './validate/job.ts'
import { isEnded } from './words.ts'

/** How long a deletion waits for the executors to confirm; it is told as deleted in any case. */
export const confirmMsMax = 5_000

/** Serves /jobs, but for streams, exec and snapshots. */
export function jobRoutes(app: FastifyInstance, parts: Parts): void {
  serve(app, parts, '/jobs', {
    POST: call => submit(call, parts),
    GET: call => list(call, parts),
    DELETE: call => {
      if (!call.query.has('id')) refuse('bad-field', 'a job id or list of job ids must be provided')
      return drop(call, parts, readIds(call.query.get('id')!))
    },
  })
  serve(app, parts, '/jobs/:id(\\d+)', {
    GET: call => describe(call, parts),
    DELETE: call => drop(call, parts, [idIn(call.params) ?? 0]),
  })
  serve(app, parts, '/jobs/:id(\\d+)/remove', { PUT: call => remove(call, parts) })
  serve(app, parts, '/jobs/:id(\\d+)/clone', { PUT: call => clone(call, parts) })
}

function submit(call: Call, parts: Parts): Promise<unknown> {
  return withDocument(call, parts, async body => {
    const document = readJob(body)
    await checkObjects(parts, call.who, objectsOfJob(document))
    const sealed = parts.seals.seal(document, call.who.name)
    return send(call, { id: await startJob(parts, call.who, sealed) }, 201)
  })
}

/** Submits an accepted document, its secrets sealed, and gives its id. */
async function startJob(parts: Parts, who: Principal, document: JobDocument): Promise<number> {
  const { kit, settings } = parts
  checkQuota(parts, who.name, 1)
  const draft = draftJob(document, who, settings, freeIn(kit, settings))
  return kit.engine.write(tx => {
    const { n } = tx.submit(draft)
    if (document.policies?.leaveInQueue) tx.record(leaveChange('job', n, who.name, tx.now))
    return n
  })
}

async function list(call: Call, parts: Parts): Promise<unknown> {
  const query = readListQuery(call.query)
  const form = { detail: query.detail, request: call.request }
  const stretch = readStretch(call.query, query)
  if (stretch === undefined)
    return sendList(call, showJobs(parts, listJobs(parts, call.who.name, query), form))
  const { items, next } = await someJobs(parts, call.who.name, { query, stretch })
  linkNext(call, next)
  return sendList(call, showJobs(parts, items, form))
}

async function describe(call: Call, parts: Parts): Promise<unknown> {
  const job = await ownJob(parts, call.who.name, idIn(call.params))
  const found = (async function* () {
    if (job !== undefined) yield job
  })()
  return sendList(call, showJobs(parts, found, { detail: true, request: call.request }))
}

async function drop(call: Call, parts: Parts, ids: readonly number[]): Promise<unknown> {
  const { engine } = parts.kit
  const found = await Promise.all(ids.map(id => ownJob(parts, call.who.name, id)))
  const active = found.filter(job => job !== undefined && !isEnded(job)) as Job[]
  if (active.length === 0) refuse('bad-field', 'No such job(s)')
  // A job that ends between the look and the write refuses; it was active when it was asked for.
  await engine.write(tx => {
    for (const { n } of active) tx.cancel(n, { kill: true })
  })
  await Promise.all(active.map(({ n }) => engine.settled(n, { timeoutMs: confirmMsMax })))
  return send(call, {})
}

async function remove(call: Call, parts: Parts): Promise<unknown> {
  const job = await demandJob(call, parts)
  const isLeft = await isLeftInQueue(parts, 'job', job.n)
  if (isEnded(job) && !isLeft) refuse('bad-field', 'Job is no longer in the queue')
  if (isLeft) await parts.kit.engine.write(tx => tx.record(removeChange('job', job.n)))
  return send(call, {})
}

async function clone(call: Call, parts: Parts): Promise<unknown> {
  const job = await demandJob(call, parts)
  const told = await parts.specs.job(job)
  if (told === undefined) refuse('bad-field', 'Unable to get JSON description of the specified job')
  return send(call, { id: await startJob(parts, call.who, freed(told)) }, 201)
}

/** The document of a factory's instance as a job that stands alone: with its parameters put in. */
function freed({ document, parameters }: ToldJob): JobDocument {
  if (parameters === undefined || parameters.size === 0) return document
  const put = (text: string) => substituteForLater(text, parameters)
  return {
    ...document,
    tasks: document.tasks.map(task => ({
      ...task,
      ...(task.cmd === undefined ? {} : { cmd: put(task.cmd) }),
      env: { ...(task.env as Record<string, Json>), ...printEnvironment(parameters) },
    })),
    ...(document.outputFiles && { outputFiles: document.outputFiles.map(put) }),
    ...(document.outputDirs && { outputDirs: document.outputDirs.map(put) }),
    ...(document.artifacts && {
      artifacts: document.artifacts.map(artifact => ({ ...artifact, url: put(artifact.url) })),
    }),
  }
}

/** The job in the path, which must be the caller's. */
export async function demandJob(call: Call, parts: Parts): Promise<Job> {
  const job = await anyJob(parts, idIn(call.params))
  if (job === undefined) refuse('bad-field', 'Job does not exist')
  if (job.owner !== call.who.name) refuse('not-allowed', 'Not authorized to access this job')
  return job
}
