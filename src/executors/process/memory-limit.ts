// How a memory limit can be enforced here: by a cgroup of the attempt's own (v1, v2, hybrid), else by an address space
// limit, under which allocations fail instead of the program being killed.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type MemoryLimiter =
  | {
      readonly how: 'v1' | 'v2' /** The folder below which each attempt gets its own. */
      readonly folder: string
    }
  | { readonly how: 'rlimit' }

/** Finds the way that works, by trying it. `owner` tells this server's groups from another's. */
export function findMemoryLimiter(owner: string, proc = '/proc/self'): MemoryLimiter {
  const name = 'switchyard-' + createHash('sha256').update(owner).digest('hex').slice(0, 12)
  for (const candidate of candidates(proc)) {
    const folder = join(candidate.folder, name)
    try {
      mkdirSync(folder, { recursive: true })
      removeLeftGroups(folder)
      if (candidate.how === 'v2') {
        enableMemory(candidate.folder)
        enableMemory(folder)
      }
      const trial = join(folder, 'trial')
      mkdirSync(trial, { recursive: true })
      try {
        const file = candidate.how === 'v1' ? 'memory.limit_in_bytes' : 'memory.max'
        // Only an existing control file counts: in an ordinary folder one would simply be made.
        writeFileSync(join(trial, file), String(64 * 1024 * 1024), { flag: 'r+' })
        return { how: candidate.how, folder }
      } finally {
        rmdirSync(trial)
      }
    } catch {
      // Not mounted, not writable or not delegated: the next way is tried, and the last one always works.
    }
  }
  return { how: 'rlimit' }
}

/** Removes what is not in use any more. */
export function removeMemoryGroups(limiter: MemoryLimiter): void {
  if (limiter.how === 'rlimit') return
  try {
    removeLeftGroups(limiter.folder)
    rmdirSync(limiter.folder)
  } catch {
    // Attempts still run in it; the next server on this folder finds it again.
  }
}

/** Attempts that ended with their keeper leave their group behind; one that is in use cannot be removed. */
function removeLeftGroups(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue
    try {
      rmdirSync(join(folder, entry.name))
    } catch {
      // Still in use.
    }
  }
}

function enableMemory(folder: string): void {
  const file = join(folder, 'cgroup.subtree_control')
  if (!readFileSync(file, 'utf8').split(/\s+/).includes('memory'))
    writeFileSync(file, '+memory', { flag: 'r+' })
}

/** Our own group in each hierarchy that controls memory, as /proc tells: `mounts` where, `cgroup` which. */
function candidates(proc: string): { how: 'v1' | 'v2'; folder: string }[] {
  const found: { how: 'v1' | 'v2'; folder: string }[] = []
  const own = new Map<string, string>()
  for (const line of readText(`${proc}/cgroup`).split('\n')) {
    const [id, controllers, ...path] = line.split(':')
    if (id === '0') own.set('', path.join(':'))
    else if (controllers?.split(',').includes('memory')) own.set('memory', path.join(':'))
  }
  for (const line of readText(`${proc}/mounts`).split('\n')) {
    const [, mount, type, options] = line.split(' ')
    if (!mount) continue
    const isV1 = type === 'cgroup' && options?.split(',').includes('memory')
    if (!isV1 && type !== 'cgroup2') continue
    const path = own.get(isV1 ? 'memory' : '')
    if (path === undefined) continue
    // Within a container the path may be one of the host's, which is not visible here.
    const folder = existsSync(join(mount, path)) ? join(mount, path) : mount
    found.push({ how: isV1 ? 'v1' : 'v2', folder })
  }
  return found.sort((a, b) => a.how.localeCompare(b.how))
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // no cgroups here
  }
}
