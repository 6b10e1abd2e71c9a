// The finder of blobs of a thread, made when something on it asks for the first time.

import { join } from 'node:path'
import type { WorkBlobs } from '../../core/work.ts'
import type { ThreadSettings } from './messages.ts'

/** Gives the same finder every time. */
export function lateBlobs({
  blobsDir,
  blobFinder,
}: Pick<ThreadSettings, 'blobsDir' | 'blobFinder'>): () => Promise<WorkBlobs> {
  let found: Promise<WorkBlobs> | undefined
  const load = async (): Promise<WorkBlobs> => {
    if (blobFinder === undefined) {
      return { find: hash => ({ path: join(blobsDir, hash.slice(0, 2), hash.slice(2, 4), hash) }) }
    }
    const exports = (await import(blobFinder.url)) as Record<string, unknown>
    return (exports[blobFinder.export ?? 'default'] as (folder: string) => WorkBlobs)(blobFinder.folder)
  }
  return () => {
    found ??= load()
    return found
  }
}
