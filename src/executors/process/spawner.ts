// Starts processes that outlive us, tells what became of them, and finds them again after a restart.
// The front door for executors that run programs: process/ itself, and container/ whose programs are bwrap or podman.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { StopRequest } from '../../core/job-state.ts'
import type { Chunk } from '../executor.ts'
import { isFileKey, makeStreamFolders, readStream, removeStreams, streamPath } from '../stream-files.ts'
import { KeeperWatch } from './keeper-watch.ts'
import { LauncherLife } from './launcher-life.ts'
import type { KeeperNews } from './launcher-link.ts'
import { findMemoryLimiter, type MemoryLimiter, removeMemoryGroups } from './memory-limit.ts'
import { isStillAlive, killMarked } from './processes.ts'
import { type SlotEntry, SlotTable } from './slot-table.ts'
import {
  beginEntry,
  currentNews,
  type Entry,
  endEntry,
  foundEntry,
  isOver,
  launchEnding,
  loseEntry,
  type SpawnNews,
  sentEntry,
  signalKeeper,
} from './spawn-entry.ts'
import { launcherFrame, orderProblem, type SpawnOrder } from './spawn-order.ts'

/** What a spawner is made with. */
export interface SpawnerOptions {
  /** The spool: table, lock and streams. One spawner at a time uses it. */
  readonly folder: string
  onNews(news: readonly SpawnNews[]): void
  readonly perl?: string
  /** How memory is limited, if not as is found out at open. */
  readonly memoryLimiter?: MemoryLimiter
  /** How long to wait for an earlier launcher that is still finishing; 30 s unless given. */
  readonly lockWaitMs?: number
}

const whys: readonly StopRequest[] = ['cancel', 'pause', 'kill', 'expire']
const keptMsMax = 30 * 24 * 3600 * 1000

/** The attempts of one folder, from their orders to the news of their ends. */
export class Spawner {
  readonly #options: SpawnerOptions
  readonly #table: SlotTable
  readonly #entries = new Map<string, Entry>()
  readonly #launcher: LauncherLife
  readonly #watch: KeeperWatch
  #memory: MemoryLimiter | undefined

  constructor(options: SpawnerOptions) {
    this.#options = options
    this.#table = new SlotTable(join(options.folder, 'attempts'))
    this.#launcher = new LauncherLife({
      tablePath: this.#table.path,
      lockPath: join(options.folder, 'lock'),
      lockWaitMs: options.lockWaitMs ?? 30_000,
      perl: options.perl ?? 'perl',
      onNews: news => this.#hear(news),
      onReplaced: () => this.#sendAgain(),
      onFailed: problem => this.#giveUpSent(problem),
    })
    this.#watch = new KeeperWatch({
      entries: this.#entries,
      table: this.#table,
      tell: news => this.#tell(news),
    })
  }

  /** Takes over the spool. Throws when the launcher cannot be started or another server uses the folder. */
  async open(): Promise<void> {
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 })
    makeStreamFolders(this.#options.folder)
    // The launcher first: once it is ready, no start of an earlier launcher can still be under way.
    await this.#launcher.open()
    const { entries, sameBoot } = this.#table.open()
    const gone = new Set<string>()
    for (const found of entries) {
      // Nobody asked for it in all that time: whoever would have is gone.
      if (found.ending && found.ending.endedAt < Date.now() - keptMsMax) {
        this.#table.free(found.slot)
        continue
      }
      const entry = foundEntry(found, sameBoot)
      this.#entries.set(entry.key, entry)
      if (entry.state !== 'running' || isStillAlive(entry.keeperPid, entry.keeperTicks)) continue
      loseEntry(entry, this.#table.read(entry.slot))
      gone.add(entry.key)
    }
    // Before anybody hears that it is lost and starts another in its place.
    if (gone.size > 0) await killMarked(gone)
    this.#watch.open()
  }

  /** Starts these, each once: for one that is known already, the news is what became of it. */
  spawn(orders: readonly SpawnOrder[]): void {
    const news: SpawnNews[] = []
    const frames: Buffer[] = []
    for (const order of orders) {
      const known = this.#entries.get(order.key)
      if (known) {
        news.push(...this.#adopt(known))
        continue
      }
      const problem = this.#launcher.isClosed ? 'the spawner is closed' : orderProblem(order)
      if (problem !== undefined) {
        news.push({ key: order.key, type: 'ended', ending: launchEnding(problem) })
        continue
      }
      try {
        frames.push(this.#enter(order).frame!)
      } catch (error) {
        news.push({ key: order.key, type: 'ended', ending: launchEnding((error as Error).message) })
      }
    }
    // While a launcher is being started, its orders wait in the entries and are sent when it is ready.
    this.#launcher.send(frames)
    if (news.length > 0) setImmediate(() => this.#tell(news))
  }

  /** Whether anything is known of it. */
  has(key: string): boolean {
    return this.#entries.has(key)
  }

  /** What became of an attempt; undefined when no trace is found. From then on its further news is told. */
  look(key: string): SpawnNews | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    return this.#adopt(entry).at(-1) ?? currentNews(entry)
  }

  /** The process id of the launcher, for those who watch it. */
  get launcherPid(): number | undefined {
    return this.#launcher.pid
  }

  /** The keys of all that is not forgotten. */
  keys(): string[] {
    return [...this.#entries.keys()]
  }

  /** Asks it to end (TERM, by force after its grace time) or ends it. The end is told as news. */
  stop(key: string, how: 'ask' | 'kill', why: StopRequest): void {
    const entry = this.#entries.get(key)
    if (!entry) return
    const isNews = entry.isUnasked
    if (isNews) this.#adopt(entry)
    if (isOver(entry)) {
      if (isNews) setImmediate(() => this.#tell([currentNews(entry)]))
      return
    }
    const signal = 40 + 2 * Math.max(0, whys.indexOf(why)) + (how === 'kill' ? 1 : 0)
    if (entry.state === 'sent') entry.stopSignals.push(signal)
    else signalKeeper(entry, signal)
  }

  /** Bytes of a stream that went to the spawner's own folder. */
  async read(key: string, stream: 'out' | 'err', from: number, maxBytes: number): Promise<Chunk | undefined> {
    if (!isFileKey(key)) return undefined
    const path = streamPath(this.#options.folder, key, stream)
    const chunk = await readStream(path, from, maxBytes)
    // Empty streams are not kept, but they are streams.
    return chunk ?? (this.#entries.has(key) ? { bytes: new Uint8Array(), sizeBytes: 0 } : undefined)
  }

  /** Drops what is kept of attempts that have ended; with their streams in the spawner's own folder when said. */
  forget(keys: readonly string[], { streams }: { streams: boolean }): void {
    for (const key of keys) {
      const entry = this.#entries.get(key)
      if (entry && isOver(entry)) {
        this.#entries.delete(key)
        this.#table.free(entry.slot)
      }
    }
    if (streams)
      removeStreams(
        this.#options.folder,
        keys.filter(key => isFileKey(key) && !this.#entries.has(key)),
      )
  }

  /** Lets go of everything that runs; it goes on, and is found by the next open. */
  async close(): Promise<void> {
    if (this.#launcher.isClosed) return
    this.#watch.close()
    await this.#launcher.close()
    this.#table.close()
    this.#entries.clear()
    if (this.#memory) removeMemoryGroups(this.#memory)
  }

  #enter(order: SpawnOrder): Entry {
    const slot = this.#table.take()
    const memory = order.limits?.memoryBytes === undefined ? undefined : this.#memoryLimiter()
    const frame = launcherFrame(order, { slot, folder: this.#options.folder, memory })
    const entry = sentEntry(order.key, slot, frame)
    this.#entries.set(order.key, entry)
    return entry
  }

  /** Found out when it is needed first: trying takes some milliseconds, and most servers limit no memory. */
  #memoryLimiter(): MemoryLimiter {
    this.#memory ??= this.#options.memoryLimiter ?? findMemoryLimiter(this.#options.folder)
    return this.#memory
  }

  /** After the launcher was killed: what it had not started yet is handed to the new one. */
  #sendAgain(): void {
    const frames: Buffer[] = []
    const news: SpawnNews[] = []
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'sent') continue
      const found = this.#table.read(entry.slot)
      if (found?.key === entry.key) news.push(...this.#takeOver(entry, found))
      else if (entry.frame) frames.push(entry.frame)
    }
    this.#launcher.send(frames)
    this.#tell(news)
  }

  /** No launcher can be had: what waits for one never runs. */
  #giveUpSent(problem: string): void {
    const waiting = [...this.#entries.values()].filter(entry => entry.state === 'sent')
    this.#tell(waiting.map(entry => endEntry(entry, launchEnding(problem))))
  }

  #hear(items: readonly KeeperNews[]): void {
    if (this.#launcher.isClosed) return
    const news: SpawnNews[] = []
    for (const item of items) {
      const entry = this.#entries.get(item.key)
      if (!entry || isOver(entry)) continue
      if (item.type === 'ended') news.push(endEntry(entry, item.ending))
      else if (item.type === 'forked') {
        if (entry.state === 'sent') entry.keeperPid = item.pid
      } else if (entry.state === 'sent') {
        entry.keeperPid = item.pid
        entry.keeperTicks = item.ticks
        news.push(beginEntry(entry, item.at))
      }
    }
    this.#tell(news)
  }

  /** Makes an entry found on disk, or started by a launcher that is gone, one that we watch. */
  #takeOver(entry: Entry, found: SlotEntry): SpawnNews[] {
    entry.keeperPid = found.keeperPid
    entry.keeperTicks = found.keeperTicks
    const began = entry.state === 'sent' ? [beginEntry(entry, found.startedAt)] : []
    if (found.ending) return [...began, endEntry(entry, found.ending)]
    this.#watch.poll(entry)
    return began
  }

  /** What to tell of an entry that was found at open and is asked for now; nothing for any other. */
  #adopt(entry: Entry): SpawnNews[] {
    if (!entry.isUnasked) return []
    entry.isUnasked = false
    if (entry.state === 'running') {
      const found = this.#table.read(entry.slot)
      if (found?.ending) endEntry(entry, found.ending)
      else this.#watch.poll(entry)
    }
    return [currentNews(entry)]
  }

  #tell(news: readonly SpawnNews[]): void {
    if (news.length > 0 && !this.#launcher.isClosed) this.#options.onNews(news)
  }
}
