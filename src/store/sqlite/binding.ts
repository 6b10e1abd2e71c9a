// The one door to node:sqlite: opens a file with the settings that durability and speed rest on, and says what an
// error of SQLite means to a store.

import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { StoreFailed } from '../store.ts'

export type Database = DatabaseSync
export type Statement = StatementSync
export type Value = SQLInputValue

/** Before this version a WAL could be reset while a checkpoint was reading it, which loses commits. */
export const versionMin = '3.51.3'

/** Opens the store's file, made when absent, and refuses an SQLite that is too old. */
export function openDatabase(file: string): Database {
  const database = new DatabaseSync(file, { enableForeignKeyConstraints: true, timeout: busyMs })
  try {
    const version = String(database.prepare('SELECT sqlite_version() AS version').get()!['version'])
    checkVersion(version)
    const mode = database.prepare('PRAGMA journal_mode = WAL').get()!['journal_mode']
    if (mode !== 'wal') throw new StoreFailed('broken', `${file} cannot have a write-ahead log (got ${mode})`)
    for (const setting of settings) database.exec(setting)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Throws StoreFailed for an SQLite older than `versionMin`. */
export function checkVersion(version: string): void {
  const [have, want] = [version, versionMin].map(text => text.split('.').map(Number))
  const differs = want!.findIndex((part, at) => part !== have![at])
  if (differs !== -1 && !(have![differs]! > want![differs]!)) {
    throw new StoreFailed(
      'broken',
      `This Node comes with SQLite ${version}, which can lose data; ${versionMin} or later is needed (a newer Node 24 has it)`,
    )
  }
}

/** How long a commit waits for another program (a copy tool, a curious person) to let go of the file. */
const busyMs = 1000

const settings = [
  // A commit returns when its part of the log is on the disk. It is the default, but everything rests on it.
  'PRAGMA synchronous = FULL',
  'PRAGMA foreign_keys = ON',
  // The log is folded into the database by the checkpointer; this is the end of patience, 256 MiB, should it not get on.
  'PRAGMA wal_autocheckpoint = 65536',
  'PRAGMA journal_size_limit = 134217728',
  'PRAGMA cache_size = -65536',
  'PRAGMA temp_store = MEMORY',
  'PRAGMA trusted_schema = OFF',
]

/** A statement that hands out its rows as arrays: much cheaper than objects for wide rows. */
export function prepareRows(database: Database, text: string): Statement {
  const statement = database.prepare(text)
  statement.setReturnArrays(true)
  return statement
}

/** Several of them under the names of their texts. */
export function prepareAll<Texts extends Record<string, string>>(
  database: Database,
  texts: Texts,
): Prepared<Texts> {
  const statements = Object.entries(texts).map(([name, text]) => [name, prepareRows(database, text)])
  return Object.fromEntries(statements) as Prepared<Texts>
}

export type Prepared<Texts> = { readonly [name in keyof Texts]: Statement }

const full = 13
const busy = 5
const ioError = 10
const readOnly = 8

/** What went wrong, in the store's words. Errors that are not SQLite's come back as they are. */
export function storeFailure(error: unknown, file: string): unknown {
  const code = sqliteCode(error)
  if (code === undefined) return error
  const text = (error as Error).message
  if (code === full || (code === ioError && isFull(file))) {
    return new StoreFailed('full', `There is no space left for ${file}`, error)
  }
  if (code === busy) return new StoreFailed('locked', `${file} is locked by another program`, error)
  if (code === readOnly) return new StoreFailed('broken', `${file} cannot be written: ${text}`, error)
  return new StoreFailed('broken', `${file}: ${text}`, error)
}

/** SQLite's primary result code of an error, undefined for other errors. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return Number(error.errcode) & 0xff
}

// SQLite reports a log that cannot grow as an I/O error when it is the shared-memory file that could not.
function isFull(file: string): boolean {
  try {
    const space = statfsSync(dirname(file))
    return space.bavail * space.bsize < 1024 * 1024
  } catch {
    return false // the error at hand says more than this one would
  }
}
