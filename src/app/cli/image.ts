// `switchyard image import|ls|rm`: container images of the data directory, beside a running server or without one.

import { access } from 'node:fs/promises'
import type { Command } from 'commander'
import { dataOption, existingDataDir, printTable } from './data-dir-option.ts'
import { CommandFailed, exitCodes } from './failure.ts'

interface ImportOptions {
  readonly data?: string
  readonly name?: string
  readonly pick?: string
  readonly format?: string
  readonly json?: boolean
}

export function add(program: Command): void {
  const image = program.command('image').description('Images that container jobs run in')
  image
    .command('import')
    .description(
      'Import an OCI layout (folder or tar), the output of `docker save`, or a tar of a root file system',
    )
    .argument('<file>')
    .option('--name <name>', 'name to give it, such as busybox:1.36; the names in the file unless said')
    .option('--pick <name>', 'which image of a file that holds several')
    .option('--format <format>', 'oci, docker or rootfs; found out unless said')
    .option('--json', 'for scripts')
    .addOption(dataOption())
    .action(importFile)
  image
    .command('ls')
    .description('List images')
    .option('--json', 'for scripts')
    .addOption(dataOption())
    .action(list)
  image
    .command('rm')
    .description('Remove a name, and the image with its last name')
    .argument('<image>', 'name or digest')
    .option('--force', 'also while a job uses it')
    .addOption(dataOption())
    .action(remove)
}

async function importFile(file: string, options: ImportOptions): Promise<void> {
  await access(file).catch((error: NodeJS.ErrnoException) => {
    throw new CommandFailed(`${file} cannot be read: ${error.code ?? error.message}`, exitCodes.usage)
  })
  const { importImage } = await images()
  const store = await openStore(options.data, { make: true })
  const format = options.format
  if (format !== undefined && format !== 'oci' && format !== 'docker' && format !== 'rootfs') {
    throw new CommandFailed(`--format ${format}: it is oci, docker or rootfs`, exitCodes.usage)
  }
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  process.once('SIGINT', interrupt)
  const bar = await progressBar()
  try {
    const { image, names, wasThere } = await explained(
      importImage(store, {
        file,
        name: options.name,
        format,
        pick: options.pick,
        signal: stop.signal,
        onProgress: ({ doneBytes, totalBytes }) => bar?.show(doneBytes, totalBytes),
      }),
    )
    bar?.stop()
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify({ digest: image.digest, names, wasThere })}\n`)
      return
    }
    const as = names.length > 0 ? names.join(', ') : image.digest
    process.stdout.write(
      `${wasThere ? 'was there already' : 'imported'}: ${as} (${sizeOf(image.sizeBytes)})\n`,
    )
  } finally {
    bar?.stop()
    process.removeListener('SIGINT', interrupt)
  }
}

async function list(options: { data?: string; json?: boolean }): Promise<void> {
  const { listImages } = await images()
  const found = await listImages(await openStore(options.data))
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(found.map(({ rootDir: _, ...shown }) => shown))}\n`)
    return
  }
  printTable(
    ['name', 'digest', 'size', 'files', 'imported'],
    found.map(image => [
      image.names.join(', '),
      image.digest.slice(0, 19),
      sizeOf(image.sizeBytes),
      String(image.fileCount),
      new Date(image.importedAt).toISOString().slice(0, 16).replace('T', ' '),
    ]),
  )
}

async function remove(reference: string, options: { data?: string; force?: boolean }): Promise<void> {
  const { removeImage } = await images()
  const store = await openStore(options.data)
  const removal = await explained(removeImage(store, reference, { force: options.force === true }))
  const rest = removal.isRootRemoved ? '' : ' (other names still point to the image)'
  process.stdout.write(`removed ${removal.name ?? removal.digest}${rest}\n`)
}

function images() {
  return import('../../executors/container/images/index.ts')
}

async function openStore(data: string | undefined, options: { make?: boolean } = {}) {
  const { openImageStore } = await images()
  return openImageStore({ dataDir: await existingDataDir(data, options), now: Date.now })
}

/** What the image room refuses, as the end of a command. */
async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const { ImageError } = await images()
    if (error instanceof ImageError) {
      throw new CommandFailed(error.message, error.code === 'unknown' ? exitCodes.notFound : exitCodes.failed)
    }
    if (error instanceof Error && error.name === 'AbortError')
      throw new CommandFailed('Interrupted; nothing was imported')
    throw error
  }
}

/** A bar on stderr where somebody looks; nothing in a pipe. */
async function progressBar(): Promise<{ show(done: number, total: number): void; stop(): void } | undefined> {
  if (process.stderr.isTTY !== true) return undefined
  const { default: progress } = await import('cli-progress')
  const bar = new progress.SingleBar({ format: 'importing {bar} {percentage}%', clearOnComplete: true })
  let isShown = false
  return {
    show(done, total) {
      if (!isShown) bar.start(total, done)
      else bar.update(done)
      isShown = true
    },
    stop: () => bar.stop(),
  }
}

function sizeOf(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}
