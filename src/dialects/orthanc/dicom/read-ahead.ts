// Things that are sent one after another: the next one is looked up while the peer is busy with the one before.

export class ReadAhead<T> {
  readonly #ids: readonly string[]
  readonly #look: (id: string) => Promise<T | undefined>
  #at: number
  #next: Promise<T | undefined>

  /** Begins with the id at `from`; `look` gives undefined for what is not there any more. */
  constructor(ids: readonly string[], from: number, look: (id: string) => Promise<T | undefined>) {
    this.#ids = ids
    this.#look = look
    this.#at = from
    this.#next = this.#begin()
  }

  /**
   * Gives the next one to `send`, and looks up the one behind it as soon as `send` has begun. Throws what `send` throws,
   * and what kept this one from being looked up.
   */
  async use(send: (found: T | undefined) => Promise<void>): Promise<void> {
    const next = this.#next
    let sending: Promise<void>
    try {
      sending = send(await next)
    } finally {
      // Also behind one that could not be looked up.
      this.#at++
      this.#next = this.#begin()
    }
    await sending
  }

  #begin(): Promise<T | undefined> {
    const id = this.#ids[this.#at]
    const found = id === undefined ? Promise.resolve(undefined) : this.#look(id)
    // Heard when its turn comes; until then it must not count as unhandled.
    found.catch(() => {})
    return found
  }
}
