// Follows the ends of jobs and workflows: each is told to whom it was promised, and what a job left counts against its
// owner's quota. A notice is a job of its own, so that it outlives restarts and is tried again. Where the following had
// got to is kept with the notices.

import type { Event } from '../../core/event.ts'
import type { Flow } from '../../core/flow.ts'
import type { Job, JobDraft } from '../../core/job.ts'
import { isFinal } from '../../core/job-state.ts'
import type { Json } from '../../core/json.ts'
import { countCollected } from './collected.ts'
import type { NotificationDocument } from './document.ts'
import type { Notice } from './outside/notify.ts'
import type { Parts } from './parts.ts'
import { factsOf, workflowStatusOf } from './shapes.ts'
import { type ActsFor, dialectName, jobKind, workflowKind } from './spec.ts'
import { jobStatus } from './words.ts'

export const noticeKind = 'prominence.notice'

const collection = 'prominence.cursor'
const cursorId = 'notifications'
const catchUpPage = 500
/** How many events may go by before the cursor is written although nothing was sent. */
const idleEventsMax = 20_000
const triesMax = 8
const endings = new Set(['succeeded', 'failed', 'cancelled'])

interface Wanted {
  readonly event: string
  readonly notifications: readonly NotificationDocument[]
  readonly by: ActsFor
  readonly owner: string
  readonly id: number
  readonly name: string
  readonly status: string
  readonly endedAt: number
}

export class Notifications {
  readonly #parts: Parts
  #seen = 0
  #written = 0
  #tail: Promise<void> = Promise.resolve()
  #stop: (() => void) | undefined
  #closed = false
  /** There may be events after the last seen that only the store can tell. */
  #isBehind = true

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Takes up what ended since the last notice, then follows the events. A long history (the dialect was switched off
   * for a while) is caught up with beside the running server, which does not wait for it.
   */
  async start(): Promise<void> {
    const { engine, records } = this.#parts.kit
    const cursor = await records.get(collection, cursorId)
    this.#seen = this.#written = (cursor?.body as { seq?: number } | undefined)?.seq ?? 0
    const caughtUp = this.#follow([])
    this.#stop = engine.watch(events => void this.#follow(events))
    await Promise.race([caughtUp, new Promise(resolve => setImmediate(resolve))])
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stop?.()
    await this.#tail
  }

  #follow(events: readonly Event[]): Promise<void> {
    this.#tail = this.#tail
      .then(() => (this.#isBehind ? this.#catchUp() : this.#take(events)))
      .catch(error => {
        // Nothing of it was written, so it is all read again: at the next event, or at the next start.
        this.#seen = this.#written
        this.#isBehind = true
        if (!this.#closed) this.#parts.kit.log.error({ err: error }, 'notices could not be written')
      })
    return this.#tail
  }

  async #catchUp(): Promise<void> {
    for (;;) {
      const events = await this.#parts.kit.engine.history.events(this.#seen, catchUpPage)
      await this.#take(events)
      if (this.#closed) return
      if (events.length < catchUpPage) break
      // Reading is all there is to wait for, and it is no waiting: requests must get their turn.
      await new Promise(resolve => setImmediate(resolve))
    }
    this.#isBehind = false
  }

  async #take(events: readonly Event[]): Promise<void> {
    const drafts: JobDraft[] = []
    for (const event of events) {
      if (event.seq <= this.#seen) continue
      if (endings.has(event.type) && event.subject !== 'server') {
        const wanted = event.subject === 'job' ? await this.#ofJob(event.n) : await this.#ofFlow(event.n)
        if (wanted !== undefined) drafts.push(...this.#draftsOf(wanted, event.seq))
      }
    }
    const last = events.at(-1)?.seq ?? this.#seen
    this.#seen = Math.max(this.#seen, last)
    if (drafts.length === 0 && this.#seen - this.#written < idleEventsMax) return
    const seq = this.#seen
    await this.#parts.kit.engine.write(tx => {
      for (const draft of drafts) tx.submit(draft)
      tx.record({ put: { collection, id: cursorId, body: { seq } } })
    })
    this.#written = seq
  }

  async #ofJob(n: number): Promise<Wanted | undefined> {
    const job: Job | undefined = await this.#parts.kit.engine.job({ n })
    if (job?.dialect !== dialectName || job.kind !== jobKind || !isFinal(job.state)) return undefined
    await countCollected(this.#parts, job)
    const told = await this.#parts.specs.job(job)
    const status = jobStatus(factsOf(job))
    // The original mails when a job is completed; whoever names a web address wants to hear of every end.
    const notifications = (told?.document.notifications ?? []).filter(
      ({ type }) => type === 'webhook' || status === 'completed',
    )
    if (told === undefined || notifications.length === 0) return undefined
    const { name, by } = told
    return {
      event: 'jobFinished',
      notifications,
      by,
      owner: job.owner,
      id: n,
      name,
      status,
      endedAt: job.endedAt!,
    }
  }

  async #ofFlow(n: number): Promise<Wanted | undefined> {
    const flow: Flow | undefined = await this.#parts.kit.engine.flow({ n })
    if (flow?.dialect !== dialectName || flow.kind !== workflowKind || flow.endedAt === null) return undefined
    const workflow = await this.#parts.specs.workflow(n)
    const notifications = workflow?.document.notifications ?? []
    if (workflow === undefined || notifications.length === 0) return undefined
    const { owner, name, endedAt } = flow
    const status = workflowStatusOf(flow)
    return { event: 'workflowFinished', notifications, by: workflow.by, owner, id: n, name, status, endedAt }
  }

  #draftsOf(wanted: Wanted, seq: number): JobDraft[] {
    const { smtp, fetchAllow } = this.#parts.settings
    const { notifications, by, owner, event, id, name, status, endedAt } = wanted
    const drafts: JobDraft[] = []
    for (const [at, { type = 'email', url }] of notifications.entries()) {
      const to = type === 'email' ? by.email : url
      if (to === undefined || (type === 'email' && smtp === undefined)) {
        this.#parts.kit.log.warn({ job: id, type }, 'a notice has nowhere to go')
        continue
      }
      const key = `notice-${seq}-${at}`
      const notice: Notice = { type, to, event, id, name, status, endedAt, key, allow: fetchAllow }
      drafts.push({
        dialect: dialectName,
        executor: 'function',
        kind: noticeKind,
        spec: { function: noticeKind, input: notice as unknown as Json },
        owner,
        name: `${event} ${id}`,
        triesMax,
        backoffMs: 2_000,
        runMsMax: 120_000,
      })
    }
    return drafts
  }
}
