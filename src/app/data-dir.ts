// The data directory: one folder that holds everything a server must keep, for its owner only.

import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'

export interface DataDir {
  readonly path: string
  /** Where the store keeps finished bytes, for worker threads that read them by themselves. */
  readonly blobs: string
  /** Each executor's own folder is below. */
  readonly executors: string
  readonly dialects: string
  readonly secrets: string
  /** Address and pid of the running server. */
  readonly serverFile: string
}

/** Names the parts of a data directory; makes nothing. */
export function dataDirAt(path: string): DataDir {
  const root = resolve(path)
  return {
    path: root,
    blobs: join(root, 'blobs'),
    executors: join(root, 'executors'),
    dialects: join(root, 'dialects'),
    secrets: join(root, 'secrets'),
    serverFile: join(root, 'server.json'),
  }
}

/** Makes the data directory, and its folders, where they are missing. */
export async function makeDataDir(path: string): Promise<DataDir> {
  const dir = dataDirAt(path)
  // A folder that was there before keeps its rights (it may be anybody's); what is below is for the owner only.
  await mkdir(dir.path, { recursive: true, mode: 0o700 })
  for (const folder of [dir.executors, dir.dialects, dir.secrets]) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  }
  return dir
}
