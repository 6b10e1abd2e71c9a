// What the engine's parts share while they work: the model, the open batch, and the time of this turn.

import type { Event } from '../core/event.ts'
import type { Flow, FlowNode } from '../core/flow.ts'
import type { Job, Output } from '../core/job.ts'
import type { JsonObject } from '../core/json.ts'
import type { Executor } from '../executors/executor.ts'
import type { Alarms } from './alarms.ts'
import type { Batch } from './batch.ts'
import type { Completer } from './engine.ts'
import type { KindTable } from './kind-table.ts'
import type { Model } from './model.ts'

export interface Yard {
  readonly model: Model
  readonly alarms: Alarms
  readonly executors: ReadonlyMap<string, Executor>
  /** What else is true with the success of a job, by its kind. */
  readonly completers: KindTable<Completer>
  /** The open batch; being asked for it schedules a commit. */
  readonly batch: Batch
  now(): number
  /** The planner hears of a job's move after it happened. */
  jobMoved(job: Job, from: Job['state']): void
}

/** Writes an event about a job, and makes the job's row part of the batch. */
export function noteJob(yard: Yard, job: Job, type: string, body: JsonObject | null = null): void {
  const seq = ++yard.model.lastEvent
  yard.batch.events.push({ seq, at: yard.now(), subject: 'job', n: job.n, prev: job.lastEvent, type, body })
  job.lastEvent = seq
  yard.batch.changeJob(job)
}

/** Writes an event about a flow, and makes the flow's row part of the batch. */
export function noteFlow(yard: Yard, flow: Flow, type: string, body: JsonObject | null = null): void {
  const seq = ++yard.model.lastEvent
  yard.batch.events.push({
    seq,
    at: yard.now(),
    subject: 'flow',
    n: flow.n,
    prev: flow.lastEvent,
    type,
    body,
  })
  flow.lastEvent = seq
  yard.batch.changeFlow(flow)
}

/** Writes an event that is about neither. */
export function noteServer(
  yard: Yard,
  event: { subject: Event['subject']; n: number; type: string; body: JsonObject | null },
): void {
  yard.batch.changeCount++
  const { subject, n, type, body } = event
  yard.batch.events.push({ seq: ++yard.model.lastEvent, at: yard.now(), subject, n, prev: 0, type, body })
}

/** The next number of a named sequence, from 1. */
export function nextNumber(yard: Yard, counter: string): number {
  const value = (yard.model.counters.get(counter) ?? 0) + 1
  yard.model.counters.set(counter, value)
  yard.batch.changeCount++
  yard.batch.counters.set(counter, value)
  return value
}

/** The node was changed: it is part of the open batch. */
export function saveNode(yard: Yard, node: FlowNode): void {
  yard.batch.changeCount++
  yard.batch.nodes.add(node)
}

/** The output was made: it is part of the open batch, and its blob has one more who needs it. */
export function saveOutput(yard: Yard, output: Output): void {
  yard.batch.changeCount++
  yard.batch.outputs.push(output)
  if (output.blob !== undefined) {
    yard.batch.blobs.push({ hash: output.blob.hash, sizeBytes: output.blob.sizeBytes, delta: 1 })
  }
}
