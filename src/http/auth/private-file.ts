// Files that only the owner of the data directory may read, written whole or not at all, also beside a server that
// reads them at the same moment.

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chown, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes a file with mode 0600 in one step; replaces one that is there. */
export async function writePrivate(file: string, content: string | Uint8Array): Promise<void> {
  await withDraft(file, content, draft => rename(draft, file))
}

/** As writePrivate, but a file that is there stays. Says whether this call made it. */
export async function makePrivate(file: string, content: string | Uint8Array): Promise<boolean> {
  try {
    // A link, unlike a rename, fails when the name is taken: of two processes exactly one wins.
    await withDraft(file, content, draft => link(draft, file))
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
}

/** The content of a file as text, or undefined when there is none. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Makes a folder, and those above it, that only the owner may enter. */
export async function makePrivateFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined || process.getuid?.() !== 0) return
  const { uid, gid } = await stat(dirname(first))
  for (let at = folder; at.length >= first.length; at = dirname(at)) await chown(at, uid, gid)
}

/** Whether something that was thrown is the system's error of this code, such as `ENOENT`. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}

async function withDraft(
  file: string,
  content: string | Uint8Array,
  finish: (draft: string) => Promise<void>,
): Promise<void> {
  await makePrivateFolder(dirname(file))
  // The name begins with a dot so that whoever lists the folder passes over what is not finished.
  const draft = `${dirname(file)}/.draft-${randomBytes(8).toString('hex')}`
  const handle = await open(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    await handle.writeFile(content)
    // Root may work beside a server that runs as somebody else, who must be able to read it.
    if (process.getuid?.() === 0) {
      const { uid, gid } = await stat(dirname(file))
      await handle.chown(uid, gid)
    }
    await handle.sync()
    await handle.close()
    await finish(draft)
    await syncFolder(dirname(file))
  } finally {
    await handle.close().catch(() => undefined) // Closed already where all went well.
    await rm(draft, { force: true })
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
