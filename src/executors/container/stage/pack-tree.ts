// A file or a directory tree of a job as a gzipped tar, written while it is read. Links are packed as links; what is
// neither file, directory nor link is left out.

import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import tar from 'tar-stream'
import { refuse } from '../../../core/refusal.ts'
import { type InsideRoot, openInside, pathOf } from './inside-path.ts'

const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
const depthMax = 200

type EntryHeader = Partial<tar.Header> & { name: string }

/** How many bytes of content may still be packed: by length, since a file with holes is longer than the disk it takes. */
export interface PackBudget {
  bytes: number
}

/**
 * The packed tree, its members below `path` as given; undefined when there is no such thing. Reading it is refused when
 * it is more than the budget, or very deep.
 */
export async function packTree(
  root: InsideRoot,
  path: string,
  budget: PackBudget,
): Promise<Readable | undefined> {
  const top = await openInside(root, path)
  if (top === undefined) return undefined
  const pack = tar.pack()
  const name = path.replace(/^(\.\/+)+/, '').replace(/\/+$/, '') || '.'
  const packed = new PassThrough()
  pipeline(pack, createGzip(), packed).catch(error => packed.destroy(error))
  addOpen({ pack, budget }, top, name, 0).then(
    () => pack.finalize(),
    error => pack.destroy(error),
  )
  return packed
}

interface Packing {
  readonly pack: tar.Pack
  readonly budget: PackBudget
}

/** Adds what is open, and closes it. */
async function addOpen(packing: Packing, handle: FileHandle, name: string, depth: number): Promise<void> {
  const { pack, budget } = packing
  try {
    const info = await handle.stat()
    const header = { name, mode: info.mode & 0o777, mtime: info.mtime, uid: 0, gid: 0 }
    if (info.isFile()) {
      if (info.size > budget.bytes) refuse('too-large', `With ${name} it is more than the job may hold`)
      budget.bytes -= info.size
      return await addFile(pack, handle, { ...header, size: info.size })
    }
    if (!info.isDirectory()) return
    if (depth > depthMax) refuse('too-large', `It is nested more than ${depthMax} directories deep`)
    await entry(pack, { ...header, name: `${name}/`, type: 'directory' })
    for (const child of (await readdir(pathOf(handle))).sort())
      await addChild(packing, { handle, child, name, depth })
  } finally {
    await handle.close()
  }
}

async function addChild(
  packing: Packing,
  { handle, child, name, depth }: { handle: FileHandle; child: string; name: string; depth: number },
): Promise<void> {
  const at = `${pathOf(handle)}/${child}`
  const inside = `${name}/${child}`
  // Things may go while they are packed: a job that runs is not held up for it.
  const info = await lstat(at).catch(() => undefined)
  if (info === undefined) return
  if (info.isSymbolicLink()) {
    const linkname = await readlink(at).catch(() => undefined)
    if (linkname !== undefined)
      await entry(packing.pack, { name: inside, type: 'symlink', linkname, mode: 0o777, mtime: info.mtime })
  } else if (info.isFile() || info.isDirectory()) {
    const opened = await open(at, info.isFile() ? fileFlags : directoryFlags).catch(() => undefined)
    if (opened !== undefined) await addOpen(packing, opened, inside, depth + 1)
  }
}

function entry(pack: tar.Pack, header: EntryHeader): Promise<void> {
  return new Promise((done, fail) => {
    quietly(pack.entry(header, error => (error ? fail(error) : done())))
  })
}

/** tar-stream waits for the content of a file, also where there will be none: an empty one is handed over whole. */
function emptyFile(pack: tar.Pack, header: EntryHeader): Promise<void> {
  return new Promise((done, fail) => {
    quietly(pack.entry(header, '', error => (error ? fail(error) : done())))
  })
}

/** A file that grows meanwhile is packed as far as it was; one that shrinks is filled up, since its size is told first. */
async function addFile(
  pack: tar.Pack,
  handle: FileHandle,
  header: EntryHeader & { size: number },
): Promise<void> {
  if (header.size === 0) return emptyFile(pack, header)
  await new Promise<void>((done, fail) => {
    const sink = quietly(pack.entry(header, error => (error ? fail(error) : done())))
    copy(handle, sink, header.size).catch(fail)
  })
}

/**
 * When a pack's reader stops early, its member under way fails: its callback tells so. It is told as an event, too, and
 * one that nobody listens to would end the server.
 */
function quietly<T extends NodeJS.EventEmitter>(sink: T): T {
  return sink.on('error', () => {})
}

async function copy(handle: FileHandle, sink: NodeJS.WritableStream, size: number): Promise<void> {
  const chunkBytes = 256 * 1024
  for (let at = 0; at < size; ) {
    const buffer = Buffer.alloc(Math.min(chunkBytes, size - at))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
    const chunk = bytesRead === 0 ? buffer : buffer.subarray(0, bytesRead)
    at += chunk.length
    if (!sink.write(chunk)) await new Promise(drained => sink.once('drain', drained))
  }
  sink.end()
}
