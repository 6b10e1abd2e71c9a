// Copies in and out, so that neither side can change what the other holds. A copy is what a database would give
// back: text as Unicode, JSON members as JSON has them.

import type { Event } from '../../core/event.ts'
import type { Flow, FlowNode } from '../../core/flow.ts'
import type { Attempt, Job, Output } from '../../core/job.ts'

/** A deep copy of a JSON value. */
export function copyJson<T>(value: T): T {
  return value === null || typeof value !== 'object' ? value : (JSON.parse(JSON.stringify(value)) as T)
}

/** A copy of a job that shares nothing with it. */
export function copyJob(job: Job): Job {
  const copy = wellFormed(job)
  return { ...copy, labels: copyJson(job.labels), needs: copyJson(job.needs), detail: copyJson(job.detail) }
}

/** A copy of a flow that shares nothing with it. */
export function copyFlow(flow: Flow): Flow {
  const copy = wellFormed(flow)
  return {
    ...copy,
    labels: copyJson(flow.labels),
    plan: copyJson(flow.plan),
    progress: { ...flow.progress },
    detail: copyJson(flow.detail),
  }
}

/** A copy of a node. */
export function copyNode(node: FlowNode): FlowNode {
  return wellFormed(node)
}

/** A copy of an attempt that shares nothing with it. */
export function copyAttempt(attempt: Attempt): Attempt {
  return { ...wellFormed(attempt), usage: copyJson(attempt.usage) }
}

/** A copy of an output that shares nothing with it. */
export function copyOutput(output: Output): Output {
  return {
    ...wellFormed(output),
    ...(output.value !== undefined ? { value: copyJson(output.value) } : {}),
    ...(output.blob !== undefined ? { blob: { ...output.blob } } : {}),
  }
}

/** A copy of an event that shares nothing with it. */
export function copyEvent(event: Event): Event {
  return { ...wellFormed(event), body: copyJson(event.body) }
}

function wellFormed<T extends object>(row: T): T {
  const copy = { ...row } as Record<string, unknown>
  for (const name in copy) {
    const value = copy[name]
    if (typeof value === 'string') copy[name] = value.toWellFormed()
  }
  return copy as T
}
