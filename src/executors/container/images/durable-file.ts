// Files that are there whole or not at all, also after a power cut.
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Writes a file under another name, syncs it, and renames it into place. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const draft = join(dirname(path), `.${randomUUID()}.draft`)
  try {
    const handle = await open(draft, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  await syncDir(dirname(path))
}

/** Makes the entries of a directory durable. */
export async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes a whole tree durable: by one call of the file system where `sync -f` is there, else file by file. */
export async function syncTree(dir: string): Promise<void> {
  const isSynced = await new Promise<boolean>(resolve => {
    execFile('sync', ['-f', dir], { timeout: 600_000 }, error => resolve(error === null))
  })
  if (!isSynced) await syncEach(dir)
}

async function syncEach(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncEach(join(dir, entry.name))
    else if (entry.isFile()) {
      const handle = await open(join(dir, entry.name), 'r')
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    }
  }
  await syncDir(dir)
}
