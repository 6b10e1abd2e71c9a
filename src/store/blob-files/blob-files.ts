// Blobs as files: ab/cd/<hash> below one folder, made in tmp/ and moved. A file is on the disk before its name is, and
// its name before anybody is told. Several instances may use one folder at a time (worker threads do): what is young
// is never removed, whoever wrote it.

import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { Refused, refuse } from '../../core/refusal.ts'
import type { BlobPlace, BlobRef, Blobs } from '../blobs.ts'
import { StoreFailed } from '../store.ts'
import { DirectoryFlusher } from './directory-flusher.ts'
import { IncomingFile } from './incoming-file.ts'

export interface BlobFilesOptions {
  /**
   * How long a blob is safe after it was written, even if nothing names it yet: longer than any batch takes to be
   * committed.
   */
  readonly youthMs?: number
  /** Small blobs that are kept elsewhere: the bytes of one, if it is among them. */
  readonly small?: { readonly bytesMax: number; find(hash: string): Uint8Array | undefined }
}

/** Temporary files that nobody has touched for this long belong to nobody. */
const scratchMsMax = 24 * 3600 * 1000
/** Up to this size a blob costs less among the rows of a store than as a file: a file is three flushes of its own. */
export const smallBytesMax = 64 * 1024
/** How many blobs are remembered for removal; a sweep finds those beyond. */
const discardedMax = 100_000

export class BlobFiles implements Blobs {
  readonly #folder: string
  readonly #scratch: string
  readonly #youthMs: number
  readonly #small: NonNullable<BlobFilesOptions['small']>
  readonly #flusher = new DirectoryFlusher()
  readonly #kept = new Map<string, number>()
  /** Folders that exist and are known to be on the disk. */
  readonly #folders = new Map<string, Promise<void>>()
  /** No longer named, and to be removed; some of them are too young and are looked at again later. */
  #discarded: string[] = []
  #young: string[] = []
  #soon: NodeJS.Immediate | undefined
  #later: NodeJS.Timeout | undefined

  constructor(folder: string, options: BlobFilesOptions = {}) {
    this.#folder = folder
    this.#scratch = join(folder, 'tmp')
    this.#youthMs = options.youthMs ?? 600_000
    this.#small = options.small ?? { bytesMax: smallBytesMax, find: () => undefined }
  }

  get smallBytesMax(): number {
    return this.#small.bytesMax
  }

  async write(
    source: AsyncIterable<Uint8Array>,
    options: { limitBytes?: number; expectHash?: string } = {},
  ): Promise<BlobRef> {
    const { limitBytes = Infinity, expectHash } = options
    // A stream may fail before it is read below; it remembers that, and an error nobody listened to would end the server.
    if (source instanceof Readable) source.on('error', () => {})
    const incoming = new IncomingFile(await this.scratchFile())
    try {
      for await (const chunk of source) {
        if (incoming.sizeBytes + chunk.byteLength > limitBytes) {
          refuse('too-large', `The content is larger than the ${limitBytes} bytes that are allowed here`)
        }
        await incoming.add(chunk)
      }
      const hash = incoming.digest()
      if (expectHash !== undefined && expectHash.toLowerCase() !== hash) {
        refuse('bad-request', `The content's SHA-256 is ${hash}, not ${expectHash} as announced`)
      }
      const { sizeBytes } = incoming
      if (!(await this.#renew(hash, sizeBytes))) await this.#place(await incoming.settle(), hash)
      await this.#flusher.flush(dirname(this.#fileOf(hash)))
      return { hash, sizeBytes }
    } catch (error) {
      throw blobFailure(error, this.#folder)
    } finally {
      await incoming.drop()
    }
  }

  async adopt(file: string): Promise<BlobRef> {
    try {
      const handle = await open(file, 'r+')
      const hashing = createHash('sha256')
      let sizeBytes = 0
      try {
        for await (const chunk of handle.createReadStream({ autoClose: false, highWaterMark: 1 << 20 })) {
          hashing.update(chunk as Uint8Array)
          sizeBytes += (chunk as Uint8Array).byteLength
        }
        await handle.sync()
      } finally {
        await handle.close()
      }
      const hash = hashing.digest('hex')
      if (await this.#renew(hash, sizeBytes)) await rm(file)
      else await this.#place(file, hash)
      await this.#flusher.flush(dirname(this.#fileOf(hash)))
      return { hash, sizeBytes }
    } catch (error) {
      throw blobFailure(error, this.#folder)
    }
  }

  async stat(hash: string): Promise<BlobRef | undefined> {
    if (!isHash(hash)) return undefined
    const small = this.#small.find(hash)
    if (small !== undefined) return { hash, sizeBytes: small.length }
    const found = await stat(this.#fileOf(hash)).catch(ifAbsent)
    return found && { hash, sizeBytes: found.size }
  }

  open(hash: string, range?: { from: number; to: number }): Readable {
    const place = this.find(hash)
    if ('bytes' in place) {
      const bytes = range === undefined ? place.bytes : place.bytes.subarray(range.from, range.to)
      return Readable.from(bytes.length > 0 ? [bytes] : [], { objectMode: false })
    }
    if (range === undefined) return createReadStream(place.path)
    if (range.to <= range.from) return Readable.from([])
    return createReadStream(place.path, { start: range.from, end: range.to - 1 })
  }

  find(hash: string): BlobPlace {
    // The hash becomes part of a path, and may have come from a request.
    if (!isHash(hash)) refuse('bad-request', 'A blob is named by 64 lower-case hexadecimal digits')
    const bytes = this.#small.find(hash)
    return bytes === undefined ? { path: this.#fileOf(hash) } : { bytes }
  }

  /** Puts small content in its place at once, for a store that promises no durability. */
  placeNow(hash: string, bytes: Uint8Array): void {
    const file = this.#fileOf(hash)
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const draft = `${file}.${randomBytes(6).toString('base64url')}`
    writeFileSync(draft, bytes, { mode: 0o600 })
    renameSync(draft, file)
  }

  path(hash: string): string {
    const place = this.find(hash)
    if ('path' in place) return place.path
    const file = this.#fileOf(hash)
    // Whoever needs a file gets one; a sweep takes it when nobody names the blob any more.
    if (!existsSync(file)) this.placeNow(hash, place.bytes)
    return file
  }

  async scratchFile(): Promise<string> {
    await this.#giveFolder(this.#scratch)
    return join(this.#scratch, `${process.pid}-${randomBytes(9).toString('base64url')}`)
  }

  keep(hash: string): () => void {
    this.#kept.set(hash, (this.#kept.get(hash) ?? 0) + 1)
    let isLetGo = false
    return () => {
      if (isLetGo) return
      isLetGo = true
      const count = this.#kept.get(hash)! - 1
      if (count === 0) this.#kept.delete(hash)
      else this.#kept.set(hash, count)
    }
  }

  async sweep(isNamed: (hash: string) => Promise<boolean>): Promise<{ removed: number }> {
    let removed = 0
    for (const outer of await list(this.#folder)) {
      if (outer.length !== 2) continue
      for (const inner of await list(join(this.#folder, outer))) {
        for (const hash of await list(join(this.#folder, outer, inner))) {
          if (isHash(hash) && !(await isNamed(hash)) && this.#remove(hash) === 'removed') removed++
        }
      }
    }
    await this.#sweepScratch()
    return { removed }
  }

  /**
   * Removes blobs that nobody names any more, soon: the old ones in a moment, the young ones when they have grown old.
   * `isNamed` is asked again right before. What cannot be removed is left to a sweep.
   */
  discard(hashes: readonly string[], isNamed: (hash: string) => boolean): void {
    for (const hash of hashes) if (this.#discarded.length < discardedMax) this.#discarded.push(hash)
    this.#soon ??= setImmediate(() => this.#removeSome(isNamed))
  }

  /** Forgets what was still to be removed; files stay as they are. */
  close(): void {
    clearImmediate(this.#soon)
    clearTimeout(this.#later)
    this.#soon = undefined
    this.#later = undefined
    this.#discarded = []
    this.#young = []
  }

  // In small pieces, because thousands may lose their name at a time and nobody waits for this.
  #removeSome(isNamed: (hash: string) => boolean): void {
    for (const hash of this.#discarded.splice(0, 50)) {
      try {
        if (!isNamed(hash) && this.#remove(hash) === 'young') this.#young.push(hash)
      } catch {
        // A sweep will meet the same file, and its caller hears of it.
      }
    }
    this.#soon = this.#discarded.length > 0 ? setImmediate(() => this.#removeSome(isNamed)) : undefined
    if (this.#young.length === 0 || this.#later !== undefined) return
    this.#later = setTimeout(() => {
      this.#later = undefined
      this.discard(this.#young.splice(0), isNamed)
    }, this.#youthMs + 1000)
    this.#later.unref()
  }

  // Between the look at its age and the removal, another thread may have taken a blob for its own (#renew). So it is
  // moved away first and looked at again; a renewed one goes back.
  #remove(hash: string): 'removed' | 'young' | 'kept' {
    if (!isHash(hash) || this.#kept.has(hash)) return 'kept'
    const file = this.#fileOf(hash)
    const away = join(this.#scratch, `${process.pid}-${hash}`)
    const isYoung = (path: string) => Date.now() - statSync(path).mtimeMs < this.#youthMs
    try {
      if (isYoung(file)) return 'young'
      renameSync(file, away)
      if (isYoung(away)) {
        renameSync(away, file)
        return 'young'
      }
      rmSync(away)
      return 'removed'
    } catch (error) {
      if (isAbsent(error)) return 'removed'
      throw blobFailure(error, this.#folder)
    }
  }

  /** Whether the blob is there already; if so it is young again, so that no sweep takes it before it is named. */
  async #renew(hash: string, sizeBytes: number): Promise<boolean> {
    const file = this.#fileOf(hash)
    try {
      if ((await stat(file)).size !== sizeBytes) return false
      const now = new Date()
      await utimes(file, now, now)
      return (await stat(file)).size === sizeBytes
    } catch (error) {
      if (isAbsent(error)) return false
      throw error
    }
  }

  async #place(file: string, hash: string): Promise<void> {
    const target = this.#fileOf(hash)
    await this.#giveFolder(dirname(target))
    const now = new Date()
    await utimes(file, now, now)
    await rename(file, target)
  }

  /** Makes a folder and those above it, each on the disk before something is put into it. */
  #giveFolder(folder: string): Promise<void> {
    let made = this.#folders.get(folder)
    if (made === undefined) {
      made = this.#makeFolder(folder)
      this.#folders.set(folder, made)
      made.catch(() => this.#folders.delete(folder))
    }
    return made
  }

  async #makeFolder(folder: string): Promise<void> {
    if (folder === this.#folder) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
    } else {
      await this.#giveFolder(dirname(folder))
      await mkdir(folder, { mode: 0o700 }).catch(error => {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      })
    }
    await this.#flusher.flush(dirname(folder))
  }

  #fileOf(hash: string): string {
    return join(this.#folder, hash.slice(0, 2), hash.slice(2, 4), hash)
  }

  async #sweepScratch(): Promise<void> {
    for (const name of await list(this.#scratch)) {
      const file = join(this.#scratch, name)
      const found = await stat(file).catch(ifAbsent)
      if (found !== undefined && Date.now() - found.mtimeMs > scratchMsMax)
        await rm(file, { force: true, recursive: true })
    }
  }
}

function isHash(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

async function list(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(ifAbsent)) ?? []
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

function ifAbsent(error: unknown): undefined {
  if (!isAbsent(error)) throw error
}

// A disk without space is the store's trouble; refusals and the source's own errors go through as they are.
function blobFailure(error: unknown, folder: string): unknown {
  if (error instanceof Refused) return error
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StoreFailed('full', `There is no space left for blobs in ${folder}`, error)
  }
  return error
}
