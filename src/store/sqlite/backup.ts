// A consistent copy of the database while the server runs: a thread with a connection of its own writes what one
// moment's readers see (VACUUM INTO), so commits go on meanwhile.

import { access, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { refuse } from '../../core/refusal.ts'
import { storeFailure } from './binding.ts'

/** Copies the database `file` to `target`: a new file, or a folder that gets a file of the same name. */
export async function backUp(file: string, target: string): Promise<void> {
  const place = await stat(target).catch(() => undefined)
  const copy = place?.isDirectory() ? join(target, basename(file)) : target
  const isTaken = await access(copy).then(
    () => true,
    () => false,
  )
  if (isTaken) refuse('conflict', `${copy} exists already, and a backup does not overwrite anything`)
  await mkdir(dirname(copy), { recursive: true })
  const part = `${copy}.part`
  await rm(part, { force: true })
  try {
    await vacuumInto(file, part)
    await flush(part)
    await rename(part, copy)
    await flush(dirname(copy))
  } catch (error) {
    await rm(part, { force: true })
    throw storeFailure(error, copy)
  }
}

function vacuumInto(file: string, target: string): Promise<void> {
  const url = new URL(`./backup-worker${extname(import.meta.url)}`, import.meta.url)
  return new Promise((resolve, reject) => {
    const worker = new Worker(url, { workerData: { file, target } })
    let failure: Error | undefined
    worker.on('message', ({ text, errcode }: { text: string; errcode: number }) => {
      failure = Object.assign(new Error(text), { errcode })
    })
    worker.on('error', reject)
    worker.on('exit', () => (failure === undefined ? resolve() : reject(failure)))
  })
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
