// Jobs and workflows as their clients read them: contracts/prominence.md §4.3 and §4.4.

import type { Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import { isObject, type Json, type JsonObject } from '../../core/json.ts'
import type { JobDocument, TaskDocument, WorkflowDocument } from './document.ts'
import { showExecution } from './execution.ts'
import { showValue } from './parameters.ts'
import { nodesOf } from './resources.ts'
import type { ToldJob } from './spec.ts'
import { type Fault, jobStatus, jobStatusReason, type WorkflowStatus, workflowStatus } from './words.ts'

/** What the planner says when it cancels a job together with its flow. */
const cancelledWithFlow = 'cancelled with the flow it belongs to'
const redacted = '***'

/** A stored output of a job, with a link to it. */
export interface ShownOutput {
  readonly url: string
  readonly sizeBytes: number
}

export interface JobView {
  readonly job: Job
  readonly told: ToldJob
  /** The address and size of a declared output, once it is stored. */
  readonly outputs: ReadonlyMap<string, ShownOutput>
  readonly site: string
}

/** The short form of lists. */
export function showJob({ job, told }: Pick<JobView, 'job' | 'told'>): JsonObject {
  const facts = factsOf(job)
  const reason = jobStatusReason(facts)
  return {
    id: job.n,
    name: told.name,
    status: jobStatus(facts),
    ...(reason === undefined ? {} : { statusReason: reason }),
    tasks: told.document.tasks.map(showTask),
    events: showEvents(job),
    ...(told.parameters === undefined ? {} : { parameters: showParameters(told.parameters) }),
    ...(told.document.policies?.preemptible ? { preemptible: true } : {}),
  }
}

/** The form of a description. */
export function showJobDetail(view: JobView): JsonObject {
  const { job, told, outputs, site } = view
  const { document } = told
  const execution = showExecution(job, {
    site,
    nodes: nodesOf(document.resources, job),
    tasks: document.tasks,
  })
  return {
    ...showJob(view),
    resources: asJson(document.resources),
    ...asSubmitted(document, ['policies', 'notifications', 'artifacts', 'inputs', 'labels']),
    ...(document.storage === undefined ? {} : { storage: showStorage(document) }),
    ...showOutputs(document, 'outputFiles', outputs),
    ...showOutputs(document, 'outputDirs', outputs),
    ...(execution === undefined ? {} : { execution }),
  }
}

/** The short form of a workflow. */
export function showWorkflow(flow: Flow): JsonObject {
  const { total, waiting, live, done, failed, skipped } = flow.progress
  const status = workflowStatusOf(flow)
  return {
    id: flow.n,
    name: flow.name,
    status,
    ...(status === 'deleted' ? { statusReason: 'Workflow deleted by user' } : {}),
    events: showEvents(flow),
    // What was cut off by a failure waits for ever: contracts/prominence.md §3.1.
    progress: { total, done, failed, queued: live, waiting: waiting + skipped },
  }
}

/** The document as submitted, and the members of the short form. */
export function showWorkflowDetail(flow: Flow, document: WorkflowDocument): JsonObject {
  const jobs = document.jobs.map(job => ({
    ...asJson(job),
    resources: asJson(job.resources),
    tasks: job.tasks.map(showTask),
    ...(job.storage === undefined ? {} : { storage: showStorage(job) }),
  }))
  return { ...asJson(document), jobs, ...showWorkflow(flow) }
}

/** The word for a workflow's state. */
export function workflowStatusOf({ state, stop, progress }: Flow): WorkflowStatus {
  return workflowStatus({ state, stop, released: progress.live + progress.done + progress.failed > 0 })
}

/** The facts that decide a job's words. */
export function factsOf(job: Job) {
  return {
    state: job.state,
    stop: job.stop,
    reason: job.reason,
    fault: faultOf(job),
    withWorkflow: job.flow !== null && job.message === cancelledWithFlow,
  }
}

function faultOf(job: Job): Fault | undefined {
  const fault = job.detail?.['fault']
  return typeof fault === 'string' ? (fault as Fault) : undefined
}

/** Whole seconds since 1970. */
function showEvents(thing: Pick<Job | Flow, 'createdAt' | 'startedAt' | 'endedAt'>): JsonObject {
  const seconds = (at: number) => Math.floor(at / 1000)
  return {
    createTime: seconds(thing.createdAt),
    ...(thing.startedAt === null ? {} : { startTime: seconds(thing.startedAt) }),
    ...(thing.endedAt === null ? {} : { endTime: seconds(thing.endedAt) }),
  }
}

function showTask(task: TaskDocument): JsonObject {
  if (task.imagePullCredential === undefined) return asJson(task)
  return { ...asJson(task), imagePullCredential: { ...task.imagePullCredential, token: redacted } }
}

function showStorage({ storage }: JobDocument): JsonObject {
  return { ...asJson(storage), onedata: { ...asJson(storage?.onedata), token: redacted } }
}

function showParameters(parameters: ReadonlyMap<string, string>): JsonObject {
  return Object.fromEntries([...parameters].map(([name, text]) => [name, showValue(text)]))
}

function showOutputs(
  document: JobDocument,
  member: 'outputFiles' | 'outputDirs',
  outputs: ReadonlyMap<string, ShownOutput>,
): JsonObject {
  const names = document[member]
  if (names === undefined) return {}
  return {
    [member]: names.map(name => {
      const stored = outputs.get(`${member}:${name}`)
      return stored === undefined ? { name, url: '' } : { name, url: stored.url, size: stored.sizeBytes }
    }),
  }
}

function asSubmitted(document: JobDocument, members: readonly (keyof JobDocument)[]): JsonObject {
  const shown: JsonObject = {}
  for (const member of members) if (document[member] !== undefined) shown[member] = document[member] as Json
  return shown
}

function asJson(value: unknown): JsonObject {
  return isObject(value) ? (value as JsonObject) : {}
}
