// The world of one conformance test: an open executor on an empty folder, whose reports can be waited for.

import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, type TestContext } from 'vitest'
import { type AttemptId, attemptIdOf } from '../../core/ids.ts'
import type { Outcome } from '../../core/job.ts'
import type { Json } from '../../core/json.ts'
import type { Executor, Report, StartOrder } from '../executor.ts'
import type { ConformanceSubject } from './executor-subject.ts'
import { KilledServer } from './killed-server.ts'

/** A world of its own for one test: an open executor on an empty folder. */
export async function worldOf(subject: ConformanceSubject, { onTestFinished }: TestContext) {
  const undo: (() => Promise<void> | void)[] = []
  onTestFinished(async () => {
    for (const step of undo.reverse()) await step()
  })
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-executor-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const { makeExecutor } = (await import(subject.moduleUrl)) as {
    makeExecutor(folder: string): Executor
  }
  const open = async () => {
    const watched = new Watched(makeExecutor(join(folder, 'spool')))
    undo.push(() => watched.close())
    await watched.open()
    return watched
  }
  const serve = async () => {
    const server = await KilledServer.start(subject.moduleUrl, join(folder, 'spool'))
    undo.push(() => server.kill({ helpers: true }))
    return server
  }
  return { folder, samples: subject.samples(folder), open, serve }
}

/** An executor with its reports, and ways to wait for them. */
class Watched {
  readonly executor: Executor
  readonly reports: Report[] = []
  onEnd: ((id: AttemptId) => void) | undefined
  readonly #waiters = new Set<() => void>()
  #closed = false

  constructor(executor: Executor) {
    this.executor = executor
  }

  async open(): Promise<void> {
    await this.executor.open(reports => {
      expect(reports.length).toBeGreaterThan(0)
      for (const report of reports) {
        this.reports.push(report)
        if (report.type === 'ended') this.onEnd?.(report.id)
      }
      for (const waiter of this.#waiters) waiter()
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.executor.close()
  }

  reportsOf(id: AttemptId): Report[] {
    return this.reports.filter(report => report.id === id)
  }

  endsOf(id: AttemptId): Report[] {
    return this.reportsOf(id).filter(({ type }) => type === 'ended')
  }

  /** Starts an attempt with this spec, and waits until it has begun. */
  async begun(spec: Json): Promise<StartOrder> {
    const order = orderOf(spec)
    this.executor.start([order])
    await this.begin(order.id)
    return order
  }

  async begin(id: AttemptId): Promise<void> {
    await this.#first(id, report => report.type === 'began' || report.type === 'ended')
  }

  async end(id: AttemptId): Promise<Outcome> {
    const report = await this.#first(id, ({ type }) => type === 'ended')
    return (report as Extract<Report, { type: 'ended' }>).outcome
  }

  /** Long enough for a report that should not come. */
  async quiet(): Promise<void> {
    await sleep(150)
  }

  #first(id: AttemptId, wanted: (report: Report) => boolean): Promise<Report> {
    return new Promise(resolve => {
      let seen = 0
      const look = () => {
        for (; seen < this.reports.length; seen++) {
          const report = this.reports[seen]!
          if (report.id !== id || !wanted(report)) continue
          this.#waiters.delete(look)
          resolve(report)
          return
        }
      }
      this.#waiters.add(look)
      look()
    })
  }
}

/** An order to start one attempt of a job of its own. */
export function orderOf(spec: Json): StartOrder {
  const job = randomUUID()
  return {
    id: attemptIdOf(job, 1),
    job,
    dialect: 'test',
    kind: 'test',
    owner: '',
    spec,
    needs: null,
    runMsMax: null,
  }
}

/** How many lines a file has; none if it does not exist. */
export function linesOf(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0
}
