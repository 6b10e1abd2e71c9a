// Jobs: the list, details, actions and outputs.

import type { Job } from '../../../core/job.ts'
import { isFinal } from '../../../core/job-state.ts'
import { readRange } from '../../../http/ranges.ts'
import { type Answer, type Call, json, nothingToSay } from '../call.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import { integer } from '../numbers.ts'
import { progressOf, showJob } from '../shapes.ts'
import { startingOver } from '../submitted-job.ts'
import { errorCode, jobTypes, makesArchive, stateWord } from '../words.ts'
import type { Routes } from './route.ts'

type Action = 'cancel' | 'pause' | 'resume' | 'resubmit'

export const jobRoutes: Routes = (add, house) => {
  add('GET', '/jobs', call => listJobs(house, call))
  add('GET', '/jobs/{id}', async call => {
    const job = await house.history.get(call.param('id'))
    return job && json(showJob(job, house))
  })
  for (const action of ['cancel', 'pause', 'resume', 'resubmit'] as const) {
    add('POST', `/jobs/{id}/${action}`, call => act(house, call, action))
    add('GET', `/jobs/{id}/${action}`, () => failOutput(action))
  }
  add('GET', '/jobs/{id}/{key}', call => sendOutput(house, call))
}

/** Ours beside the original's: `state`, `type`, `since` and `limit` choose among the jobs. */
async function listJobs(house: House, call: Call): Promise<Answer> {
  const state = call.query.get('state')
  const type = call.query.get('type')
  let jobs = await house.history.all()
  if (state !== null) jobs = jobs.filter(job => stateWord(job) === state)
  if (type !== null) jobs = jobs.filter(job => jobTypes[job.kind] === type)
  const since = call.query.get('since')
  const limit = call.query.get('limit')
  if (since !== null) jobs = jobs.slice(Math.max(0, integer(since)))
  if (limit !== null) jobs = jobs.slice(0, Math.max(0, integer(limit)))
  return json(call.has('expand') ? jobs.map(job => showJob(job, house)) : jobs.map(job => job.id))
}

async function act(house: House, call: Call, action: Action): Promise<Answer> {
  const job = await house.history.get(call.param('id'))
  // The original answers 400 without a body; the reason is ours: contracts/orthanc.md §6.
  if (!job) throw new ActionRefused(codes.unknownResource, `There is no job ${call.param('id')}`)
  if (action === 'resubmit') return resubmit(house, job)
  if (action === 'resume' && stateWord(job) !== 'Paused') throw refusedIn(job, action)
  if (isFinal(job.state)) return nothingToSay
  const progress = progressOf(job, house)
  const verdict = await house.kit.engine.write(tx => {
    if (action === 'resume') return tx.release(job.n)
    if (job.state === 'running' || job.state === 'starting') tx.note(job.n, { progress })
    if (action === 'cancel') return tx.cancel(job.n)
    return job.state === 'running' || job.state === 'starting' ? tx.pause(job.n) : tx.hold(job.n)
  })
  if (!verdict.ok) throw new ActionRefused(codes.badSequence, verdict.refusal.text)
  return nothingToSay
}

async function resubmit(house: House, job: Job): Promise<Answer> {
  if (job.state !== 'failed' && job.state !== 'cancelled') throw refusedIn(job, 'resubmit')
  if (makesArchive(job)) fail(codes.badSequence, 'Cannot resubmit the creation of an archive')
  // A job that failed for its network goes on with what is still to be sent; a cancelled one begins anew.
  const forgotten = job.state === 'cancelled' ? { ...startingOver, passage: null } : startingOver
  const detail = { ...forgotten, lastErrorCode: errorCode(job) }
  const verdict = await house.kit.engine.resubmit(job.n, { detail })
  if (!verdict.ok) throw new ActionRefused(codes.badSequence, verdict.refusal.text)
  // One that was cancelled while it was paused is not paused any more: contracts/orthanc.md §3.1.
  if (job.held) await house.kit.engine.write(tx => tx.release(job.n))
  return nothingToSay
}

function refusedIn(job: Job, action: Action): ActionRefused {
  return new ActionRefused(codes.badSequence, `A job that is ${stateWord(job)} cannot be asked to ${action}`)
}

/** An action that the job does not allow: always 400, whatever the code. */
export class ActionRefused extends Error {
  readonly code: number
  constructor(code: number, text: string) {
    super(text)
    this.name = 'ActionRefused'
    this.code = code
  }
}

function failOutput(key: string): never {
  fail(codes.inexistentItem, `Job has no such output: ${key}`)
}

/** The file that a job left; parts of it by Range, so that a broken download can go on. */
async function sendOutput(house: House, call: Call): Promise<Answer> {
  const key = call.param('key')
  const job = key === 'archive' ? await house.history.get(call.param('id')) : undefined
  const blob = job && (await house.history.useArchive(job))?.blob
  if (!blob) return failOutput(key)
  const etag = `"${blob.hash.slice(0, 32)}"`
  const headers = { 'accept-ranges': 'bytes', 'content-disposition': 'filename="archive.zip"', etag }
  const ifRange = call.request.headers['if-range']
  const asked = ifRange === undefined || ifRange === etag ? call.request.headers.range : undefined
  const range = readRange(asked, blob.sizeBytes)
  if (range === 'unsatisfiable') {
    return { status: 416, headers: { ...headers, 'content-range': `bytes */${blob.sizeBytes}` } }
  }
  const type = 'application/zip'
  if (range === 'whole') {
    return { stream: house.kit.blobs.open(blob.hash), type, sizeBytes: blob.sizeBytes, headers }
  }
  call.reply.code(206)
  return {
    stream: house.kit.blobs.open(blob.hash, range),
    type,
    sizeBytes: range.to - range.from,
    headers: { ...headers, 'content-range': `bytes ${range.from}-${range.to - 1}/${blob.sizeBytes}` },
  }
}
