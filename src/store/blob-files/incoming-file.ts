// Bytes on their way in: hashed as they come, held in memory while they are few, in a temporary file beyond that.

import { createHash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'

/** Gathers small chunks into writes of this size; content up to it reaches the disk only if it is new. */
const bufferSize = 256 * 1024

export class IncomingFile {
  readonly #file: string
  readonly #hash = createHash('sha256')
  #handle: FileHandle | undefined
  #buffered: Uint8Array[] = []
  #bufferedBytes = 0
  sizeBytes = 0

  /** `file` is the name to use when a file is needed. */
  constructor(file: string) {
    this.#file = file
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk)
    this.sizeBytes += chunk.byteLength
    this.#buffered.push(chunk)
    this.#bufferedBytes += chunk.byteLength
    if (this.#bufferedBytes >= bufferSize) await this.#drain()
  }

  /** The hash of everything; no bytes can be added after it. */
  digest(): string {
    return this.#hash.digest('hex')
  }

  /** Puts everything into the temporary file and on the disk, and names that file. */
  async settle(): Promise<string> {
    await this.#drain()
    await this.#handle!.sync()
    await this.#handle!.close()
    this.#handle = undefined
    return this.#file
  }

  /** Removes what there is; safe at any time. */
  async drop(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    this.#buffered = []
    await handle?.close()
    await rm(this.#file, { force: true })
  }

  async #drain(): Promise<void> {
    this.#handle ??= await open(this.#file, 'wx', 0o600)
    const chunks = this.#buffered
    let left = this.#bufferedBytes
    this.#buffered = []
    this.#bufferedBytes = 0
    // A short write is what a nearly full disk answers first.
    for (let rest = chunks; left > 0; ) {
      const { bytesWritten } = await this.#handle.writev(rest)
      left -= bytesWritten
      if (left > 0) rest = skip(rest, bytesWritten)
    }
  }
}

function skip(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  const rest: Uint8Array[] = []
  for (const chunk of chunks) {
    if (left >= chunk.byteLength) {
      left -= chunk.byteLength
      continue
    }
    rest.push(left > 0 ? chunk.subarray(left) : chunk)
    left = 0
  }
  return rest
}
