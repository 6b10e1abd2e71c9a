// The shape of the root that is being unpacked, kept in memory: which path is what, and which layer put it there.
// Names are resolved here and nowhere else, so that the kernel is never asked to follow a link an archive made.
import { ImageError } from './image-error.ts'
import type { ImageLimits } from './limits.ts'
import { quote } from './tar-reader.ts'

/** A directory and how it shall look once everything is in it. */
export interface DirNode {
  readonly kind: 'directory'
  readonly children: Map<string, Node>
  layer: number
  /** The last layer whose whiteout emptied it of lower layers. */
  clearedIn: number
  mode: number
  uid: number
  gid: number
  mtimeMs: number
}

/** Anything that is not a directory. */
export interface LeafNode {
  readonly kind: 'file' | 'symlink'
  readonly layer: number
  /** Target of a symbolic link. */
  readonly target: string
}

export type Node = DirNode | LeafNode

/** A place in the root: a real directory, reached without links, and a name in it. */
export interface Place {
  readonly dir: DirNode
  /** Names from the root down to `dir`. */
  readonly dirNames: readonly string[]
  /** '' for the root itself. */
  readonly name: string
}

const HOPS_MAX = 40 // what the kernel allows before it says ELOOP
const STEPS_MAX = 1024 // so that links to long roundabout targets cannot make every entry slow

/** An empty directory node. */
export function dirNode(layer: number): DirNode {
  return {
    kind: 'directory',
    children: new Map(),
    layer,
    clearedIn: 0,
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtimeMs: 0,
  }
}

/** The names of an entry's path; refused when it is absolute, climbs, or is longer or deeper than the limits. */
export function entryNames(path: string, limits: ImageLimits): string[] {
  if (path.includes('\0')) throw new ImageError('unsafe', `${quote(path)}: a name with a NUL`)
  if (path.startsWith('/')) throw new ImageError('unsafe', `${quote(path)}: absolute names are refused`)
  if (Buffer.byteLength(path) > limits.maxPathBytes) {
    throw new ImageError('limit', `${quote(path)}: longer than ${limits.maxPathBytes} bytes (maxPathBytes)`)
  }
  const names = path.split('/').filter(name => name !== '' && name !== '.')
  for (const name of names) {
    if (name === '..') throw new ImageError('unsafe', `${quote(path)}: names with ".." are refused`)
    if (Buffer.byteLength(name) > 255)
      throw new ImageError('limit', `${quote(path)}: a name of more than 255 bytes`)
  }
  if (names.length > limits.maxDepth) {
    throw new ImageError('limit', `${quote(path)}: deeper than ${limits.maxDepth} directories (maxDepth)`)
  }
  return names
}

/** How to find a place: `makeDir` is called for each missing directory on the way; without it the answer is undefined. */
export interface Walk {
  readonly limits: ImageLimits
  readonly makeDir?: (place: Place) => Promise<DirNode>
}

/** Where an entry goes. Links on the way (not the last name) are followed as a process inside the root would. */
export async function findPlace(
  root: DirNode,
  names: readonly string[],
  walk: Walk,
): Promise<Place | undefined> {
  const last = names.at(-1)
  if (last === undefined) return { dir: root, dirNames: [], name: '' }
  const path = names.join('/')
  const dirs: DirNode[] = [root]
  const dirNames: string[] = []
  const ahead = names.slice(0, -1).reverse()
  let hops = 0
  let steps = 0
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    steps += 1
    if (steps > STEPS_MAX)
      throw new ImageError('unsafe', `${quote(path)}: its symbolic links take too long a way`)
    if (name === '' || name === '.') continue
    if (name === '..') {
      // Only link targets bring these here; above the root there is nothing.
      if (dirNames.length > 0) {
        dirNames.pop()
        dirs.pop()
      }
      continue
    }
    const dir = dirs[dirs.length - 1] as DirNode
    let node = dir.children.get(name)
    if (node === undefined) {
      if (walk.makeDir === undefined) return undefined
      node = await walk.makeDir({ dir, dirNames: [...dirNames], name })
    }
    if (node.kind !== 'directory') {
      if (node.kind === 'file') {
        throw new ImageError('unsafe', `${quote(path)}: ${quote(name)} on its way is a file`)
      }
      hops += 1
      if (hops > HOPS_MAX)
        throw new ImageError('unsafe', `${quote(path)}: too many symbolic links on its way`)
      if (node.target.startsWith('/')) {
        dirs.length = 1
        dirNames.length = 0
      }
      ahead.push(...node.target.split('/').reverse())
      continue
    }
    dirs.push(node)
    dirNames.push(name)
    // Links can lead deeper than any single name is allowed to be.
    if (dirNames.length >= walk.limits.maxDepth) {
      throw new ImageError(
        'limit',
        `${quote(path)}: deeper than ${walk.limits.maxDepth} directories (maxDepth)`,
      )
    }
  }
  return { dir: dirs[dirs.length - 1] as DirNode, dirNames, name: last }
}
