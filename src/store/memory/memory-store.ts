// The store in memory: for tests, for the simulation and for `--memory`. Its data lives in a MemoryDisk that is
// handed in, so that a crash is the loss of the store and not of the disk.

import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isFinal } from '../../core/job-state.ts'
import { refuse } from '../../core/refusal.ts'
import type { Blobs } from '../blobs.ts'
import { type Changes, type History, type HotSet, type Records, type Store, StoreFailed } from '../store.ts'
import { applyChanges, copyChanges } from './apply.ts'
import { copyFlow, copyJob, copyNode } from './copy.ts'
import { MemoryDisk } from './disk.ts'
import { MemoryHistory } from './history.ts'
import { MemoryRecords } from './records.ts'

/** Blobs that want to hear which of them nobody names any more, after the commit that said so. */
export interface MemoryBlobs extends Blobs {
  discard?(hashes: readonly string[], isNamed: (hash: string) => boolean): void
  /** Takes small content that comes with a batch. */
  placeNow?(hash: string, bytes: Uint8Array): void
}

export interface MemoryStoreOptions {
  /** What was kept by a store before this one; a fresh disk unless said. */
  readonly disk?: MemoryDisk
  /** Where bytes go; without it, every use of blobs is refused. */
  readonly blobs?: MemoryBlobs
  /**
   * Stands between a commit and the disk. It is called at once with a copy of the batch, and decides: call `apply` to
   * make it durable, throw (before or after that) to fail the commit, resolve when the commit may resolve.
   * Without it every commit is applied at once.
   */
  readonly onCommit?: (apply: () => void, changes: Changes) => void | Promise<void>
}

export class MemoryStore implements Store {
  readonly disk: MemoryDisk
  readonly history: History
  readonly records: Records
  readonly #options: MemoryStoreOptions
  #state: 'new' | 'open' | 'closed' = 'new'

  constructor(options: MemoryStoreOptions = {}) {
    this.#options = options
    this.disk = options.disk ?? new MemoryDisk()
    const live = () => this.#mustBeOpen()
    this.history = new MemoryHistory(this.disk, live)
    this.records = new MemoryRecords(this.disk, live)
  }

  get blobs(): Blobs {
    return (
      this.#options.blobs ?? refuse('not-supported', 'This memory store was made without a place for blobs')
    )
  }

  async open(): Promise<HotSet> {
    if (this.#state === 'closed') throw new StoreFailed('broken', 'The store is closed')
    const { disk } = this
    if (disk.holder !== undefined && disk.holder !== this)
      throw new StoreFailed('locked', 'Another store has this memory disk open')
    disk.holder = this
    this.#state = 'open'
    const flows = [...disk.flows.values()].filter(flow => flow.endedAt === null).sort((a, b) => a.n - b.n)
    return {
      jobs: [...disk.jobs.values()]
        .filter(job => !isFinal(job.state))
        .sort((a, b) => a.n - b.n)
        .map(copyJob),
      flows: flows.map(copyFlow),
      nodes: flows.flatMap(flow =>
        [...(disk.nodes.get(flow.n)?.values() ?? [])]
          .sort((a, b) => a.step - b.step || a.index - b.index)
          .map(copyNode),
      ),
      lastN: disk.marks.get('place') ?? 0,
      lastEvent: disk.marks.get('event') ?? 0,
      counters: new Map(disk.counters),
    }
  }

  async commit(changes: Changes): Promise<void> {
    this.#mustBeOpen()
    const batch = copyChanges(changes)
    let applied = false
    const apply = () => {
      // A store that crashed meanwhile cannot write any more, however late its commit gets its turn.
      this.#mustBeOpen()
      if (applied) return
      this.#placeBlobs(batch)
      const { unnamedBlobs } = applyChanges(this.disk, batch)
      applied = true
      if (unnamedBlobs.length > 0)
        this.#options.blobs?.discard?.(unnamedBlobs, hash => this.disk.blobs.has(hash))
    }
    if (this.#options.onCommit === undefined) apply()
    else await this.#options.onCommit(apply, batch)
  }

  async blobCount(hash: string): Promise<number> {
    this.#mustBeOpen()
    return this.disk.blobs.get(hash) ?? 0
  }

  async backup(target: string): Promise<void> {
    this.#mustBeOpen()
    const text = this.disk.write()
    const place = await stat(target).catch(() => undefined)
    const file = place?.isDirectory() ? join(target, 'memory.json') : target
    if (place !== undefined && !place.isDirectory()) refuse('conflict', `${target} exists already`)
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(`${file}.part`, text, { flush: true, mode: 0o600 })
    await rename(`${file}.part`, file)
  }

  /** Bytes come before the rows that name them: if the rows fail, a sweep finds what nobody names. */
  #placeBlobs({ blobs }: Changes): void {
    for (const { hash, bytes } of blobs) {
      if (bytes === undefined) continue
      const place = this.#options.blobs?.placeNow
      if (place === undefined)
        refuse('not-supported', 'This memory store was made without a place for small blobs')
      place.call(this.#options.blobs, hash, bytes)
    }
  }

  /** Ends the store as a power cut would: what was applied stays on the disk, nothing more is written. */
  crash(): void {
    this.#state = 'closed'
    if (this.disk.holder === this) this.disk.holder = undefined
  }

  async close(): Promise<void> {
    this.crash()
  }

  #mustBeOpen(): void {
    if (this.#state !== 'open') throw new StoreFailed('broken', 'The store is not open')
  }
}
