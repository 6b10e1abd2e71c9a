// Runs tasks, only so many at a time, in the order in which they came.

/** A bound on how many asynchronous tasks run at once. */
export class Lanes {
  readonly #count: number
  #running = 0
  readonly #waiting: (() => void)[] = []
  readonly #idle: (() => void)[] = []

  constructor(count: number) {
    this.#count = count
  }

  /** Runs a task as soon as a lane is free. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running === this.#count) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#running += 1
    try {
      return await task()
    } finally {
      // The lane is handed on without being free in between.
      const next = this.#waiting.shift()
      if (next !== undefined) next()
      else {
        this.#running -= 1
        if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
      }
    }
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>(resolve => this.#idle.push(resolve))
  }
}
