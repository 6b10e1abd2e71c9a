// The hand that writes into the open batch: what a dialect may do within one `engine.write`.

import type { Flow } from '../core/flow.ts'
import type { Job, JobDraft } from '../core/job.ts'
import type { JsonObject } from '../core/json.ts'
import { granted, Refused, refused, type Verdict } from '../core/refusal.ts'
import type { Tx } from './engine.ts'
import { refKey } from './model.ts'
import type { Flows } from './planners/dag/flows.ts'
import { cancelJob, holdJob, pauseJob, releaseJob, rerankJob } from './stop.ts'
import { addJob, checkDraft } from './submit.ts'
import { nextNumber, noteFlow, noteJob, noteServer, type Yard } from './yard.ts'

export interface TransactionParts {
  readonly yard: Yard
  readonly flows: Flows
  readonly newId: () => string
  /** Whether its spec is completed before it starts, so that it cannot be judged yet. */
  readonly isPrepared: (draft: JobDraft) => boolean
}

/** One hand for all writes: it holds nothing but the yard, whose batch changes under it. */
export function makeTx(parts: TransactionParts): Tx {
  const { yard, flows } = parts
  const onJob = <T>(n: number, fn: (job: Job) => Verdict<T>): Verdict<T> => {
    const job = yard.model.jobs.get(n)
    return job === undefined ? refused('not-found', `there is no live job at ${n}`) : fn(job)
  }
  const onFlow = <T>(n: number, fn: (flow: Flow) => Verdict<T>): Verdict<T> => {
    const flow = yard.model.flows.get(n)
    return flow === undefined ? refused('not-found', `there is no live flow at ${n}`) : fn(flow)
  }
  return {
    get now() {
      return yard.now()
    },
    submit: draft => submit(parts, draft),
    startFlow: draft => flows.start(draft),
    cancel: (n, options) => onJob(n, job => cancelJob(yard, job, options)),
    hold: n => onJob(n, job => holdJob(yard, job)),
    release: n => onJob(n, job => releaseJob(yard, job)),
    pause: n => onJob(n, job => pauseJob(yard, job)),
    rerank: (n, rank) => onJob(n, job => rerankJob(yard, job, rank)),
    note: (n, detail) =>
      onJob(n, job => {
        job.detail = mergeDetail(job.detail, detail)
        noteJob(yard, job, 'noted')
        return granted(job)
      }),
    makeJob: (n, node) => onFlow(n, flow => flows.makeJob(flow, node)),
    cancelFlow: n => onFlow(n, flow => flows.cancel(flow, 'cancelled with the flow it belongs to')),
    noteFlow: (n, detail) =>
      onFlow(n, flow => {
        flow.detail = mergeDetail(flow.detail, detail)
        noteFlow(yard, flow, 'noted')
        return granted(flow)
      }),
    record: change => {
      yard.batch.changeCount++
      yard.batch.records.push(change)
    },
    blob: count => {
      yard.batch.changeCount++
      yard.batch.blobs.push(count)
    },
    dropOutput: ({ job: n, name, blob }) => {
      yard.batch.changeCount++
      yard.batch.outputsDropped.push({ job: n, name })
      if (blob !== undefined) yard.batch.blobs.push({ hash: blob.hash, sizeBytes: blob.sizeBytes, delta: -1 })
    },
    next: counter => nextNumber(yard, counter),
    event: ({ subject, n, type, body }) => noteServer(yard, { subject, n, type, body: body ?? null }),
  }
}

/** Checks first: a draft that is refused has changed nothing. */
function submit({ yard, newId, isPrepared }: TransactionParts, draft: JobDraft): Job {
  checkDraft(yard, draft, { isComplete: !isPrepared(draft) })
  if (draft.ref !== undefined && yard.model.jobsByRef.has(refKey(draft.dialect, draft.ref))) {
    throw new Refused({ kind: 'conflict', text: `there is a job ${draft.ref} already`, field: 'ref' })
  }
  return addJob(yard, draft, newId())
}

/** A detail with the members of a change; null removes. */
export function mergeDetail(detail: JsonObject | null, change: JsonObject): JsonObject {
  const result = { ...detail, ...change }
  for (const [name, value] of Object.entries(change)) if (value === null) delete result[name]
  return result
}
