// Grouped commit. Changes gather in the open batch; a commit takes whatever piled up while the previous one was
// being synced. No timer: an idle client pays one sync, many clients share one.

import type { Store } from '../store/store.ts'
import { Batch } from './batch.ts'

export interface LedgerParts {
  readonly store: Pick<Store, 'commit'>
  /** Runs something after what is happening now: setImmediate in the product. */
  readonly defer: (run: () => void) => void
  /** The last chance to add to a batch before it is sealed: planning and claiming. */
  readonly beforeSeal: () => void
  /** The batch is durable: its asks may go out. Called before anybody who waits for it goes on. */
  readonly afterCommit: (batch: Batch, durationMs: number) => void
  /** A commit failed: memory is ahead of the store and must be thrown away. */
  readonly onFailure: (error: unknown) => void
  /** A steady clock in ms, for durations only. */
  readonly steady: () => number
}

export class Ledger {
  readonly #parts: LedgerParts
  #open = new Batch()
  #sealed: Batch | undefined
  #flushAsked = false
  #fallen = false

  constructor(parts: LedgerParts) {
    this.#parts = parts
  }

  /** The batch to write into now. Being asked for it schedules its commit. */
  get batch(): Batch {
    if (!this.#flushAsked && this.#sealed === undefined && !this.#fallen) this.#askFlush()
    return this.#open
  }

  /** Whether a change of this collection of records is not durable yet. */
  touches(collection: string): boolean {
    return [this.#sealed, this.#open].some(batch =>
      batch?.records.some(change => ('put' in change ? change.put : change.drop).collection === collection),
    )
  }

  /** Resolves when everything that was changed before the call is durable; at once when nothing is open. */
  committed(): Promise<void> {
    if (!this.#open.isEmpty) return this.#open.done
    return this.#sealed?.done ?? Promise.resolve()
  }

  get isIdle(): boolean {
    return this.#open.isEmpty && this.#sealed === undefined
  }

  /** Throws the open batch away and refuses to commit until revived. */
  fall(error: unknown): void {
    this.#fallen = true
    const open = this.#open
    this.#open = new Batch()
    open.fail(error)
  }

  revive(): void {
    this.#fallen = false
    this.#open = new Batch()
    this.#flushAsked = false
  }

  async #flush(): Promise<void> {
    this.#flushAsked = false
    if (this.#fallen || this.#sealed !== undefined) return
    this.#parts.beforeSeal()
    const batch = this.#open
    if (batch.isEmpty) return
    this.#sealed = batch
    this.#open = new Batch()
    const startedAt = this.#parts.steady()
    try {
      await this.#parts.store.commit(batch)
    } catch (error) {
      this.#sealed = undefined
      this.fall(error)
      batch.fail(error)
      this.#parts.onFailure(error)
      return
    }
    this.#sealed = undefined
    if (this.#fallen) {
      batch.settle()
      return
    }
    this.#parts.afterCommit(batch, this.#parts.steady() - startedAt)
    batch.settle()
    if (!this.#open.isEmpty && !this.#flushAsked) this.#askFlush()
  }

  // Apart from those who ask: a closure in a getter costs memory each time the getter is asked, some twenty times a job.
  #askFlush(): void {
    this.#flushAsked = true
    this.#parts.defer(() => this.#flush())
  }
}
