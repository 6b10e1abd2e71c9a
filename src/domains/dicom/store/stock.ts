// What all that changes the archive works with: the store, what is known of it in memory, and the locks under which is
// decided what depends on what is stored.

import { Browse } from './browse.ts'
import { KeyedLock } from './keyed-lock.ts'
import { KnownSeriesCache } from './known-series.ts'
import type { ArchiveParts, WriteBatch } from './parts.ts'
import { Recency } from './recency.ts'
import { Stability } from './stability.ts'
import { Totals } from './totals.ts'

const structure = 'structure'

/** The archive as its parts see it. */
export class Stock {
  readonly parts: ArchiveParts
  readonly browse: Browse
  readonly totals = new Totals()
  readonly stability: Stability
  readonly known = new KnownSeriesCache()
  readonly recency = new Recency()
  readonly #locks = new KeyedLock()

  constructor(parts: ArchiveParts) {
    this.parts = parts
    this.browse = new Browse(parts.records)
    this.stability = new Stability(parts, task => this.alone(task))
  }

  /** Runs a task while nobody else changes what is stored already, or takes it away. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return this.#locks.run(structure, task)
  }

  /** Runs a task while nothing else arrives for these patients. Only who is alone may hold several. */
  holding<T>(patients: readonly string[], task: () => Promise<T>): Promise<T> {
    const [first, ...others] = patients
    if (first === undefined) return task()
    return this.#locks.run(first, () => this.holding(others, task))
  }

  /** Whether somebody holds the patient now. */
  isHeld(patient: string): boolean {
    return this.#locks.isHeld(patient)
  }

  /** Writes within a batch; resolves when it is durable. */
  async write<T>(change: (batch: WriteBatch) => T): Promise<T> {
    try {
      return await this.parts.write(change)
    } catch (error) {
      // The store has less than memory thinks: forget, and learn again.
      this.known.clear()
      this.recency.clear()
      await this.totals.load(this.parts.records).catch(() => {}) // The store may be away; the next failure tries again.
      throw error
    }
  }
}
