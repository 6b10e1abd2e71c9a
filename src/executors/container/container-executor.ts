// Runs container jobs. Each attempt is one process of ours, the runner (run-tasks.sh), kept by the process room's
// spawner; so attempts go on without us, and what they left in their folder is all that is needed to report them.
import { mkdir, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { AttemptId } from '../../core/ids.ts'
import type { Outcome } from '../../core/job.ts'
import type { StopRequest } from '../../core/job-state.ts'
import type { Json } from '../../core/json.ts'
import type { Abilities, Chunk, Executor, Report, StartOrder } from '../executor.ts'
import type { Ending } from '../process/ending.ts'
import type { SpawnNews } from '../process/spawn-entry.ts'
import { Spawner } from '../process/spawner.ts'
import { isFileKey, readStream } from '../stream-files.ts'
import { type AttemptFolder, attemptFolder, readNote, removeTree } from './attempt-folder.ts'
import { type CgroupRoot, cgroupAt, probeCgroups } from './cgroup.ts'
import { DiskWatch } from './disk-watch.ts'
import type { Driver, DriverName, Mount } from './driver.ts'
import { ImageMissing } from './image-missing.ts'
import { ImageError, type ImageStore, releaseImage } from './images/index.ts'
import { prepareInside } from './inside-plan.ts'
import { Lanes } from './lanes.ts'
import { markOverDisk, markOverStream, outcomeOfAttempt } from './outcome.ts'
import { prepareAttempt } from './prepare.ts'
import { type ProbeResult, probeDrivers } from './probe.ts'
import { readSpec } from './spec.ts'
import { outcomeOfFault, packInside, Stage, type StageTools } from './stage/stage.ts'
import { mountVolumes, refuseVolumes } from './volumes.ts'

/** How the executor is set up. */
export interface ContainerExecutorOptions {
  /** Where attempts, their records and streams are kept. */
  readonly folder: string
  /** The images of the rootfs driver, or how to open them. */
  readonly images: ImageStore | (() => Promise<ImageStore>)
  /** Directories of this machine that every task sees, as the operator wants it. */
  readonly mounts?: readonly Mount[]
  /** The drivers to look for, the preferred one first; `rootfs`, `podman`, `docker` unless given. */
  readonly drivers?: readonly DriverName[]
  /** Whether podman and docker may fetch images; `missing` unless given. */
  readonly pull?: 'missing' | 'never'
  /** The largest stream of an attempt; 1 GiB unless given. */
  readonly streamBytesMax?: number
  /** The control groups to use; found by probing unless given, none when null. */
  readonly cgroups?: CgroupRoot | null
  readonly perl?: string
  /** How often the disk space of live attempts is measured; every 2 s unless given, less often where it takes long. */
  readonly diskBeatMs?: number
  /** `none`: no job reaches any network, whatever it says; as each of them says unless given. */
  readonly network?: 'open' | 'none'
  /** Folders of this machine that jobs may name. */
  readonly volumes?: Readonly<Record<string, string>>
  /** For jobs that bring files in or take them out; without it those are refused. */
  readonly stage?: StageTools
}

const runner = fileURLToPath(new URL('./run-tasks.sh', import.meta.url))
/** Preparing an attempt is many small file operations: a few at a time keep the disk busy and others served. */
const PREPARE_COUNT_MAX = 8
const REAP_SUFFIX = '.reap'
/** Marks the watch over the streams of an attempt's further nodes. */
const STREAMS_SUFFIX = '.streams'

type Stop = { readonly how: 'ask' | 'kill'; readonly why: StopRequest }

/** The executor named `container`. */
export class ContainerExecutor implements Executor {
  readonly name = 'container'
  readonly can: Abilities = { survivesRestart: true, pause: false, progress: false, reportsItself: false }
  readonly #options: ContainerExecutorOptions
  readonly #folder: string
  readonly #spawner: Spawner
  readonly #stage: Stage | undefined
  readonly #lanes = new Lanes(PREPARE_COUNT_MAX)
  /** Attempts that have not reached the spawner yet, and the stop that was asked meanwhile. */
  readonly #preparing = new Map<AttemptId, { stop: Stop | undefined; readonly done: Promise<void> }>()
  /** Attempts that this server started or asked for: for these, starting again tells nothing new. */
  readonly #known = new Set<AttemptId>()
  /** Waits for the removal of containers whose client is gone. */
  readonly #reaping = new Map<string, () => void>()
  /** Commands that run beside an attempt, and who waits for their end. */
  readonly #inside = new Map<string, (ending: Ending | undefined) => void>()
  #insideCount = 0
  readonly #disk: DiskWatch
  /** Attempts whose end is being put together: told once. */
  readonly #finishing = new Map<AttemptId, Promise<Outcome>>()
  #probes: readonly ProbeResult[] = []
  #images: ImageStore | undefined
  #cgroups: CgroupRoot | undefined
  #report: ((reports: readonly Report[]) => void) | undefined

  constructor(options: ContainerExecutorOptions) {
    this.#options = options
    this.#stage = options.stage === undefined ? undefined : new Stage(options.stage)
    this.#folder = resolve(options.folder)
    this.#disk = new DiskWatch({ onOver: id => this.#stopOverDisk(id), beatMs: options.diskBeatMs })
    this.#spawner = new Spawner({
      folder: join(this.#folder, 'spool'),
      onNews: news => this.#hear(news),
      ...(options.perl === undefined ? {} : { perl: options.perl }),
    })
  }

  /** What was found out about the drivers, in the order of preference; known once opened. */
  get probes(): readonly ProbeResult[] {
    return this.#probes
  }

  async open(report: (reports: readonly Report[]) => void): Promise<void> {
    this.#report = report
    const { images } = this.#options
    this.#images = typeof images === 'function' ? await images() : images
    await mkdir(join(this.#folder, 'attempts'), { recursive: true, mode: 0o700 })
    const names = this.#options.drivers ?? ['rootfs', 'podman', 'docker']
    this.#probes = await probeDrivers({ folder: this.#folder, names, pull: this.#options.pull ?? 'missing' })
    this.#cgroups =
      this.#options.cgroups === undefined ? await probeCgroups() : (this.#options.cgroups ?? undefined)
    await this.#spawner.open()
    await this.#sweep()
  }

  check(spec: Json): string | undefined {
    const read = readSpec(spec)
    if ('text' in read) return read.text
    const { fetch, collect } = read.spec.stage
    if (this.#stage === undefined && fetch.length + collect.length > 0)
      return 'stage: there is no store for files here'
    const noVolume = refuseVolumes(read.spec.volumes, this.#options.volumes ?? {})
    if (noVolume !== undefined) return `volumes: ${noVolume}`
    const driver = this.#driverFor(read.spec.driver ?? undefined)
    return typeof driver === 'string' ? driver : driver.check(read.spec)
  }

  start(orders: readonly StartOrder[]): void {
    for (const order of orders) {
      const { id } = order
      if (this.#known.has(id)) continue
      this.#known.add(id)
      const found = isFileKey(id) ? this.#spawner.look(id) : undefined
      if (found !== undefined) this.#hear([found])
      else {
        const done = this.#lanes.run(() => this.#prepare(order))
        this.#preparing.set(id, { stop: undefined, done })
      }
    }
  }

  async look(ids: readonly AttemptId[]): Promise<Report[]> {
    return Promise.all(ids.map(id => this.#look(id)))
  }

  stop(id: AttemptId, how: 'ask' | 'kill', why: StopRequest): void {
    const preparing = this.#preparing.get(id)
    if (preparing === undefined) this.#spawner.stop(id, how, why)
    else preparing.stop ??= { how, why }
  }

  async read(id: AttemptId, stream: string, from: number, maxBytes: number): Promise<Chunk | undefined> {
    const [, name, node] = /^(out|err)(?:\.(\d{1,4}))?$/.exec(stream) ?? []
    if (name === undefined || !isFileKey(id)) return undefined
    if (node === undefined) return this.#spawner.read(id, name as 'out' | 'err', from, maxBytes)
    return readStream(join(this.#nodeStreams(id), `${node}.${name}`), from, maxBytes)
  }

  forget(ids: readonly AttemptId[], what: { streams: boolean }): void {
    this.#spawner.forget([...ids, ...ids.map(id => id + REAP_SUFFIX)], what)
    for (const id of ids) {
      if (what.streams && isFileKey(id) && !this.#spawner.has(id))
        void this.#lanes.run(() => removeTree(this.#nodeStreams(id))).catch(() => undefined) // not worth more
      // One that still runs, or is about to, is not forgotten.
      if (!isFileKey(id) || this.#preparing.has(id) || this.#spawner.look(id) !== undefined) continue
      this.#known.delete(id)
      this.#stage?.release(id)
      // Nobody waits for it: what a failure leaves behind harms nothing, and a look for the attempt clears it, too.
      void this.#lanes.run(() => this.#clear(id)).catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    this.#report = undefined
    this.#disk.close()
    await Promise.all([...this.#preparing.values()].map(({ done }) => done))
    await this.#lanes.idle()
    await this.#spawner.close()
  }

  /** Runs a command line by /bin/sh in the sandbox of an attempt; undefined when it does not run (any more). */
  async exec(
    id: AttemptId,
    command: string,
    limits: { msMax: number; bytesMax: number },
  ): Promise<{ exitCode: number | null; output: Uint8Array } | undefined> {
    if (this.#spawner.look(id)?.type !== 'began') return undefined
    const folder = attemptFolder(this.#folder, id)
    const note = await readNote(folder)
    const driver = note === undefined ? undefined : this.#driverFor(note.driver)
    if (driver === undefined || typeof driver === 'string') return undefined
    const name = `inside.${++this.#insideCount}.${process.pid}`
    const ready = await prepareInside(folder, { name, command, driver, images: this.#store })
    if (ready === undefined) return undefined
    const key = `${id}.${name}`
    const ended = new Promise<Ending | undefined>(resolve => this.#inside.set(key, resolve))
    this.#spawner.spawn([
      {
        key,
        argv: ['/bin/sh', '-c', 'exec /bin/sh "$0" 0 2>&1', ready.script],
        env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
        cwd: '/',
        limits: { streamBytes: limits.bytesMax },
      },
    ])
    const timer = setTimeout(() => this.#spawner.stop(key, 'kill', 'kill'), limits.msMax)
    try {
      const ending = await ended
      const chunk = await this.#spawner.read(key, 'out', 0, limits.bytesMax)
      // What was cut off, by a stop or by a limit, has not ended by itself.
      const isCut = ending?.stop !== undefined || ending?.over.length !== 0 || ending.unkept
      return {
        exitCode: isCut || ending.outBytes > limits.bytesMax ? null : ending.exitCode,
        output: chunk?.bytes ?? new Uint8Array(),
      }
    } finally {
      clearTimeout(timer)
      this.#inside.delete(key)
      this.#spawner.forget([key], { streams: true })
      await removeTree(ready.dir).catch(() => undefined) // goes with the attempt's folder
    }
  }

  /** A gzipped tar of a path in the scratch directory of an attempt; undefined when there is no such thing. */
  async pack(id: AttemptId, path: string): Promise<Readable | undefined> {
    if (this.#spawner.look(id)?.type !== 'began') return undefined
    return packInside(attemptFolder(this.#folder, id), path)
  }

  /** What the nodes of an attempt after the first print; like other streams, it outlives the attempt's folder. */
  #nodeStreams(id: AttemptId): string {
    return join(this.#folder, 'nodes', id)
  }

  get #store(): ImageStore {
    if (this.#images === undefined) throw new Error('the container executor is not open')
    return this.#images
  }

  #driverFor(name: DriverName | undefined): Driver | string {
    const usable = this.#probes.filter(probe => name === undefined || probe.name === name)
    for (const { driver } of usable) if (driver !== null) return driver
    const reasons = usable.map(probe => probe.text).join('; ')
    return `no way to run containers is usable here: ${reasons || `${name} is switched off`}`
  }

  async #prepare(order: StartOrder): Promise<void> {
    const { id } = order
    let outcome: Outcome | undefined
    const startedAt = Date.now()
    try {
      outcome = (await this.#spawn(order)) ?? undefined
    } catch (error) {
      // A name that no image of ours can have is an image that cannot be had, too.
      const isImage = error instanceof ImageMissing || error instanceof ImageError
      outcome = outcomeOfFault(error) ?? {
        result: 'failed',
        reason: isImage ? 'image' : 'launch',
        message: (error as Error).message,
        ...(isImage ? { detail: { tasks: [{ imagePullStatus: 'failed' }] } } : {}),
      }
    }
    this.#preparing.delete(id)
    if (outcome === undefined) return
    // Bringing files and images in is part of the run, also when it goes no further.
    if (outcome.result === 'failed') outcome = { startedAt, endedAt: Date.now(), ...outcome }
    if (isFileKey(id)) await this.#clear(id).catch(() => undefined) // forget tries again
    this.#tell([{ id, type: 'ended', outcome }])
  }

  /** Answers an outcome when there is nothing to run any more. */
  async #spawn(order: StartOrder): Promise<Outcome | undefined> {
    const { id } = order
    const read = readSpec(order.spec)
    if ('text' in read) throw new Error(read.text)
    const driver = this.#driverFor(read.spec.driver ?? undefined)
    if (typeof driver === 'string') throw new Error(driver)
    if (!isFileKey(id)) throw new Error(`${JSON.stringify(id)} cannot name an attempt`)
    const folder = attemptFolder(this.#folder, id)
    const volumes = await mountVolumes(read.spec.volumes, this.#options.volumes ?? {})
    const told = this.#options.network === 'none' ? { ...read.spec, network: false } : read.spec
    await prepareAttempt({
      order,
      spec: (await this.#stage?.bringImages(told, { images: this.#store, volumes })) ?? told,
      driver,
      folder,
      images: this.#store,
      cgroups: this.#cgroups,
      nodeStreams: this.#nodeStreams(id),
      mounts: [...(this.#options.mounts ?? []), ...volumes],
      bringIn: folder => this.#stage?.bringIn(folder, read.spec, order.needs?.diskBytes) ?? Promise.resolve(),
    })
    const stop = this.#preparing.get(id)?.stop
    if (stop !== undefined) {
      const reason = stop.why === 'expire' ? 'timeout' : 'user'
      return { result: 'stopped', reason, message: 'stopped before it began' }
    }
    const { spec } = read
    const sidecarCount = spec.tasks.filter(task => task.sidecar).length
    const memoryBytes = order.needs?.memoryBytes
    this.#preparing.delete(id) // from here on the spawner takes the stops
    this.#spawner.spawn([
      {
        key: id,
        argv: [
          ...['/bin/sh', runner, folder.dir, String(spec.tasks.length - sidecarCount), String(sidecarCount)],
          ...[String(spec.taskRetries), spec.ignoreTaskFailures ? 'yes' : 'no', String(spec.graceMs / 1000)],
        ],
        env: { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' },
        cwd: '/',
        graceMs: spec.graceMs,
        limits: {
          streamBytes: this.#streamBytesMax,
          // Our own group, where there is one, limits more than memory; podman and docker limit for themselves.
          ...(memoryBytes === undefined || this.#cgroups || driver.name !== 'rootfs' ? {} : { memoryBytes }),
        },
      },
    ])
    return undefined
  }

  async #look(id: AttemptId): Promise<Report> {
    if (!isFileKey(id)) return { id, type: 'unknown' }
    await this.#preparing.get(id)?.done
    const news = this.#spawner.look(id)
    if (news === undefined) {
      await this.#clear(id)
      return { id, type: 'unknown' }
    }
    this.#known.add(id)
    if (news.type === 'began') {
      await this.#watchDisk(id)
      return { id, type: 'began', at: news.at }
    }
    return { id, type: 'ended', outcome: await this.#finish(id, news) }
  }

  #hear(news: readonly SpawnNews[]): void {
    for (const item of news) {
      const id = item.key
      const inside = this.#inside.get(id)
      if (inside !== undefined) {
        if (item.type !== 'began') inside(item.type === 'ended' ? item.ending : undefined)
      } else if (id.endsWith(REAP_SUFFIX)) {
        if (item.type !== 'began') this.#reaping.get(id)?.()
      } else if (item.type === 'began') {
        // An attempt whose note cannot be read is measured at its end, if at all.
        void this.#watchDisk(id).catch(() => undefined)
        this.#tell([{ id, type: 'began', at: item.at }])
      } else {
        this.#disk.drop(id)
        this.#disk.drop(id + STREAMS_SUFFIX)
        void this.#finish(id, item).then(outcome => this.#tell([{ id, type: 'ended', outcome }]))
      }
    }
  }

  get #streamBytesMax(): number {
    return this.#options.streamBytesMax ?? 1024 ** 3
  }

  async #watchDisk(id: AttemptId): Promise<void> {
    const folder = attemptFolder(this.#folder, id)
    const note = await readNote(folder)
    if (note === undefined || this.#spawner.look(id)?.type !== 'began') return
    if (note.diskBytes !== null) this.#disk.watch(id, folder.dir, note.diskBytes)
    if (note.copyCounts.some(count => count > 1))
      this.#disk.watch(id + STREAMS_SUFFIX, this.#nodeStreams(id), this.#streamBytesMax)
  }

  /** Without grace: meanwhile it would only take more. */
  async #stopOverDisk(key: string): Promise<void> {
    const id = key.endsWith(STREAMS_SUFFIX) ? key.slice(0, -STREAMS_SUFFIX.length) : key
    const folder = attemptFolder(this.#folder, id)
    await (id === key ? markOverDisk(folder) : markOverStream(folder))
    this.#spawner.stop(id, 'kill', 'kill')
  }

  #tell(reports: readonly Report[]): void {
    this.#report?.(reports)
  }

  /** Puts the end of an attempt together; asked twice, it answers the same. */
  #finish(id: AttemptId, news: Exclude<SpawnNews, { type: 'began' }>): Promise<Outcome> {
    const known = this.#finishing.get(id)
    if (known !== undefined) return known
    const outcome = this.#lanes
      .run(() => this.#readOutcome(id, news))
      .finally(() => this.#finishing.delete(id))
    this.#finishing.set(id, outcome)
    return outcome
  }

  async #readOutcome(id: AttemptId, news: Exclude<SpawnNews, { type: 'began' }>): Promise<Outcome> {
    const folder = attemptFolder(this.#folder, id)
    const ending: Ending | undefined = news.type === 'ended' ? news.ending : undefined
    try {
      const note = await readNote(folder)
      const isClean = ending !== undefined && ending.exitCode === 0 && ending.stop === undefined
      if (note !== undefined && note.driver !== 'rootfs' && !isClean) await this.#reap(id, folder)
      const lostMessage = news.type === 'lost' ? news.message : ''
      const stage = this.#stage
      const outcome = await outcomeOfAttempt({
        ...{ folder, note, ending, lostMessage, cgroups: this.#cgroups },
        takeOut: stage && (made => stage.takeOut(folder, id, made)),
        isWhole: stage && (kept => stage.isWhole(kept)),
      })
      stage?.keep(id, outcome.outputs)
      return outcome
    } catch (error) {
      // The disk, or files that somebody changed: the attempt has ended all the same.
      return {
        result: 'lost',
        reason: 'lost',
        message: `its records cannot be read: ${(error as Error).message}`,
      }
    }
  }

  /** The client of a container may be gone while the container goes on: it is removed by name. */
  async #reap(id: AttemptId, folder: AttemptFolder): Promise<void> {
    const key = id + REAP_SUFFIX
    const line = `cd ${JSON.stringify(folder.dir)} && for stop in tasks/*/stop.sh tasks/*/node.*/stop.sh sidecars/*/stop.sh; do [ ! -f "$stop" ] || /bin/sh "$stop"; done`
    const done = new Promise<void>(resolve => this.#reaping.set(key, resolve))
    this.#spawner.spawn([
      { key, argv: ['/bin/sh', '-c', line], env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' }, cwd: '/' },
    ])
    await done
    this.#reaping.delete(key)
  }

  /** Clears the attempts that the spawner knows nothing of: a crash came before their start, or while they were cleared. */
  async #sweep(): Promise<void> {
    const known = new Set(this.#spawner.keys())
    for (const id of await readdir(join(this.#folder, 'attempts'))) {
      if (!known.has(id)) await this.#clear(id)
    }
  }

  /** Gives back what an attempt holds and removes its folder. */
  async #clear(id: AttemptId): Promise<void> {
    const folder = attemptFolder(this.#folder, id)
    const note = await readNote(folder).catch(() => undefined)
    for (const digest of note?.digests ?? []) await releaseImage(this.#store, digest, id)
    for (const name of this.#cgroups === undefined ? [] : (note?.cgroups ?? [])) {
      await cgroupAt(this.#cgroups as CgroupRoot, name).remove()
    }
    await removeTree(folder.dir)
  }
}
