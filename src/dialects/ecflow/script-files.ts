// Reading scripts, includes, jobs and outputs: only below the folders that are open to it, links followed.

import { constants } from 'node:fs'
import { access, type FileHandle, mkdir, open, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, resolve, sep } from 'node:path'
import type { ScriptFiles } from '../../domains/suite/jobs/find-script.ts'

/** A script, include or output larger than this is not read whole. */
const bytesMax = 64 * 1024 * 1024

/**
 * How long it is believed where a folder really is. Hundreds of jobs at a time read and write in the same few folders,
 * and asking each time costs more than the reading.
 */
const believeMs = 1000
const believedMax = 1000

export class OpenFolders {
  readonly #roots: readonly string[]
  /** A steady clock in ms. */
  readonly #now: () => number
  /** Folders by the path that was asked for: where they really are, when they are open. */
  readonly #folders = new Map<string, { real: string | undefined; until: number }>()
  #realRoots: { roots: readonly string[]; until: number } = { roots: [], until: Number.NEGATIVE_INFINITY }

  constructor(roots: readonly string[], now: () => number = () => performance.now()) {
    this.#roots = roots
    this.#now = now
  }

  /** Where a folder really is; undefined when it is not there or not open. */
  async #folder(path: string): Promise<string | undefined> {
    const now = this.#now()
    const known = this.#folders.get(path)
    if (known && known.until > now) return known.real
    const found = await realpath(path).catch(() => undefined)
    const real = found !== undefined && (await this.#isOpen(found)) ? found : undefined
    if (this.#folders.size >= believedMax) this.#folders.clear()
    // What is not there may be made at any moment.
    if (real === undefined) this.#folders.delete(path)
    else this.#folders.set(path, { real, until: now + believeMs })
    return real
  }

  /** The real path of a file below an open folder; undefined when it is elsewhere or not there. */
  async #place(path: string): Promise<string | undefined> {
    if (path === '' || path.includes('\0')) return undefined
    const real = await realpath(path).catch(() => undefined)
    return real !== undefined && (await this.#isOpen(real)) ? real : undefined
  }

  async #isOpen(path: string): Promise<boolean> {
    if (this.#roots.includes('/')) return true
    const now = this.#now()
    if (this.#realRoots.until <= now) {
      const roots = this.#roots.map(root => realpath(root).catch(() => resolve(root)))
      this.#realRoots = { roots: await Promise.all(roots), until: now + believeMs }
    }
    return this.#realRoots.roots.some(root => path === root || path.startsWith(root + sep))
  }

  /** Opens a file for reading; undefined when it is not there or not open. */
  async #openFile(path: string): Promise<FileHandle | undefined> {
    if (path === '' || path.includes('\0')) return undefined
    const flags = constants.O_RDONLY | constants.O_NONBLOCK
    const folder = await this.#folder(dirname(resolve(path)))
    if (folder !== undefined) {
      try {
        // A link may lead anywhere: it is followed only after a look at where.
        return await open(`${folder}/${basename(path)}`, flags | constants.O_NOFOLLOW)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ELOOP') return undefined
      }
    }
    const real = await this.#place(path)
    return real === undefined ? undefined : open(real, flags).catch(() => undefined)
  }

  /** The bytes of a file, at most its last ones; undefined when there is none here. */
  async readBytes(path: string): Promise<Buffer | undefined> {
    const read = await this.#open(path, (file, sizeBytes) => {
      const from = Math.max(0, sizeBytes - bytesMax)
      return readAt(file, from, sizeBytes - from)
    })
    return read
  }

  /** A part of a file, and how large the whole is now; undefined when there is none here. */
  async readPart(
    path: string,
    part: { from: number; lengthMax: number },
  ): Promise<{ bytes: Buffer; sizeBytes: number } | undefined> {
    return this.#open(path, async (file, sizeBytes) => {
      const length = Math.max(0, Math.min(part.lengthMax, sizeBytes - part.from))
      return { bytes: await readAt(file, part.from, length), sizeBytes }
    })
  }

  /** Where a file really is and how large it is, for those who stream it; undefined when there is none here. */
  async find(path: string): Promise<{ path: string; sizeBytes: number } | undefined> {
    const real = await this.#place(path)
    const facts = real === undefined ? undefined : await stat(real).catch(() => undefined)
    return real !== undefined && facts?.isFile() ? { path: real, sizeBytes: facts.size } : undefined
  }

  async #open<T>(
    path: string,
    read: (file: FileHandle, sizeBytes: number) => Promise<T>,
  ): Promise<T | undefined> {
    const file = await this.#openFile(path)
    if (!file) return undefined
    try {
      const facts = await file.stat()
      return facts.isFile() ? await read(file, facts.size) : undefined
    } finally {
      await file.close()
    }
  }

  /** Text; what is no UTF-8 is replaced. */
  async readText(path: string): Promise<string | undefined> {
    return (await this.readBytes(path))?.toString('utf8')
  }

  /** Writes a job, its folders made; the place must be open. */
  async writeJob(path: string, text: string): Promise<void> {
    const folder = dirname(resolve(path))
    if ((await this.#folder(folder)) === undefined) await this.#demandFolder(folder)
    await writeFile(path, text, { mode: 0o755 })
  }

  /** Replaces a script that is there, all at once. False when there is none. */
  async replace(path: string, text: string): Promise<boolean> {
    const real = await this.#place(path)
    if (real === undefined) return false
    const { mode } = await stat(real)
    const beside = `${real}.new${process.pid}`
    await writeFile(beside, text, { mode })
    await rename(beside, real)
    return true
  }

  /** Makes a folder, once the nearest one above it that exists is known to be open. */
  async #demandFolder(folder: string): Promise<void> {
    let at = folder
    while (!(await exists(at))) {
      const above = dirname(at)
      if (above === at) break
      at = above
    }
    const real = await realpath(at)
    // The home folder itself may still have to be made.
    const isAboveRoot = this.#roots.some(
      root => resolve(root).startsWith(real === sep ? sep : real + sep) && folder.startsWith(resolve(root)),
    )
    if (!(await this.#isOpen(real)) && !isAboveRoot) {
      throw new Error(`The folder ${folder} is not below ECF_HOME or one of dialects.ecflow.roots`)
    }
    await mkdir(folder, { recursive: true })
  }

  /** As the domain asks for it; `output` runs the commands that print scripts. */
  forJobs(output: (command: string) => Promise<string>): ScriptFiles {
    return {
      read: path => this.readText(path),
      isFolder: async path => (await stat(path).catch(() => undefined))?.isDirectory() ?? false,
      output,
    }
  }
}

async function readAt(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  const { bytesRead } = await file.read(bytes, 0, length, from)
  return bytes.subarray(0, bytesRead)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
