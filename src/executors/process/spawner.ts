// Starts processes that outlive us, tells what became of them, and finds them again after a restart.
// The front door for executors that run programs: process/ itself, and container/ whose programs are bwrap or podman.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { StopRequest } from '../../core/job-state.ts'
import type { Chunk } from '../executor.ts'
import { isFileKey, makeStreamFolders, readStream, removeStreams, streamPath } from '../stream-files.ts'
import type { Ending } from './ending.ts'
import { type KeeperNews, type LauncherLink, orderFrame, startLauncher } from './launcher-link.ts'
import { findMemoryLimiter, type MemoryLimiter, removeMemoryGroups } from './memory-limit.ts'
import { isStillAlive, killMarked, markName } from './processes.ts'
import { type SlotEntry, SlotTable } from './slot-table.ts'

export { isFileKey as isSpawnKey } from '../stream-files.ts'

export interface SpawnOrder {
  /** Names the attempt for ever: the same key never starts a second program. Letters, digits, `-`, `_`, `.`. */
  readonly key: string
  /** The program, looked up in the PATH of `env` unless it has a slash, and its arguments. */
  readonly argv: readonly string[]
  /** The whole environment; only the mark SWITCHYARD_ATTEMPT is added. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Nothing to read unless given. */
  readonly stdinFile?: string
  /** Where the streams go, if not to the spawner's own folder (read with `read`, removed with `forget`). */
  readonly outFile?: string
  readonly errFile?: string
  /** Files that the program finds open for reading as descriptors 3, 4 … */
  readonly files?: readonly string[]
  readonly limits?: SpawnLimits
  /** From the asking signal (TERM) to the end by force; 10 s unless given. */
  readonly graceMs?: number
  /** What becomes of processes it leaves behind when it ends by itself: ended, unless said. */
  readonly leftovers?: 'end' | 'leave'
}

export interface SpawnLimits {
  readonly memoryBytes?: number
  readonly cpuSeconds?: number
  /** The largest file it may write, streams included. */
  readonly fileBytes?: number
  /** The largest stream; it is ended when one grows beyond. */
  readonly streamBytes?: number
}

export type SpawnNews =
  | { readonly key: string; readonly type: 'began'; readonly at: number }
  | { readonly key: string; readonly type: 'ended'; readonly ending: Ending }
  /** It is gone and left no exit record: its keeper was killed, or the machine restarted. */
  | { readonly key: string; readonly type: 'lost'; readonly message: string }

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

interface Entry {
  readonly key: string
  readonly slot: number
  state: 'sent' | 'running' | 'ended' | 'lost'
  keeperPid: number
  keeperTicks: number
  startedAt: number
  ending: Ending | undefined
  message: string
  /** Found at open; its news is told only after somebody looked for it. */
  unasked: boolean
  /** Its keeper cannot tell us: the table is read from time to time. */
  polled: boolean
  frame: Buffer | undefined
  /** Stops that were asked before its keeper was known. */
  readonly stopSignals: number[]
}

const graceMsDefault = 10_000
const whys: readonly StopRequest[] = ['cancel', 'pause', 'kill', 'expire']
const pollMs = 100
const livenessMs = 2000
const checkedAtOnceMax = 500
const launcherTriesMax = 3
/** A launcher that did not live longer is replaced with less haste. */
const launcherLifeMsMin = 1000
const keptMsMax = 30 * 24 * 3600 * 1000

export class Spawner {
  readonly #options: SpawnerOptions
  readonly #table: SlotTable
  readonly #entries = new Map<string, Entry>()
  #memory: MemoryLimiter | undefined
  #launcher: LauncherLink | undefined
  #state: 'closed' | 'open' | 'starting' = 'closed'
  #pollTimer: NodeJS.Timeout | undefined
  #livenessTimer: NodeJS.Timeout | undefined
  #checkedCount = 0
  #sweeping = false
  #launchedAt = 0

  constructor(options: SpawnerOptions) {
    this.#options = options
    this.#table = new SlotTable(join(options.folder, 'attempts'))
  }

  /** Takes over the spool. Throws when the launcher cannot be started or another server uses the folder. */
  async open(): Promise<void> {
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 })
    makeStreamFolders(this.#options.folder)
    // The launcher first: once it is ready, no start of an earlier launcher can still be under way.
    try {
      await this.#startLauncher()
    } catch (error) {
      this.#state = 'closed'
      throw error
    }
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
      this.#lose(entry)
      gone.add(entry.key)
    }
    // Before anybody hears that it is lost and starts another in its place.
    if (gone.size > 0) await killMarked(gone)
    this.#livenessTimer = setInterval(() => void this.#checkKeepers(), livenessMs)
    this.#livenessTimer.unref()
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
      const problem = this.#state === 'closed' ? 'the spawner is closed' : problemOf(order)
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
    if (frames.length > 0 && this.#launcher) this.#launcher.send(frames)
    else if (frames.length > 0) this.#relaunch()
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
    return this.#launcher?.pid
  }

  /** The keys of all that is not forgotten. */
  keys(): string[] {
    return [...this.#entries.keys()]
  }

  /** Asks it to end (TERM, by force after its grace time) or ends it. The end is told as news. */
  stop(key: string, how: 'ask' | 'kill', why: StopRequest): void {
    const entry = this.#entries.get(key)
    if (!entry) return
    const isNews = entry.unasked
    if (isNews) this.#adopt(entry)
    if (entry.state === 'ended' || entry.state === 'lost') {
      if (isNews) setImmediate(() => this.#tell([currentNews(entry)]))
      return
    }
    const signal = 40 + 2 * Math.max(0, whys.indexOf(why)) + (how === 'kill' ? 1 : 0)
    if (entry.state === 'sent') entry.stopSignals.push(signal)
    else this.#signal(entry, signal)
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
      if (entry && (entry.state === 'ended' || entry.state === 'lost')) {
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
    if (this.#state === 'closed') return
    this.#state = 'closed'
    clearInterval(this.#livenessTimer)
    clearTimeout(this.#pollTimer)
    await this.#launcher?.close()
    this.#launcher = undefined
    this.#table.close()
    this.#entries.clear()
    if (this.#memory) removeMemoryGroups(this.#memory)
  }

  #enter(order: SpawnOrder): Entry {
    const { folder } = this.#options
    const slot = this.#table.take()
    const { limits = {} } = order
    const memory = limits.memoryBytes === undefined ? undefined : this.#memoryLimiter()
    const frame = orderFrame({
      key: order.key,
      slot,
      cwd: order.cwd,
      stdinFile: order.stdinFile ?? '',
      outFile: order.outFile ?? streamPath(folder, order.key, 'out'),
      errFile: order.errFile ?? streamPath(folder, order.key, 'err'),
      spare:
        order.outFile === undefined && order.errFile === undefined ? join(folder, 'spare', `${slot}`) : '',
      graceMs: order.graceMs ?? graceMsDefault,
      leftovers: order.leftovers ?? 'end',
      memoryHow: memory?.how ?? '',
      memoryFolder: memory && memory.how !== 'rlimit' ? join(memory.folder, order.key) : '',
      memoryBytes: limits.memoryBytes ?? 0,
      cpuSeconds: limits.cpuSeconds ?? 0,
      fileBytes: limits.fileBytes ?? 0,
      streamBytes: limits.streamBytes ?? 0,
      files: order.files ?? [],
      argv: order.argv,
      env: [
        ...Object.entries(order.env).map(([name, value]) => `${name}=${value}`),
        `${markName}=${order.key}`,
      ],
    })
    const entry: Entry = {
      key: order.key,
      slot,
      state: 'sent',
      keeperPid: 0,
      keeperTicks: 0,
      startedAt: 0,
      ending: undefined,
      message: '',
      unasked: false,
      polled: false,
      frame,
      stopSignals: [],
    }
    this.#entries.set(order.key, entry)
    return entry
  }

  /** Found out when it is needed first: trying takes some milliseconds, and most servers limit no memory. */
  #memoryLimiter(): MemoryLimiter {
    this.#memory ??= this.#options.memoryLimiter ?? findMemoryLimiter(this.#options.folder)
    return this.#memory
  }

  async #startLauncher(): Promise<void> {
    this.#state = 'starting'
    const launcher = await startLauncher({
      tablePath: this.#table.path,
      lockPath: join(this.#options.folder, 'lock'),
      lockWaitMs: this.#options.lockWaitMs ?? 30_000,
      perl: this.#options.perl ?? 'perl',
      onNews: news => this.#hear(news),
      onGone: () => {
        this.#launcher = undefined
        this.#relaunch()
      },
    })
    // The await has let others run: it may have been closed meanwhile.
    if ((this.#state as string) === 'closed') return launcher.close()
    this.#launcher = launcher
    this.#launchedAt = performance.now()
    this.#state = 'open'
  }

  /** After the launcher was killed: what it had not started yet is handed to a new one. */
  #relaunch(): void {
    if (this.#state !== 'open') return
    const tryIt = (tries: number): void => {
      if (this.#state === 'closed') return
      this.#startLauncher().then(
        () => {
          if (this.#state !== 'open') return
          const frames: Buffer[] = []
          const news: SpawnNews[] = []
          for (const entry of this.#entries.values()) {
            if (entry.state !== 'sent') continue
            const found = this.#table.read(entry.slot)
            if (found?.key === entry.key) news.push(...this.#takeOver(entry, found))
            else if (entry.frame) frames.push(entry.frame)
          }
          if (frames.length > 0) this.#launcher?.send(frames)
          this.#tell(news)
        },
        (error: Error) => {
          if (this.#state === 'closed') return
          if (tries < launcherTriesMax) return void setTimeout(tryIt, 200 * tries, tries + 1)
          this.#state = 'open' // the next order tries again
          const waiting = [...this.#entries.values()].filter(entry => entry.state === 'sent')
          this.#tell(waiting.map(entry => this.#end(entry, launchEnding(error.message))))
        },
      )
    }
    const livedMs = performance.now() - this.#launchedAt
    if (livedMs >= launcherLifeMsMin) {
      tryIt(1)
      return
    }
    this.#state = 'starting'
    setTimeout(tryIt, launcherLifeMsMin - livedMs, 1)
  }

  #hear(items: readonly KeeperNews[]): void {
    if (this.#state === 'closed') return
    const news: SpawnNews[] = []
    for (const item of items) {
      const entry = this.#entries.get(item.key)
      if (!entry || entry.state === 'ended' || entry.state === 'lost') continue
      if (item.type === 'ended') news.push(this.#end(entry, item.ending))
      else if (item.type === 'forked') {
        if (entry.state === 'sent') entry.keeperPid = item.pid
      } else if (entry.state === 'sent') {
        entry.keeperPid = item.pid
        entry.keeperTicks = item.ticks
        news.push(this.#begin(entry, item.at))
      }
    }
    this.#tell(news)
  }

  #begin(entry: Entry, at: number): SpawnNews {
    entry.state = 'running'
    entry.startedAt = at
    entry.frame = undefined
    for (const signal of entry.stopSignals) this.#signal(entry, signal)
    return { key: entry.key, type: 'began', at }
  }

  #end(entry: Entry, ending: Ending): SpawnNews {
    entry.state = 'ended'
    entry.ending = ending
    entry.frame = undefined
    entry.polled = false
    return { key: entry.key, type: 'ended', ending }
  }

  /** Makes an entry found on disk, or started by a launcher that is gone, one that we watch. */
  #takeOver(entry: Entry, found: SlotEntry): SpawnNews[] {
    entry.keeperPid = found.keeperPid
    entry.keeperTicks = found.keeperTicks
    entry.polled = true
    const began = entry.state === 'sent' ? [this.#begin(entry, found.startedAt)] : []
    if (found.ending) return [...began, this.#end(entry, found.ending)]
    this.#schedulePoll()
    return began
  }

  /** What to tell of an entry that was found at open and is asked for now; nothing for any other. */
  #adopt(entry: Entry): SpawnNews[] {
    if (!entry.unasked) return []
    entry.unasked = false
    if (entry.state === 'running') {
      const found = this.#table.read(entry.slot)
      if (found?.ending) this.#end(entry, found.ending)
      else {
        entry.polled = true
        this.#schedulePoll()
      }
    }
    return [currentNews(entry)]
  }

  /** Its keeper is gone. The record is read once more, because it may have been written in the last instant. */
  #lose(entry: Entry): SpawnNews {
    const found = this.#table.read(entry.slot)
    if (found?.key === entry.key && found.ending) return this.#end(entry, found.ending)
    entry.state = 'lost'
    entry.polled = false
    entry.frame = undefined
    entry.message = 'its keeper is gone without an exit record'
    return currentNews(entry)
  }

  /** A keeper that was killed cannot tell. The kernel is asked now and then, about some of them each time. */
  async #checkKeepers(): Promise<void> {
    if (this.#sweeping) return
    const live = [...this.#entries.values()].filter(
      ({ unasked, keeperPid, state }) =>
        !unasked && keeperPid !== 0 && (state === 'running' || state === 'sent'),
    )
    if (this.#checkedCount >= live.length) this.#checkedCount = 0
    const some = live.slice(this.#checkedCount, this.#checkedCount + checkedAtOnceMax)
    this.#checkedCount += some.length
    const gone = some.filter(({ keeperPid, keeperTicks }) => !isStillAlive(keeperPid, keeperTicks))
    if (gone.length === 0) return
    this.#sweeping = true
    try {
      const unrecorded = gone.filter(({ slot }) => !this.#table.read(slot)?.ending)
      // Before anybody hears that it is lost and starts another in its place.
      if (unrecorded.length > 0) await killMarked(new Set(unrecorded.map(({ key }) => key)))
    } finally {
      this.#sweeping = false
    }
    if (this.#state === 'closed') return
    this.#tell(
      gone.filter(({ state }) => state === 'running' || state === 'sent').map(entry => this.#lose(entry)),
    )
  }

  #schedulePoll(): void {
    this.#pollTimer ??= setTimeout(() => {
      this.#pollTimer = undefined
      const news: SpawnNews[] = []
      let left = 0
      for (const entry of this.#entries.values()) {
        if (!entry.polled) continue
        const found = this.#table.read(entry.slot)
        if (found?.ending) news.push(this.#end(entry, found.ending))
        else left++
      }
      if (left > 0) this.#schedulePoll()
      this.#tell(news)
    }, pollMs)
  }

  /** Only to the process that it was: its number may belong to another by now. */
  #signal(entry: Entry, signal: number): void {
    if (!isStillAlive(entry.keeperPid, entry.keeperTicks)) return
    try {
      process.kill(entry.keeperPid, signal)
    } catch {
      // It has just ended; its record tells.
    }
  }

  #tell(news: readonly SpawnNews[]): void {
    if (news.length > 0 && this.#state !== 'closed') this.#options.onNews(news)
  }
}

function currentNews(entry: Entry): SpawnNews {
  if (entry.state === 'ended') return { key: entry.key, type: 'ended', ending: entry.ending! }
  if (entry.state === 'lost') return { key: entry.key, type: 'lost', message: entry.message }
  return { key: entry.key, type: 'began', at: entry.startedAt }
}

function foundEntry(found: SlotEntry, sameBoot: boolean): Entry {
  return {
    key: found.key,
    slot: found.slot,
    state: found.ending ? 'ended' : sameBoot ? 'running' : 'lost',
    keeperPid: found.keeperPid,
    keeperTicks: found.keeperTicks,
    startedAt: found.startedAt,
    ending: found.ending,
    message: sameBoot ? '' : 'the machine was restarted while it ran',
    unasked: true,
    polled: false,
    frame: undefined,
    stopSignals: [],
  }
}

function problemOf(order: SpawnOrder): string | undefined {
  if (!isFileKey(order.key)) return `${JSON.stringify(order.key)} cannot name an attempt`
  if (order.argv.length === 0 || order.argv[0] === '') return 'there is no program to run'
  const { cwd, stdinFile = '', outFile = '', errFile = '', files = [], argv, env } = order
  const texts = [cwd, stdinFile, outFile, errFile, ...files, ...argv, ...Object.entries(env).flat()]
  if (texts.some(text => text.includes('\0'))) return 'an argument, variable or path contains a NUL character'
  if (Object.keys(env).some(name => name === '' || name.includes('=')))
    return 'an environment variable has no proper name'
  return undefined
}

/** The record of an attempt that never reached a launcher. */
function launchEnding(problem: string): Ending {
  const at = Date.now()
  return {
    exitCode: 0,
    signal: 0,
    startedAt: at,
    endedAt: at,
    cpuMs: 0,
    maxRssBytes: 0,
    outBytes: 0,
    errBytes: 0,
    stop: undefined,
    why: undefined,
    outOfMemory: false,
    over: [],
    unkept: false,
    launchProblem: problem,
  }
}
