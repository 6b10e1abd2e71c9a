// The store port: load what is live, commit what changed, look things up. It decides nothing and knows no verbs.
// Adapters (memory, sqlite, later postgres) must pass conformance.ts, which says what these sentences mean.

import type { Event } from '../core/event.ts'
import type { Flow, FlowNode } from '../core/flow.ts'
import type { Attempt, Job, Output } from '../core/job.ts'
import type { JobState } from '../core/job-state.ts'
import type { Json } from '../core/json.ts'
import type { Blobs } from './blobs.ts'

export interface Store {
  /**
   * Takes the writer's lease (refused when another server holds it), migrates, and gives everything live.
   * May be called again while open: after a failed commit the engine throws its memory away and asks afresh.
   */
  open(): Promise<HotSet>
  /**
   * All or nothing, and durable when it resolves. Everything is read from `changes` before the first await,
   * so the caller may go on changing its objects. Rejects with StoreFailed and leaves nothing behind.
   */
  commit(changes: Changes): Promise<void>
  readonly history: History
  readonly records: Records
  readonly blobs: Blobs
  /** How often a blob is referred to by what is committed: what `blobs.sweep` has to ask. */
  blobCount(hash: string): Promise<number>
  /** Writes a consistent copy of everything but blobs to a file or folder, while the server runs. */
  backup(target: string): Promise<void>
  close(): Promise<void>
}

/** A commit, or an opening, that did not happen: full disk, broken file, a lease that is gone. */
export class StoreFailed extends Error {
  /** `full`: no space; `lease`: another server took over; `schema`: written by a newer version; `locked`; `broken`. */
  readonly code: 'full' | 'lease' | 'schema' | 'locked' | 'broken'
  constructor(code: StoreFailed['code'], text: string, cause?: unknown) {
    super(text, { cause })
    this.name = 'StoreFailed'
    this.code = code
  }
}

/** Everything the engine needs to go on: what has not ended, and where the counters stand. */
export interface HotSet {
  readonly jobs: readonly Job[]
  readonly flows: readonly Flow[]
  /** All nodes of the flows above. */
  readonly nodes: readonly FlowNode[]
  /** The highest n ever given to a job or a flow (they share one sequence), and the highest event seq. */
  readonly lastN: number
  readonly lastEvent: number
  readonly counters: ReadonlyMap<string, number>
}

/**
 * One batch. A job that is new and changed in one batch stands in `newJobs` only, with its facts as they are now.
 * Jobs and flows have an `endedAt` exactly when their state is a final one. Text is kept as Unicode: a lone surrogate
 * becomes U+FFFD, except inside of JSON values, which come back as they were.
 */
export interface Changes {
  /** A spec that is null is not kept: whoever wants it knows where to have it from. */
  readonly newJobs: readonly { readonly job: Job; readonly spec: string | null }[]
  readonly jobs: Iterable<Job>
  readonly attempts: readonly Attempt[]
  readonly newFlows: readonly { readonly flow: Flow; readonly spec: string }[]
  readonly flows: Iterable<Flow>
  /** New or changed; a node's identity is (flow, key), which (flow, step, index) says as well. */
  readonly nodes: Iterable<FlowNode>
  readonly outputs: readonly Output[]
  readonly outputsDropped: readonly { readonly job: number; readonly name: string }[]
  readonly events: readonly Event[]
  readonly records: readonly RecordChange[]
  readonly blobs: readonly BlobCount[]
  /** Named counters with their new values (a dialect's sequence of numbers). */
  readonly counters: ReadonlyMap<string, number>
  /** Jobs and flows taken out of history after all else, with their specs, attempts, outputs and nodes. Events stay. */
  readonly forgottenJobs: readonly number[]
  readonly forgottenFlows: readonly number[]
  /** Events up to this one are taken out too, but never the newest: numbers go on from it. 0 takes none. */
  readonly eventsForgottenTo: number
}

/** A change of how often a blob is referred to. At zero its bytes may go, after the commit. */
export interface BlobCount {
  readonly hash: string
  readonly sizeBytes: number
  readonly delta: 1 | -1
  /**
   * The content, when it is small (`Blobs.smallBytesMax`) and was not written before: it is durable with the batch.
   * The hash must be its own.
   */
  readonly bytes?: Uint8Array
}

// ---- history: jobs, flows and events beyond the hot set ----

export interface History {
  job(key: { n: number } | { id: string } | { dialect: string; ref: string }): Promise<Job | undefined>
  /** A page of jobs. May hold fewer than `limit` while `next` is set: the search is bounded. */
  jobs(query: JobQuery): Promise<Page<Job>>
  /**
   * The specs, as JSON text, of the jobs or flows at these places, in their order; unknown ones are absent. With
   * `charsMax` it ends with the text that makes it so many characters together: ask again for what comes after.
   */
  specs(places: readonly number[], bounds?: { readonly charsMax: number }): Promise<Map<number, string>>
  attempts(job: number): Promise<Attempt[]>
  outputs(job: number): Promise<Output[]>
  flow(key: { n: number } | { id: string } | { dialect: string; ref: string }): Promise<Flow | undefined>
  flows(query: FlowQuery): Promise<Page<Flow>>
  /** Nodes of a flow in order of step and index, from the given position. */
  nodes(flow: number, from: { step: number; index: number; limit: number }): Promise<FlowNode[]>
  /** Events after a cursor, oldest first. */
  events(after: number, limit: number): Promise<Event[]>
  /** The chain of one subject backwards from `seq`, newest first. */
  chain(seq: number, limit: number): Promise<Event[]>
}

export interface Page<T> {
  readonly items: T[]
  /** Give it back as `after` for the next page; absent on the last. */
  readonly next?: string
}

export interface JobQuery {
  readonly dialect?: string
  readonly owner?: string
  readonly states?: readonly JobState[]
  readonly kind?: string
  readonly name?: string
  readonly flow?: number
  /** All of these labels must be there with these values; keys compare without case when `foldKeys`. */
  readonly labels?: readonly (readonly [key: string, value: string])[]
  readonly foldKeys?: boolean
  /** Created at or after the one and before or at the other. */
  readonly createdFrom?: number
  readonly createdTo?: number
  /** `newest`/`oldest`: by n; `ended`: by end, newest first, ended jobs only. */
  readonly order: 'newest' | 'oldest' | 'ended'
  readonly after?: string
  readonly limit: number
}

export interface FlowQuery {
  readonly dialect?: string
  readonly owner?: string
  readonly states?: readonly Flow['state'][]
  readonly kind?: string
  readonly name?: string
  readonly labels?: readonly (readonly [key: string, value: string])[]
  readonly foldKeys?: boolean
  readonly createdFrom?: number
  readonly createdTo?: number
  readonly order: 'newest' | 'oldest' | 'ended'
  readonly after?: string
  readonly limit: number
}

// ---- records: the domains' own objects ----

/** A domain's object: collection and id name it, `parent` and `index` let it be found, `body` is the domain's. */
export interface Rec {
  readonly collection: string
  readonly id: string
  readonly parent: string | null
  /** Counts up over all records as they are put: lists can go in order of arrival. Replacing keeps it. */
  readonly seq: number
  readonly body: Json
}

export type RecordChange =
  | {
      readonly put: {
        readonly collection: string
        readonly id: string
        readonly parent?: string | null
        readonly body: Json
        /** Names with values to be found by; a name may appear more than once. All entries are replaced by a put. */
        readonly index?: readonly (readonly [name: string, value: string | number])[]
      }
    }
  | { readonly drop: { readonly collection: string; readonly id: string } }

export interface Records {
  get(collection: string, id: string): Promise<Rec | undefined>
  getMany(collection: string, ids: readonly string[]): Promise<Map<string, Rec>>
  list(query: RecordQuery): Promise<Page<Rec>>
  count(query: Omit<RecordQuery, 'after' | 'skip' | 'limit' | 'order'>): Promise<number>
}

export interface RecordQuery {
  readonly collection: string
  readonly parent?: string
  /** All conditions must hold. Text compares by code points, numbers by value; `prefix` is for text. */
  readonly where?: readonly IndexCondition[]
  /**
   * `seq` (arrival) unless said; `id` compares by code points; or by the value of an index name: numbers before text,
   * a record by its lowest value (its highest when `down`), and records without that name are left out.
   */
  readonly order?: 'seq' | '-seq' | 'id' | '-id' | { readonly index: string; readonly down?: boolean }
  readonly after?: string
  /** So many of what would be listed are passed over without being read; for clients that ask for pages by number. */
  readonly skip?: number
  readonly limit: number
}

export type IndexCondition =
  | { readonly name: string; readonly is: string | number }
  | { readonly name: string; readonly in: readonly (string | number)[] }
  | { readonly name: string; readonly prefix: string }
  | { readonly name: string; readonly from?: string | number; readonly to?: string | number }
