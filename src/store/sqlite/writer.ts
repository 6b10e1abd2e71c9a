// One batch, one transaction, in one go on this thread: the ledger does the grouping, so that a commit costs one
// flush however many requests wait for it. Every statement is prepared once; single runs are what SQLite does fastest.

import type { DagPlan, Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import { type Changes, StoreFailed } from '../store.ts'
import { checkFlow, checkJob } from '../whole.ts'
import { type Database, type Prepared, prepareAll, prepareRows, type Statement } from './binding.ts'
import type { Catalog } from './catalog.ts'
import { RecordWriter } from './record-writer.ts'
import { flowValues, jobValues, type Row, writeJson, writePlan } from './rows.ts'
import * as sql from './sql.ts'

/** Figures of one commit. */
export interface CommitStats {
  /** Rows of jobs, flows, nodes, attempts, outputs, events and records that the batch brought. */
  readonly rows: number
  readonly statements: number
  readonly durationMs: number
}

export interface Written {
  readonly rows: number
  readonly statements: number
  /** Blobs that nobody names since this commit and that are files. */
  readonly unnamedBlobs: string[]
}

export class Writer {
  readonly #database: Database
  readonly #records: RecordWriter
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #run: Prepared<typeof runnable>
  readonly #planTexts = new WeakMap<DagPlan, string>()
  #lastPlace: number
  #lastSmallBlob: number

  constructor(database: Database, catalog: Catalog) {
    this.#database = database
    this.#records = new RecordWriter(database, catalog)
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#run = prepareAll(database, runnable)
    this.#lastPlace = (prepareRows(database, sql.lastPlace).get() as unknown as Row)[0] as number
    this.#lastSmallBlob = this.#readLastSmallBlob()
  }

  /** Writes all of the batch or nothing; on disk when it returns. */
  write(changes: Changes): Written {
    this.#begin.run()
    try {
      const written = this.#writeAll(changes)
      this.#commit.run()
      return written
    } catch (error) {
      // SQLite has rolled back by itself after some errors, a full disk among them.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      this.#records.takeBack()
      this.#lastSmallBlob = this.#readLastSmallBlob()
      throw error
    }
  }

  #writeAll(changes: Changes): Written {
    const run = this.#run
    let rows = 0
    for (const { flow, spec } of changes.newFlows) {
      checkFlow(flow)
      run.insertFlow.run(...flowValues(flow))
      run.insertPlan.run(flow.n, this.#planText(flow.plan))
      run.insertSpec.run(flow.n, spec)
      this.#lastPlace = Math.max(this.#lastPlace, flow.n)
      rows += 3
    }
    for (const flow of changes.flows) {
      this.#updateFlow(flow)
      rows++
    }
    for (const node of changes.nodes) {
      run.putNode.run(node.flow, node.step, node.index, node.key, node.state, node.job, node.child, node.runs)
      rows++
    }
    for (const { job, spec } of changes.newJobs) {
      checkJob(job)
      run.insertJob.run(...jobValues(job))
      if (spec !== null) run.insertSpec.run(job.n, spec)
      if (job.n > this.#lastPlace) this.#lastPlace = job.n
      rows += spec === null ? 1 : 2
    }
    for (const job of changes.jobs) {
      this.#updateJob(job)
      rows++
    }
    for (const attempt of changes.attempts) {
      run.insertAttempt.run(
        attempt.job,
        attempt.number,
        attempt.startedAt,
        attempt.endedAt,
        attempt.result,
        attempt.reason,
        attempt.message,
        attempt.exitCode,
        writeJson(attempt.usage),
      )
      rows++
    }
    for (const { job, name, createdAt, value, blob } of changes.outputs) {
      const text = value === undefined ? null : JSON.stringify(value)
      const { hash = null, sizeBytes = null, mediaType = null } = blob ?? {}
      run.putOutput.run(job, name, createdAt, hash, sizeBytes, mediaType, text)
      rows++
    }
    for (const { job, name } of changes.outputsDropped) {
      run.dropOutput.run(job, name)
      rows++
    }
    for (const event of changes.events) {
      const { seq, at, subject, n, prev, type, body } = event
      run.insertEvent.run(seq, at, subject, n, prev, type, writeJson(body))
      rows++
    }
    let statements = rows
    if (changes.records.length > 0) {
      const before = this.#records.statements
      this.#records.apply(changes.records)
      statements += this.#records.statements - before
      rows += changes.records.length
    }
    for (const [name, value] of changes.counters) {
      if (name.startsWith('#'))
        throw new StoreFailed('broken', `The counter ${name} has a name of the store's`)
      run.putCounter.run(name, value)
      statements++
    }
    const unnamedBlobs = changes.blobs.length > 0 ? this.#countBlobs(changes) : []
    this.#forget(changes)
    const forgotten = changes.forgottenJobs.length + changes.forgottenFlows.length
    statements += unnamedBlobs.length + changes.blobs.length + 2 * forgotten
    return { rows: rows + forgotten, statements, unnamedBlobs }
  }

  // Flows of one kind often share their plan, which never changes.
  #planText(plan: DagPlan): string {
    const known = this.#planTexts.get(plan)
    if (known !== undefined) return known
    const text = writePlan(plan)
    this.#planTexts.set(plan, text)
    return text
  }

  #updateJob(job: Job): void {
    checkJob(job)
    const detail = writeJson(job.detail)
    if (job.endedAt === null) {
      // Most changes of a job are moves before its end, and this statement leaves every index alone.
      const { changes } = this.#run.moveJob.run(
        job.state,
        job.rank,
        job.held ? 1 : 0,
        job.stop,
        job.reason,
        job.message,
        job.exitCode,
        job.attempts,
        job.tries,
        job.readyAt,
        job.dueAt,
        job.startedAt,
        detail,
        job.lastEvent,
        job.n,
      )
      if (changes === 1) return
    }
    const { changes } = this.#run.updateJob.run(
      job.state,
      job.rank,
      job.held ? 1 : 0,
      job.stop,
      job.reason,
      job.message,
      job.exitCode,
      job.attempts,
      job.tries,
      job.readyAt,
      job.dueAt,
      job.startedAt,
      detail,
      job.lastEvent,
      job.endedAt,
      job.n,
    )
    if (changes !== 1) throw new StoreFailed('broken', `The batch changes job ${job.n}, which is not stored`)
  }

  #updateFlow(flow: Flow): void {
    checkFlow(flow)
    if (flow.endedAt === null) {
      // As with jobs: what changes before the end leaves every index alone.
      const { changes } = this.#run.moveFlow.run(
        flow.stop,
        flow.startedAt,
        JSON.stringify(flow.progress),
        writeJson(flow.detail),
        flow.lastEvent,
        flow.n,
      )
      if (changes === 1) return
    }
    const { changes } = this.#run.updateFlow.run(
      flow.state,
      flow.stop,
      flow.startedAt,
      flow.endedAt,
      JSON.stringify(flow.progress),
      writeJson(flow.detail),
      flow.lastEvent,
      flow.n,
    )
    if (changes !== 1)
      throw new StoreFailed('broken', `The batch changes flow ${flow.n}, which is not stored`)
  }

  // Deltas are summed up first, so that a blob that changes hands within a batch is not touched at all.
  #countBlobs(changes: Changes): string[] {
    const sums = new Map<string, { delta: number; sizeBytes: number; bytes: Uint8Array | undefined }>()
    for (const { hash, sizeBytes, delta, bytes } of changes.blobs) {
      const had = sums.get(hash)
      sums.set(hash, { delta: (had?.delta ?? 0) + delta, sizeBytes, bytes: bytes ?? had?.bytes })
    }
    const unnamed: string[] = []
    for (const [hash, { delta, sizeBytes, bytes }] of sums) {
      if (delta > 0) this.#nameBlob(hash, { delta, sizeBytes, bytes })
      if (delta >= 0) continue
      if (this.#run.unnameBlob.run(-delta, hash).changes !== 1) {
        throw new StoreFailed('broken', `Blob ${hash} cannot be dropped more often than it is named`)
      }
      const dropped = this.#run.dropUnnamedBlob.get(hash) as unknown as Row | undefined
      if (dropped === undefined) continue
      const [place] = dropped as [number | null]
      if (place === null) unnamed.push(hash)
      else this.#run.dropSmallBlob.run(place)
    }
    return unnamed
  }

  #nameBlob(hash: string, blob: { delta: number; sizeBytes: number; bytes: Uint8Array | undefined }): void {
    const { delta, sizeBytes, bytes } = blob
    if (bytes === undefined) {
      this.#run.nameBlob.get(hash, sizeBytes, delta, null)
      return
    }
    if (bytes.length !== sizeBytes) {
      throw new StoreFailed('broken', `Blob ${hash} comes with ${bytes.length} bytes instead of ${sizeBytes}`)
    }
    const mine = this.#lastSmallBlob + 1
    const [place] = this.#run.nameBlob.get(hash, sizeBytes, delta, mine) as unknown as [number | null]
    if (place !== mine) return
    this.#run.insertSmallBlob.run(mine, bytes)
    this.#lastSmallBlob = mine
  }

  #readLastSmallBlob(): number {
    return (prepareRows(this.#database, sql.lastSmallBlob).get() as unknown as Row)[0] as number
  }

  #forget({ forgottenJobs, forgottenFlows, eventsForgottenTo }: Changes): void {
    if (eventsForgottenTo > 0) this.#run.dropEvents.run(eventsForgottenTo)
    for (const n of forgottenJobs) if (this.#run.dropJob.run(n).changes === 1) this.#run.dropSpec.run(n)
    for (const n of forgottenFlows) if (this.#run.dropFlow.run(n).changes === 1) this.#run.dropSpec.run(n)
    // The forgotten one may have been the newest: its place must not be given again.
    if (forgottenJobs.length + forgottenFlows.length > 0) this.#run.putMark.run('place', this.#lastPlace)
  }
}

const runnable = {
  insertJob: sql.insertJob,
  moveJob: sql.moveJob,
  updateJob: sql.updateJob,
  insertSpec: sql.insertSpec,
  insertFlow: sql.insertFlow,
  insertPlan: sql.insertPlan,
  moveFlow: sql.moveFlow,
  updateFlow: sql.updateFlow,
  putNode: sql.putNode,
  insertAttempt: sql.insertAttempt,
  putOutput: sql.putOutput,
  dropOutput: sql.dropOutput,
  insertEvent: sql.insertEvent,
  putCounter: sql.putCounter,
  putMark: sql.putMark,
  nameBlob: sql.nameBlob,
  unnameBlob: sql.unnameBlob,
  dropUnnamedBlob: sql.dropUnnamedBlob,
  insertSmallBlob: sql.insertSmallBlob,
  dropSmallBlob: sql.dropSmallBlob,
  dropJob: sql.dropJob,
  dropFlow: sql.dropFlow,
  dropSpec: sql.dropSpec,
  dropEvents: sql.dropEvents,
}
