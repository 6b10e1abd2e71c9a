// The blob port: bytes by the hash of their content. A blob is synced and renamed before any row names it; what
// no row names is swept.

import type { Readable } from 'node:stream'

export interface BlobRef {
  /** SHA-256, lower-case hex. */
  readonly hash: string
  readonly sizeBytes: number
}

export interface Blobs {
  /**
   * Streams bytes to disk with bounded memory; durable when it resolves. Rejects, leaving nothing, with a Refused
   * `too-large` past `limitBytes`, and a Refused `bad-request` when `expectHash` is not what arrived.
   */
  write(
    source: AsyncIterable<Uint8Array>,
    options?: { limitBytes?: number; expectHash?: string },
  ): Promise<BlobRef>
  /** Takes over a finished file by moving it; durable when it resolves. The file must be on the same file system. */
  adopt(file: string): Promise<BlobRef>
  /** Undefined when there is no such blob. */
  stat(hash: string): Promise<BlobRef | undefined>
  /** Bytes from `from` up to and without `to`. */
  open(hash: string, range?: { from: number; to: number }): Readable
  /** The file that holds a blob, for workers that read it themselves. Never write to it. */
  path(hash: string): string
  /** A fresh name in a folder on the same file system, for files to be adopted. */
  scratchFile(): Promise<string>
  /** Keeps a blob that no row names yet from being swept until the returned function is called. */
  keep(hash: string): () => void
  /** Removes files that no row names and that nobody keeps. */
  sweep(isNamed: (hash: string) => Promise<boolean>): Promise<{ removed: number }>
}
