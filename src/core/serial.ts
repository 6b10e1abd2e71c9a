// One at a time by key: for "look, then write" on a domain's own objects, where two requests may not interleave.

/** Runs tasks one after another per key; tasks of different keys run side by side. */
export class Serial {
  readonly #tails = new Map<string, Promise<unknown>>()

  /** As `run`, for a task that is about several keys: it waits for the earlier tasks of all of them. */
  runAll<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    const mine = Promise.allSettled(keys.flatMap(key => this.#tails.get(key) ?? [])).then(task)
    const leave = () => {
      for (const key of keys) this.#leave(key, tail)
    }
    const tail: Promise<unknown> = mine.then(leave, leave)
    for (const key of keys) this.#tails.set(key, tail)
    return mine
  }

  /** Runs `task` when all earlier tasks of `key` have ended, however they ended. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve()
    const mine = before.then(task, task)
    const tail: Promise<unknown> = mine.then(
      () => this.#leave(key, tail),
      () => this.#leave(key, tail),
    )
    this.#tails.set(key, tail)
    return mine
  }

  #leave(key: string, tail: Promise<unknown>): void {
    if (this.#tails.get(key) === tail) this.#tails.delete(key)
  }
}
