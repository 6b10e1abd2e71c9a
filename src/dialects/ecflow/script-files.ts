// Reading scripts, includes, jobs and outputs: only below the folders that are open to it, links followed.

import { constants } from 'node:fs'
import { access, type FileHandle, mkdir, open, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, resolve, sep } from 'node:path'
import type { ScriptFiles } from '../../domains/suite/jobs/find-script.ts'

/** A script, include or output larger than this is not read whole. */
const bytesMax = 64 * 1024 * 1024

export class OpenFolders {
  readonly #roots: readonly string[]

  constructor(roots: readonly string[]) {
    this.#roots = roots
  }

  /** The real path of a file below an open folder; undefined when it is elsewhere or not there. */
  async #place(path: string): Promise<string | undefined> {
    if (path === '' || path.includes('\0')) return undefined
    const real = await realpath(path).catch(() => undefined)
    return real !== undefined && (await this.#isOpen(real)) ? real : undefined
  }

  async #isOpen(path: string): Promise<boolean> {
    for (const root of this.#roots) {
      if (root === '/') return true
      const real = await realpath(root).catch(() => resolve(root))
      if (path === real || path.startsWith(real + sep)) return true
    }
    return false
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
    const real = await this.#place(path)
    if (real === undefined) return undefined
    const file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined)
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
    await this.#demandFolder(folder)
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

  /** As the domain asks for it. Scripts that a command would print are refused here. */
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
