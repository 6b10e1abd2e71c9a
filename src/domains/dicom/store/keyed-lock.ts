// One thing at a time per key: callers of the same key wait for each other in their order.

export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>()

  isHeld(key: string): boolean {
    return this.#tails.has(key)
  }

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    let release!: () => void
    const mine = new Promise<void>(resolve => (release = resolve))
    this.#tails.set(key, mine)
    await before
    try {
      return await task()
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key)
      release()
    }
  }
}
