// The data directory: one folder that holds everything a server must keep, for its owner only.

import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
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
  await mkdir(dir.path, { recursive: true, mode: 0o700 })
  // An empty folder that `mkdir` made with everybody's rights becomes ours alone. One with something in it keeps its
  // rights, since it may be anybody's.
  if ((await readdir(dir.path)).length === 0 && ((await stat(dir.path)).mode & 0o1000) === 0) {
    await chmod(dir.path, 0o700)
  }
  for (const folder of [dir.executors, dir.dialects, dir.secrets]) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  }
  return dir
}
