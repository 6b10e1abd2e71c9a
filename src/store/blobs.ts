// The blob port: bytes by the hash of their content. A blob is synced and renamed before any row names it; what
// no row names is swept. Small ones may come within the batch that names them instead (`BlobCount.bytes`), and share
// its flush.

import type { Readable } from 'node:stream'

export interface BlobRef {
  /** SHA-256, lower-case hex. */
  readonly hash: string
  readonly sizeBytes: number
}

/** Where the bytes of a blob are: at hand, or in a file of their own. Never write to either. */
export type BlobPlace = { readonly bytes: Uint8Array } | { readonly path: string }

/** Finds blobs for those who only read them: the store itself, and work threads. */
export interface BlobFinder {
  /** The place of a blob that is there; whether the file exists shows when it is opened. */
  find(hash: string): BlobPlace
}

export interface Blobs extends BlobFinder {
  /** Content up to this size may come within the batch that names it; larger content has to be written before. */
  readonly smallBytesMax: number
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
  /** A file that holds the blob, for programs and workers that read it themselves. Never write to it. */
  path(hash: string): string
  /** A fresh name in a folder on the same file system, for files to be adopted. */
  scratchFile(): Promise<string>
  /** Keeps a blob that no row names yet from being swept until the returned function is called. */
  keep(hash: string): () => void
  /** Removes files that no row names and that nobody keeps. */
  sweep(isNamed: (hash: string) => Promise<boolean>): Promise<{ removed: number }>
}
