// A backup folder as one tar file, and back. Only plain files, folders and links that stay inside are taken out.

import { createReadStream, createWriteStream } from 'node:fs'
import { lstat, mkdir, open, readdir, readlink, symlink } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { refuse } from '../core/refusal.ts'

/** Writes a folder as a tar file, synced; the file must not exist. */
export async function packTar(folder: string, file: string): Promise<void> {
  const { pack } = await import('tar-stream')
  const packing = pack()
  const writing = pipeline(packing, createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }))
  // A failure is seen below; until then it must not count as one that nobody handles.
  writing.catch(() => undefined)
  try {
    await addFolder(packing, folder, '')
    packing.finalize()
  } catch (error) {
    packing.destroy(error as Error)
  }
  await writing
}

/** Unpacks a tar file into a new folder. */
export async function unpackTar(file: string, folder: string): Promise<void> {
  const { extract } = await import('tar-stream')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const unpacking = extract()
  const reading = pipeline(createReadStream(file), unpacking)
  reading.catch(() => undefined) // Seen below.
  for await (const entry of unpacking) {
    const { name, type, linkname } = entry.header
    const path = join(folder, insideName(name))
    if (type === 'directory') {
      await mkdir(path, { recursive: true, mode: 0o700 })
    } else if (type === 'file') {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await refuseLinkOnTheWay(folder, path)
      await pipeline(entry, createWriteStream(path, { flags: 'wx', mode: entry.header.mode! & 0o700 }))
    } else if (type === 'symlink' && insideName(name).startsWith('images/')) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await refuseLinkOnTheWay(folder, path)
      await symlink(linkname!, path)
    } else {
      refuse('bad-request', `${file} holds ${JSON.stringify(name)}, a ${type}, which no backup has`)
    }
    entry.resume()
  }
  await reading
}

type Packing = ReturnType<typeof import('tar-stream')['pack']>

async function addFolder(packing: Packing, folder: string, prefix: string): Promise<void> {
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = join(folder, entry.name)
    const name = prefix + entry.name
    const { size, mode, mtime } = await lstat(path)
    if (entry.isDirectory()) {
      packing.entry({ name: `${name}/`, type: 'directory', mode: mode & 0o777, mtime })
      await addFolder(packing, path, `${name}/`)
    } else if (entry.isSymbolicLink()) {
      packing.entry({ name, type: 'symlink', linkname: await readlink(path), mtime })
    } else if (entry.isFile()) {
      // Read through one handle, so that the size said is the size sent.
      const handle = await open(path, 'r')
      const sink = packing.entry({ name, size, mode: mode & 0o777, mtime })
      await pipeline(size === 0 ? [] : handle.createReadStream({ end: size - 1, autoClose: false }), sink)
      await handle.close()
    }
  }
}

/** A name that stays below the folder it is unpacked into. */
function insideName(name: string): string {
  const clean = normalize(name)
  if (clean.startsWith('/') || clean === '..' || clean.startsWith('../') || name.includes('\0')) {
    refuse('bad-request', `The name ${JSON.stringify(name)} leads out of the backup`)
  }
  return clean
}

/** A folder on the way that is a link would lead the file elsewhere. */
async function refuseLinkOnTheWay(root: string, path: string): Promise<void> {
  for (let at = dirname(path); at.length > root.length; at = dirname(at)) {
    if ((await lstat(at)).isSymbolicLink())
      refuse('bad-request', `The backup puts a file below the link ${at}`)
  }
}
