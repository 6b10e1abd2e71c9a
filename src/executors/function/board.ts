// Memory that the main thread and one work thread share: what became of each order of the batch that was handed over.
// With it a batch needs two messages, not two an order, and unstarted orders can be taken back from a busy thread.

/** The most orders in one batch. */
export const batchMax = 256

/** The life of an order on the board. Each step is an atomic exchange, so both sides agree who took it. */
export const waiting = 0
export const running = 1
/** The main thread wants it back; the work thread skips it. */
export const takenBack = 2
/** It succeeded and there is nothing to add. */
export const done = 3
/** A message tells how it ended. */
export const told = 4

export const stopWords = ['none', 'cancel', 'pause', 'kill', 'expire'] as const

const bytesPerOrder = 4 + 4 + 8 + 8

export class Board {
  readonly buffer: SharedArrayBuffer
  readonly #states: Int32Array
  readonly #stops: Int32Array
  readonly #startedAt: Float64Array
  readonly #endedAt: Float64Array

  constructor(buffer = new SharedArrayBuffer(batchMax * bytesPerOrder)) {
    this.buffer = buffer
    this.#startedAt = new Float64Array(buffer, 0, batchMax)
    this.#endedAt = new Float64Array(buffer, 8 * batchMax, batchMax)
    this.#states = new Int32Array(buffer, 16 * batchMax, batchMax)
    this.#stops = new Int32Array(buffer, 20 * batchMax, batchMax)
  }

  /** Ready for a batch of `count`; only while the thread has none. */
  clear(count: number): void {
    this.#states.fill(waiting, 0, count)
    this.#stops.fill(0, 0, count)
  }

  state(index: number): number {
    return Atomics.load(this.#states, index)
  }

  /** The work thread begins an order, unless it was taken back. */
  begin(index: number, at: number): boolean {
    this.#startedAt[index] = at
    return Atomics.compareExchange(this.#states, index, waiting, running) === waiting
  }

  /** Its module is loaded: from here on the time is its own. */
  beginAnew(index: number, at: number): void {
    this.#startedAt[index] = at
  }

  end(index: number, how: typeof done | typeof told, at: number): void {
    this.#endedAt[index] = at
    Atomics.store(this.#states, index, how)
  }

  /** The main thread takes an order back, unless it was begun. */
  takeBack(index: number): boolean {
    return Atomics.compareExchange(this.#states, index, waiting, takenBack) === waiting
  }

  startedAt(index: number): number {
    return this.#startedAt[index]!
  }

  endedAt(index: number): number {
    return this.#endedAt[index]!
  }

  askToStop(index: number, why: (typeof stopWords)[number]): void {
    Atomics.store(this.#stops, index, stopWords.indexOf(why))
  }

  stopAsked(index: number): (typeof stopWords)[number] {
    return stopWords[Atomics.load(this.#stops, index)]!
  }
}
