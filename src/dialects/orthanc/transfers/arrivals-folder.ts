// A transfer on its way in: a folder with the list of what comes, the bytes that have come, and which buckets they are.
// A bucket counts when its bytes are on the disk, so that a transfer goes on after a crash where it was.

import { mkdir, open, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bucketCount, bucketRange, type Manifest, totalBytes } from './manifest.ts'

const committedMark = 'committed'

export class ArrivalsFolder {
  readonly path: string
  readonly manifest: Manifest
  readonly #received: Set<number>
  #marking: Promise<void> = Promise.resolve()

  private constructor(path: string, manifest: Manifest, received: Set<number>) {
    this.path = path
    this.manifest = manifest
    this.#received = received
  }

  /** The transfer that was begun in a folder; undefined when there is none. */
  static async find(path: string): Promise<ArrivalsFolder | undefined> {
    const text = await readFile(join(path, 'manifest.json'), 'utf8').catch(ifAbsent)
    if (text === undefined) return undefined
    const manifest = JSON.parse(text) as Manifest
    const marks = (await readFile(join(path, 'received'), 'utf8').catch(ifAbsent)) ?? ''
    const count = bucketCount(manifest)
    // The last line may be half written: only whole ones count.
    const received = marks
      .slice(0, marks.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(Boolean)
      .map(Number)
      .filter(bucket => Number.isInteger(bucket) && bucket >= 0 && bucket < count)
    return new ArrivalsFolder(path, manifest, new Set(received))
  }

  /** Begins a transfer. */
  static async make(path: string, manifest: Manifest): Promise<ArrivalsFolder> {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const content = await open(join(path, 'content'), 'w', 0o600)
    try {
      await content.truncate(totalBytes(manifest))
      await content.sync()
    } finally {
      await content.close()
    }
    await writeFile(join(path, 'received'), '')
    const draft = join(path, 'manifest.tmp')
    await writeFile(draft, JSON.stringify(manifest), { flush: true })
    await rename(draft, join(path, 'manifest.json'))
    return new ArrivalsFolder(path, manifest, new Set())
  }

  get contentPath(): string {
    return join(this.path, 'content')
  }

  has(bucket: number): boolean {
    return this.#received.has(bucket)
  }

  received(): number[] {
    return [...this.#received].sort((a, b) => a - b)
  }

  missing(): number[] {
    return Array.from({ length: bucketCount(this.manifest) }, (_, bucket) => bucket).filter(
      bucket => !this.#received.has(bucket),
    )
  }

  /** Keeps a bucket; it has the right length. */
  async put(bucket: number, bytes: Uint8Array): Promise<void> {
    const { from } = bucketRange(this.manifest, bucket)
    const content = await open(this.contentPath, 'r+')
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await content.write(bytes, done, bytes.length - done, from + done)
        done += bytesWritten
      }
      await content.datasync()
    } finally {
      await content.close()
    }
    await this.#mark(`${bucket}\n`)
    this.#received.add(bucket)
  }

  /** Takes buckets back that turned out to be wrong. */
  async drop(buckets: readonly number[]): Promise<void> {
    for (const bucket of buckets) this.#received.delete(bucket)
    await this.#marking
    await writeFile(
      join(this.path, 'received'),
      this.received()
        .map(each => `${each}\n`)
        .join(''),
      {
        flush: true,
      },
    )
  }

  async isCommitted(): Promise<boolean> {
    return (await readFile(join(this.path, committedMark)).catch(ifAbsent)) !== undefined
  }

  /** Everything is stored: only the mark stays, for a sender that asks again. */
  async noteCommitted(): Promise<void> {
    await writeFile(join(this.path, committedMark), '', { flush: true })
    await rm(this.contentPath, { force: true })
  }

  /** Tells a sweep that somebody is still at it. */
  async touch(now: number): Promise<void> {
    await utimes(this.path, now / 1000, now / 1000)
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true })
  }

  /** One mark after another: lines of two must not mix. */
  #mark(line: string): Promise<void> {
    this.#marking = this.#marking.then(async () => {
      const marks = await open(join(this.path, 'received'), 'a')
      try {
        await marks.writeFile(line)
        await marks.datasync()
      } finally {
        await marks.close()
      }
    })
    return this.#marking
  }
}

function ifAbsent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
