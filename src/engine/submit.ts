// From what a submitter says to a job: defaults filled in, checked against its pool and its executor, queued.

import type { Job, JobDraft } from '../core/job.ts'
import { Refused, refuse } from '../core/refusal.ts'
import { applyMove, queue } from './move.ts'
import { noteJob, type Yard } from './yard.ts'

/** The first pause before another try, where the submitter names none. */
const backoffMsUsual = 1_000

/**
 * Refuses a draft that can never run; changes nothing. A spec that a preparer completes before each attempt is not
 * the executor's to judge yet.
 */
export function checkDraft(yard: Yard, draft: JobDraft, { isComplete }: { isComplete: boolean }): void {
  const executor = yard.executors.get(draft.executor)
  if (executor === undefined)
    refuse('not-supported', `there is no executor called ${draft.executor} here`, { field: 'executor' })
  const trouble = isComplete ? executor.check(draft.spec, draft.dialect) : undefined
  if (trouble !== undefined) refuse('bad-field', trouble, { field: 'spec' })
  if (draft.needs !== undefined && draft.unfit !== 'fail') {
    const refusal = yard.model.pool(draft.pool ?? 'default').fits(draft.needs)
    if (refusal !== undefined) throw new Refused(refusal)
  }
}

/** What a drafted spec counts for on the shelf. */
const draftedBytes = 256

/** Makes the job and puts it where it belongs: blocked, delayed, or in its pool's queue. `isDrafted`: its spec can be had without being stored. */
export function addJob(
  yard: Yard,
  draft: JobDraft,
  id: string,
  { isDrafted = false }: { isDrafted?: boolean } = {},
): Job {
  const now = yard.now()
  const delayed = draft.dueAt !== undefined && draft.dueAt > now
  const job: Job = {
    n: ++yard.model.lastN,
    id,
    dialect: draft.dialect,
    executor: draft.executor,
    kind: draft.kind,
    owner: draft.owner ?? '',
    name: draft.name ?? '',
    ref: draft.ref ?? null,
    labels: draft.labels ?? null,
    pool: draft.pool ?? 'default',
    needs: draft.needs ?? null,
    flow: draft.flow ?? null,
    node: draft.node ?? null,
    triesMax: draft.triesMax ?? 1,
    backoffMs: draft.backoffMs ?? backoffMsUsual,
    queueMsMax: draft.queueMsMax ?? null,
    runMsMax: draft.runMsMax ?? null,
    createdAt: now,
    rank: draft.rank ?? 0,
    state: draft.blocked === true ? 'blocked' : delayed ? 'delayed' : 'ready',
    held: draft.held ?? false,
    stop: 'none',
    reason: null,
    message: null,
    exitCode: null,
    attempts: 0,
    tries: 0,
    readyAt: null,
    dueAt: null,
    startedAt: null,
    endedAt: null,
    detail: draft.detail ?? null,
    lastEvent: 0,
  }
  const spec = isDrafted ? null : JSON.stringify(draft.spec)
  yard.model.addJob(job)
  // What is drafted shares most of what it says with the document that it is drafted from.
  yard.model.specs.put(job.n, draft.spec, spec?.length ?? draftedBytes)
  yard.batch.addJob(job, spec)
  if (job.state === 'ready') {
    job.readyAt = now
    queue(yard, job)
  } else if (job.state === 'delayed') {
    job.dueAt = draft.dueAt!
    yard.alarms.set({ at: job.dueAt, kind: 'due', n: job.n })
  }
  noteJob(yard, job, 'submitted')
  const unfit = job.needs === null ? undefined : yard.model.pool(job.pool).fits(job.needs)
  if (unfit !== undefined) applyMove(yard, job, 'fail', { reason: 'no-resources', message: unfit.text })
  return job
}
