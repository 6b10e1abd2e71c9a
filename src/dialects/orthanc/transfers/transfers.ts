// Where transfers on their way in are kept, and those that are being pushed to us.

import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Kit } from '../../dialect.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import type { Origin } from '../upload.ts'
import { ArrivalsFolder } from './arrivals-folder.ts'
import { bucketRange, type Manifest } from './manifest.ts'
import { type Compression, unpack } from './send-bytes.ts'
import { takeIn } from './take-in.ts'

/** A push that nobody has touched for so long is given up. */
const idleMsMax = 24 * 3600 * 1000
/** A push that is this quiet does not count against the limit. */
const quietMsMax = 10 * 60 * 1000
const pushPrefix = 'push-'
const pullPrefix = 'pull-'

export class Transfers {
  readonly #kit: Kit
  readonly #folder: string
  readonly #pushes = new Map<string, Promise<ArrivalsFolder | undefined>>()
  readonly #commits = new Map<string, Promise<void>>()

  constructor(kit: Kit) {
    this.#kit = kit
    this.#folder = join(kit.dir, 'transfers')
  }

  /** Removes what belongs to jobs that are forgotten, and pushes that were given up. */
  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name)
      if (name.startsWith(pullPrefix)) {
        const job = await this.#kit.engine.job({ id: name.slice(pullPrefix.length) })
        if (!job || job.state === 'succeeded') await rm(path, { recursive: true, force: true })
      } else if (await this.#isOlder(path, idleMsMax)) await rm(path, { recursive: true, force: true })
    }
  }

  pullPath(job: string): string {
    return join(this.#folder, pullPrefix + job)
  }

  /** Begins a push, or finds the one that this sender has begun. */
  async openPush(
    house: House,
    sender: string,
    manifest: Manifest,
  ): Promise<{ id: string; folder: ArrivalsFolder }> {
    const id = createHash('sha256')
      .update(JSON.stringify([sender, manifest]))
      .digest('hex')
      .slice(0, 40)
    const known = await this.findPush(id)
    if (known) {
      await known.touch(this.#kit.clock.now())
      return { id, folder: known }
    }
    await this.#sweep()
    if ((await this.#busyCount()) >= house.settings.transfers.pushesMax) {
      fail(codes.unavailable, 'Too many transfers are being pushed to this server')
    }
    const making = ArrivalsFolder.make(this.#pushPath(id), manifest)
    this.#pushes.set(id, making)
    making.catch(() => this.#pushes.delete(id))
    return { id, folder: await making }
  }

  findPush(id: string): Promise<ArrivalsFolder | undefined> {
    let found = this.#pushes.get(id)
    if (found === undefined) {
      found = ArrivalsFolder.find(this.#pushPath(id))
      this.#pushes.set(id, found)
      const forget = (): void => void this.#pushes.delete(id)
      found.then(folder => folder ?? forget(), forget)
    }
    return found
  }

  async needPush(id: string): Promise<ArrivalsFolder> {
    const isName = /^[0-9a-f]{40}$/.test(id)
    return (
      (isName ? await this.findPush(id) : undefined) ??
      fail(codes.unknownResource, `There is no transfer ${id}`)
    )
  }

  /** Takes a bucket of a push in; one that is there already changes nothing. */
  async putBucket(id: string, bucket: number, packed: Buffer, compression: Compression): Promise<void> {
    const folder = await this.needPush(id)
    const { from, to } = bucketRange(folder.manifest, bucket)
    if (!(from < to)) fail(codes.outOfRange, `There is no bucket ${bucket}`)
    if (folder.has(bucket)) return
    await folder.put(bucket, await unpack(packed, compression, to - from))
    await folder.touch(this.#kit.clock.now())
  }

  /** Stores what was pushed. Asked again, it answers as at the first time. */
  commit(house: House, id: string, origin: Origin): Promise<void> {
    let running = this.#commits.get(id)
    if (!running) {
      running = this.#commit(house, id, origin).finally(() => this.#commits.delete(id))
      this.#commits.set(id, running)
    }
    return running
  }

  async #commit(house: House, id: string, origin: Origin): Promise<void> {
    const folder = await this.needPush(id)
    if (await folder.isCommitted()) return
    const missing = folder.missing()
    if (missing.length > 0) fail(codes.badSequence, `${missing.length} buckets have not come yet`)
    await takeIn(house, folder, { origin })
    await folder.noteCommitted()
  }

  async discard(id: string): Promise<void> {
    const folder = await this.needPush(id)
    this.#pushes.delete(id)
    await folder.remove()
  }

  #pushPath(id: string): string {
    return join(this.#folder, pushPrefix + id)
  }

  async #isOlder(path: string, ms: number): Promise<boolean> {
    const found = await stat(path).catch(() => undefined) // Gone meanwhile: then there is nothing to be old.
    return found !== undefined && this.#kit.clock.now() - found.mtimeMs > ms
  }

  async #pushNames(): Promise<string[]> {
    return (await readdir(this.#folder)).filter(name => name.startsWith(pushPrefix))
  }

  async #busyCount(): Promise<number> {
    let count = 0
    for (const name of await this.#pushNames()) {
      if (await this.#isOlder(join(this.#folder, name), quietMsMax)) continue
      const folder = await this.findPush(name.slice(pushPrefix.length))
      if (folder && !(await folder.isCommitted())) count++
    }
    return count
  }

  async #sweep(): Promise<void> {
    for (const name of await this.#pushNames()) {
      const path = join(this.#folder, name)
      if (!(await this.#isOlder(path, idleMsMax))) continue
      this.#pushes.delete(name.slice(pushPrefix.length))
      await rm(path, { recursive: true, force: true })
    }
  }
}
