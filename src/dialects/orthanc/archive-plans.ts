// The plans of archives that are being streamed: the thread that makes one asks for its parts, some at a time, so that
// neither side ever holds a long list.

import type { PartsAnswer, PartsQuestion, PlannedSeries } from '../../domains/dicom/archive/plan.ts'

/** Parts are gathered until they have so many files: a question has its price, too. */
const filesMin = 100

export class ArchivePlans {
  readonly #plans = new Map<string, AsyncIterator<PlannedSeries>>()

  /** Holds a plan ready under a key that nobody else knows, until it is forgotten. */
  offer(key: string, parts: AsyncIterable<PlannedSeries>): void {
    this.#plans.set(key, parts[Symbol.asyncIterator]())
  }

  /** The next parts of a plan. */
  async answer(question: unknown): Promise<PartsAnswer> {
    const plan = this.#plans.get((question as PartsQuestion).plan)
    if (!plan) throw new Error('the client that asked for this archive has gone')
    const parts: PlannedSeries[] = []
    for (let files = 0; files < filesMin; ) {
      const { done, value } = await plan.next()
      if (done) return { parts, isLast: true }
      parts.push(value)
      files += value.files.length
    }
    return { parts, isLast: false }
  }

  forget(key: string): void {
    void this.#plans.get(key)?.return?.()
    this.#plans.delete(key)
  }
}
