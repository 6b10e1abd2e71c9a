// One batch in the making: everything that changed since the last one was sealed, and who waits for it.

import type { Event } from '../core/event.ts'
import type { Flow, FlowNode } from '../core/flow.ts'
import type { AttemptId } from '../core/ids.ts'
import type { Attempt, Job, Output } from '../core/job.ts'
import type { StopRequest } from '../core/job-state.ts'
import type { Json } from '../core/json.ts'
import type { BlobCount, Changes, RecordChange } from '../store/store.ts'

export class Batch implements Changes {
  readonly newJobs: { readonly job: Job; readonly spec: string | null }[] = []
  readonly jobs = new Set<Job>()
  readonly attempts: Attempt[] = []
  readonly newFlows: { readonly flow: Flow; readonly spec: string }[] = []
  readonly flows = new Set<Flow>()
  readonly nodes = new Set<FlowNode>()
  readonly outputs: Output[] = []
  readonly outputsDropped: { readonly job: number; readonly name: string }[] = []
  readonly events: Event[] = []
  readonly records: RecordChange[] = []
  readonly blobs: BlobCount[] = []
  readonly counters = new Map<string, number>()
  readonly forgottenJobs: number[] = []
  readonly forgottenFlows: number[] = []
  eventsForgottenTo = 0

  /** What the world is asked to do once this is durable. */
  readonly starts: { readonly job: Job; readonly spec: Json | undefined }[] = []
  readonly stops: {
    readonly executor: string
    readonly id: AttemptId
    readonly how: 'ask' | 'kill'
    readonly why: StopRequest
  }[] = []
  readonly reported: { readonly executor: string; readonly id: AttemptId }[] = []
  readonly forgotten: { readonly executor: string; readonly id: AttemptId }[] = []
  readonly endedJobs: Job[] = []
  readonly endedFlows: Flow[] = []
  /** Counts every change, so that a caller can tell whether one was made. */
  changeCount = 0

  /** The first place that was given out in this batch; what is there or beyond was made in it. */
  #firstMade = Number.POSITIVE_INFINITY
  readonly #done: Promise<void>
  #resolve!: () => void
  #reject!: (error: unknown) => void

  constructor() {
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Nobody may be waiting: an engine that falls says so by itself.
    this.#done.catch(() => {})
  }

  get isEmpty(): boolean {
    return this.changeCount === 0
  }

  /** Resolves when this batch is durable. */
  get done(): Promise<void> {
    return this.#done
  }

  addJob(job: Job, spec: string | null): void {
    this.newJobs.push({ job, spec })
    this.#firstMade = Math.min(this.#firstMade, job.n)
  }

  addFlow(flow: Flow, spec: string): void {
    this.newFlows.push({ flow, spec })
    this.#firstMade = Math.min(this.#firstMade, flow.n)
  }

  /** The row of a job that was made in this batch is still to be written: it needs no other. */
  changeJob(job: Job): void {
    this.changeCount++
    if (job.n < this.#firstMade) this.jobs.add(job)
  }

  changeFlow(flow: Flow): void {
    this.changeCount++
    if (flow.n < this.#firstMade) this.flows.add(flow)
  }

  settle(): void {
    this.#resolve()
  }

  fail(error: unknown): void {
    this.#reject(error)
  }
}
