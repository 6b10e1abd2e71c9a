// A data set on its way in: chunks as they come, in bounded memory, because the connection is not read on while too
// much of it waits here.

import type { AssociationFailed } from './failure.ts'

export interface DataSource {
  /** Resolves when something has happened on the association. */
  wait(): Promise<void>
  /** So many bytes were taken. */
  took(bytes: number): void
  failure(): AssociationFailed | undefined
}

export class IncomingData implements AsyncIterable<Uint8Array> {
  readonly #source: DataSource
  #chunks: Uint8Array[] = []
  readonly #taken = Promise.withResolvers<void>()
  #hasEnded = false

  constructor(source: DataSource) {
    this.#source = source
  }

  /** Whether there is more to be taken, or to come. */
  get isOpen(): boolean {
    return !this.#hasEnded || this.#chunks.length > 0
  }

  push(bytes: Uint8Array): void {
    this.#chunks.push(bytes)
  }

  end(): void {
    this.#hasEnded = true
    if (!this.isOpen) this.#taken.resolve()
  }

  /** The next chunks that are there; undefined at the end. Throws AssociationFailed when the rest will not come. */
  async take(): Promise<readonly Uint8Array[] | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#hasEnded) return undefined
      const failure = this.#source.failure()
      if (failure) throw failure
      await this.#source.wait()
    }
    const chunks = this.#chunks
    this.#chunks = []
    if (this.#hasEnded) this.#taken.resolve()
    let bytes = 0
    for (const chunk of chunks) bytes += chunk.length
    this.#source.took(bytes)
    return chunks
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (let chunks = await this.take(); chunks; chunks = await this.take()) yield* chunks
  }

  /** All of it in memory; undefined, with the rest passed over, when it is longer than that. */
  async whole(bytesMax: number): Promise<Buffer | undefined> {
    const parts: Uint8Array[] = []
    let length = 0
    for (let chunks = await this.take(); chunks; chunks = await this.take()) {
      for (const chunk of chunks) length += chunk.length
      if (length > bytesMax) {
        await this.drain()
        return undefined
      }
      parts.push(...chunks)
    }
    return Buffer.concat(parts, length)
  }

  /** Resolves when all of it was taken. Of data that nobody takes to the end, it never does. */
  get taken(): Promise<void> {
    return this.#taken.promise
  }

  /** Passes over what is left. */
  async drain(): Promise<void> {
    while (await this.take());
  }
}
