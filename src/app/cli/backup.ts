// `switchyard backup` and `switchyard restore`: a data directory in a folder or a tar file, and back.

import { randomUUID } from 'node:crypto'
import { rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { Refused } from '../../core/refusal.ts'
import { makeBackup, restoreBackup } from '../backup.ts'
import { packTar, unpackTar } from '../backup-tar.ts'
import { type DataDir, dataDirAt } from '../data-dir.ts'
import { readServerFile } from '../server-file.ts'
import { makeClient } from './client.ts'
import { dataOption, existingDataDir } from './data-dir-option.ts'
import { CommandFailed, exitCodes } from './failure.ts'

export function add(program: Command): void {
  program
    .command('backup')
    .description('Copy everything that cannot be made again, while the server runs or not')
    .argument('<target>', 'a folder that does not exist yet; or a file whose name ends in .tar')
    .option('--images', 'unpacked images too; they can be imported again')
    .addOption(dataOption())
    .action(backup)
  program
    .command('restore')
    .description('Fill a new data directory from a backup')
    .argument('<source>', 'the folder or .tar file that `backup` made')
    .addOption(dataOption())
    .action(restore)
}

async function backup(target: string, options: { data?: string; images?: boolean }): Promise<void> {
  const dir = dataDirAt(await existingDataDir(options.data))
  const goal = resolve(target)
  const isTar = goal.endsWith('.tar')
  if (isTar && (await exists(goal)))
    throw new CommandFailed(`${target} exists already; nothing is overwritten`)
  const folder = isTar ? join(dirname(goal), `.${randomUUID()}.switchyard-tar`) : goal
  const images = options.images === true
  try {
    const { files } =
      (await backupByServer(dir, { target: folder, images })) ??
      (await explained(backupAlone(dir.path, folder, images)))
    if (isTar) {
      const part = `${folder}.tar`
      await packTar(folder, part)
      await rename(part, goal)
    }
    process.stdout.write(`backed up to ${target}: the database and ${files} files\n`)
  } finally {
    if (isTar) {
      await rm(folder, { recursive: true, force: true })
      await rm(`${folder}.tar`, { force: true })
    }
  }
}

/** Through the server that runs on the directory; undefined where none does. */
async function backupByServer(
  dir: DataDir,
  body: { target: string; images: boolean },
): Promise<{ files: number } | undefined> {
  if ((await readServerFile(dir)) === undefined) return undefined
  try {
    const client = await makeClient({ data: dir.path })
    return await client.json<{ files: number }>('POST', '/yard/admin/backup', { body })
  } catch (error) {
    // A server that was killed leaves its note, and another process may have its number by now. If it lives after all,
    // it holds the lock.
    if (error instanceof CommandFailed && error.exitCode === exitCodes.unreachable) return undefined
    throw error
  }
}

/** Without a server: the store is opened, which takes its lock, so that no server can start meanwhile. */
async function backupAlone(data: string, target: string, images: boolean): Promise<{ files: number }> {
  const { SqliteStore } = await import('../../store/sqlite/sqlite-store.ts')
  const store = new SqliteStore({ directory: data })
  await store.open()
  try {
    return await makeBackup({ store, dir: dataDirAt(data), target, images, now: Date.now })
  } finally {
    await store.close()
  }
}

async function restore(source: string, options: { data?: string }): Promise<void> {
  if (options.data === undefined) {
    throw new CommandFailed(
      'Say which data directory to fill: --data DIR, or SWITCHYARD_DATA',
      exitCodes.usage,
    )
  }
  const dir = dataDirAt(options.data)
  const from = resolve(source)
  const found = await stat(from).catch(() => undefined)
  if (found === undefined) throw new CommandFailed(`There is no backup ${source}`, exitCodes.notFound)
  const unpacked = found.isDirectory()
    ? undefined
    : join(dirname(dir.path), `.${randomUUID()}.switchyard-tar`)
  try {
    if (unpacked !== undefined) await explained(unpackTar(from, unpacked))
    const about = await explained(restoreBackup(unpacked ?? from, dir))
    process.stdout.write(`restored ${options.data} from the backup of ${about.createdAt}\n`)
  } finally {
    if (unpacked !== undefined) await rm(unpacked, { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Refused) {
      throw new CommandFailed(
        error.message,
        error.refusal.kind === 'not-found' ? exitCodes.notFound : exitCodes.failed,
      )
    }
    throw new CommandFailed(error instanceof Error ? error.message : String(error))
  }
}
