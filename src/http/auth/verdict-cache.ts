// What was found out about credentials, for a while and within a bound: the oldest verdicts make room.

export class VerdictCache<T> {
  readonly #verdicts = new Map<string, { value: T; until: number }>()
  readonly #size: number

  constructor(size: number) {
    this.#size = size
  }

  /** The verdict under a key, if one is there and still holds. */
  get(key: string, now: number): { value: T } | undefined {
    const found = this.#verdicts.get(key)
    if (found === undefined) return undefined
    if (found.until > now) return found
    this.#verdicts.delete(key)
    return undefined
  }

  set(key: string, value: T, until: number): void {
    this.#verdicts.delete(key)
    if (this.#verdicts.size >= this.#size) {
      const oldest = this.#verdicts.keys().next()
      if (oldest.done !== true) this.#verdicts.delete(oldest.value)
    }
    this.#verdicts.set(key, { value, until })
  }

  clear(): void {
    this.#verdicts.clear()
  }
}
