// Control groups, version 1 (also hybrid) and version 2: limits for an attempt, and what it used.
import { access, constants, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Limits } from './driver.ts'

/** The groups this machine lets us make. */
export interface CgroupRoot {
  readonly version: 1 | 2
  readonly dir: string
  /** The controllers that are there; on version 1 each is a tree of its own. */
  readonly controllers: readonly string[]
}

/** A group of our own in every controller. */
export interface Cgroup {
  /** Writing a process number into each of these puts that process into the group. */
  readonly procsFiles: readonly string[]
  /** The group's path as podman and docker take it. */
  readonly parent: string
  readUsage(): Promise<CgroupUsage>
  remove(): Promise<void>
}

/** What all processes of a group used together. */
export interface CgroupUsage {
  readonly cpuMs: number | null
  readonly maxMemoryBytes: number | null
  readonly oomKillCount: number
}

const OURS = 'switchyard'
const WANTED = ['memory', 'cpu', 'cpuacct', 'pids']
const PERIOD_US = 100_000
/** More processes than any sane task has, far fewer than what makes a machine stand still. */
const PROCESS_COUNT_MAX = 4096

/** Finds out which groups can be made; undefined when none can. */
export async function probeCgroups(dir = '/sys/fs/cgroup'): Promise<CgroupRoot | undefined> {
  const unified = await readFile(join(dir, 'cgroup.controllers'), 'utf8').catch(() => undefined)
  try {
    if (unified !== undefined) {
      const controllers = unified.split(/\s+/).filter(name => WANTED.includes(name))
      if (!controllers.includes('memory')) return undefined
      await mkdir(join(dir, OURS), { recursive: true })
      for (const level of [dir, join(dir, OURS)]) {
        await writeFile(join(level, 'cgroup.subtree_control'), controllers.map(name => `+${name}`).join(' '))
      }
      return { version: 2, dir, controllers }
    }
    const controllers: string[] = []
    for (const name of WANTED) {
      if (await isWritable(join(dir, name))) controllers.push(name)
    }
    if (!controllers.includes('memory')) return undefined
    for (const name of controllers) await mkdir(join(dir, name, OURS), { recursive: true })
    return { version: 1, dir, controllers }
  } catch {
    return undefined // not root, or the groups are somebody else's: rlimits are used instead
  }
}

/** Makes the group `name` with limits; a group that is there already is used again. */
export async function openCgroup(root: CgroupRoot, name: string, limits: Limits): Promise<Cgroup> {
  const dirs = dirsOf(root, name)
  for (const dir of dirs) await mkdir(dir, { recursive: true })
  for (const [file, value] of settings(root, limits)) {
    for (const dir of dirs) await set(join(dir, file), value)
  }
  return cgroupAt(root, name)
}

/** The group `name`, as it is. */
export function cgroupAt(root: CgroupRoot, name: string): Cgroup {
  const dirs = dirsOf(root, name)
  return {
    procsFiles: dirs.map(dir => join(dir, 'cgroup.procs')),
    parent: `/${OURS}/${name}`,
    readUsage: () => readUsage(root, dirs),
    async remove() {
      for (const dir of dirs) await removeDir(dir)
    },
  }
}

function dirsOf(root: CgroupRoot, name: string): string[] {
  return root.version === 2
    ? [join(root.dir, OURS, name)]
    : root.controllers.map(controller => join(root.dir, controller, OURS, name))
}

function settings(root: CgroupRoot, limits: Limits): [file: string, value: string][] {
  const { memoryBytes, cpus } = limits
  const quotaUs = cpus === null ? null : Math.max(1000, Math.round(cpus * PERIOD_US))
  const found: [string, string][] = [['pids.max', String(PROCESS_COUNT_MAX)]]
  if (root.version === 2) {
    if (memoryBytes !== null) found.push(['memory.max', String(memoryBytes)], ['memory.swap.max', '0'])
    if (quotaUs !== null) found.push(['cpu.max', `${quotaUs} ${PERIOD_US}`])
  } else {
    if (memoryBytes !== null) {
      // In this order: the second may never be lower than the first.
      found.push(
        ['memory.limit_in_bytes', String(memoryBytes)],
        ['memory.memsw.limit_in_bytes', String(memoryBytes)],
      )
    }
    if (quotaUs !== null)
      found.push(['cpu.cfs_period_us', String(PERIOD_US)], ['cpu.cfs_quota_us', String(quotaUs)])
  }
  return found
}

/** A file belongs to one controller only, and without swap accounting one of them is nowhere. */
async function set(file: string, value: string): Promise<void> {
  if (await isWritable(file)) await writeFile(file, value)
}

async function readUsage(root: CgroupRoot, dirs: readonly string[]): Promise<CgroupUsage> {
  const read = async (file: string): Promise<string | undefined> => {
    for (const dir of dirs) {
      const text = await readFile(join(dir, file), 'utf8').catch(() => undefined)
      if (text !== undefined) return text
    }
    return undefined
  }
  const number = (text: string | undefined) => (text === undefined ? null : Number.parseInt(text, 10))
  if (root.version === 2) {
    const cpuUs = number(/usage_usec (\d+)/.exec((await read('cpu.stat')) ?? '')?.[1])
    return {
      cpuMs: cpuUs === null ? null : cpuUs / 1000,
      maxMemoryBytes: number(await read('memory.peak')),
      oomKillCount: number(/oom_kill (\d+)/.exec((await read('memory.events')) ?? '')?.[1]) ?? 0,
    }
  }
  const cpuNs = number(await read('cpuacct.usage'))
  return {
    cpuMs: cpuNs === null ? null : cpuNs / 1e6,
    maxMemoryBytes: number(await read('memory.max_usage_in_bytes')),
    oomKillCount: number(/oom_kill (\d+)/.exec((await read('memory.oom_control')) ?? '')?.[1]) ?? 0,
  }
}

/** Depth first, since podman and docker make groups of their own below ours. The depth is theirs: two or three. */
async function removeDir(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await removeDir(join(dir, entry.name))
  }
  // Killed processes leave their group a little later than their parent.
  for (let tries = 0; ; tries++) {
    try {
      await rmdir(dir)
      return
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      // Still busy after that: it is left, empty soon, and takes nothing from anybody.
      if (code === 'ENOENT' || code !== 'EBUSY' || tries === 20) return
      await new Promise(resolve => setTimeout(resolve, 25))
    }
  }
}

async function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
}
