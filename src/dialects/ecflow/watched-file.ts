// A small file that people edit while the server runs: read again when it changed, looked at no more than so often.

import { readFile, stat } from 'node:fs/promises'

export class WatchedFile<T> {
  readonly path: string
  readonly #read: (text: string) => T
  readonly #absent: T
  readonly #now: () => number
  readonly #lookMs: number
  #value: T
  #stamp = ''
  #lookedAt = Number.NEGATIVE_INFINITY

  /** `read` may throw: then what was read before stays. `lookMs` 0 looks at each use, Infinity only when told. */
  constructor(parts: {
    path: string
    read: (text: string) => T
    absent: T
    now: () => number
    lookMs: number
  }) {
    this.path = parts.path
    this.#read = parts.read
    this.#absent = parts.absent
    this.#value = parts.absent
    this.#now = parts.now
    this.#lookMs = parts.lookMs
  }

  /** What the file says now. */
  async get(): Promise<T> {
    if (this.#now() - this.#lookedAt >= this.#lookMs) await this.#look()
    return this.#value
  }

  /** Reads it in any case. False when there is no such file; throws when it cannot be understood. */
  async reload(): Promise<boolean> {
    this.#stamp = ''
    return this.#look()
  }

  async #look(): Promise<boolean> {
    this.#lookedAt = this.#now()
    const facts = await stat(this.path).catch(() => undefined)
    if (!facts?.isFile()) {
      this.#value = this.#absent
      this.#stamp = ''
      return false
    }
    const stamp = `${facts.mtimeMs} ${facts.size} ${facts.ino}`
    if (stamp === this.#stamp) return true
    this.#value = this.#read(await readFile(this.path, 'utf8'))
    this.#stamp = stamp
    return true
  }
}
