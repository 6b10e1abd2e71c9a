// A clock that stands still until it is moved, and a turn-taking `defer` that the test drives: no real time anywhere.

import type { Clock } from '../../src/core/clock.ts'

export class FakeClock implements Clock {
  #now: number
  #alarms: { at: number; order: number; ring: () => void }[] = []
  #count = 0

  constructor(startAt = 1_800_000_000_000) {
    this.#now = startAt
  }

  now(): number {
    return this.#now
  }

  alarm(at: number, ring: () => void): () => void {
    const entry = { at, order: this.#count++, ring }
    this.#alarms.push(entry)
    // As with the machine's clock, what is due already rings soon by itself, and never at once.
    if (at <= this.#now) {
      queueMicrotask(() => {
        if (!this.#alarms.includes(entry)) return
        this.#alarms = this.#alarms.filter(other => other !== entry)
        ring()
      })
    }
    return () => {
      this.#alarms = this.#alarms.filter(other => other !== entry)
    }
  }

  /** When the next alarm rings, if any is set. */
  get nextAt(): number | undefined {
    return this.#alarms.reduce<number | undefined>(
      (least, { at }) => (least === undefined || at < least ? at : least),
      undefined,
    )
  }

  /** Moves time on; alarms ring in their order, each at its own instant. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const due = this.#alarms
        .filter(({ at }) => at <= until)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0]
      if (due === undefined) break
      this.#alarms = this.#alarms.filter(other => other !== due)
      this.#now = Math.max(this.#now, due.at)
      due.ring()
    }
    this.#now = until
  }

  /** Forgets all alarms: what a crash does. */
  crash(): void {
    this.#alarms = []
  }
}
