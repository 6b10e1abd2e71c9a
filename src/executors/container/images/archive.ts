// The container around an image: a directory, or a tar whose members are found by name. Members are read in place,
// never extracted, so their names can do no harm; an outer gzip or zstd is first undone into the import's own folder.
import { constants } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { fileChunks, sourceFromFile } from './byte-source.ts'
import { compressionOf, decompress, firstBytes } from './compression.ts'
import { ImageError } from './image-error.ts'
import type { ImageLimits } from './limits.ts'
import { findSifRoot } from './sif.ts'
import type { RandomBytes } from './squashfs.ts'
import { quote, readTar, type TarEntry } from './tar-reader.ts'

/** A stretch of bytes that can be read more than once. */
export interface Blob {
  readonly sizeBytes: number
  chunks(): AsyncGenerator<Buffer>
}

/** A SquashFS, and for which processor it is ('' where that is not said). */
export interface SquashfsBlob extends Blob, RandomBytes {
  readonly architecture: string
}

/** An opened image file or directory. */
export interface Archive {
  readonly kind: 'directory' | 'tar' | 'squashfs'
  /** A member by its path; undefined when there is none. */
  find(path: string): Promise<Blob | undefined>
  /** The whole tar as one blob, for a plain root file system. */
  readonly whole: Blob | undefined
  /** The file system of a Singularity image. */
  readonly squashfs?: SquashfsBlob
  close(): Promise<void>
}

/** A tar with more members than this is no image archive but a root file system. */
const MEMBER_COUNT_MAX = 20_000
/** Longer names are no parts of an image archive; they are not kept. */
const MEMBER_NAME_MAX = 1024

/** Opens `file`; `workDir` takes the decompressed copy if one is needed. */
export async function openArchive(
  file: string,
  options: { workDir: string; limits: ImageLimits; signal?: AbortSignal },
): Promise<Archive> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stat = await handle.stat()
    if (stat.isDirectory()) {
      await handle.close()
      return openDirectory(file)
    }
    if (!stat.isFile()) throw new ImageError('format', `${file} is neither a file nor a directory`)
    return (await openSquashfs(handle, stat.size)) ?? (await openTar(handle, stat.size, options))
  } catch (error) {
    await handle.close()
    throw error
  }
}

function openDirectory(dir: string): Archive {
  const opened: FileHandle[] = []
  return {
    kind: 'directory',
    whole: undefined,
    async find(path) {
      // The path's own directories must be real ones: a link in a layout could point anywhere on this machine.
      const names = path.split('/')
      for (let i = 1; i < names.length; i++) {
        const parent = await lstat(join(dir, ...names.slice(0, i))).catch(absent)
        if (parent === undefined) return undefined
        if (!parent.isDirectory())
          throw new ImageError('unsafe', `${names.slice(0, i).join('/')} is not a directory`)
      }
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
      const handle = await open(join(dir, path), flags).catch(error => {
        if (error.code === 'ELOOP') throw new ImageError('unsafe', `${path} is a symbolic link`)
        return absent(error)
      })
      if (handle === undefined) return undefined
      opened.push(handle)
      const stat = await handle.stat()
      if (!stat.isFile()) throw new ImageError('unsafe', `${path} is not a regular file`)
      return stretch(handle, 0, stat.size)
    },
    async close() {
      for (const handle of opened.splice(0)) await handle.close()
    },
  }
}

/** A Singularity image; undefined for any other file. */
async function openSquashfs(handle: FileHandle, fileBytes: number): Promise<Archive | undefined> {
  const root = await findSifRoot(randomBytes(handle, 0, fileBytes))
  if (root === undefined) return undefined
  const { at, sizeBytes, architecture } = root
  return {
    kind: 'squashfs',
    whole: undefined,
    squashfs: { ...stretch(handle, at, sizeBytes), ...randomBytes(handle, at, sizeBytes), architecture },
    find: async () => undefined,
    close: () => handle.close(),
  }
}

function randomBytes(handle: FileHandle, from: number, sizeBytes: number): RandomBytes {
  return {
    sizeBytes,
    async read(at, count) {
      const parts: Buffer[] = []
      for await (const part of fileChunks(handle, from + at, count)) parts.push(part)
      return parts.length === 1 ? parts[0]! : Buffer.concat(parts, count)
    },
  }
}

async function openTar(
  outer: FileHandle,
  outerBytes: number,
  options: { workDir: string; limits: ImageLimits; signal?: AbortSignal },
): Promise<Archive> {
  const { limits } = options
  const compression = compressionOf(await firstBytes(outer))
  let handle = outer
  let sizeBytes = outerBytes
  if (compression !== 'none') {
    const packed = fileChunks(outer, 0, outerBytes)
    handle = await open(join(options.workDir, 'archive.tar'), 'wx+', 0o600)
    sizeBytes = 0
    try {
      for await (const chunk of decompress(packed, compression)) {
        options.signal?.throwIfAborted()
        sizeBytes += chunk.length
        if (sizeBytes > limits.maxArchiveBytes) {
          throw new ImageError(
            'limit',
            `the archive unpacks to more than ${limits.maxArchiveBytes} bytes (maxArchiveBytes)`,
          )
        }
        for (let done = 0; done < chunk.length; ) {
          done += (await handle.write(chunk, done, chunk.length - done)).bytesWritten
        }
      }
    } catch (error) {
      await handle.close()
      throw error
    }
    await outer.close()
  }
  const members = await readMembers(handle, sizeBytes, limits).catch(async error => {
    if (handle !== outer) await handle.close()
    throw error
  })
  return {
    kind: 'tar',
    whole: stretch(handle, 0, sizeBytes),
    find: async path => findMember(members, path, handle),
    close: () => handle.close(),
  }
}

type Member = Pick<TarEntry, 'type' | 'contentAt' | 'sizeBytes' | 'linkName'>

async function readMembers(
  handle: FileHandle,
  sizeBytes: number,
  limits: ImageLimits,
): Promise<Map<string, Member>> {
  const members = new Map<string, Member>()
  for await (const entry of readTar(sourceFromFile(handle, sizeBytes), { limits })) {
    if (entry.name.length + entry.linkName.length > MEMBER_NAME_MAX) continue
    members.set(plainPath(entry.name), {
      type: entry.type,
      contentAt: entry.contentAt,
      sizeBytes: entry.sizeBytes,
      linkName: entry.linkName,
    })
    if (members.size > MEMBER_COUNT_MAX) return new Map()
  }
  return members
}

/** Looks a member up. Older `docker save` writes a layer that two images share as a link to the first. */
function findMember(members: Map<string, Member>, path: string, handle: FileHandle): Blob | undefined {
  let at = plainPath(path)
  for (let hops = 0; hops < 8; hops++) {
    const member = members.get(at)
    if (member === undefined) return undefined
    if (member.type === 'file') return stretch(handle, member.contentAt, member.sizeBytes)
    if (member.type === 'link') at = plainPath(member.linkName)
    else if (member.type === 'symlink') at = plainPath(`${at}/../${member.linkName}`)
    else break
  }
  throw new ImageError('format', `${quote(path)} in the archive is not a file`)
}

/** `./a/../b` → `b`: a mere key, compared with other such keys and never given to the file system. */
function plainPath(path: string): string {
  const names: string[] = []
  for (const name of path.split('/')) {
    if (name === '..') names.pop()
    else if (name !== '' && name !== '.') names.push(name)
  }
  return names.join('/')
}

function stretch(handle: FileHandle, from: number, sizeBytes: number): Blob {
  return { sizeBytes, chunks: () => fileChunks(handle, from, sizeBytes) }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error
}
