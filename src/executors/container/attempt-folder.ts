// The folder of one attempt: its scratch directory, the files of its tasks, and a note of what it holds elsewhere,
// so that a later server can finish, stop and clear what this one started.
import { chmod, lchown, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { DriverName, Mount, Owner, TaskFiles } from './driver.ts'
import { HOME } from './driver.ts'
import type { ContainerSpec } from './spec.ts'

const noteShape = z.object({
  driver: z.enum(['rootfs', 'podman', 'docker']),
  taskCount: z.number(),
  /** Digests of the images that are held for it. */
  digests: z.array(z.string()),
  /** Groups to remove: the attempt's own, or one for each task. */
  cgroups: z.array(z.string()),
  succeedOnTaskFailure: z.boolean(),
  memoryBytes: z.number().nullable(),
  /** Null where nothing was said of disk space. */
  diskBytes: z.number().nullable().default(null),
  /** How many copies of each ordinary task run at once. */
  copyCounts: z.array(z.number()).default([]),
})

/** What is noted of an attempt. */
export type AttemptNote = z.infer<typeof noteShape> & { readonly driver: DriverName }

/** The places in an attempt's folder. */
export interface AttemptFolder {
  readonly dir: string
  readonly scratchDir: string
  readonly tmpDir: string
  /** Directories of the scratch directory that are also seen elsewhere; they lie beside it (mountShared). */
  readonly sharedDir: string
}

/** What the tasks of a node see as /tmp. */
export function tmpDirOf(folder: AttemptFolder, node: number): string {
  return node === 0 ? folder.tmpDir : `${folder.tmpDir}.${node}`
}

/** The folder of an attempt below the executor's. */
export function attemptFolder(root: string, id: string): AttemptFolder {
  const dir = join(root, 'attempts', id)
  return { dir, scratchDir: join(dir, 'scratch'), tmpDir: join(dir, 'tmp'), sharedDir: join(dir, 'shared') }
}

/** Makes the folder anew: whatever a crash left half made is of no use. */
export async function makeFolder(folder: AttemptFolder, nodeCount: number): Promise<void> {
  await removeTree(folder.dir)
  for (const dir of [folder.dir, ...ownDirs(folder, nodeCount)]) {
    await mkdir(dir, { recursive: true, mode: 0o700 })
  }
}

/** What the tasks may write to. */
function ownDirs(folder: AttemptFolder, nodeCount: number): string[] {
  const tmpDirs = Array.from({ length: nodeCount }, (_, node) => tmpDirOf(folder, node))
  return [folder.scratchDir, folder.sharedDir, ...tmpDirs]
}

/** Puts the files of the spec into the scratch directory, before anything of the job could have made links there. */
export async function placeFiles(folder: AttemptFolder, spec: ContainerSpec): Promise<void> {
  for (const { path, content, executable } of spec.files) {
    const file = join(folder.scratchDir, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, Buffer.from(content, 'base64'), { mode: 0o644 })
    await chmod(file, executable ? 0o775 : 0o644)
  }
}

/**
 * Moves the directories that tasks mount elsewhere out of the scratch directory and answers how they are mounted back:
 * a task could put a link in the place of a mere directory, and the next task's mount would then follow it anywhere
 * on this machine. A mount point cannot be replaced.
 */
export async function shareDirectories(
  folder: AttemptFolder,
  spec: ContainerSpec,
): Promise<Map<string, Mount>> {
  const shared = new Map<string, Mount>()
  for (const { from } of spec.tasks.flatMap(task => task.mounts)) {
    if (shared.has(from)) continue
    const inside = join(folder.scratchDir, from)
    const beside = join(folder.sharedDir, from)
    const there = await lstat(inside).catch(() => undefined)
    if (there === undefined) await mkdir(beside)
    else if (there.isDirectory()) await rename(inside, beside)
    else throw new Error(`the mount of ${from} is not possible: it is a file`)
    await mkdir(inside)
    shared.set(from, { from: beside, to: `${HOME}/${from}`, readOnly: false })
  }
  return shared
}

/**
 * Makes the files that tasks' streams are merged into, and answers how they are mounted: they lie outside the scratch
 * directory, because we write to them, and a task could put a link in the place of a mere file.
 */
export async function shareMergedFiles(
  folder: AttemptFolder,
  spec: ContainerSpec,
): Promise<Map<string, Mount>> {
  const merged = new Map<string, Mount>()
  for (const { mergeInto } of spec.tasks) {
    if (mergeInto == null || merged.has(mergeInto)) continue
    const from = join(folder.dir, `merged.${merged.size + 1}`)
    await writeFile(from, '', { mode: 0o644 })
    const inside = join(folder.scratchDir, mergeInto)
    // What the user brought under this name goes, a link included: it must not be written through.
    await rm(inside, { recursive: true, force: true })
    await writeFile(inside, '', { mode: 0o644, flag: 'wx' })
    merged.set(mergeInto, { from, to: `${HOME}/${mergeInto}`, readOnly: true })
  }
  return merged
}

/** Gives what the tasks may write to their user; only root can, and only there is it needed. */
export async function giveTo(
  folder: AttemptFolder,
  { user, nodeCount }: { user: Owner; nodeCount: number },
): Promise<void> {
  const give = async (path: string): Promise<void> => {
    await lchown(path, user.uid, user.gid)
    for (const entry of await readdir(path, { withFileTypes: true })) {
      const inside = join(path, entry.name)
      if (entry.isDirectory()) await give(inside)
      // An archive of the user's may have brought a link to anything of this machine.
      else await lchown(inside, user.uid, user.gid)
    }
  }
  for (const dir of ownDirs(folder, nodeCount)) {
    await give(dir)
    // A task may run as yet another user; nobody else gets here, since the folder above is closed.
    await chmod(dir, 0o777)
  }
}

/** Writes the files of a task; all of them are for our own user's eyes only. */
export async function writeTaskFiles(dir: string, files: TaskFiles): Promise<void> {
  const all: [string, string | undefined][] = [
    ['run.sh', files.run],
    ['args', files.args],
    ['env', files.env],
    ['pull.sh', files.pull],
    ['config.json', files.login],
    ['stop.sh', files.stop],
  ]
  for (const [name, text] of all) {
    if (text !== undefined) await writeFile(join(dir, name), text, { mode: 0o600 })
  }
}

/** Writes the note; with it the attempt is ready to be started. */
export async function writeNote(folder: AttemptFolder, note: AttemptNote): Promise<void> {
  await writeWhole(join(folder.dir, 'attempt.json'), note)
}

/** Reads the note; undefined where there is none. */
export async function readNote(folder: AttemptFolder): Promise<AttemptNote | undefined> {
  const text = await readFile(join(folder.dir, 'attempt.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : noteShape.parse(JSON.parse(text))
}

/** Whole or not at all, but not synced: after a power cut there is no process left that it could speak of. */
export async function writeWhole(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.draft`, JSON.stringify(value), { mode: 0o600 })
  await rename(`${path}.draft`, path)
}

/** Removes a tree, also where a task has closed directories against its own user. */
export async function removeTree(dir: string): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'ENOTEMPTY') throw error
    await openDirectories(dir)
    await rm(dir, { recursive: true, force: true })
  }
}

async function openDirectories(dir: string): Promise<void> {
  // A list instead of recursion: a task can make directories as deep as it likes.
  for (const ahead = [dir]; ahead.length > 0; ) {
    const next = ahead.pop() ?? ''
    await chmod(next, 0o700).catch(() => undefined) // another user's: the removal will say so
    for (const entry of await readdir(next, { withFileTypes: true }).catch(() => [])) {
      if (entry.isDirectory()) ahead.push(join(next, entry.name))
    }
  }
}
