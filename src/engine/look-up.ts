// What is known: what lives from memory, the rest from the store. Whatever was done before the question is durable
// before the answer.

import type { Flow, FlowNode } from '../core/flow.ts'
import type { Job } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { Json } from '../core/json.ts'
import type { History, Records, Store } from '../store/store.ts'
import type { Batch } from './batch.ts'
import { committedHistory, committedRecords } from './committed-reads.ts'
import type { AtHand, Why } from './engine.ts'
import { type Model, refKey } from './model.ts'
import { isGraph, readGraph } from './planners/dag/graph.ts'
import { indexOf, stepOf } from './planners/dag/nodes.ts'
import { findNode, type Plan } from './planners/dag/plan.ts'
import { explainJob, explainNode } from './why.ts'

type Key = { n: number } | { id: string } | { dialect: string; ref: string }

export interface LookUpParts {
  readonly store: Pick<Store, 'history' | 'records'>
  /** The model of the moment: after a failed commit there is a new one. */
  readonly model: () => Model
  readonly plans: ReadonlyMap<number, Plan>
  readonly batch: () => Batch
  /** Resolves when everything done so far is durable; rejects as `unavailable` when it will not be. */
  readonly committed: () => Promise<void>
  /** Whether a change of this collection of records is not durable yet. */
  readonly touches: (collection: string) => boolean
  /** The spec of a node's first job where it follows from its flow's document, which is given. */
  readonly draftSpec: (flow: Flow, document: unknown, node: string) => Json | undefined
  readonly isUp: () => boolean
  readonly now: () => number
}

export class LookUp {
  readonly records: Records
  readonly history: History
  readonly atHand: AtHand
  readonly #parts: LookUpParts

  constructor(parts: LookUpParts) {
    this.#parts = parts
    const { committed, touches, store } = parts
    const reading = { committed, touches, liveFlow: (n: number) => parts.model().flows.get(n) }
    this.records = committedRecords(reading, store.records)
    this.history = committedHistory(reading, store.history)
    this.atHand = {
      job: n => this.#hotJob({ n }),
      flow: n => parts.model().flows.get(n),
      nodes: flow => this.#hotNodes(flow),
    }
  }

  async job(key: Key): Promise<Job | undefined> {
    await this.#parts.committed()
    const hot = this.#hotJob(key)
    if (hot !== undefined) return hot
    const stored = await this.#parts.store.history.job(key)
    // The store knows the place of every id; what memory has at that place is newer.
    return stored !== undefined && 'id' in key ? (this.#hotJob({ n: stored.n }) ?? stored) : stored
  }

  async flow(key: Key): Promise<Flow | undefined> {
    await this.#parts.committed()
    return this.#hotFlow(key) ?? this.#parts.store.history.flow(key)
  }

  async nodes(flow: number): Promise<readonly FlowNode[]> {
    await this.#parts.committed()
    const plan = this.#parts.plans.get(flow)
    if (plan !== undefined) return plan.steps.flatMap(step => step.nodes)
    return this.#parts.store.history.nodes(flow, { step: 0, index: 0, limit: Number.MAX_SAFE_INTEGER })
  }

  async node(flow: number, key: string): Promise<FlowNode | undefined> {
    await this.#parts.committed()
    const plan = this.#parts.plans.get(flow)
    const node = plan === undefined ? await this.#storedNode(flow, key) : findNode(plan, key)
    return node?.key === key ? node : undefined
  }

  /** A node of a flow that has ended: where it stands follows from its key. */
  async #storedNode(n: number, key: string): Promise<FlowNode | undefined> {
    const { history } = this.#parts.store
    const flow = await history.flow({ n })
    const graph = flow && readGraph(flow.plan)
    if (graph === undefined || !isGraph(graph)) return undefined
    const step = stepOf(graph, key)
    if (step === undefined) return undefined
    const index = indexOf(graph.steps[step]!, key)
    if (!Number.isSafeInteger(index) || index < 0) return undefined
    return (await history.nodes(n, { step, index, limit: 1 }))[0]
  }

  async spec(n: number): Promise<Json> {
    const hot = this.#parts.model().specs.get(n)
    if (hot !== undefined) return hot
    await this.#parts.committed()
    const text = (await this.#parts.store.history.specs([n])).get(n)
    return text === undefined ? this.#draftedSpec(n) : (JSON.parse(text) as Json)
  }

  /** The spec of a job whose flow's document says it, or null. */
  async #draftedSpec(n: number): Promise<Json> {
    const job = await this.job({ n })
    if (job === undefined || job.flow === null || job.node === null) return null
    const flow = await this.flow({ n: job.flow })
    const document = flow === undefined ? null : await this.spec(flow.n)
    if (flow === undefined || document === null) return null
    return this.#parts.draftSpec(flow, document, job.node) ?? null
  }

  *liveJobs(filter: { dialect?: string; owner?: string; flow?: number } = {}): Iterable<Job> {
    for (const job of this.#parts.model().jobs.values()) {
      if (isFinal(job.state)) continue
      if (filter.dialect !== undefined && job.dialect !== filter.dialect) continue
      if (filter.owner !== undefined && job.owner !== filter.owner) continue
      if (filter.flow !== undefined && job.flow !== filter.flow) continue
      yield job
    }
  }

  *liveFlows(filter: { dialect?: string; owner?: string } = {}): Iterable<Flow> {
    for (const flow of this.#parts.model().flows.values()) {
      if (flow.state !== 'running') continue
      if (filter.dialect !== undefined && flow.dialect !== filter.dialect) continue
      if (filter.owner !== undefined && flow.owner !== filter.owner) continue
      yield flow
    }
  }

  async why(n: number): Promise<Why | undefined> {
    await this.#parts.committed()
    const model = this.#parts.model()
    const job = model.jobs.get(n)
    if (!this.#parts.isUp() && job !== undefined) {
      return {
        state: job.state,
        waitsFor: 'store',
        text: 'the server cannot store anything at the moment',
        sinceAt: this.#parts.now(),
      }
    }
    return job === undefined ? undefined : explainJob(model, this.#parts.plans, job)
  }

  async whyNode(flow: number, node: string): Promise<Why | undefined> {
    await this.#parts.committed()
    const { plans } = this.#parts
    const plan = plans.get(flow)
    if (plan === undefined) return undefined
    const model = this.#parts.model()
    const job = model.jobs.get(findNode(plan, node)?.job ?? 0)
    return job === undefined ? explainNode(plan, node, this.#parts.now()) : explainJob(model, plans, job)
  }

  #hotJob(key: Key): Job | undefined {
    const model = this.#parts.model()
    if ('n' in key) return model.jobs.get(key.n) ?? model.endedJob(key.n)
    if ('id' in key) return model.liveById.get(key.id)
    return model.jobsByRef.get(refKey(key.dialect, key.ref))
  }

  #hotFlow(key: Key): Flow | undefined {
    const model = this.#parts.model()
    if ('n' in key) return model.flows.get(key.n)
    if ('id' in key) return model.flowsById.get(key.id)
    return model.flowsByRef.get(refKey(key.dialect, key.ref))
  }

  /** The nodes of a live flow; of one that ended as it began, those of the batch that is being made. */
  #hotNodes(flow: number): readonly FlowNode[] | undefined {
    const plan = this.#parts.plans.get(flow)
    if (plan !== undefined) return plan.steps.flatMap(step => step.nodes)
    return this.#parts.model().flows.has(flow)
      ? [...this.#parts.batch().nodes].filter(node => node.flow === flow)
      : undefined
  }
}
