// Makes names durable: a rename is on the disk when its directory is. Whoever asks while a round of flushes is going
// on shares the next one, so that many writers cost one flush per directory and round.

import { open } from 'node:fs/promises'

export class DirectoryFlusher {
  readonly #flush: (directory: string) => Promise<void>
  #waiting = new Map<string, Waiter[]>()
  #isRunning = false

  /** `flush` puts one directory on the disk; tests hand in their own. */
  constructor(flush = flushDirectory) {
    this.#flush = flush
  }

  /** Resolves when all names that were in the directory at the time of the call are on the disk. */
  flush(directory: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(directory) ?? []
      waiters.push({ resolve, reject })
      this.#waiting.set(directory, waiters)
      if (!this.#isRunning) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.size > 0) {
      const round = [...this.#waiting]
      this.#waiting = new Map()
      // Two at a time: flushes of one file system queue up below, and the thread pool has four threads for everybody.
      const lanes = [0, 1].map(async lane => {
        for (let at = lane; at < round.length; at += 2) await this.#flushOne(...round[at]!)
      })
      await Promise.all(lanes)
    }
    this.#isRunning = false
  }

  async #flushOne(directory: string, waiters: readonly Waiter[]): Promise<void> {
    try {
      await this.#flush(directory)
      for (const { resolve } of waiters) resolve()
    } catch (error) {
      for (const { reject } of waiters) reject(error)
    }
  }
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

async function flushDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
