// The embedded store: one SQLite file in the data directory, one writer, blobs beside it. Commits run on the calling
// thread and are on the disk when they return.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Job } from '../../core/job.ts'
import { BlobFiles, smallBytesMax } from '../blob-files/blob-files.ts'
import { type Changes, type History, type HotSet, type Records, type Store, StoreFailed } from '../store.ts'
import { backUp } from './backup.ts'
import { type Database, openDatabase, prepareRows, type Statement, storeFailure } from './binding.ts'
import { Catalog } from './catalog.ts'
import { Checkpointer, type CheckpointerOptions } from './checkpointer.ts'
import { DirectoryLock } from './directory-lock.ts'
import { SqliteHistory } from './history.ts'
import { migrate } from './migrate.ts'
import { lateHistory, lateRecords } from './reading-sides.ts'
import { SqliteRecords } from './record-reader.ts'
import { type Row, readFlow, readJob, readNode, wordShelf } from './rows.ts'
import * as sql from './sql.ts'
import { type CommitStats, Writer, type Written } from './writer.ts'

export interface SqliteStoreOptions {
  /** The data directory; made when absent. */
  readonly directory: string
  /** Told about every commit that succeeded. */
  readonly observe?: (stats: CommitStats) => void
  readonly checkpoints?: Partial<CheckpointerOptions>
}

/** What exists while the store is open. */
interface Life {
  readonly lock: DirectoryLock
  readonly database: Database
  readonly writer: Writer
  readonly checkpointer: Checkpointer
  readonly history: SqliteHistory
  readonly records: SqliteRecords
  readonly blobCount: Statement
  readonly smallBlob: Statement
}

export class SqliteStore implements Store {
  readonly blobs: BlobFiles
  readonly history: History
  readonly records: Records
  readonly #file: string
  readonly #options: SqliteStoreOptions
  #life: Life | undefined
  /** Something failed that leaves doubts about the connection, unlike a full disk or an impossible batch. */
  #isSuspect = false

  constructor(options: SqliteStoreOptions) {
    this.#options = options
    this.#file = join(options.directory, 'yard.db')
    const small = { bytesMax: smallBytesMax, find: (hash: string) => this.#findSmall(hash) }
    this.blobs = new BlobFiles(join(options.directory, 'blobs'), { small })
    this.history = lateHistory(() => this.#open().history)
    this.records = lateRecords(() => this.#open().records)
  }

  async open(): Promise<HotSet> {
    if (this.#life !== undefined && this.#isSuspect) await this.close()
    this.#isSuspect = false
    try {
      this.#life ??= this.#begin()
      return readHotSet(this.#life.database)
    } catch (error) {
      await this.close()
      throw storeFailure(error, this.#file)
    }
  }

  async commit(changes: Changes): Promise<void> {
    const { writer, checkpointer } = this.#open()
    const { observe } = this.#options
    const begunAt = observe === undefined ? 0 : performance.now()
    let written: Written
    try {
      written = writer.write(changes)
    } catch (error) {
      const failure = storeFailure(error, this.#file)
      this.#isSuspect ||= failure !== error && (failure as StoreFailed).code !== 'full'
      throw failure
    }
    checkpointer.noteCommit()
    const { rows, statements, unnamedBlobs } = written
    observe?.({ rows, statements, durationMs: performance.now() - begunAt })
    if (unnamedBlobs.length > 0) this.blobs.discard(unnamedBlobs, hash => this.#countBlob(hash) > 0)
  }

  async blobCount(hash: string): Promise<number> {
    return this.#countBlob(hash)
  }

  async backup(target: string): Promise<void> {
    this.#open()
    await backUp(this.#file, target)
  }

  async close(): Promise<void> {
    const life = this.#life
    if (life === undefined) return
    this.#life = undefined
    this.blobs.close()
    try {
      await life.checkpointer.close()
      life.database.close()
    } finally {
      life.lock.release()
    }
  }

  #begin(): Life {
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 })
    const lock = DirectoryLock.take(this.#options.directory)
    let database: Database | undefined
    try {
      database = openDatabase(this.#file)
      migrate(database, this.#file)
      const catalog = new Catalog(database)
      return {
        lock,
        database,
        writer: new Writer(database, catalog),
        checkpointer: new Checkpointer(database, this.#file, this.#options.checkpoints),
        history: new SqliteHistory(database),
        records: new SqliteRecords(database, catalog),
        blobCount: prepareRows(database, sql.blobCountOf),
        smallBlob: prepareRows(database, sql.smallBlobOf),
      }
    } catch (error) {
      database?.close()
      lock.release()
      throw error
    }
  }

  #countBlob(hash: string): number {
    const row = this.#open().blobCount.get(hash) as Row | undefined
    return row?.[0] ?? 0
  }

  #findSmall(hash: string): Uint8Array | undefined {
    const row = this.#open().smallBlob.get(hash) as unknown as [Uint8Array] | undefined
    return row?.[0]
  }

  #open(): Life {
    return this.#life ?? fail('The store is not open')
  }
}

function readHotSet(database: Database): HotSet {
  const all = (text: string) => prepareRows(database, text).all() as unknown as Row[]
  // Row by row: a hundred thousand of them at once would be garbage that outlives the start.
  const jobs: Job[] = []
  const word = wordShelf()
  for (const row of prepareRows(database, sql.liveJobs).iterate())
    jobs.push(readJob(row as unknown as Row, word))
  const flows = all(sql.liveFlows).map(readFlow)
  const nodes = prepareRows(database, sql.allNodes)
  return {
    jobs,
    flows,
    nodes: flows.flatMap(flow => (nodes.all(flow.n) as unknown as Row[]).map(readNode)),
    lastN: all(sql.lastPlace)[0]![0],
    lastEvent: all(sql.lastEvent)[0]![0],
    counters: new Map(all(sql.allCounters) as [string, number][]),
  }
}

function fail(text: string): never {
  throw new StoreFailed('broken', text)
}
