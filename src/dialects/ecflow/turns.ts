// So many at a time of those who share a name, first come first served.

export class Turns {
  readonly #atOnceMax: number
  readonly #shares = new Map<string, { running: number; readonly waiting: (() => void)[] }>()

  constructor(atOnceMax: number) {
    this.#atOnceMax = atOnceMax
  }

  /** Resolves when it is the caller's turn; `give` ends it. */
  async take(name: string): Promise<void> {
    let share = this.#shares.get(name)
    if (!share) this.#shares.set(name, (share = { running: 0, waiting: [] }))
    if (share.running < this.#atOnceMax) share.running++
    else await new Promise<void>(resolve => share.waiting.push(resolve))
  }

  give(name: string): void {
    const share = this.#shares.get(name)
    const next = share?.waiting.shift()
    if (next) next()
    else if (share && --share.running === 0) this.#shares.delete(name)
  }

  /** How many wait for their turn. */
  waiting(name: string): number {
    return this.#shares.get(name)?.waiting.length ?? 0
  }

  /** Runs in a turn of its own. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    await this.take(name)
    try {
      return await work()
    } finally {
      this.give(name)
    }
  }
}
