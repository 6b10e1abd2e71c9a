// Folders in which imports work before anything is visible. Each says which process owns it, so that what a killed
// import left behind is found and removed by the next one, and a running import is left alone.
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

interface Owner {
  readonly pid: number
  /** Start time of the process in clock ticks: a process number is used again, this pair is not. */
  readonly startTicks: string
  readonly bootId: string
  readonly pidNamespace: string
}

const OWNER_FILE = 'owner.json'
/** An import from another process namespace cannot be looked at: it is left alone for a day. */
const FOREIGN_AGE_MS_MAX = 24 * 3600_000

/** Makes a folder of our own below `dir`. */
export async function openIncoming(dir: string): Promise<string> {
  const folder = join(dir, randomUUID())
  await mkdir(folder, { mode: 0o700 })
  await writeFile(join(folder, OWNER_FILE), JSON.stringify(await ownerOf(process.pid)))
  return folder
}

/** Removes the folders whose process is gone; `rescue` may first take out of each what must stay. */
export async function sweepIncoming(
  dir: string,
  options: { now: number; rescue: (folder: string) => Promise<void> },
): Promise<void> {
  for (const name of await readdir(dir)) {
    const folder = join(dir, name)
    if (await isOwned(folder, options.now)) continue
    await options.rescue(folder)
    await rm(folder, { recursive: true, force: true })
  }
}

async function isOwned(folder: string, now: number): Promise<boolean> {
  const info = await stat(folder).catch(() => undefined)
  if (info === undefined) return true // gone meanwhile
  const isYoung = now - info.mtimeMs < FOREIGN_AGE_MS_MAX
  const owner = await readOwner(folder)
  // Between the making of the folder and of the file there is a moment without an owner: age decides.
  if (owner === undefined) return isYoung
  const mine = await ownerOf(process.pid)
  if (owner.bootId !== mine.bootId) return false
  if (owner.pidNamespace !== mine.pidNamespace) return isYoung
  const there = await ownerOf(owner.pid).catch(() => undefined)
  return there?.startTicks === owner.startTicks
}

async function readOwner(folder: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, OWNER_FILE), 'utf8')) as Owner
  } catch {
    return undefined // not there, or cut off by a crash: age decides
  }
}

async function ownerOf(pid: number): Promise<Owner> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold spaces and brackets; after the last one come the plain fields, from the third on.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return {
    pid,
    startTicks: fields[19] ?? '',
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    pidNamespace: await readlink('/proc/self/ns/pid'),
  }
}
