// The life of the engine: starts from the store, lets commands and reports change the model, commits what changed,
// and only then answers and asks the executors. Falls, and recovers from the store, when a commit fails.

import type { DagPlan, Flow } from '../core/flow.ts'
import { idMaker } from '../core/ids.ts'
import type { Job, Resources } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { JsonObject } from '../core/json.ts'
import type { Drafter } from '../core/planner.ts'
import { type Refusal, Refused } from '../core/refusal.ts'
import type { Executor, Report } from '../executors/executor.ts'
import type { History, Records } from '../store/store.ts'
import { Afterlife } from './afterlife.ts'
import { type Alarm, Alarms } from './alarms.ts'
import type { Batch } from './batch.ts'
import { claimAll } from './claim.ts'
import { type DispatchParts, dispatch } from './dispatch.ts'
import type {
  AtHand,
  Completer,
  EndsFollowed,
  Engine,
  EngineParts,
  Explainer,
  Explanation,
  Forgetter,
  PoolSettings,
  PoolState,
  Preparer,
  Tx,
} from './engine.ts'
import { EndFollower } from './follow-ends.ts'
import { KindTable } from './kind-table.ts'
import { Ledger } from './ledger.ts'
import { LookUp } from './look-up.ts'
import { Model } from './model.ts'
import { Flows } from './planners/dag/flows.ts'
import { isGraph, readGraph } from './planners/dag/graph.ts'
import { adoptAttempts, refill } from './recover.ts'
import { applyReport } from './report.ts'
import { startRetention } from './retain.ts'
import { applyAlarm } from './ring.ts'
import { Waiters } from './settle.ts'
import { addJob } from './submit.ts'
import { makeTx } from './transaction.ts'
import { noteServer, type Yard } from './yard.ts'

type Watcher = Parameters<Engine['watch']>[0]

/** How long after a failed commit the store is tried again. */
const reopenMsUsual = 500

export class YardEngine implements Engine {
  readonly executors: ReadonlyMap<string, Executor>
  readonly pools: Readonly<Record<string, PoolSettings>>
  readonly records: Records
  readonly history: History
  readonly atHand: AtHand
  readonly #parts: EngineParts
  readonly #alarms: Alarms
  readonly #ledger: Ledger
  readonly #flows: Flows
  readonly #yard: Yard
  readonly #tx: Tx
  readonly #lookUp: LookUp
  readonly #afterlife: Afterlife
  readonly #dispatch: DispatchParts
  readonly #jobWaiters: Waiters
  readonly #flowWaiters: Waiters
  readonly #watchers = new Set<Watcher>()
  readonly #preparers = new KindTable<Preparer>()
  readonly #completers = new KindTable<Completer>()
  readonly #explainers = new Map<string, Explainer>()
  readonly #forgetters = new Map<string, Forgetter>()
  readonly #newId: () => string
  #model: Model
  /** `recovering`: the model is filled and hears reports, but takes no commands yet. */
  #state: 'down' | 'recovering' | 'up' = 'down'
  #closed = false
  /** The store is going to be opened again, or is being opened: however often it fails meanwhile, that is enough. */
  #isReopening = false
  #stopRetention = () => {}

  constructor(parts: EngineParts) {
    this.#parts = parts
    this.pools = parts.pools
    this.executors = new Map(parts.executors.map(executor => [executor.name, executor]))
    this.#model = new Model(parts.pools)
    this.#jobWaiters = new Waiters(parts.clock)
    this.#flowWaiters = new Waiters(parts.clock)
    const makeId = idMaker(parts.random)
    this.#newId = () => makeId(parts.clock.now())
    this.#alarms = new Alarms(parts.clock, due => this.#ring(due))
    this.#ledger = new Ledger({
      store: parts.store,
      defer: parts.defer,
      steady: parts.steady,
      beforeSeal: () => {
        if (this.#state === 'up') claimAll(this.#yard)
      },
      afterCommit: (batch, durationMs) => this.#afterCommit(batch, durationMs),
      onFailure: error => this.#fall(error),
    })
    this.#yard = this.#makeYard()
    this.#flows = new Flows({
      yard: this.#yard,
      newId: this.#newId,
      submit: (draft, options) => addJob(this.#yard, draft, this.#newId(), options),
    })
    this.#tx = makeTx({
      yard: this.#yard,
      flows: this.#flows,
      newId: this.#newId,
      isPrepared: draft => this.#preparers.of(draft) !== undefined,
    })
    this.#dispatch = {
      executors: this.executors,
      preparers: this.#preparers,
      specOf: n => this.#lookUp.spec(n),
      isCurrent: job => this.#model.jobs.get(job.n) === job,
      hear: (executor, reports) => this.#hear(executor, reports),
    }
    this.#lookUp = new LookUp({
      store: parts.store,
      model: () => this.#model,
      plans: this.#flows.plans,
      batch: () => this.#ledger.batch,
      committed: () => this.committed(),
      touches: collection => this.#ledger.touches(collection),
      draftSpec: (flow, document, node) => this.#flows.draftSpec(flow, document, node),
      isUp: () => this.up,
      now: () => parts.clock.now(),
    })
    this.records = this.#lookUp.records
    this.history = this.#lookUp.history
    this.atHand = this.#lookUp.atHand
    this.#afterlife = new Afterlife({
      yard: this.#yard,
      flows: this.#flows,
      lookUp: this.#lookUp,
      store: parts.store,
      committed: () => this.committed(),
      demandUp: () => this.#demandUp(),
      write: fn => this.write(fn),
    })
  }

  get up(): boolean {
    return this.#state === 'up'
  }

  // ---- life ----

  async start(): Promise<void> {
    for (const executor of this.executors.values()) {
      await executor.open(reports => this.#hear(executor, reports))
    }
    await this.#recover()
    const { retainMs, clock } = this.#parts
    if (retainMs !== undefined) {
      this.#stopRetention = startRetention({
        engine: this,
        clock,
        retainMs,
        forgetters: this.#forgetters,
        onError: error => this.#parts.observe?.trouble?.(error),
      })
    }
  }

  /** Commits what is open, and lets executors go. Live attempts that survive restarts stay alive. */
  async close(): Promise<void> {
    this.#closed = true
    this.#stopRetention()
    await this.committed().catch(() => {})
    this.#state = 'down'
    this.#alarms.clear()
    for (const executor of this.executors.values()) await executor.close()
    this.#jobWaiters.wakeAll()
    this.#flowWaiters.wakeAll()
    await this.#parts.store.close()
  }

  /** From the store to a working model; throws when the store cannot be opened. */
  async #recover(): Promise<void> {
    const hot = await this.#parts.store.open()
    this.#model = new Model(this.#parts.pools)
    this.#flows.clear()
    this.#alarms.clear()
    this.#ledger.revive()
    await refill(this.#yard, this.#flows, hot, this.#parts.store)
    this.#state = 'recovering'
    // Also the proof that the store takes writes: nothing is promised before this commit.
    noteServer(this.#yard, { subject: 'server', n: 0, type: 'started', body: null })
    await this.#ledger.committed()
    await adoptAttempts(this.#yard)
    // What was heard meanwhile may have failed to be stored.
    if (this.#state !== 'recovering') throw new Error('the store failed again during the recovery')
    this.#state = 'up'
    this.#alarms.wake()
    this.#flows.resume()
    this.#yard.batch.changeCount++
    await this.#ledger.committed()
    this.#parts.observe?.health?.('up')
  }

  /** Memory is ahead of the store: forget it, refuse commands, and try to recover until it works. */
  #fall(error: unknown): void {
    if (this.#closed) return
    this.#state = 'down'
    this.#alarms.clear()
    this.#jobWaiters.wakeAll()
    this.#flowWaiters.wakeAll()
    this.#parts.observe?.health?.('down', error instanceof Error ? error.message : String(error))
    this.#tryLater()
  }

  #tryLater(): void {
    if (this.#isReopening) return
    this.#isReopening = true
    const at = this.#parts.clock.now() + (this.#parts.reopenMs ?? reopenMsUsual)
    this.#parts.clock.alarm(at, () => void this.#reopen())
  }

  async #reopen(): Promise<void> {
    if (this.#closed) return
    try {
      await this.#recover()
      this.#isReopening = false
    } catch {
      this.#state = 'down'
      this.#isReopening = false
      this.#tryLater()
    }
  }

  // ---- commands ----

  async write<T>(fn: (tx: Tx) => T): Promise<T> {
    this.#demandUp()
    const before = this.#ledger.batch.changeCount
    let value: T
    try {
      value = fn(this.#tx)
    } catch (error) {
      // Half of it is in the model already: that is a bug, and memory cannot be trusted any more.
      if (this.#ledger.batch.changeCount !== before) {
        this.#ledger.fall(error)
        this.#fall(error)
      }
      throw error
    }
    try {
      await this.#ledger.committed()
    } catch (error) {
      throw unavailable(error)
    }
    return value
  }

  resubmit: Engine['resubmit'] = (n, options) => this.#afterlife.resubmit(n, options)
  writeOff: Engine['writeOff'] = n => this.#afterlife.writeOff(n)
  revive: Engine['revive'] = n => this.#afterlife.revive(n)
  rerunFlow: Engine['rerunFlow'] = n => this.#afterlife.rerunFlow(n)
  forget: Engine['forget'] = (what, also) => this.#afterlife.forget(what, also)

  // ---- reading ----

  committed(): Promise<void> {
    return this.#ledger.isIdle ? Promise.resolve() : this.#durable()
  }

  job: Engine['job'] = key => this.#lookUp.job(key)
  flow: Engine['flow'] = key => this.#lookUp.flow(key)
  nodes: Engine['nodes'] = flow => this.#lookUp.nodes(flow)
  node: Engine['node'] = (flow, key) => this.#lookUp.node(flow, key)
  spec: Engine['spec'] = n => this.#lookUp.spec(n)
  liveJobs: Engine['liveJobs'] = filter => this.#lookUp.liveJobs(filter)
  liveFlows: Engine['liveFlows'] = filter => this.#lookUp.liveFlows(filter)
  why: Engine['why'] = n => this.#lookUp.why(n)
  whyNode: Engine['whyNode'] = (flow, node) => this.#lookUp.whyNode(flow, node)

  progress(n: number): { fraction: number | null; detail: JsonObject | null } | undefined {
    return this.#model.progress.get(n)
  }

  async settled(
    n: number,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Job | undefined> {
    const woken = await this.#wait(this.#jobWaiters, n, () => this.#model.jobs.has(n), options)
    if (!woken) return undefined
    const job = await this.job({ n })
    return job !== undefined && isFinal(job.state) ? job : undefined
  }

  async settledFlow(
    n: number,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Flow | undefined> {
    const woken = await this.#wait(this.#flowWaiters, n, () => this.#model.flows.has(n), options)
    if (!woken) return undefined
    const flow = await this.flow({ n })
    return flow !== undefined && flow.state !== 'running' ? flow : undefined
  }

  watch(listener: Watcher): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }

  async followEnds(following: EndsFollowed): Promise<() => Promise<void>> {
    const { clock, defer } = this.#parts
    const follower = new EndFollower({ ...following, engine: this, clock, defer })
    await follower.start()
    return () => follower.close()
  }

  async lastEvent(): Promise<number> {
    const seq = this.#model.lastEvent
    await this.committed()
    return seq
  }

  fits(pool: string, needs: Resources): Refusal | undefined {
    return this.#model.pool(pool).fits(needs)
  }

  planTrouble(plan: DagPlan): Refusal | undefined {
    const graph = readGraph(plan)
    return isGraph(graph) ? undefined : graph
  }

  poolState(): readonly PoolState[] {
    return [...this.#model.pools.values()].map(pool => pool.state())
  }

  drafter(kind: string, drafter: Drafter): void {
    this.#flows.drafters.set(kind, drafter)
  }

  preparer(dialect: string, kind: string, prepare: Preparer): void {
    this.#preparers.set(dialect, kind, prepare)
  }

  completer(dialect: string, kind: string, complete: Completer): void {
    this.#completers.set(dialect, kind, complete)
  }

  explainer(kind: string, explain: Explainer): void {
    this.#explainers.set(kind, explain)
  }

  forgetter(dialect: string, forget: Forgetter): void {
    this.#forgetters.set(dialect, forget)
  }

  async explain(kind: string, name: string): Promise<Explanation | undefined> {
    return this.#explainers.get(kind)?.(name)
  }

  // ---- what happens by itself ----

  #hear(executor: Executor, reports: readonly Report[]): void {
    // While down, reports fall on the floor: recovery looks at every live attempt again.
    if (this.#state === 'down') return
    for (const report of reports) applyReport(this.#yard, executor, report)
  }

  #ring(due: readonly Alarm[]): void {
    for (const alarm of due) applyAlarm(this.#yard, alarm)
  }

  #afterCommit(batch: Batch, durationMs: number): void {
    const { observe } = this.#parts
    observe?.committed?.({
      jobs: batch.newJobs.length + batch.jobs.size,
      events: batch.events.length,
      durationMs,
    })
    for (const job of batch.endedJobs) {
      this.#jobWaiters.wake(job.n)
      observe?.ended?.(job, (job.endedAt ?? 0) - (job.startedAt ?? job.endedAt ?? 0))
    }
    for (const flow of batch.endedFlows) this.#flowWaiters.wake(flow.n)
    const now = this.#parts.clock.now()
    for (const { job } of batch.starts) observe?.started?.(job, now - (job.readyAt ?? job.createdAt))
    dispatch(this.#dispatch, batch)
    try {
      const ended = { jobs: batch.endedJobs, flows: batch.endedFlows }
      if (batch.events.length > 0) for (const watcher of this.#watchers) watcher(batch.events, ended)
    } finally {
      // Last, so that whoever hears of an end finds at hand what has ended.
      for (const job of batch.endedJobs) if (isFinal(job.state)) this.#model.dropJob(job)
      for (const flow of batch.endedFlows) if (flow.state !== 'running') this.#model.dropFlow(flow)
    }
  }

  // ---- small parts ----

  #makeYard(): Yard {
    const engine = this
    return {
      get model() {
        return engine.#model
      },
      get batch() {
        return engine.#ledger.batch
      },
      alarms: this.#alarms,
      executors: this.executors,
      completers: this.#completers,
      now: () => this.#parts.clock.now(),
      jobMoved: (job, from) => this.#flows.jobMoved(job, from),
    }
  }

  async #wait(
    waiters: Waiters,
    n: number,
    isHot: () => boolean,
    limits: { timeoutMs?: number; signal?: AbortSignal },
  ): Promise<boolean> {
    await this.committed()
    if (!isHot()) return true
    const woken = await waiters.wait(n, limits)
    if (!this.up && !this.#closed) throw unavailable()
    return woken
  }

  #demandUp(): void {
    if (!this.up) throw unavailable()
  }

  /** Resolves when all that was done so far is durable; a failed commit is the caller's 503, never a false ok. */
  async #durable(): Promise<void> {
    try {
      await this.#ledger.committed()
    } catch (error) {
      throw unavailable(error)
    }
  }
}

function unavailable(cause?: unknown): Refused {
  const refusal = new Refused({
    kind: 'unavailable',
    text: 'the server cannot store anything at the moment; try again later',
  })
  if (cause !== undefined) refusal.cause = cause
  return refusal
}
