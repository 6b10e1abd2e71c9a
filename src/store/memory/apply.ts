// A batch applied to a memory disk, all of it or nothing, with the refusals a database's constraints would give.

import type { FlowNode } from '../../core/flow.ts'
import { compareText, wellFormedEntries } from '../conditions.ts'
import type { Changes, RecordChange } from '../store.ts'
import { StoreFailed } from '../store.ts'
import { checkEntries, checkFlow, checkJob } from '../whole.ts'
import { copyAttempt, copyEvent, copyFlow, copyJob, copyJson, copyNode, copyOutput } from './copy.ts'
import { type KeptRecord, type MemoryDisk, Undoable } from './disk.ts'

/** A copy of a batch that its maker can no longer change. Every iterable is walked once. */
export function copyChanges(changes: Changes): Changes {
  return {
    newJobs: changes.newJobs.map(({ job, spec }) => ({
      job: copyJob(job),
      spec: spec?.toWellFormed() ?? null,
    })),
    jobs: Array.from(changes.jobs, copyJob),
    attempts: changes.attempts.map(copyAttempt),
    newFlows: changes.newFlows.map(({ flow, spec }) => ({ flow: copyFlow(flow), spec: spec.toWellFormed() })),
    flows: Array.from(changes.flows, copyFlow),
    nodes: Array.from(changes.nodes, copyNode),
    outputs: changes.outputs.map(copyOutput),
    outputsDropped: changes.outputsDropped.map(({ job, name }) => ({ job, name: name.toWellFormed() })),
    events: changes.events.map(copyEvent),
    records: changes.records.map(copyRecordChange),
    blobs: changes.blobs.map(count => ({ ...count })),
    counters: new Map(Array.from(changes.counters, ([name, value]) => [name.toWellFormed(), value])),
    forgottenJobs: [...changes.forgottenJobs],
    forgottenFlows: [...changes.forgottenFlows],
    eventsForgottenTo: changes.eventsForgottenTo,
  }
}

/** Applies a batch; throws StoreFailed and changes nothing when it cannot be. */
export function applyChanges(disk: MemoryDisk, changes: Changes): { unnamedBlobs: string[] } {
  const edit = new Undoable()
  try {
    applyFlows(disk, edit, changes)
    applyJobs(disk, edit, changes)
    for (const event of changes.events) {
      if (disk.events.has(event.seq)) throw twice(`event ${event.seq}`)
      edit.set(disk.events, event.seq, event)
      raise(disk, edit, 'event', event.seq)
    }
    for (const change of changes.records) applyRecord(disk, edit, change)
    for (const [name, value] of changes.counters) edit.set(disk.counters, name, value)
    const unnamedBlobs = applyBlobs(disk, edit, changes)
    forget(disk, edit, changes)
    return { unnamedBlobs }
  } catch (error) {
    edit.takeBack()
    throw error
  }
}

function applyFlows(disk: MemoryDisk, edit: Undoable, changes: Changes): void {
  for (const { flow, spec } of changes.newFlows) {
    checkFlow(flow)
    if (disk.flows.has(flow.n) || disk.specs.has(flow.n)) throw twice(`flow ${flow.n}`)
    addNames(disk.flowNames, edit, flow)
    edit.set(disk.flows, flow.n, flow)
    edit.set(disk.specs, flow.n, spec)
    raise(disk, edit, 'place', flow.n)
  }
  for (const flow of changes.flows) {
    checkFlow(flow)
    if (!disk.flows.has(flow.n)) throw unknown(`flow ${flow.n}`)
    edit.set(disk.flows, flow.n, flow)
  }
  for (const node of changes.nodes) {
    if (!disk.flows.has(node.flow)) throw unknown(`flow ${node.flow} of node ${node.key}`)
    const nodes = disk.nodes.get(node.flow) ?? new Map<string, FlowNode>()
    disk.nodes.set(node.flow, nodes) // as with records, an empty map needs no undoing
    edit.set(nodes, node.key, node)
  }
}

function applyJobs(disk: MemoryDisk, edit: Undoable, changes: Changes): void {
  for (const { job, spec } of changes.newJobs) {
    checkJob(job)
    if (disk.jobs.has(job.n) || disk.specs.has(job.n)) throw twice(`job ${job.n}`)
    addNames(disk.jobNames, edit, job)
    edit.set(disk.jobs, job.n, job)
    if (spec !== null) edit.set(disk.specs, job.n, spec)
    raise(disk, edit, 'place', job.n)
  }
  for (const job of changes.jobs) {
    checkJob(job)
    if (!disk.jobs.has(job.n)) throw unknown(`job ${job.n}`)
    edit.set(disk.jobs, job.n, job)
  }
  for (const attempt of changes.attempts) {
    if (!disk.jobs.has(attempt.job)) throw unknown(`job ${attempt.job} of attempt ${attempt.number}`)
    const before = disk.attempts.get(attempt.job) ?? []
    if (before.some(other => other.number === attempt.number)) throw twice(`attempt ${attempt.id}`)
    const attempts = [...before, attempt].sort((a, b) => a.number - b.number)
    edit.set(disk.attempts, attempt.job, attempts)
  }
  for (const output of changes.outputs) {
    if (!disk.jobs.has(output.job)) throw unknown(`job ${output.job} of output ${output.name}`)
    const others = (disk.outputs.get(output.job) ?? []).filter(other => other.name !== output.name)
    const outputs = [...others, output].sort((a, b) => compareText(a.name, b.name))
    edit.set(disk.outputs, output.job, outputs)
  }
  for (const { job, name } of changes.outputsDropped) {
    const left = (disk.outputs.get(job) ?? []).filter(output => output.name !== name)
    edit.set(disk.outputs, job, left)
  }
}

function applyRecord(disk: MemoryDisk, edit: Undoable, change: RecordChange): void {
  if ('drop' in change) {
    const { collection, id } = change.drop
    const records = disk.records.get(collection)
    if (records !== undefined) edit.drop(records, id)
    return
  }
  const { collection, id, parent = null, body, index = [] } = change.put
  checkEntries(index)
  const records = disk.records.get(collection) ?? new Map<string, KeptRecord>()
  disk.records.set(collection, records) // an empty collection is no collection: it needs no undoing
  const seq = records.get(id)?.seq ?? (disk.marks.get('record') ?? 0) + 1
  edit.set(records, id, { collection, id, parent, seq, body, entries: index })
  raise(disk, edit, 'record', seq)
}

function applyBlobs(disk: MemoryDisk, edit: Undoable, changes: Changes): string[] {
  const sums = new Map<string, number>()
  for (const { hash, delta } of changes.blobs) sums.set(hash, (sums.get(hash) ?? 0) + delta)
  const unnamed: string[] = []
  for (const [hash, delta] of sums) {
    const count = (disk.blobs.get(hash) ?? 0) + delta
    if (count < 0)
      throw new StoreFailed('broken', `Blob ${hash} cannot be dropped more often than it is named`)
    if (delta === 0) continue
    if (count > 0) {
      edit.set(disk.blobs, hash, count)
    } else {
      edit.drop(disk.blobs, hash)
      unnamed.push(hash)
    }
  }
  return unnamed
}

function forget(disk: MemoryDisk, edit: Undoable, changes: Changes): void {
  for (const n of changes.forgottenJobs) {
    const job = disk.jobs.get(n)
    if (job === undefined) continue
    dropNames(disk.jobNames, edit, job)
    for (const map of [disk.jobs, disk.specs, disk.attempts, disk.outputs])
      edit.drop(map as Map<number, unknown>, n)
  }
  for (const n of changes.forgottenFlows) {
    const flow = disk.flows.get(n)
    if (flow === undefined) continue
    dropNames(disk.flowNames, edit, flow)
    for (const map of [disk.flows, disk.specs, disk.nodes]) edit.drop(map as Map<number, unknown>, n)
  }
  if (changes.eventsForgottenTo === 0) return
  const newest = disk.marks.get('event') ?? 0
  for (const seq of [...disk.events.keys()]) {
    if (seq <= changes.eventsForgottenTo && seq !== newest) edit.drop(disk.events, seq)
  }
}

interface Named {
  readonly n: number
  readonly id: string
  readonly dialect: string
  readonly ref: string | null
}

/** The key of a dialect's own name for something; ids hold no such separator in front. */
export function refKey(dialect: string, ref: string): string {
  return JSON.stringify([dialect, ref])
}

function addNames(names: Map<string, number>, edit: Undoable, thing: Named): void {
  if (names.has(thing.id)) throw twice(`id ${thing.id}`)
  edit.set(names, thing.id, thing.n)
  if (thing.ref === null) return
  const key = refKey(thing.dialect, thing.ref)
  if (names.has(key)) throw twice(`ref ${thing.ref} of ${thing.dialect}`)
  edit.set(names, key, thing.n)
}

function dropNames(names: Map<string, number>, edit: Undoable, thing: Named): void {
  edit.drop(names, thing.id)
  if (thing.ref !== null) edit.drop(names, refKey(thing.dialect, thing.ref))
}

function raise(disk: MemoryDisk, edit: Undoable, mark: string, value: number): void {
  if (value > (disk.marks.get(mark) ?? 0)) edit.set(disk.marks, mark, value)
}

function copyRecordChange(change: RecordChange): RecordChange {
  if ('drop' in change) {
    return { drop: { collection: change.drop.collection.toWellFormed(), id: change.drop.id.toWellFormed() } }
  }
  const { collection, id, parent, body, index } = change.put
  return {
    put: {
      collection: collection.toWellFormed(),
      id: id.toWellFormed(),
      parent: parent?.toWellFormed() ?? null,
      body: copyJson(body),
      index: wellFormedEntries(index ?? []),
    },
  }
}

function twice(what: string): StoreFailed {
  return new StoreFailed('broken', `The batch brings ${what} a second time`)
}

function unknown(what: string): StoreFailed {
  return new StoreFailed('broken', `The batch speaks of ${what}, which is not stored`)
}
