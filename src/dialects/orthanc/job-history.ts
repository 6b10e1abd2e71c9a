// The list of jobs as the original keeps it: at most so many ended ones, and at most so many archives for download.

import type { Event } from '../../core/event.ts'
import type { Job, Output } from '../../core/job.ts'
import { isFinal } from '../../core/job-state.ts'
import type { Kit } from '../dialect.ts'

export interface HistoryOptions {
  readonly dialect: string
  readonly jobsMax: number
  readonly archivesMax: number
}

const pageSize = 1000

export class JobHistory {
  readonly #kit: Kit
  readonly #options: HistoryOptions
  /** Archives that can be downloaded, least recently used first. */
  readonly #archives = new Map<string, Output>()
  /** Ended jobs in the order in which they ended. */
  #ended: { readonly n: number; readonly id: string }[] = []
  #stopWatching: (() => void) | undefined
  #work: Promise<void> = Promise.resolve()

  constructor(kit: Kit, options: HistoryOptions) {
    this.#kit = kit
    this.#options = options
  }

  /** Learns what is kept, and begins to watch for ends of jobs. `forgetsAll`: starts with an empty list. */
  async open({ forgetsAll }: { forgetsAll: boolean }): Promise<void> {
    const jobs = await this.all()
    if (forgetsAll) await this.#forgetAll(jobs)
    else {
      const ended = jobs.filter(job => isFinal(job.state)).sort((a, b) => a.endedAt! - b.endedAt!)
      this.#ended = ended.map(({ n, id }) => ({ n, id }))
      for (const job of ended.filter(job => job.state === 'succeeded')) {
        const output = await this.#findArchive(job)
        if (output) this.#archives.set(job.id, output)
      }
      await this.#trim()
    }
    this.#stopWatching = this.#kit.engine.watch(events => this.#hear(events))
  }

  async close(): Promise<void> {
    this.#stopWatching?.()
    await this.#work
  }

  /** Every job of this dialect, oldest first. */
  async all(): Promise<Job[]> {
    const found: Job[] = []
    let after: string | undefined
    do {
      const page = await this.#kit.engine.history.jobs({
        dialect: this.#options.dialect,
        order: 'oldest',
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      })
      found.push(...page.items)
      after = page.next
    } while (after !== undefined)
    return found
  }

  /** The job with this id, if it is one of ours. */
  async get(id: string): Promise<Job | undefined> {
    const job = await this.#kit.engine.job({ id })
    return job?.dialect === this.#options.dialect ? job : undefined
  }

  /** The archive that a job left, which is used now. */
  async useArchive(job: Job): Promise<Output | undefined> {
    await this.#work
    const output = this.#archives.get(job.id)
    if (output) {
      this.#archives.delete(job.id)
      this.#archives.set(job.id, output)
    }
    return output
  }

  /** Resolves when the bookkeeping for everything that has ended so far is done. */
  settled(): Promise<void> {
    return this.#work
  }

  #hear(events: readonly Event[]): void {
    const ended = events.filter(
      event => event.subject === 'job' && finals.has(event.type) && this.#mayBeOurs(event.n),
    )
    if (ended.length === 0) return
    // One after another, and never rejected: nobody waits for it.
    this.#work = this.#work
      .then(() => this.#note(ended))
      .catch(error => this.#kit.log.warn({ err: error }, 'the list of ended jobs could not be trimmed'))
  }

  // Most ends are those of other dialects' jobs, and not worth a look into the store.
  #mayBeOurs(n: number): boolean {
    const job = this.#kit.engine.atHand.job(n)
    return job === undefined || job.dialect === this.#options.dialect
  }

  async #note(ended: readonly Event[]): Promise<void> {
    for (const { n } of ended) {
      const job = await this.#kit.engine.job({ n })
      if (job?.dialect !== this.#options.dialect || !isFinal(job.state)) continue
      // A job that failed, was resubmitted and ended again has only its last place.
      this.#ended = this.#ended.filter(other => other.n !== n)
      this.#ended.push({ n, id: job.id })
      const output = job.state === 'succeeded' ? await this.#findArchive(job) : undefined
      if (output && job.detail?.['isAsynchronous'] === true) this.#archives.set(job.id, output)
      else if (output) await this.#kit.engine.write(tx => tx.dropOutput(output))
    }
    await this.#trim()
  }

  async #findArchive(job: Job): Promise<Output | undefined> {
    return (await this.#kit.engine.history.outputs(job.n)).find(output => output.name === 'archive')
  }

  /** Lets go of what is too much: archives by use, jobs by end. */
  async #trim(): Promise<void> {
    while (this.#archives.size > this.#options.archivesMax) {
      const [id, output] = this.#archives.entries().next().value!
      this.#archives.delete(id)
      await this.#kit.engine.write(tx => tx.dropOutput(output))
    }
    const surplus = this.#ended.splice(0, Math.max(0, this.#ended.length - this.#options.jobsMax))
    if (surplus.length === 0) return
    for (const { id } of surplus) this.#archives.delete(id)
    await this.#kit.engine.forget({ jobs: surplus.map(job => job.n) })
  }

  async #forgetAll(jobs: readonly Job[]): Promise<void> {
    const live = jobs.filter(job => !isFinal(job.state))
    await this.#kit.engine.write(tx => {
      for (const job of live) tx.cancel(job.n, { kill: true })
    })
    for (const job of live) await this.#kit.engine.settled(job.n, { timeoutMs: 10_000 })
    await this.#kit.engine.forget({ jobs: jobs.map(job => job.n) })
  }
}

const finals: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled'])
