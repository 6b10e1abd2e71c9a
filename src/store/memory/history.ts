// Looking things up on a memory disk: plain filters over everything, which is what the other adapters' indexes
// have to agree with.

import type { Event } from '../../core/event.ts'
import type { Flow, FlowNode } from '../../core/flow.ts'
import type { Attempt, Job, Output } from '../../core/job.ts'
import { type Filter, queryHolds } from '../conditions.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { FlowQuery, History, JobQuery, Page } from '../store.ts'
import { refKey } from './apply.ts'
import { copyAttempt, copyEvent, copyFlow, copyJob, copyNode, copyOutput } from './copy.ts'
import type { MemoryDisk } from './disk.ts'

type PlaceKey = { n: number } | { id: string } | { dialect: string; ref: string }

export class MemoryHistory implements History {
  readonly #disk: MemoryDisk
  readonly #live: () => void

  /** `live` throws once the store can no longer be used. */
  constructor(disk: MemoryDisk, live: () => void) {
    this.#disk = disk
    this.#live = live
  }

  async job(key: PlaceKey): Promise<Job | undefined> {
    this.#live()
    const job = this.#disk.jobs.get(placeOf(this.#disk.jobNames, key))
    return job && copyJob(job)
  }

  async jobs(query: JobQuery): Promise<Page<Job>> {
    this.#live()
    const inFlow = (job: Job) => query.flow === undefined || job.flow === query.flow
    return pageOf(this.#disk.jobs.values(), query, inFlow, copyJob)
  }

  async specs(
    places: readonly number[],
    { charsMax = Number.POSITIVE_INFINITY } = {},
  ): Promise<Map<number, string>> {
    this.#live()
    const found = new Map<number, string>()
    let chars = 0
    for (const n of places) {
      const spec = this.#disk.specs.get(n)
      if (spec === undefined) continue
      found.set(n, spec)
      chars += spec.length
      if (chars >= charsMax) break
    }
    return found
  }

  async attempts(job: number): Promise<Attempt[]> {
    this.#live()
    return (this.#disk.attempts.get(job) ?? []).map(copyAttempt)
  }

  async outputs(job: number): Promise<Output[]> {
    this.#live()
    return (this.#disk.outputs.get(job) ?? []).map(copyOutput)
  }

  async flow(key: PlaceKey): Promise<Flow | undefined> {
    this.#live()
    const flow = this.#disk.flows.get(placeOf(this.#disk.flowNames, key))
    return flow && copyFlow(flow)
  }

  async flows(query: FlowQuery): Promise<Page<Flow>> {
    this.#live()
    return pageOf(this.#disk.flows.values(), query, () => true, copyFlow)
  }

  async nodes(flow: number, from: { step: number; index: number; limit: number }): Promise<FlowNode[]> {
    this.#live()
    return [...(this.#disk.nodes.get(flow)?.values() ?? [])]
      .filter(node => node.step > from.step || (node.step === from.step && node.index >= from.index))
      .sort((a, b) => a.step - b.step || a.index - b.index)
      .slice(0, Math.max(0, from.limit))
      .map(copyNode)
  }

  async events(after: number, limit: number): Promise<Event[]> {
    this.#live()
    const events: Event[] = []
    const last = this.#disk.marks.get('event') ?? 0
    for (let seq = Math.max(1, Math.floor(after) + 1); seq <= last && events.length < limit; seq++) {
      const event = this.#disk.events.get(seq)
      if (event !== undefined) events.push(copyEvent(event))
    }
    return events
  }

  async chain(seq: number, limit: number): Promise<Event[]> {
    this.#live()
    const events: Event[] = []
    for (let at = seq; at > 0 && events.length < limit; ) {
      const event = this.#disk.events.get(at)
      if (event === undefined) break
      events.push(copyEvent(event))
      at = event.prev
    }
    return events
  }
}

function placeOf(names: ReadonlyMap<string, number>, key: PlaceKey): number {
  if ('n' in key) return key.n
  const name =
    'id' in key ? key.id.toWellFormed() : refKey(key.dialect.toWellFormed(), key.ref.toWellFormed())
  return names.get(name) ?? -1
}

function pageOf<T extends Job | Flow>(
  all: Iterable<T>,
  query: Filter & Pick<JobQuery, 'order' | 'after' | 'limit'>,
  also: (thing: T) => boolean,
  copy: (thing: T) => T,
): Page<T> {
  const byEnd = query.order === 'ended'
  const keyOf = (thing: T) => (byEnd ? [thing.endedAt!, thing.n] : [thing.n])
  const compare = (a: readonly number[], b: readonly number[]) => {
    const up = a[0]! - b[0]! || (a[1] ?? 0) - (b[1] ?? 0)
    return query.order === 'oldest' ? up : -up
  }
  const after = readCursor(query.after, query.order, byEnd ? ['number', 'number'] : ['number']) as
    | readonly number[]
    | undefined
  const found: T[] = []
  for (const thing of all) {
    if (byEnd && thing.endedAt === null) continue
    if (after !== undefined && compare(keyOf(thing), after) <= 0) continue
    if (queryHolds(thing, query) && also(thing)) found.push(thing)
  }
  found.sort((a, b) => compare(keyOf(a), keyOf(b)))
  const items = found.slice(0, Math.max(0, query.limit))
  const last = items.at(-1)
  if (last === undefined || found.length <= items.length) return { items: items.map(copy) }
  return { items: items.map(copy), next: writeCursor(query.order, keyOf(last)) }
}
