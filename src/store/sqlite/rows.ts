// Rows to objects and back. Rows are read as arrays, which node:sqlite hands out four times as fast as objects, so
// the order of a column list and of the function that reads it must agree; conformance.ts sees when they do not.

import type { Event } from '../../core/event.ts'
import type { DagPlan, Flow, FlowNode, Step } from '../../core/flow.ts'
import { attemptIdOf } from '../../core/ids.ts'
import type { Attempt, Job, Output } from '../../core/job.ts'
import type { Value } from './binding.ts'

/** A row as an array; what its members are is known from the column list. */
// biome-ignore lint/suspicious/noExplicitAny: the columns' types are the schema's, which the compiler cannot see
export type Row = any[]

/** The columns of a job, in the order in which `jobValues` writes and `readJob` reads them. */
export const jobColumns = [
  'n, id, dialect, owner, kind, name, state, created_at, ended_at, executor, ref, pool, flow, node',
  'rank, held, stop, reason, exit_code, attempts, tries, tries_max, backoff_ms, queue_ms_max, run_ms_max',
  'ready_at, due_at, started_at, last_event, labels, needs, message, detail',
].join(', ')

/** A job as the columns of its row, in their order. */
export function jobValues(job: Job): Value[] {
  return [
    job.n,
    job.id,
    job.dialect,
    job.owner,
    job.kind,
    job.name,
    job.state,
    job.createdAt,
    job.endedAt,
    job.executor,
    job.ref,
    job.pool,
    job.flow,
    job.node,
    job.rank,
    job.held ? 1 : 0,
    job.stop,
    job.reason,
    job.exitCode,
    job.attempts,
    job.tries,
    job.triesMax,
    job.backoffMs,
    job.queueMsMax,
    job.runMsMax,
    job.readyAt,
    job.dueAt,
    job.startedAt,
    job.lastEvent,
    writeJson(job.labels),
    writeJson(job.needs),
    job.message,
    writeJson(job.detail),
  ]
}

/** `word` may give back an equal text for those that are the same in many jobs. */
export function readJob(row: Row, word: (text: string) => string = asItIs): Job {
  return {
    n: row[0],
    id: row[1],
    dialect: word(row[2]),
    owner: word(row[3]),
    kind: word(row[4]),
    name: row[5],
    state: word(row[6]) as Job['state'],
    createdAt: row[7],
    endedAt: row[8],
    executor: word(row[9]),
    ref: row[10],
    pool: word(row[11]),
    flow: row[12],
    node: row[13],
    rank: row[14],
    held: row[15] === 1,
    stop: word(row[16]) as Job['stop'],
    reason: row[17],
    exitCode: row[18],
    attempts: row[19],
    tries: row[20],
    triesMax: row[21],
    backoffMs: row[22],
    queueMsMax: row[23],
    runMsMax: row[24],
    readyAt: row[25],
    dueAt: row[26],
    startedAt: row[27],
    lastEvent: row[28],
    labels: readJson(row[29]),
    needs: readJson(row[30]),
    message: row[31],
    detail: readJson(row[32]),
  }
}

/** The columns of a flow without its plan, in the order of `flowValues`; `readFlow` expects the plan after them. */
export const flowColumns = [
  'n, id, dialect, owner, kind, name, state, created_at, ended_at, ref, parent_flow, parent_node',
  'stop, started_at, last_event, labels, progress, detail',
].join(', ')

/** A flow as the columns of its row, in their order. */
export function flowValues(flow: Flow): Value[] {
  return [
    flow.n,
    flow.id,
    flow.dialect,
    flow.owner,
    flow.kind,
    flow.name,
    flow.state,
    flow.createdAt,
    flow.endedAt,
    flow.ref,
    flow.parentFlow,
    flow.parentNode,
    flow.stop,
    flow.startedAt,
    flow.lastEvent,
    writeJson(flow.labels),
    JSON.stringify(flow.progress),
    writeJson(flow.detail),
  ]
}

/** A flow from its row. */
export function readFlow(row: Row): Flow {
  return {
    n: row[0],
    id: row[1],
    dialect: row[2],
    owner: row[3],
    kind: row[4],
    name: row[5],
    state: row[6],
    createdAt: row[7],
    endedAt: row[8],
    ref: row[9],
    parentFlow: row[10],
    parentNode: row[11],
    stop: row[12],
    startedAt: row[13],
    lastEvent: row[14],
    labels: readJson(row[15]),
    progress: readJson(row[16]),
    detail: readJson(row[17]),
    plan: readPlan(row[18]),
  }
}

/** A plan as text: what most steps say is left out. */
export function writePlan(plan: DagPlan): string {
  const steps = plan.steps.map(step => {
    const { key, does, count, fansOut, needs, when, retries, ...rest } = step
    return {
      key,
      ...(does !== usualStep.does && { does }),
      ...(count !== usualStep.count && { count }),
      ...(fansOut !== usualStep.fansOut && { fansOut }),
      ...(needs.length > 0 && { needs }),
      ...(when !== usualStep.when && { when }),
      ...(retries !== usualStep.retries && { retries }),
      ...rest,
    }
  })
  return JSON.stringify({ ...plan, steps })
}

function readPlan(text: string): DagPlan {
  const plan = JSON.parse(text) as DagPlan
  return { ...plan, steps: plan.steps.map(step => ({ ...usualStep, ...step })) }
}

const usualStep = {
  key: '',
  does: 'job',
  count: 1,
  fansOut: false,
  needs: [],
  when: 'succeeded',
  retries: 0,
} as const satisfies Step

export const nodeColumns = 'flow, step, instance, key, state, job, child, runs'

/** A flow's node from its row. */
export function readNode(row: Row): FlowNode {
  return {
    flow: row[0],
    step: row[1],
    index: row[2],
    key: row[3],
    state: row[4],
    job: row[5],
    child: row[6],
    runs: row[7],
  }
}

export const attemptColumns = 'job, number, started_at, ended_at, result, reason, message, exit_code, usage'

/** `jobId` is the id of the attempt's job, of which its own is made. */
export function readAttempt(row: Row, jobId: string): Attempt {
  return {
    id: attemptIdOf(jobId, row[1]),
    job: row[0],
    number: row[1],
    startedAt: row[2],
    endedAt: row[3],
    result: row[4],
    reason: row[5],
    message: row[6],
    exitCode: row[7],
    usage: readJson(row[8]),
  }
}

export const outputColumns = 'job, name, created_at, blob_hash, size_bytes, media_type, value'

/** A job's output from its row. */
export function readOutput(row: Row): Output {
  const [job, name, createdAt, hash, sizeBytes, mediaType, value] = row
  return {
    job,
    name,
    createdAt,
    ...(value !== null ? { value: JSON.parse(value) } : {}),
    ...(hash !== null ? { blob: { hash, sizeBytes, ...(mediaType !== null ? { mediaType } : {}) } } : {}),
  }
}

export const eventColumns = 'seq, at, subject, n, prev, type, body'

/** An event from its row. */
export function readEvent(row: Row): Event {
  return {
    seq: row[0],
    at: row[1],
    subject: row[2],
    n: row[3],
    prev: row[4],
    type: row[5],
    body: readJson(row[6]),
  }
}

/**
 * Gives one and the same text for equal ones. Each value that SQLite reads is a text of its own: seven of them in each
 * of a hundred thousand waiting jobs are a third of their memory.
 */
export function wordShelf(): (text: string) => string {
  const known = new Map<string, string>()
  return text => {
    const first = known.get(text)
    if (first !== undefined) return first
    if (known.size < wordsMax) known.set(text, text)
    return text
  }
}

const wordsMax = 10_000

function asItIs(text: string): string {
  return text
}

/** JSON text of a value, or null for none. */
export function writeJson(value: object | null | undefined): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value)
}

// biome-ignore lint/suspicious/noExplicitAny: JSON that this adapter wrote itself
function readJson(text: string | null): any {
  return text === null ? null : JSON.parse(text)
}
