// One server per data directory. The lock is SQLite's own lock on an otherwise empty database file: the kernel takes it
// back when the process dies, however it dies, so there is no stale lock and no guessing about reused pids. Nothing
// in this process may open and close that file by other means: that would drop the lock (POSIX says so).

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StoreFailed } from '../store.ts'
import { sqliteCode } from './binding.ts'

const busy = 5

export class DirectoryLock {
  // A lock that nobody refers to would be collected as garbage, and its file closed and unlocked with it.
  static readonly #held = new Set<DirectoryLock>()

  readonly #database: DatabaseSync
  readonly #holderFile: string

  private constructor(database: DatabaseSync, holderFile: string) {
    this.#database = database
    this.#holderFile = holderFile
  }

  /** Takes the lock; StoreFailed `locked`, naming the holder, when another process or store has it. */
  static take(directory: string): DirectoryLock {
    const holderFile = join(directory, 'lock.json')
    // A predecessor that was just told to end gets a moment to be gone.
    const database = new DatabaseSync(join(directory, 'lock.db'), { timeout: 500 })
    try {
      database.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      database.close()
      if (sqliteCode(error) !== busy) throw error
      throw new StoreFailed(
        'locked',
        `The data directory ${directory} is in use by ${nameHolder(holderFile)}`,
        error,
      )
    }
    writeHolder(holderFile)
    const lock = new DirectoryLock(database, holderFile)
    DirectoryLock.#held.add(lock)
    return lock
  }

  /** Gives the directory free; a second call does nothing. */
  release(): void {
    if (!DirectoryLock.#held.delete(this)) return
    rmSync(this.#holderFile, { force: true })
    this.#database.close()
  }
}

function writeHolder(file: string): void {
  const holder = { pid: process.pid, host: hostname(), since: new Date().toISOString() }
  try {
    rmSync(file, { force: true })
    writeFileSync(`${file}.part`, JSON.stringify(holder) + '\n', { mode: 0o600 })
    renameSync(`${file}.part`, file)
  } catch {
    // The lock is what counts, and it is held. A full disk must not keep a server from answering what it can.
  }
}

// Only for the message: who wrote this file last, which is the holder unless it is just starting.
function nameHolder(file: string): string {
  try {
    const { pid, host, since } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
    return `process ${pid} on ${host}, since ${since}`
  } catch {
    return 'another process' // it has not written its name yet
  }
}
