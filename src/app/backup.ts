// Backups: everything of a data directory that cannot be made again, as a folder of the same layout. Beside a running
// server the server makes it; without one, whoever holds the store's lock.

import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import {
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { refuse } from '../core/refusal.ts'
import { isErrno, readIfThere } from '../http/auth/private-file.ts'
import type { Store } from '../store/store.ts'
import type { DataDir } from './data-dir.ts'
import { version } from './version.ts'

export const manifestFile = 'backup.json'
/** The store's own: a data directory without it is an empty one. */
const databaseFile = 'yard.db'

const manifest = z.object({
  product: z.literal('switchyard'),
  version: z.string(),
  createdAt: z.string(),
})
export type BackupManifest = z.infer<typeof manifest>

/** Folders that are copied as they are. Not by second names: people edit scripts in place, and jobs write there. */
const plainFolders = ['tokens', 'users', 'secrets', 'dialects']
const plainFiles = ['admin-token']

export interface BackupParts {
  readonly store: Pick<Store, 'backup'>
  readonly dir: DataDir
  /** A folder that does not exist yet, or is empty. */
  readonly target: string
  /** Unpacked images too: they are large, and can be imported again. */
  readonly images: boolean
  readonly now: () => number
}

/** Makes a backup; the target appears, complete and on the disk, at the end. */
export async function makeBackup({
  store,
  dir,
  target,
  images,
  now,
}: BackupParts): Promise<{ files: number }> {
  const copied = new Copied()
  await fillFolder(target, manifestFile, async draft => {
    const blobs = { from: dir.blobs, to: join(draft, 'blobs'), skip: 'tmp' }
    // Blobs before the database and again after it: what the database's moment names was there before it or is so
    // young that it cannot have been removed since. Twice before, because the first time may take long.
    await copied.tree(blobs)
    await copied.tree(blobs)
    await store.backup(draft)
    await copied.tree(blobs)
    for (const folder of plainFolders) {
      await copied.tree({ from: join(dir.path, folder), to: join(draft, folder), byCopy: true })
    }
    // What jobs printed; an executor's notes about attempts that live now mean nothing later.
    for (const streams of await streamFolders(dir.executors)) {
      const to = join(draft, 'executors', streams)
      await copied.tree({ from: join(dir.executors, streams), to, byCopy: true })
    }
    if (images) {
      await copied.tree({ from: join(dir.path, 'images'), to: join(draft, 'images'), skip: 'incoming' })
    }
    for (const file of plainFiles)
      await copied.file(join(dir.path, file), join(draft, file), { byCopy: true })
    const about: BackupManifest = { product: 'switchyard', version, createdAt: new Date(now()).toISOString() }
    const text = `${JSON.stringify(about, undefined, 2)}\n`
    await writeFile(join(draft, manifestFile), text, { mode: 0o600, flush: true })
  })
  return { files: copied.count }
}

/** Fills a data directory, which must not exist or be empty, from a backup folder. */
export async function restoreBackup(source: string, dir: DataDir): Promise<BackupManifest> {
  const about = await readManifest(source)
  await fillFolder(dir.path, databaseFile, async draft => {
    await new Copied().tree({ from: source, to: draft, byCopy: true })
    await rm(join(draft, manifestFile))
  })
  return about
}

/**
 * Fills a folder that does not exist or is empty. One that does not exist appears by a single rename, so that a kill at
 * any moment leaves nothing under its name. One that does (it may be a mount point) is filled by a rename for each name
 * in it, `last` the last, without which it is nothing. When it fails, nothing is left.
 */
async function fillFolder(
  target: string,
  last: string,
  fill: (draft: string) => Promise<void>,
): Promise<void> {
  const wasThere = (await stat(target).catch(() => undefined)) !== undefined
  if (wasThere) await refuseTaken(target)
  const draft = join(wasThere ? target : dirname(target), `.${randomUUID()}.part`)
  await mkdir(draft, { recursive: true, mode: 0o700 })
  try {
    await fill(draft)
    await syncTree(draft)
    if (wasThere) {
      const names = (await readdir(draft)).sort((a, b) => Number(a === last) - Number(b === last))
      for (const name of names) await rename(join(draft, name), join(target, name))
      await rm(draft, { recursive: true })
      await syncFolder(target)
    } else {
      await rename(draft, target)
    }
    await syncFolder(dirname(target))
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}

/** What a backup says about itself; refuses a folder that is none. */
export async function readManifest(source: string): Promise<BackupManifest> {
  const text = await readIfThere(join(source, manifestFile))
  const read = text === undefined ? undefined : manifest.safeParse(parse(text))
  if (read?.success === true) return read.data
  return refuse('not-found', `${source} is not a backup: it has no ${manifestFile} of Switchyard`)
}

async function refuseTaken(target: string): Promise<void> {
  if (!(await stat(target)).isDirectory() || (await readdir(target)).length > 0) {
    refuse('conflict', `${target} exists already and is not empty; nothing is overwritten`)
  }
}

interface TreeCopy {
  readonly from: string
  readonly to: string
  /** A folder at the top that is left out. */
  readonly skip?: string
  /** Never by a second name for the same file: for files that may still grow. */
  readonly byCopy?: boolean
}

/** Copies trees, and counts files. A file that is there already is not copied again. */
class Copied {
  count = 0

  async tree({ from, to, skip, byCopy }: TreeCopy): Promise<void> {
    const entries = await readdir(from, { withFileTypes: true }).catch(error => {
      if (isErrno(error, 'ENOENT')) return []
      throw error
    })
    await mkdir(to, { recursive: true, mode: 0o700 })
    for (const entry of entries) {
      if (entry.name === skip || entry.name.startsWith('.draft-')) continue
      const [source, target] = [join(from, entry.name), join(to, entry.name)]
      if (entry.isDirectory()) await this.tree({ from: source, to: target, byCopy: byCopy === true })
      else if (entry.isFile()) await this.file(source, target, { byCopy: byCopy === true })
      else if (entry.isSymbolicLink()) await copyLink(source, target)
    }
  }

  async file(from: string, to: string, { byCopy }: { byCopy: boolean }): Promise<void> {
    try {
      if (byCopy || !(await linked(from, to)))
        await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
      this.count++
    } catch (error) {
      // Removed since it was listed, or copied by the pass before.
      if (!isErrno(error, 'ENOENT') && !isErrno(error, 'EEXIST')) throw error
    }
  }
}

/** A second name for the same bytes costs nothing; not possible across file systems. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (isErrno(error, 'EXDEV') || isErrno(error, 'EPERM') || isErrno(error, 'EMLINK')) return false
    throw error
  }
}

async function copyLink(from: string, to: string): Promise<void> {
  try {
    await symlink(await readlink(from), to)
  } catch (error) {
    if (!isErrno(error, 'EEXIST') && !isErrno(error, 'ENOENT')) throw error
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await syncTree(path)
    else if (entry.isFile()) await syncFolder(path)
  }
  await syncFolder(folder)
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The folders called `streams`, in an executor's own folder or one below it. */
async function streamFolders(executors: string): Promise<string[]> {
  const found: string[] = []
  for (const executor of await namesIn(executors)) {
    for (const part of await namesIn(join(executors, executor))) {
      if (part === 'streams') found.push(join(executor, part))
      else if (part === 'spool') found.push(join(executor, part, 'streams'))
    }
  }
  return found
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(error => {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return []
    throw error
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // No manifest: the caller says so.
  }
}
