// Paths inside an unpacked root as a process in there would see them, found without ever leaving the root. For roots
// that nobody changes: between the look and the use there is no guard.
import { lstat, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ImageError } from './image-error.ts'
import { quote } from './tar-reader.ts'

const STEPS_MAX = 1024
const HOPS_MAX = 40

/** What a path inside a root turned out to be. */
export interface Resolved {
  /** The real path inside the root, with a leading slash and without links. */
  readonly path: string
  readonly kind: 'directory' | 'file' | 'other' | 'absent'
}

/** Resolves all links of `path`, the last name's too; names after an absent one are taken as they are. */
export async function resolveInRoot(rootDir: string, path: string): Promise<Resolved> {
  const ahead = path.split('/').reverse()
  const names: string[] = []
  let kind: Resolved['kind'] = 'directory'
  let hops = 0
  for (let steps = 0; ahead.length > 0; steps++) {
    if (steps > STEPS_MAX || hops > HOPS_MAX)
      throw new ImageError('unsafe', `${quote(path)}: too many symbolic links`)
    const name = ahead.pop()
    if (name === undefined || name === '' || name === '.') continue
    if (name === '..') {
      names.pop()
      kind = 'directory'
      continue
    }
    if (kind === 'absent') {
      names.push(name)
      continue
    }
    const stat = await lstat(join(rootDir, ...names, name)).catch(error => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
      throw error
    })
    if (stat?.isSymbolicLink()) {
      hops += 1
      const target = await readlink(join(rootDir, ...names, name))
      if (target.startsWith('/')) names.length = 0
      ahead.push(...target.split('/').reverse())
      continue
    }
    names.push(name)
    kind = stat === undefined ? 'absent' : stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : 'other'
  }
  return { path: `/${names.join('/')}`, kind }
}
