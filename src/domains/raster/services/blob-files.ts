// Where a worker finds the files of services, and puts new ones: the layout of the blobs folder, as the store keeps it.

import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** The file of a blob. */
export function blobFile(blobsDir: string, hash: string): string {
  return join(blobsDir, hash.slice(0, 2), hash.slice(2, 4), hash)
}

/** Makes a finished, synced file a blob by moving it; its folders are synced before anybody hears of it. */
export async function keepFile(blobsDir: string, file: string, hash: string): Promise<void> {
  const target = blobFile(blobsDir, hash)
  await mkdir(dirname(target), { recursive: true })
  await rename(file, target)
  for (const path of [dirname(target), dirname(dirname(target)), blobsDir]) {
    const folder = await open(path)
    await folder.sync().finally(() => folder.close())
  }
}
