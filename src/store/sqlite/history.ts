// Looking up jobs, flows and what belongs to them. Lists of jobs and flows are in lists.ts.

import type { Event } from '../../core/event.ts'
import type { Flow, FlowNode } from '../../core/flow.ts'
import type { Attempt, Job, Output } from '../../core/job.ts'
import type { FlowQuery, History, JobQuery, Page } from '../store.ts'
import { type Database, type Prepared, prepareAll, prepareRows, type Statement } from './binding.ts'
import { EndList } from './end-list.ts'
import { PlaceList } from './place-list.ts'
import { type Row, readAttempt, readEvent, readFlow, readJob, readNode, readOutput } from './rows.ts'
import * as sql from './sql.ts'

type Key = { n: number } | { id: string } | { dialect: string; ref: string }

export class SqliteHistory implements History {
  readonly #read: Prepared<typeof readable>
  readonly #jobPlaces: PlaceList<Job>
  readonly #jobEnds: EndList<Job>
  readonly #flowPlaces: PlaceList<Flow>
  readonly #flowEnds: EndList<Flow>

  constructor(database: Database) {
    const prepare = (text: string) => prepareRows(database, text)
    this.#read = prepareAll(database, readable)
    this.#jobPlaces = new PlaceList(prepare, sql.jobLists, readJob)
    this.#jobEnds = new EndList(prepare, sql.jobEnds, n => this.#one(this.#read.jobByN, readJob, n))
    this.#flowPlaces = new PlaceList(prepare, sql.flowLists, readFlow)
    this.#flowEnds = new EndList(prepare, sql.flowEnds, n => this.#one(this.#read.flowByN, readFlow, n))
  }

  async job(key: Key): Promise<Job | undefined> {
    if ('n' in key) return this.#one(this.#read.jobByN, readJob, key.n)
    if ('id' in key) return this.#one(this.#read.jobById, readJob, key.id)
    return this.#one(this.#read.jobByRef, readJob, key.dialect, key.ref)
  }

  async jobs(query: JobQuery): Promise<Page<Job>> {
    return query.order === 'ended' ? this.#jobEnds.page(query) : this.#jobPlaces.page(query)
  }

  async specs(
    places: readonly number[],
    { charsMax = Number.POSITIVE_INFINITY } = {},
  ): Promise<Map<number, string>> {
    const found = new Map<number, string>()
    let chars = 0
    for (const n of places) {
      const row = this.#read.specOf.get(n) as Row | undefined
      if (row === undefined) continue
      const [text] = row as [string]
      found.set(n, text)
      chars += text.length
      if (chars >= charsMax) break
    }
    return found
  }

  async attempts(job: number): Promise<Attempt[]> {
    const id = this.#read.jobIdOf.get(job) as Row | undefined
    if (id === undefined) return []
    return (this.#read.attemptsOf.all(job) as unknown as Row[]).map(row => readAttempt(row, id[0]))
  }

  async outputs(job: number): Promise<Output[]> {
    return (this.#read.outputsOf.all(job) as unknown as Row[]).map(readOutput)
  }

  async flow(key: Key): Promise<Flow | undefined> {
    if ('n' in key) return this.#one(this.#read.flowByN, readFlow, key.n)
    if ('id' in key) return this.#one(this.#read.flowById, readFlow, key.id)
    return this.#one(this.#read.flowByRef, readFlow, key.dialect, key.ref)
  }

  async flows(query: FlowQuery): Promise<Page<Flow>> {
    return query.order === 'ended' ? this.#flowEnds.page(query) : this.#flowPlaces.page(query)
  }

  async nodes(flow: number, from: { step: number; index: number; limit: number }): Promise<FlowNode[]> {
    const limit = Math.max(0, from.limit)
    return (this.#read.nodesFrom.all(flow, from.step, from.index, limit) as unknown as Row[]).map(readNode)
  }

  async events(after: number, limit: number): Promise<Event[]> {
    return (this.#read.eventsAfter.all(after, Math.max(0, limit)) as unknown as Row[]).map(readEvent)
  }

  async chain(seq: number, limit: number): Promise<Event[]> {
    const events: Event[] = []
    for (let at = seq; at > 0 && events.length < limit; ) {
      const row = this.#read.eventBySeq.get(at) as Row | undefined
      if (row === undefined) break
      const event = readEvent(row)
      events.push(event)
      at = event.prev
    }
    return events
  }

  #one<T>(statement: Statement, read: (row: Row) => T, ...key: (string | number)[]): T | undefined {
    const row = statement.get(...key) as Row | undefined
    return row === undefined ? undefined : read(row)
  }
}

const readable = {
  jobByN: sql.jobByN,
  jobById: sql.jobById,
  jobByRef: sql.jobByRef,
  flowByN: sql.flowByN,
  flowById: sql.flowById,
  flowByRef: sql.flowByRef,
  specOf: sql.specOf,
  jobIdOf: sql.jobIdOf,
  attemptsOf: sql.attemptsOf,
  outputsOf: sql.outputsOf,
  nodesFrom: sql.nodesFrom,
  eventsAfter: sql.eventsAfter,
  eventBySeq: sql.eventBySeq,
}
