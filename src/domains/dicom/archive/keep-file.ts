// How a worker makes a finished file a blob: the layout of the blobs folder, as the store's file blobs keep it.

import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Makes a finished, synced file a blob by moving it; the folders are synced too. */
export async function keepFile(blobsDir: string, file: string, hash: string): Promise<void> {
  const target = join(blobsDir, hash.slice(0, 2), hash.slice(2, 4), hash)
  await mkdir(dirname(target), { recursive: true })
  await rename(file, target)
  // The file's name, and those of folders that may be new, are on the disk before anybody hears of them.
  await Promise.all([dirname(target), dirname(dirname(target)), blobsDir].map(syncFolder))
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
