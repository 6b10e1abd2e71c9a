// Opens things in a directory that somebody else may be changing at this moment, without ever leaving it. Each part of
// a path is opened relative to the directory before it, never following a link by itself; links are read, and followed
// within the directory only.

import { constants } from 'node:fs'
import { type FileHandle, open, readlink } from 'node:fs/promises'

/** Where the directory is seen by the programs that make links in it. */
export interface InsideRoot {
  readonly dir: string
  /** Absolute links below this path lead into the directory. */
  readonly seenAt: string
  /** Paths of the directory that really lie elsewhere: their place there. */
  readonly elsewhere?: ReadonlyMap<string, string>
}

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
// Without O_NONBLOCK the opening of a pipe would wait for ever for somebody to write to it.
const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const linksMax = 40
const depthMax = 512

/** A path by which an open directory is reached: stable whatever its name leads to meanwhile. */
export function pathOf(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`
}

/**
 * Opens what a relative path leads to. Undefined when it does not exist, leads outside, or is neither a file nor a
 * directory. The caller closes the handle.
 */
export async function openInside(root: InsideRoot, path: string): Promise<FileHandle | undefined> {
  const ahead = partsOf(path)
  const away = takeElsewhere(root, ahead)
  if (away !== undefined && ahead.length === 0) return open(away, fileFlags).catch(() => undefined)
  const trail: FileHandle[] = [await open(away ?? root.dir, constants.O_RDONLY | constants.O_DIRECTORY)]
  let links = 0
  try {
    while (ahead.length > 0) {
      const part = ahead.shift()!
      const here = trail.at(-1)!
      if (part === '..') {
        if (trail.length === 1) return undefined
        await trail.pop()!.close()
        continue
      }
      if (trail.length > depthMax) return undefined
      const next = await openPart({ here, part, isLast: ahead.length === 0 })
      if (next === undefined) return undefined
      if (typeof next !== 'string') {
        trail.push(next)
        continue
      }
      if (++links > linksMax) return undefined
      const target = followed(root, next)
      if (target === undefined) return undefined
      if (target.isAbsolute) for (const handle of trail.splice(1)) await handle.close()
      ahead.unshift(...target.parts)
    }
    const found = trail.at(-1)!
    const info = await found.stat()
    if (!info.isFile() && !info.isDirectory()) return undefined
    trail.pop()
    return found
  } finally {
    for (const handle of trail) await handle.close()
  }
}

/** The place of a path that lies elsewhere; the parts that lead to it are taken off. */
function takeElsewhere({ elsewhere }: InsideRoot, ahead: string[]): string | undefined {
  for (let count = ahead.length; count > 0; count--) {
    const place = elsewhere?.get(ahead.slice(0, count).join('/'))
    if (place === undefined) continue
    ahead.splice(0, count)
    return place
  }
  return undefined
}

/** A handle; a text where the part is a link; undefined when there is nothing. */
async function openPart({
  here,
  part,
  isLast,
}: {
  here: FileHandle
  part: string
  isLast: boolean
}): Promise<FileHandle | string | undefined> {
  const at = `${pathOf(here)}/${part}`
  try {
    return await open(at, isLast ? fileFlags : directoryFlags)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ELOOP' && code !== 'ENOTDIR') {
      if (code === 'ENOENT' || code === 'ENAMETOOLONG' || code === 'ENXIO' || code === 'EACCES')
        return undefined
      throw error
    }
    // A link, or a file in the place of a directory.
    return readlink(at).catch(() => undefined)
  }
}

function followed(root: InsideRoot, link: string): { parts: string[]; isAbsolute: boolean } | undefined {
  if (!link.startsWith('/')) return { parts: partsOf(link), isAbsolute: false }
  if (link !== root.seenAt && !link.startsWith(`${root.seenAt}/`)) return undefined
  return { parts: partsOf(link.slice(root.seenAt.length)), isAbsolute: true }
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}
