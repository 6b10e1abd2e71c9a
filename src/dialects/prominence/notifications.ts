// Follows the ends of jobs and workflows: each is told to whom it was promised, and what a job left counts against its
// owner's quota. A notice is a job of its own, so that it outlives restarts and is tried again. Where the following had
// got to is kept with the notices.

import type { Flow } from '../../core/flow.ts'
import type { Job, JobDraft } from '../../core/job.ts'
import { isFinal } from '../../core/job-state.ts'
import type { Json } from '../../core/json.ts'
import type { End } from '../../engine/engine.ts'
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
/** How many events may go by before the place is written down although nothing was sent. */
const unwrittenMax = 20_000
const triesMax = 8

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
  #stop = async () => {}
  #written = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Takes up what ended since the last notice, then follows the ends. Where the dialect was never on, nobody was
   * promised anything: following begins with what comes.
   */
  async start(): Promise<void> {
    const { engine, records, log } = this.#parts.kit
    const cursor = await records.get(collection, cursorId)
    const from = (cursor?.body as { seq: number } | undefined)?.seq
    this.#written = from ?? 0
    this.#stop = await engine.followEnds({
      dialect: dialectName,
      from,
      take: (ends, upTo) => this.#take(ends, upTo),
      onError: error => log.error({ err: error }, 'notices could not be written'),
    })
  }

  async close(): Promise<void> {
    await this.#stop()
  }

  async #take(ends: readonly End[], seq: number): Promise<void> {
    const drafts: JobDraft[] = []
    for (const end of ends) {
      const wanted = 'job' in end ? await this.#ofJob(end.job) : await this.#ofFlow(end.flow)
      if (wanted !== undefined) drafts.push(...this.#draftsOf(wanted, end.seq))
    }
    if (drafts.length === 0 && ends.length > 0 && seq - this.#written < unwrittenMax) return
    await this.#parts.kit.engine.write(tx => {
      for (const draft of drafts) tx.submit(draft)
      tx.record({ put: { collection, id: cursorId, body: { seq } } })
    })
    this.#written = seq
  }

  async #ofJob(job: Job): Promise<Wanted | undefined> {
    if (job.kind !== jobKind || !isFinal(job.state)) return undefined
    const told = await this.#parts.specs.job(job)
    const { outputFiles = [], outputDirs = [] } = told?.document ?? {}
    if (outputFiles.length + outputDirs.length > 0) await countCollected(this.#parts, job)
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
      id: job.n,
      name,
      status,
      endedAt: job.endedAt!,
    }
  }

  async #ofFlow(flow: Flow): Promise<Wanted | undefined> {
    if (flow.kind !== workflowKind || flow.endedAt === null) return undefined
    const workflow = await this.#parts.specs.workflow(flow.n)
    const notifications = workflow?.document.notifications ?? []
    if (workflow === undefined || notifications.length === 0) return undefined
    const { owner, name, endedAt } = flow
    const status = workflowStatusOf(flow)
    return {
      event: 'workflowFinished',
      notifications,
      by: workflow.by,
      owner,
      id: flow.n,
      name,
      status,
      endedAt,
    }
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
