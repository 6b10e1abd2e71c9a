// Finds blobs for a work thread: a connection of its own that only reads, beside the server's.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { BlobFiles, smallBytesMax } from '../blob-files/blob-files.ts'
import type { BlobFinder } from '../blobs.ts'
import { prepareRows } from './binding.ts'
import { smallBlobOf } from './sql.ts'

/** Opens the blobs of a data directory. What was committed before a call is found by it. */
export function openBlobFinder(directory: string): BlobFinder {
  const database = new DatabaseSync(join(directory, 'yard.db'), { readOnly: true, timeout: 60_000 })
  // Blobs are read once: mapping the file spares the way through a cache. It never shrinks while it is in use.
  database.exec('PRAGMA mmap_size = 1073741824')
  const statement = prepareRows(database, smallBlobOf)
  const find = (hash: string) => (statement.get(hash) as unknown as [Uint8Array] | undefined)?.[0]
  return new BlobFiles(join(directory, 'blobs'), { small: { bytesMax: smallBytesMax, find } })
}
