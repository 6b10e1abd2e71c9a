// What may still happen to jobs and flows that have ended: another try, a word on the end, being forgotten. They are
// looked up in the store, and hot again if they live again. What is about the same job or flow comes one after the other:
// who looked it up before it was forgotten, or put back, would otherwise change what is not there any more.

import type { Flow } from '../core/flow.ts'
import { attemptIdOf } from '../core/ids.ts'
import type { Job } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { JsonObject } from '../core/json.ts'
import { refused, type Verdict } from '../core/refusal.ts'
import { Serial } from '../core/serial.ts'
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

export class Afterlife implements Pick<Engine, 'resubmit' | 'writeOff' | 'revive' | 'rerunFlow' | 'forget'> {
  readonly #parts: AfterlifeParts
  readonly #serial = new Serial()

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

  rerunFlow(n: number): Promise<Verdict<Flow>> {
    return this.#serial.run(String(n), () => this.#rerun(n))
  }

  async #rerun(n: number): Promise<Verdict<Flow>> {
    const { lookUp, yard, flows, write, demandUp } = this.#parts
    demandUp()
    const flow = await lookUp.flow({ n })
    if (flow === undefined) return refused('not-found', `there is no flow at ${n}`)
    const spec = await lookUp.spec(n)
    const nodes = await lookUp.nodes(n)
    if (yard.model.flows.has(n)) return refused('illegal-move', `flow ${flow.id} has not ended`)
    return write(() => flows.rerun(flow, spec, nodes))
  }

  forget(...[what, also]: Parameters<Engine['forget']>): Promise<void> {
    const places = [...(what.jobs ?? []), ...(what.flows ?? [])]
    return this.#serial.runAll(places.map(String), () => this.#forget(what, also))
  }

  async #forget(...[what, also]: Parameters<Engine['forget']>): Promise<void> {
    const { lookUp, yard, write, demandUp } = this.#parts
    demandUp()
    const attempts: { executor: string; id: string }[] = []
    const outputs = new Map<number, Awaited<ReturnType<History['outputs']>>>()
    const jobs: number[] = []
    for (const n of new Set(what.jobs)) {
      const job = await lookUp.job({ n })
      if (job === undefined || !isFinal(job.state)) continue
      jobs.push(n)
      outputs.set(n, await lookUp.history.outputs(n))
      for (let number = 1; number <= job.attempts; number++) {
        attempts.push({ executor: job.executor, id: attemptIdOf(job.id, number) })
      }
    }
    const { flows = [], eventsTo = 0 } = what
    if (jobs.length + flows.length + eventsTo === 0) return
    await write(tx => {
      if (also?.(tx) === false) return
      const { batch, model } = yard
      batch.changeCount++
      batch.forgottenJobs.push(...jobs)
      for (const n of jobs) model.forgetJob(n)
      batch.forgottenFlows.push(...flows.filter(n => !model.flows.has(n)))
      batch.eventsForgottenTo = Math.max(batch.eventsForgottenTo, eventsTo)
      batch.forgotten.push(...attempts)
      for (const output of [...outputs.values()].flat()) {
        if (output.blob !== undefined)
          batch.blobs.push({ hash: output.blob.hash, sizeBytes: output.blob.sizeBytes, delta: -1 })
      }
    })
  }

  #moveEnded(n: number, move: (job: Job) => Verdict<Job>): Promise<Verdict<Job>> {
    return this.#serial.run(String(n), () => this.#lookAndMove(n, move))
  }

  async #lookAndMove(n: number, move: (job: Job) => Verdict<Job>): Promise<Verdict<Job>> {
    const { yard, store, committed, write, demandUp } = this.#parts
    demandUp()
    await committed()
    const stored = yard.model.jobs.get(n) ?? (await store.history.job({ n }))
    if (stored === undefined) return refused('not-found', `there is no job at ${n}`)
    // Two requests may have looked it up at once: the one that is hot by now is the job.
    return write(() => move(yard.model.jobs.get(n) ?? stored))
  }
}
