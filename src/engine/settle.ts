// Those who wait for the end of a job or flow. They wake when the end is durable, not when it is decided.

import type { Clock } from '../core/clock.ts'

/** Waiters by the place of what they wait for. */
export class Waiters {
  readonly #clock: Clock
  readonly #waiting = new Map<number, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves true when woken, false when the time is over or the signal is aborted. */
  wait(n: number, limits: { timeoutMs?: number; signal?: AbortSignal }): Promise<boolean> {
    return new Promise(resolve => {
      let takeBack: (() => void) | undefined
      const set = this.#waiting.get(n) ?? new Set()
      this.#waiting.set(n, set)
      const end = (woken: boolean) => {
        set.delete(wake)
        if (set.size === 0 && this.#waiting.get(n) === set) this.#waiting.delete(n)
        limits.signal?.removeEventListener('abort', giveUp)
        takeBack?.()
        resolve(woken)
      }
      const wake = () => end(true)
      const giveUp = () => end(false)
      set.add(wake)
      limits.signal?.addEventListener('abort', giveUp, { once: true })
      if (limits.timeoutMs !== undefined)
        takeBack = this.#clock.alarm(this.#clock.now() + limits.timeoutMs, giveUp)
      if (limits.signal?.aborted === true) giveUp()
    })
  }

  wake(n: number): void {
    const waiting = this.#waiting.get(n)
    if (waiting !== undefined) for (const wake of [...waiting]) wake()
  }

  wakeAll(): void {
    for (const n of [...this.#waiting.keys()]) this.wake(n)
  }
}
