// What a task sees when it runs over an unpacked image: the sandbox arguments for files, devices and mounts.
import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mount } from './driver.ts'
import { resolveInRoot } from './images/index.ts'

/** A directory with more entries than this is not rebuilt to make room for a mount point. */
const ENTRY_COUNT_MAX = 2000

/**
 * The bwrap arguments for a read-only root with these mounts on top, each after those it lies in. `seenAt` is where
 * bwrap finds the root, which need not be where we do.
 */
export async function viewOf(rootDir: string, seenAt: string, mounts: readonly Mount[]): Promise<string[]> {
  const placed: { mount: Mount; to: string }[] = []
  const rebuilt = new Set<string>()
  for (const mount of mounts) {
    const outer = placed.find(each => mount.to.startsWith(`${each.mount.to}/`))
    if (outer !== undefined) {
      placed.push({ mount, to: outer.to + mount.to.slice(outer.mount.to.length) })
      continue
    }
    // Links on the way are followed within the image, here, because bwrap would look for them on the machine.
    const { path, kind } = await resolveInRoot(rootDir, mount.to)
    if (path === '/') throw new Error(`a mount at ${mount.to} would hide the whole image`)
    if (kind === 'absent') rebuilt.add(await deepestDirectory(rootDir, path))
    placed.push({ mount, to: path })
  }
  const args = ['--ro-bind', seenAt, '/']
  // Outer directories first, or they would hide what was rebuilt inside them.
  const inOrder = [...rebuilt].sort((a, b) => a.length - b.length)
  for (const dir of inOrder) args.push(...(await rebuild(rootDir, seenAt, dir)))
  args.push('--dev', '/dev', '--proc', '/proc')
  for (const { mount, to } of placed) args.push(mount.readOnly ? '--ro-bind' : '--bind', mount.from, to)
  for (const dir of inOrder) args.push('--remount-ro', dir)
  return args
}

async function deepestDirectory(rootDir: string, path: string): Promise<string> {
  for (let dir = path; dir !== '/'; ) {
    dir = dir.slice(0, dir.lastIndexOf('/')) || '/'
    const { kind } = await resolveInRoot(rootDir, dir)
    if (kind === 'directory') return dir
    if (kind !== 'absent') throw new Error(`a mount at ${path} is not possible: ${dir} is a file`)
  }
  return '/'
}

/**
 * A read-only root cannot get a new directory. So the deepest directory that is there is replaced by a small one in
 * memory that shows the same entries, and bwrap makes the mount point in that one.
 */
async function rebuild(rootDir: string, seenAt: string, dir: string): Promise<string[]> {
  const entries = await readdir(join(rootDir, dir), { withFileTypes: true })
  if (entries.length > ENTRY_COUNT_MAX) {
    throw new Error(`no mount is possible in ${dir}: it has more than ${ENTRY_COUNT_MAX} entries`)
  }
  const args = ['--tmpfs', dir]
  for (const entry of entries) {
    const inside = join(dir, entry.name)
    if (entry.isSymbolicLink()) args.push('--symlink', await readlink(join(rootDir, inside)), inside)
    else args.push('--ro-bind', join(seenAt, inside), inside)
  }
  return args
}
