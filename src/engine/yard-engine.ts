// The life of the engine: starts from the store, lets commands and reports change the model, commits what changed,
// and only then answers and asks the executors. Falls, and recovers from the store, when a commit fails.

import type { DagPlan, Flow, FlowNode } from '../core/flow.ts'
import { attemptIdOf, idMaker } from '../core/ids.ts'
import type { Job, Resources } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { Drafter } from '../core/planner.ts'
import { type Refusal, Refused, refused, type Verdict } from '../core/refusal.ts'
import type { Executor, Report } from '../executors/executor.ts'
import type { History, Records } from '../store/store.ts'
import { type Alarm, Alarms } from './alarms.ts'
import type { Batch } from './batch.ts'
import { claimAll } from './claim.ts'
import { committedHistory, committedRecords, type ReadParts } from './committed-reads.ts'
import { type DispatchParts, dispatch } from './dispatch.ts'
import type {
  AtHand,
  Completer,
  EndsFollowed,
  Engine,
  EngineParts,
  Explainer,
  Explanation,
  PoolSettings,
  PoolState,
  Preparer,
  Tx,
  Why,
} from './engine.ts'
import { EndFollower } from './follow-ends.ts'
import { Ledger } from './ledger.ts'
import { Model, refKey } from './model.ts'
import { applyMove } from './move.ts'
import { findNode } from './planners/dag/dag.ts'
import { Flows } from './planners/dag/flows.ts'
import { isGraph, readGraph } from './planners/dag/graph.ts'
import { adoptAttempts, refill } from './recover.ts'
import { applyReport } from './report.ts'
import { startRetention } from './retain.ts'
import { Waiters } from './settle.ts'
import { askToStop } from './stop.ts'
import { addJob } from './submit.ts'
import { makeTx, mergeDetail } from './transaction.ts'
import { explainJob, explainNode } from './why.ts'
import { noteServer, type Yard } from './yard.ts'

type Watcher = Parameters<Engine['watch']>[0]
type Key = { n: number } | { id: string } | { dialect: string; ref: string }

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
  readonly #dispatch: DispatchParts
  readonly #jobWaiters = new Waiters()
  readonly #flowWaiters = new Waiters()
  readonly #watchers = new Set<Watcher>()
  readonly #preparers = new Map<string, Preparer>()
  readonly #completers = new Map<string, Completer>()
  readonly #explainers = new Map<string, Explainer>()
  readonly #newId: () => string
  #model: Model
  /** `recovering`: the model is filled and hears reports, but takes no commands yet. */
  #state: 'down' | 'recovering' | 'up' = 'down'
  #closed = false
  #stopRetention = () => {}

  constructor(parts: EngineParts) {
    this.#parts = parts
    this.pools = parts.pools
    this.executors = new Map(parts.executors.map(executor => [executor.name, executor]))
    this.#model = new Model(parts.pools)
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
      submit: draft => addJob(this.#yard, draft, this.#newId()),
    })
    this.#tx = makeTx({
      yard: this.#yard,
      flows: this.#flows,
      newId: this.#newId,
      isPrepared: kind => this.#preparers.has(kind),
    })
    this.#dispatch = {
      executors: this.executors,
      preparers: this.#preparers,
      specOf: n => this.spec(n),
      isCurrent: job => this.#model.jobs.get(job.n) === job,
      hear: (executor, reports) => this.#hear(executor, reports),
    }
    const reading: ReadParts = {
      committed: () => this.committed(),
      touches: collection => this.#ledger.touches(collection),
      liveFlow: n => this.#model.flows.get(n),
    }
    this.records = committedRecords(reading, parts.store.records)
    this.history = committedHistory(reading, parts.store.history)
    this.atHand = {
      job: n => this.#hotJob({ n }),
      flow: n => this.#hotFlow({ n }),
      nodes: flow => this.#hotNodes(flow),
    }
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
    this.#state = 'up'
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
    const at = this.#parts.clock.now() + (this.#parts.reopenMs ?? reopenMsUsual)
    this.#parts.clock.alarm(at, () => {
      if (this.#closed) return
      this.#recover().catch(() => {
        this.#state = 'down'
        this.#tryLater()
      })
    })
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
    await this.#durable()
    return value
  }

  resubmit(n: number, options: { resetTries?: boolean; detail?: JsonObject } = {}): Promise<Verdict<Job>> {
    return this.#moveEnded(n, job => {
      if (job.flow !== null && !this.#flows.plans.has(job.flow)) {
        return refused(
          'illegal-move',
          `job ${job.id} belongs to a flow that has ended; run the flow again instead`,
        )
      }
      const before = { tries: job.tries, detail: job.detail }
      if (options.resetTries !== false) job.tries = 0
      if (options.detail !== undefined) job.detail = mergeDetail(job.detail, options.detail)
      const verdict = applyMove(this.#yard, job, 'resubmit')
      if (!verdict.ok) Object.assign(job, before)
      return verdict
    })
  }

  writeOff(n: number): Promise<Verdict<Job>> {
    return this.#moveEnded(n, job => applyMove(this.#yard, job, 'writeOff', { reason: 'user' }))
  }

  revive(n: number): Promise<Verdict<Job>> {
    return this.#moveEnded(n, job => {
      if (job.flow === null || !this.#flows.plans.has(job.flow))
        return refused('illegal-move', `job ${job.id} belongs to no flow that runs: nothing would let it go`)
      const { tries } = job
      job.tries = 0
      const verdict = applyMove(this.#yard, job, 'revive')
      if (!verdict.ok) job.tries = tries
      return verdict
    })
  }

  async rerunFlow(n: number): Promise<Verdict<Flow>> {
    this.#demandUp()
    const flow = await this.flow({ n })
    if (flow === undefined) return refused('not-found', `there is no flow at ${n}`)
    const spec = await this.spec(n)
    const nodes = await this.nodes(n)
    if (this.#model.flows.has(n)) return refused('illegal-move', `flow ${flow.id} has not ended`)
    return this.write(() => this.#flows.rerun(flow, spec, nodes))
  }

  async forget(what: Parameters<Engine['forget']>[0]): Promise<void> {
    this.#demandUp()
    const attempts: { executor: string; id: string }[] = []
    const outputs = new Map<number, Awaited<ReturnType<History['outputs']>>>()
    const jobs: number[] = []
    for (const n of what.jobs ?? []) {
      const job = await this.job({ n })
      if (job === undefined || !isFinal(job.state)) continue
      jobs.push(n)
      outputs.set(n, await this.history.outputs(n))
      for (let number = 1; number <= job.attempts; number++) {
        attempts.push({ executor: job.executor, id: attemptIdOf(job.id, number) })
      }
    }
    const { flows = [], eventsTo = 0 } = what
    if (jobs.length + flows.length + eventsTo === 0) return
    await this.write(() => {
      const { batch } = this.#yard
      batch.changeCount++
      batch.forgottenJobs.push(...jobs)
      for (const n of jobs) this.#model.forgetJob(n)
      batch.forgottenFlows.push(...flows.filter(n => !this.#model.flows.has(n)))
      batch.eventsForgottenTo = Math.max(batch.eventsForgottenTo, eventsTo)
      batch.forgotten.push(...attempts)
      for (const output of [...outputs.values()].flat()) {
        if (output.blob !== undefined)
          batch.blobs.push({ hash: output.blob.hash, sizeBytes: output.blob.sizeBytes, delta: -1 })
      }
    })
  }

  /** A move of a job that may have left the hot set: it is looked up, moved, and hot again if it lives. */
  async #moveEnded(n: number, move: (job: Job) => Verdict<Job>): Promise<Verdict<Job>> {
    this.#demandUp()
    await this.committed()
    const stored = this.#model.jobs.get(n) ?? (await this.#parts.store.history.job({ n }))
    if (stored === undefined) return refused('not-found', `there is no job at ${n}`)
    // Two requests may have looked it up at once: the one that is hot by now is the job.
    return this.write(() => move(this.#model.jobs.get(n) ?? stored))
  }

  // ---- reading ----

  committed(): Promise<void> {
    return this.#ledger.isIdle ? Promise.resolve() : this.#durable()
  }

  async job(key: Key): Promise<Job | undefined> {
    await this.committed()
    return this.#hotJob(key) ?? this.#parts.store.history.job(key)
  }

  async flow(key: Key): Promise<Flow | undefined> {
    await this.committed()
    return this.#hotFlow(key) ?? this.#parts.store.history.flow(key)
  }

  async nodes(flow: number): Promise<readonly FlowNode[]> {
    await this.committed()
    const plan = this.#flows.plans.get(flow)
    if (plan !== undefined) return plan.steps.flatMap(step => step.nodes)
    return this.#parts.store.history.nodes(flow, { step: 0, index: 0, limit: Number.MAX_SAFE_INTEGER })
  }

  async spec(n: number): Promise<Json> {
    const hot = this.#model.specs.get(n)
    if (hot !== undefined) return hot
    await this.committed()
    const text = (await this.#parts.store.history.specs([n])).get(n)
    return text === undefined ? null : (JSON.parse(text) as Json)
  }

  progress(n: number): { fraction: number | null; detail: JsonObject | null } | undefined {
    return this.#model.progress.get(n)
  }

  *liveJobs(filter: { dialect?: string; owner?: string; flow?: number } = {}): Iterable<Job> {
    for (const job of this.#model.jobs.values()) {
      if (isFinal(job.state)) continue
      if (filter.dialect !== undefined && job.dialect !== filter.dialect) continue
      if (filter.owner !== undefined && job.owner !== filter.owner) continue
      if (filter.flow !== undefined && job.flow !== filter.flow) continue
      yield job
    }
  }

  *liveFlows(filter: { dialect?: string; owner?: string } = {}): Iterable<Flow> {
    for (const flow of this.#model.flows.values()) {
      if (flow.state !== 'running') continue
      if (filter.dialect !== undefined && flow.dialect !== filter.dialect) continue
      if (filter.owner !== undefined && flow.owner !== filter.owner) continue
      yield flow
    }
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

  async why(n: number): Promise<Why | undefined> {
    await this.committed()
    const job = this.#model.jobs.get(n)
    if (!this.up && job !== undefined) {
      return {
        state: job.state,
        waitsFor: 'store',
        text: 'the server cannot store anything at the moment',
        sinceAt: this.#parts.clock.now(),
      }
    }
    return job === undefined ? undefined : explainJob(this.#model, this.#flows.plans, job)
  }

  async whyNode(flow: number, node: string): Promise<Why | undefined> {
    await this.committed()
    const plan = this.#flows.plans.get(flow)
    if (plan === undefined) return undefined
    const job = this.#model.jobs.get(findNode(plan, node)?.job ?? 0)
    return job === undefined
      ? explainNode(plan, node, this.#parts.clock.now())
      : explainJob(this.#model, this.#flows.plans, job)
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

  preparer(kind: string, prepare: Preparer): void {
    this.#preparers.set(kind, prepare)
  }

  completer(kind: string, complete: Completer): void {
    this.#completers.set(kind, complete)
  }

  explainer(kind: string, explain: Explainer): void {
    this.#explainers.set(kind, explain)
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
    if (this.#state !== 'up') return
    const now = this.#parts.clock.now()
    for (const alarm of due) {
      const job = this.#model.jobs.get(alarm.n)
      if (job === undefined) continue
      if (alarm.kind === 'due' && job.state === 'delayed' && (job.dueAt ?? 0) <= now)
        applyMove(this.#yard, job, 'due')
      if (
        alarm.kind === 'queue' &&
        job.state === 'ready' &&
        (job.readyAt ?? now) + (job.queueMsMax ?? Number.POSITIVE_INFINITY) <= now
      ) {
        applyMove(this.#yard, job, 'fail', { reason: 'expired', message: 'it waited longer than it may' })
      }
      if (
        alarm.kind === 'run' &&
        job.state === 'running' &&
        (job.startedAt ?? now) + (job.runMsMax ?? Number.POSITIVE_INFINITY) <= now
      ) {
        askToStop(this.#yard, job, 'expire')
      }
    }
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

  #hotJob(key: Key): Job | undefined {
    if ('n' in key) return this.#model.jobs.get(key.n) ?? this.#model.endedJob(key.n)
    if ('id' in key) return this.#model.jobsById.get(key.id)
    return this.#model.jobsByRef.get(refKey(key.dialect, key.ref))
  }

  #hotFlow(key: Key): Flow | undefined {
    if ('n' in key) return this.#model.flows.get(key.n)
    if ('id' in key) return this.#model.flowsById.get(key.id)
    return this.#model.flowsByRef.get(refKey(key.dialect, key.ref))
  }

  /** The nodes of a live flow; of one that ended as it began, those of the batch that is being made. */
  #hotNodes(flow: number): readonly FlowNode[] | undefined {
    const plan = this.#flows.plans.get(flow)
    if (plan !== undefined) return plan.steps.flatMap(step => step.nodes)
    return this.#model.flows.has(flow)
      ? [...this.#ledger.batch.nodes].filter(node => node.flow === flow)
      : undefined
  }

  async #wait(
    waiters: Waiters,
    n: number,
    isHot: () => boolean,
    options: { timeoutMs?: number; signal?: AbortSignal },
  ): Promise<boolean> {
    await this.committed()
    if (!isHot()) return true
    let takeBack: (() => void) | undefined
    const until =
      options.timeoutMs === undefined
        ? undefined
        : new Promise<void>(resolve => {
            takeBack = this.#parts.clock.alarm(this.#parts.clock.now() + options.timeoutMs!, resolve)
          })
    const woken = await waiters.wait(n, {
      ...(until !== undefined ? { until } : {}),
      ...(options.signal !== undefined ? { signal: options.signal } : {}),
    })
    takeBack?.()
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
