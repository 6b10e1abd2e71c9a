// Waiting for an association to have news, with a bound on how long a peer may say nothing.

/** Calls `run` once after so many ms; what it gives back calls that off. */
export type After = (ms: number, run: () => void) => () => void

export class Waiting {
  readonly #waitMs: number
  readonly #after: After
  readonly #giveUp: () => void
  #waiters: (() => void)[] = []

  /** `giveUp` is called when nothing was told of for `waitMs` (0: for ever) while somebody waited. */
  constructor({ waitMs, after }: { waitMs: number; after: After }, giveUp: () => void) {
    this.#waitMs = waitMs
    this.#after = after
    this.#giveUp = giveUp
  }

  /** Resolves when anything has happened; who is patient waits for ever. */
  news(isPatient: boolean): Promise<void> {
    return new Promise(resolve => {
      if (isPatient || this.#waitMs === 0) {
        this.#waiters.push(resolve)
        return
      }
      const callOff = this.#after(this.#waitMs, this.#giveUp)
      this.#waiters.push(() => {
        callOff()
        resolve()
      })
    })
  }

  /** Something has happened. */
  tell(): void {
    if (this.#waiters.length === 0) return
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}
