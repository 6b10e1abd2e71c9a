// What may still happen to jobs and flows that have ended: another try, a word on the end, being forgotten. They are
// looked up in the store, and hot again if they live again.

import type { Flow } from '../core/flow.ts'
import { attemptIdOf } from '../core/ids.ts'
import type { Job } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { JsonObject } from '../core/json.ts'
import { refused, type Verdict } from '../core/refusal.ts'
import type { History, Store } from '../store/store.ts'
import type { Engine, Tx } from './engine.ts'
import type { LookUp } from './look-up.ts'
import { applyMove } from './move.ts'
import type { Flows } from './planners/dag/flows.ts'
import { mergeDetail } from './transaction.ts'
import type { Yard } from './yard.ts'

export interface AfterlifeParts {
  readonly yard: Yard
  readonly flows: Flows
  readonly lookUp: LookUp
  readonly store: Pick<Store, 'history'>
  readonly committed: () => Promise<void>
  /** Throws when commands are not accepted. */
  readonly demandUp: () => void
  readonly write: <T>(fn: (tx: Tx) => T) => Promise<T>
}

/** A job that is to be forgotten, as it was when it was looked up. */
interface Ended {
  readonly job: Job
  readonly lastEvent: number
  readonly outputs: Awaited<ReturnType<History['outputs']>>
}

export class Afterlife implements Pick<Engine, 'resubmit' | 'writeOff' | 'revive' | 'rerunFlow' | 'forget'> {
  readonly #parts: AfterlifeParts
  /** Jobs that somebody is forgetting, until that is durable. */
  readonly #forgetting = new Map<number, Promise<void>>()

  constructor(parts: AfterlifeParts) {
    this.#parts = parts
  }

  resubmit(n: number, options: { resetTries?: boolean; detail?: JsonObject } = {}): Promise<Verdict<Job>> {
    const { flows, yard } = this.#parts
    return this.#moveEnded(n, job => {
      if (job.flow !== null && !flows.plans.has(job.flow)) {
        return refused(
          'illegal-move',
          `job ${job.id} belongs to a flow that has ended; run the flow again instead`,
        )
      }
      const before = { tries: job.tries, detail: job.detail }
      if (options.resetTries !== false) job.tries = 0
      if (options.detail !== undefined) job.detail = mergeDetail(job.detail, options.detail)
      const verdict = applyMove(yard, job, 'resubmit')
      if (!verdict.ok) Object.assign(job, before)
      return verdict
    })
  }

  writeOff(n: number): Promise<Verdict<Job>> {
    return this.#moveEnded(n, job => applyMove(this.#parts.yard, job, 'writeOff', { reason: 'user' }))
  }

  revive(n: number): Promise<Verdict<Job>> {
    const { flows, yard } = this.#parts
    return this.#moveEnded(n, job => {
      if (job.flow === null || !flows.plans.has(job.flow))
        return refused('illegal-move', `job ${job.id} belongs to no flow that runs: nothing would let it go`)
      const { tries } = job
      job.tries = 0
      const verdict = applyMove(yard, job, 'revive')
      if (!verdict.ok) job.tries = tries
      return verdict
    })
  }

  async rerunFlow(n: number): Promise<Verdict<Flow>> {
    const { lookUp, yard, flows, write, demandUp } = this.#parts
    demandUp()
    const flow = await lookUp.flow({ n })
    if (flow === undefined) return refused('not-found', `there is no flow at ${n}`)
    const spec = await lookUp.spec(n)
    const nodes = await lookUp.nodes(n)
    if (yard.model.flows.has(n)) return refused('illegal-move', `flow ${flow.id} has not ended`)
    return write(() => flows.rerun(flow, spec, nodes))
  }

  async forget(...[what, also]: Parameters<Engine['forget']>): Promise<void> {
    const { yard, write, demandUp } = this.#parts
    demandUp()
    const asked = new Set(what.jobs)
    // Somebody else is at it: their blobs are to be let go once, and this caller is to hear of it when it is durable.
    const others = [...asked].map(n => this.#forgetting.get(n)).filter(going => going !== undefined)
    const own = [...asked].filter(n => !this.#forgetting.has(n))
    const going = Promise.withResolvers<void>()
    for (const n of own) this.#forgetting.set(n, going.promise)
    try {
      const ended = await this.#endedOf(own)
      const { flows = [], eventsTo = 0 } = what
      if (ended.length + flows.length + eventsTo > 0)
        await write(tx => {
          if (also?.(tx) === false) return
          const { batch, model } = yard
          batch.changeCount++
          for (const { job, lastEvent, outputs } of ended) {
            // It was put back meanwhile, and whoever did that was told so.
            const hot = model.jobs.get(job.n)
            if (hot !== undefined && (hot.lastEvent !== lastEvent || !isFinal(hot.state))) continue
            batch.forgottenJobs.push(job.n)
            model.forgetJob(job.n)
            for (let number = 1; number <= job.attempts; number++)
              batch.forgotten.push({ executor: job.executor, id: attemptIdOf(job.id, number) })
            for (const { blob } of outputs)
              if (blob !== undefined)
                batch.blobs.push({ hash: blob.hash, sizeBytes: blob.sizeBytes, delta: -1 })
          }
          batch.forgottenFlows.push(...flows.filter(n => !model.flows.has(n)))
          batch.eventsForgottenTo = Math.max(batch.eventsForgottenTo, eventsTo)
        })
    } finally {
      for (const n of own) this.#forgetting.delete(n)
      going.resolve()
    }
    await Promise.all(others)
  }

  /** Those of some jobs that have ended, with what has to go with them. */
  async #endedOf(jobs: readonly number[]): Promise<Ended[]> {
    const { lookUp } = this.#parts
    const ended: Ended[] = []
    for (const n of jobs) {
      const job = await lookUp.job({ n })
      if (job === undefined || !isFinal(job.state)) continue
      const { lastEvent } = job
      ended.push({ job, lastEvent, outputs: await lookUp.history.outputs(n) })
    }
    return ended
  }

  async #moveEnded(n: number, move: (job: Job) => Verdict<Job>): Promise<Verdict<Job>> {
    const { yard, store, committed, write, demandUp } = this.#parts
    demandUp()
    await committed()
    const stored = yard.model.jobs.get(n) ?? (await store.history.job({ n }))
    if (stored === undefined) return refused('not-found', `there is no job at ${n}`)
    return write(() => {
      if (this.#forgetting.has(n)) return refused('not-found', `job ${stored.id} is being forgotten`)
      // Two requests may have looked it up at once: the one that is hot by now is the job.
      return move(yard.model.jobs.get(n) ?? stored)
    })
  }
}
