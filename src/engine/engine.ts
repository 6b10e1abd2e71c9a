// The front door of the engine: what dialects and app may ask of it. yard-engine.ts is the life behind it.

import type { Clock } from '../core/clock.ts'
import type { Event } from '../core/event.ts'
import type { DagPlan, Flow, FlowDraft, FlowNode } from '../core/flow.ts'
import type { Random } from '../core/ids.ts'
import type { Job, JobDraft, Outcome, Output, OutputDraft, Resources } from '../core/job.ts'
import type { EndReason } from '../core/job-state.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { Drafter } from '../core/planner.ts'
import type { Refusal, Verdict } from '../core/refusal.ts'
import type { Executor } from '../executors/executor.ts'
import type { BlobCount, History, RecordChange, Records, Store } from '../store/store.ts'

export interface PoolSettings {
  /** How many jobs may be live at a time; without limit when absent. */
  readonly slots?: number
  readonly resources?: Resources
  /** Whether owners take turns, with rank deciding only among one owner's jobs. */
  readonly fair?: boolean
  /** How many jobs of one owner may be live at a time, in a pool that is fair. */
  readonly ownerSlots?: number
  /** How many jobs with the same value of this label may be live at a time; not together with `fair`. */
  readonly perLabel?: { readonly label: string; readonly slots: number }
}

export interface EngineParts {
  readonly store: Store
  readonly executors: readonly Executor[]
  readonly clock: Clock
  readonly random: Random
  readonly pools: Readonly<Record<string, PoolSettings>>
  /** How long ended jobs stay in history; for ever when absent. */
  readonly retainMs?: number
  /** Runs something after what is happening now; setImmediate in the product. */
  readonly defer: (run: () => void) => void
  /** A steady clock in ms, for measuring durations only. */
  readonly steady: () => number
  /** How long after a failed commit the store is tried again. */
  readonly reopenMs?: number
  readonly observe?: EngineObserver
}

export interface EngineObserver {
  committed?(facts: { jobs: number; events: number; durationMs: number }): void
  started?(job: Job, waitMs: number): void
  ended?(job: Job, runMs: number): void
  /** The store failed (down) or works again. */
  health?(state: 'up' | 'down', why?: string): void
  /** Something went wrong in the background and will be tried again. */
  trouble?(error: unknown): void
}

/** One batch in the making: everything done through it is committed together, or not at all. */
export interface Tx {
  readonly now: number
  submit(draft: JobDraft): Job
  startFlow(draft: FlowDraft): Flow
  cancel(n: number, options?: { message?: string; kill?: boolean }): Verdict<Job>
  hold(n: number): Verdict<Job>
  release(n: number): Verdict<Job>
  /** Asks a live job to stop and be held; it is ready again, and held, once it has stopped. */
  pause(n: number): Verdict<Job>
  rerank(n: number, rank: number): Verdict<Job>
  /** Changes a job's detail (members merge; null removes) while it is not final. */
  note(n: number, detail: JsonObject): Verdict<Job>
  /**
   * Makes the job of a node that waits in a live flow, blocked until the node is released, so that it can be held,
   * ranked or noted before its time; gives the one that the node has, if it has one that has not ended.
   */
  makeJob(flow: number, node: string): Verdict<Job>
  cancelFlow(n: number): Verdict<Flow>
  noteFlow(n: number, detail: JsonObject): Verdict<Flow>
  record(change: RecordChange): void
  blob(count: BlobCount): void
  /** Lets go of a kept output of an ended job; its bytes may go when nothing else names them. */
  dropOutput(output: Output): void
  /** The next number of a named sequence, from 1. */
  next(counter: string): number
  event(event: { subject: Event['subject']; n: number; type: string; body?: JsonObject }): void
}

export interface Engine {
  start(): Promise<void>
  close(): Promise<void>
  /** Whether commands are accepted; false while the store is failing, or before start. */
  readonly up: boolean
  readonly executors: ReadonlyMap<string, Executor>
  readonly pools: Readonly<Record<string, PoolSettings>>

  /** Runs `fn` at once; resolves with its value when what it did is durable. It must check before it changes. */
  write<T>(fn: (tx: Tx) => T): Promise<T>
  /** As write, for the move of a job that has ended already: resubmit or write off. `detail` is merged as by note. */
  resubmit(n: number, options?: { resetTries?: boolean; detail?: JsonObject }): Promise<Verdict<Job>>
  writeOff(n: number): Promise<Verdict<Job>>
  /** Puts a failed or cancelled job of a running flow back to waiting for what it needs, as if it had never run. */
  revive(n: number): Promise<Verdict<Job>>
  rerunFlow(n: number): Promise<Verdict<Flow>>
  /**
   * Takes ended jobs or flows out of history, or all events up to one. `also` writes down what belongs to that, in the
   * same batch; when it says false nothing is forgotten.
   */
  forget(
    what: { jobs?: readonly number[]; flows?: readonly number[]; eventsTo?: number },
    also?: (tx: Tx) => boolean,
  ): Promise<void>

  /** Resolves when everything done so far is durable: await it before showing anything. */
  committed(): Promise<void>
  job(key: { n: number } | { id: string } | { dialect: string; ref: string }): Promise<Job | undefined>
  flow(key: { n: number } | { id: string } | { dialect: string; ref: string }): Promise<Flow | undefined>
  nodes(flow: number): Promise<readonly FlowNode[]>
  /** One node of a flow by its key, in a time that does not grow with the number of instances. */
  node(flow: number, key: string): Promise<FlowNode | undefined>
  /**
   * What memory has at hand, at once and without waiting for the commit, for whoever only sorts what it hears of: a job
   * or a flow that lives, or whose end is being told; the nodes of a live flow, which move on as the planner moves them.
   */
  readonly atHand: AtHand
  spec(n: number): Promise<Json>
  /** How far a live job is, as its executor last said. */
  progress(n: number): { fraction: number | null; detail: JsonObject | null } | undefined
  readonly history: History
  readonly records: Records
  /** Jobs that have not ended, oldest first. */
  liveJobs(filter?: { dialect?: string; owner?: string; flow?: number }): Iterable<Job>
  liveFlows(filter?: { dialect?: string; owner?: string }): Iterable<Flow>
  /** The job, once it is final and that is durable; undefined after the time-out. */
  settled(n: number, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<Job | undefined>
  settledFlow(n: number, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<Flow | undefined>
  /** Calls with each batch of events once it is durable, and with what ended by it; the returned function ends it. */
  watch(listener: (events: readonly Event[], ended: Ended) => void): () => void
  /** Tells of the ends of one dialect, those that were missed first. The returned function ends it. */
  followEnds(following: EndsFollowed): Promise<() => Promise<void>>
  /** The seq of the newest durable event. */
  lastEvent(): Promise<number>
  /** Why a job, or a node, is not running; undefined when it runs or has ended. */
  why(n: number): Promise<Why | undefined>
  /** The same for a node of a live flow, by its key. */
  whyNode(flow: number, node: string): Promise<Why | undefined>
  /** Whether a job that needs this could ever run in this pool. */
  fits(pool: string, needs: Resources): Refusal | undefined
  /** Why a plan could never be a flow: keys that are not unique, a cycle, too many nodes. */
  planTrouble(plan: DagPlan): Refusal | undefined
  poolState(): readonly PoolState[]

  drafter(kind: string, drafter: Drafter): void
  /** For jobs of this kind and dialect: another dialect's jobs may be called the same. */
  preparer(dialect: string, kind: string, prepare: Preparer): void
  completer(dialect: string, kind: string, complete: Completer): void
  /** For things that a dialect keeps and the engine has no model of. */
  explainer(kind: string, explain: Explainer): void
  /** For everything of a dialect: retention asks it instead of forgetting by itself. */
  forgetter(dialect: string, forget: Forgetter): void
  /** Why such a thing is not running; undefined when there is none of that kind and name. */
  explain(kind: string, name: string): Promise<Explanation | undefined>
}

/** What ended by a batch of events. By the time one looks it may have been taken up again. */
export interface Ended {
  readonly jobs: readonly Job[]
  readonly flows: readonly Flow[]
}

/** An end by the seq of its event, as `Ended`. */
export type End = { readonly seq: number; readonly job: Job } | { readonly seq: number; readonly flow: Flow }

/** Whose ends somebody follows, and what is done with them. */
export interface EndsFollowed {
  readonly dialect: string
  /** The seq up to which all was dealt with, as last written by `take`; undefined where following begins now. */
  readonly from: number | undefined
  /**
   * Deals with ends, in their order, and writes down durably that everything up to `upTo` is dealt with. Called one
   * at a time, now and then without ends. When it throws, the same ends are told again later.
   */
  readonly take: (ends: readonly End[], upTo: number) => Promise<void>
  readonly onError: (error: unknown) => void
}

/** See `Engine.atHand`. */
export interface AtHand {
  job(n: number): Readonly<Job> | undefined
  flow(n: number): Readonly<Flow> | undefined
  nodes(flow: number): readonly Readonly<FlowNode>[] | undefined
}

/** Says why a thing of one kind is not running; undefined when there is no thing of that name. */
export type Explainer = (name: string) => Promise<Explanation | undefined>

export interface Explanation {
  /** In the words of its dialect. */
  readonly state: string
  /** False when it runs or has ended. */
  readonly waits: boolean
  /** Everything that keeps it, the outermost first; empty when nothing does. */
  readonly holders: readonly HeldBy[]
}

/** One thing that keeps another from running. */
export interface HeldBy {
  /** What it is on, by the name that its kind has. */
  readonly on: string
  readonly waitsFor: string
  readonly text: string
  /** Since when, as far as that is known. */
  readonly sinceAt?: number
  /** When it ends by itself, as far as that is known. */
  readonly untilAt?: number
}

/** What a preparer throws when it can say why the attempt cannot start; anything else it throws is a failed launch. */
export class Unprepared extends Error {
  readonly reason: EndReason
  /** A number that means something to whoever reads the end; never a program's own. */
  readonly exitCode: number | undefined
  constructor(reason: EndReason, message: string, exitCode?: number) {
    super(message)
    this.name = 'Unprepared'
    this.reason = reason
    this.exitCode = exitCode
  }
}

/** Completes a spec just before an attempt starts: secrets, tokens, addresses. What it adds is never stored. */
export type Preparer = (order: {
  readonly spec: Json
  readonly job: string
  readonly ref: string | null
  readonly owner: string
  readonly n: number
  readonly attempt: number
}) => Json | Promise<Json>

/**
 * Says what else becomes true with the success of a job, in the same commit or not at all. A decision over the outcome,
 * made before anything is changed: it may be asked again for an attempt whose end was not committed. When it throws,
 * the attempt has failed with that message.
 */
export type Completer = (end: {
  readonly job: Readonly<Job>
  readonly outcome: Outcome
  readonly now: number
  /** The next number of a named sequence, from 1. One may be skipped; none is given twice. */
  readonly next: (counter: string) => number
}) => Completion

export interface Completion {
  /** What the job keeps in place of the outputs that the outcome names; these are not counted then. */
  readonly outputs?: readonly OutputDraft[]
  readonly records?: readonly RecordChange[]
  readonly blobs?: readonly BlobCount[]
}

/**
 * Forgets, of what ended longer ago than history goes back (`before`, in ms), what nothing needs any more, with all that
 * a dialect keeps of it. It is given each flow without its jobs, which are to go with it, and jobs that have no flow; what
 * it leaves it is given again later.
 */
export type Forgetter = (
  ended: { readonly flows: readonly Flow[]; readonly jobs: readonly Job[] },
  before: number,
) => Promise<void>

export interface PoolState {
  readonly name: string
  readonly slots: number | null
  readonly slotsUsed: number
  readonly resources: Resources | null
  readonly used: Required<Resources>
  readonly ready: number
}

/** What a job waits for. */
export interface Why {
  readonly state: Job['state']
  /** `slots`, `resources`, `behind` (others are before it), `held`, `delayed`, `upstream`, `starting`, `store` */
  readonly waitsFor: string
  readonly text: string
  readonly sinceAt: number
  /** Its place in its pool's queue, from 1. */
  readonly place?: number
  readonly untilAt?: number
  readonly upstream?: readonly { readonly node: string; readonly state: string; readonly job?: number }[]
}
