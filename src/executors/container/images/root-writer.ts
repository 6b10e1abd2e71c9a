// Writes the layers of an image into one directory: creates only, follows nothing, and applies whiteouts.
// A later layer replaces by removing first, so no byte is ever written through something an earlier entry made.
import { constants } from 'node:fs'
import { chmod, chown, lchown, link, lutimes, mkdir, open, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ImageError } from './image-error.ts'
import type { Budget } from './limits.ts'
import {
  type DirNode,
  dirNode,
  entryNames,
  findPlace,
  type LeafNode,
  type Node,
  type Place,
} from './root-tree.ts'
import { quote, type TarEntry } from './tar-reader.ts'

/** What became of the entries. */
export interface UnpackCounts {
  fileCount: number
  /** Bytes of regular files written. */
  fileBytes: number
  /** Device nodes and pipes, which are left out: the sandbox brings its own /dev. */
  skippedCount: number
}

/** A root that is being built. */
export interface RootWriter {
  readonly counts: UnpackCounts
  /** Puts the entries of one layer on top of the earlier ones. */
  addLayer(entries: AsyncIterable<TarEntry>): Promise<void>
  /** Makes sure that a directory is there; a path that something else occupies is left alone. */
  ensureDir(path: string): Promise<void>
  /** Sets modes and times of the directories; afterwards the root is as the image says. */
  finish(): Promise<void>
}

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'

/** A writer into `rootDir`, an empty directory that nobody else writes to. */
export function openRootWriter(
  rootDir: string,
  options: { budget: Budget; keepOwners: boolean; signal?: AbortSignal },
): RootWriter {
  const { budget, keepOwners } = options
  const root = dirNode(0)
  const counts: UnpackCounts = { fileCount: 0, fileBytes: 0, skippedCount: 0 }
  let layer = 0

  const pathOf = (place: Place) => {
    const path = [...place.dirNames, place.name].join('/')
    if (Buffer.byteLength(path) > budget.limits.maxPathBytes) {
      throw new ImageError(
        'limit',
        `${quote(path)}: longer than ${budget.limits.maxPathBytes} bytes (maxPathBytes)`,
      )
    }
    return join(rootDir, path)
  }

  /** Implied parents: rwxr-xr-x of the layer that implies them. */
  async function makeDir(place: Place): Promise<DirNode> {
    await mkdir(pathOf(place), { mode: 0o700 })
    const node = dirNode(layer)
    place.dir.children.set(place.name, node)
    return node
  }

  const placeOf = async (names: readonly string[]): Promise<Place> =>
    (await findPlace(root, names, { limits: budget.limits, makeDir })) as Place

  async function clear(place: Place): Promise<void> {
    if (!place.dir.children.has(place.name)) return
    await rm(pathOf(place), { recursive: true })
    place.dir.children.delete(place.name)
  }

  /** Removes what lower layers put at a place; what this layer put there, or below it, stays. */
  async function clearLower(place: Place): Promise<void> {
    const node = place.dir.children.get(place.name)
    if (node === undefined) return
    if (node.kind === 'directory') await clearLowerChildren(node, [...place.dirNames, place.name])
    const isEmpty = node.kind !== 'directory' || node.children.size === 0
    if (node.layer < layer && isEmpty) await clear(place)
  }

  async function clearLowerChildren(dir: DirNode, dirNames: readonly string[]): Promise<void> {
    // Lower layers do not grow any more: a second whiteout in the same layer has nothing to do.
    if (dir.clearedIn === layer) return
    dir.clearedIn = layer
    for (const name of [...dir.children.keys()]) await clearLower({ dir, dirNames, name })
  }

  async function addWhiteout(names: readonly string[], name: string, path: string): Promise<void> {
    if (name === OPAQUE) {
      const place = await findPlace(root, [...names.slice(0, -1), '*'], { limits: budget.limits })
      if (place !== undefined) await clearLowerChildren(place.dir, place.dirNames)
      return
    }
    // Other names of this form are the bookkeeping of an old union file system.
    if (name.startsWith('.wh..wh.')) return
    const victim = name.slice(WHITEOUT.length)
    if (victim === '' || victim === '.' || victim === '..') {
      throw new ImageError('unsafe', `${quote(path)}: a whiteout of ${quote(victim)}`)
    }
    const place = await findPlace(root, [...names.slice(0, -1), victim], { limits: budget.limits })
    if (place !== undefined) await clearLower(place)
  }

  async function addDirectory(place: Place, entry: TarEntry): Promise<void> {
    let node: Node | undefined = place.name === '' ? root : place.dir.children.get(place.name)
    if (node?.kind !== 'directory') {
      await clear(place)
      node = await makeDir(place)
    }
    node.layer = layer
    node.mode = entry.mode
    node.uid = entry.uid
    node.gid = entry.gid
    node.mtimeMs = entry.mtimeMs
  }

  async function addFile(place: Place, entry: TarEntry): Promise<void> {
    await clear(place)
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW
    const handle = await open(pathOf(place), flags, 0o600)
    try {
      for await (const part of entry.content()) {
        for (let done = 0; done < part.length; ) {
          done += (await handle.write(part, done, part.length - done)).bytesWritten
        }
      }
      if (keepOwners) await handle.chown(entry.uid, entry.gid)
      await handle.chmod(safeMode(entry.mode, 0o600))
      await handle.utimes(entry.mtimeMs / 1000, entry.mtimeMs / 1000)
    } finally {
      await handle.close()
    }
    counts.fileCount += 1
    counts.fileBytes += entry.sizeBytes
    setLeaf(place, 'file', '')
  }

  async function addSymlink(place: Place, entry: TarEntry, path: string): Promise<void> {
    const target = entry.linkName
    if (target === '' || target.includes('\0') || Buffer.byteLength(target) > 4095) {
      throw new ImageError('unsafe', `${quote(path)}: a symbolic link with an impossible target`)
    }
    await clear(place)
    await symlink(target, pathOf(place))
    if (keepOwners) await lchown(pathOf(place), entry.uid, entry.gid)
    setLeaf(place, 'symlink', target)
  }

  async function addHardLink(place: Place, entry: TarEntry, path: string): Promise<void> {
    // Some builders write the target with a leading slash: it means the root of the image, as every name here does.
    const names = entryNames(entry.linkName.replace(/^\/+/, ''), budget.limits)
    const from = await findPlace(root, names, { limits: budget.limits })
    const node = from?.dir.children.get(from.name)
    if (from === undefined || node === undefined || node.kind === 'directory') {
      throw new ImageError(
        'unsafe',
        `${quote(path)}: hard link to ${quote(entry.linkName)}, no file of this image`,
      )
    }
    if (node === place.dir.children.get(place.name)) return // a link to itself
    await clear(place)
    // The link may have replaced the very directory its target was in.
    if ((await findPlace(root, names, { limits: budget.limits }))?.dir.children.get(from.name) !== node) {
      throw new ImageError(
        'unsafe',
        `${quote(path)}: hard link to ${quote(entry.linkName)}, which it replaces`,
      )
    }
    // The kernel does not follow a symbolic link here: the link itself gets a second name.
    await link(pathOf(from), pathOf(place))
    setLeaf(place, node.kind, node.target)
  }

  function setLeaf(place: Place, kind: LeafNode['kind'], target: string): void {
    place.dir.children.set(place.name, { kind, layer, target })
  }

  async function addEntry(entry: TarEntry): Promise<void> {
    const names = entryNames(entry.name, budget.limits)
    const name = names.at(-1)
    if (name?.startsWith(WHITEOUT)) return addWhiteout(names, name, entry.name)
    if (names.some(each => each.startsWith(WHITEOUT))) {
      throw new ImageError('unsafe', `${quote(entry.name)}: a whiteout cannot be a directory`)
    }
    if (entry.type === 'device' || entry.type === 'fifo') {
      counts.skippedCount += 1
      return
    }
    if (name === undefined && entry.type !== 'directory') {
      throw new ImageError('unsafe', `${quote(entry.name)}: the root can only be a directory`)
    }
    const place = await placeOf(names)
    if (entry.type === 'directory') await addDirectory(place, entry)
    else if (entry.type === 'file') await addFile(place, entry)
    else if (entry.type === 'symlink') await addSymlink(place, entry, entry.name)
    else await addHardLink(place, entry, entry.name)
  }

  async function finishDir(node: DirNode, path: string): Promise<void> {
    for (const [name, child] of node.children) {
      if (child.kind === 'directory') await finishDir(child, join(path, name))
    }
    if (keepOwners) await chown(path, node.uid, node.gid)
    await chmod(path, safeMode(node.mode, 0o700))
    await lutimes(path, node.mtimeMs / 1000, node.mtimeMs / 1000)
  }

  /** No set-user-id bits on the host's disk; and what we cannot read we could neither run nor remove. */
  function safeMode(mode: number, least: number): number {
    return (mode & 0o1777) | (keepOwners ? 0 : least)
  }

  return {
    counts,
    async addLayer(entries) {
      layer += 1
      for await (const entry of entries) {
        options.signal?.throwIfAborted()
        budget.takeEntry(entry.name.length + entry.linkName.length)
        await addEntry(entry)
      }
    },
    async ensureDir(path) {
      const names = entryNames(path, budget.limits)
      const place = await placeOf(names).catch(error => {
        if (error instanceof ImageError) return undefined
        throw error
      })
      if (place !== undefined && !place.dir.children.has(place.name)) await makeDir(place)
    },
    finish: () => finishDir(root, rootDir),
  }
}
