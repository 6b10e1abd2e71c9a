// What the archive of instances is given: the store's facilities, the engine's way of writing, time and options.

import type { Clock } from '../../../core/clock.ts'
import type { Random } from '../../../core/ids.ts'
import type { Blobs } from '../../../store/blobs.ts'
import type { BlobCount, RecordChange, Records } from '../../../store/store.ts'
import type { Dictionary } from '../dictionary/dictionary.ts'

/** One batch: what is done through it is committed together. */
export interface WriteBatch {
  readonly now: number
  record(change: RecordChange): void
  blob(count: BlobCount): void
  next(counter: string): number
}

export interface ArchiveOptions {
  readonly overwriteInstances: boolean
  /** How long nothing may arrive before a resource counts as complete. */
  readonly stableMs: number
  /** The oldest unprotected patients go when the files are more bytes than this; 0 for no limit. */
  readonly sizeBytesMax: number
  /** As above, by the number of patients. */
  readonly patientsMax: number
  /** The term of the encoding of files that name none. */
  defaultTerm: string
}

export interface ArchiveParts {
  readonly records: Records
  readonly blobs: Blobs
  /** Runs at once, resolves when what was done is durable. */
  readonly write: <T>(change: (batch: WriteBatch) => T) => Promise<T>
  readonly clock: Clock
  readonly random: Random
  readonly dictionary: Dictionary
  readonly options: ArchiveOptions
  /** Hears of trouble in the background: nobody waits for an answer there. */
  readonly onError: (error: unknown) => void
}
