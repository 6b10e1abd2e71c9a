// From core facts to what the native API shows: the words of the product, unchanged.

import type { Event } from '../../core/event.ts'
import type { Flow, FlowNode } from '../../core/flow.ts'
import type { Attempt, Job, Output } from '../../core/job.ts'
import type { Explanation, Why } from '../../engine/engine.ts'

/** A job. `fraction`: how far it says it is, 0 to 1. */
export function showJob(job: Job, fraction: number | null | undefined) {
  return {
    id: job.id,
    n: job.n,
    dialect: job.dialect,
    ref: job.ref,
    kind: job.kind,
    executor: job.executor,
    name: job.name,
    owner: job.owner,
    labels: job.labels ?? {},
    flow: job.flow,
    node: job.node,
    pool: job.pool,
    rank: job.rank,
    needs: job.needs,
    state: job.state,
    held: job.held,
    stop: job.stop,
    reason: job.reason,
    message: job.message,
    exitCode: job.exitCode,
    attempts: job.attempts,
    tries: job.tries,
    triesMax: job.triesMax,
    progress: job.state === 'succeeded' ? 1 : (fraction ?? null),
    createdAt: job.createdAt,
    readyAt: job.readyAt,
    dueAt: job.dueAt,
    startedAt: job.startedAt,
    endedAt: job.endedAt,
    detail: job.detail,
  }
}

/** A flow. */
export function showFlow(flow: Flow) {
  return {
    id: flow.id,
    n: flow.n,
    dialect: flow.dialect,
    ref: flow.ref,
    kind: flow.kind,
    name: flow.name,
    owner: flow.owner,
    labels: flow.labels ?? {},
    state: flow.state,
    stop: flow.stop,
    progress: flow.progress,
    parentFlow: flow.parentFlow,
    createdAt: flow.createdAt,
    startedAt: flow.startedAt,
    endedAt: flow.endedAt,
    detail: flow.detail,
  }
}

/** A node of a flow. */
export function showNode(node: FlowNode) {
  return {
    key: node.key,
    step: node.step,
    index: node.index,
    state: node.state,
    job: node.job === 0 ? null : node.job,
    flow: node.child === 0 ? null : node.child,
    runs: node.runs,
  }
}

/** An attempt of a job. */
export function showAttempt({
  id,
  number,
  startedAt,
  endedAt,
  result,
  reason,
  message,
  exitCode,
  usage,
}: Attempt) {
  return { id, number, startedAt, endedAt, result, reason, message, exitCode, usage }
}

/** An output of a job. */
export function showOutput(job: Job, output: Output) {
  return {
    name: output.name,
    createdAt: output.createdAt,
    ...(output.value !== undefined ? { value: output.value } : {}),
    ...(output.blob !== undefined
      ? {
          sizeBytes: output.blob.sizeBytes,
          mediaType: output.blob.mediaType ?? 'application/octet-stream',
          href: `/yard/v1/jobs/${job.id}/outputs/${encodeURIComponent(output.name)}`,
        }
      : {}),
  }
}

/** An event. */
export function showEvent({ seq, at, subject, n, type, body }: Event) {
  return { seq, at, subject, n, type, body }
}

/** Why something waits that only a dialect knows, such as a node of a suite. */
export function showExplanation({ state, waits, holders }: Explanation) {
  const [first] = holders
  if (first === undefined) {
    const text = waits
      ? 'nothing holds it: it is about to be started'
      : `it waits for nothing: it is ${state}`
    return { waiting: waits, state, text, holders: [] }
  }
  const { waitsFor, text, sinceAt, untilAt } = first
  return {
    waiting: waits,
    state,
    waitsFor,
    text,
    ...(sinceAt === undefined ? {} : { sinceAt }),
    ...(untilAt === undefined ? {} : { untilAt }),
    holders,
  }
}

/** Why a job or node does not run; says so where it waits for nothing. */
export function showWhy(state: string, why: Why | undefined) {
  if (why === undefined) return { waiting: false, state, text: `it waits for nothing: it is ${state}` }
  const { waitsFor, text, sinceAt, untilAt, place, upstream } = why
  return {
    waiting: true,
    state: why.state,
    waitsFor,
    text,
    sinceAt,
    ...(untilAt !== undefined ? { untilAt } : {}),
    ...(place !== undefined ? { place } : {}),
    ...(upstream !== undefined ? { upstream } : {}),
  }
}
