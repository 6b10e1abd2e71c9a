// Pools: slots and resources that jobs compete for, and the queue of those that may start, ordered by rank.

import { Heap } from '../core/heap.ts'
import type { Job, Resources } from '../core/job.ts'
import { type Refusal, refused } from '../core/refusal.ts'
import type { PoolSettings, PoolState } from './engine.ts'

interface Entry {
  readonly job: Job
  readonly rank: number
}

/** The jobs of one owner, or of one value of the pool's label, or of everybody; lowest rank first. */
interface Lane {
  readonly key: string
  readonly queue: Heap<Entry>
  /** Entries in the queue that no longer stand for a job that may start. */
  stale: number
  ready: number
  live: number
  /** The job that stands first and did not fit, and since when. */
  blocked: { readonly job: Job; readonly sinceAt: number } | undefined
}

/** How many jobs may be looked at behind one that does not fit, in search of one that does. */
const lookBehindMax = 64
/** A job that stood first for this long and did not fit is no longer passed by others, whoever's they are. */
const patienceMs = 60_000

export class Pool {
  readonly name: string
  readonly settings: PoolSettings
  readonly #lanes = new Map<string, Lane>()
  /** The one entry that stands for each job that may start; all others in the heaps are stale. */
  readonly #standing = new Map<number, Entry>()
  #slotsUsed = 0
  /** Processors in millionths: parts of them are added and taken away for years, and must come to nothing again. */
  readonly #used = { microCpus: 0, memoryBytes: 0, diskBytes: 0 }
  /** Lanes whose first job did not fit when it was looked at. */
  readonly #blocked = new Set<Lane>()

  constructor(name: string, settings: PoolSettings) {
    this.name = name
    this.settings = settings
  }

  /** A job became able to start: it takes its place by rank, then by age. */
  add(job: Job): void {
    const lane = this.#lane(job)
    const entry = { job, rank: job.rank }
    this.#standing.set(job.n, entry)
    lane.queue.push(entry)
    lane.ready++
  }

  /** A job that was added may no longer start (claimed, cancelled, held). Its entry is skipped when it comes up. */
  remove(job: Job): void {
    if (!this.#standing.delete(job.n)) return
    const lane = this.#lane(job)
    lane.ready--
    lane.stale++
    if (lane.stale > 64 && lane.stale > lane.queue.size / 2) {
      lane.queue.prune(entry => this.#stands(entry))
      lane.stale = 0
    }
    this.#tidy(job, lane)
  }

  /** A job goes live: it holds a slot and its resources until freed. */
  take(job: Job): void {
    this.#slotsUsed++
    this.#lane(job).live++
    this.#count(job.needs, 1)
  }

  free(job: Job): void {
    this.#slotsUsed--
    const lane = this.#lane(job)
    lane.live--
    this.#count(job.needs, -1)
    this.#tidy(job, lane)
  }

  /**
   * The next job that may start now, or undefined. It stays where it is; the caller claims it, which removes it.
   * Jobs that do not fit are passed by smaller ones behind them, but not for longer than `patienceMs`.
   */
  next(now: number): Job | undefined {
    if (this.#standing.size === 0) return undefined
    if (this.settings.slots !== undefined && this.#slotsUsed >= this.settings.slots) return undefined
    const starved = this.#starved(now)
    if (starved !== undefined) return this.#hasRoom(starved.needs) ? starved : undefined
    for (const lane of this.#lanesInTurn()) {
      const job = this.#nextOf(lane, now)
      if (job !== undefined) return job
    }
    return undefined
  }

  /** Whether a job with these needs can ever run here. */
  fits(needs: Resources): Refusal | undefined {
    const limits = this.settings.resources ?? {}
    for (const name of ['cpus', 'memoryBytes', 'diskBytes'] as const) {
      const limit = limits[name]
      const need = needs[name]
      if (limit !== undefined && need !== undefined && need > limit) {
        return refused('cannot-fit', `pool ${this.name} has ${limit} ${name}, and the job asks for ${need}`, {
          field: name,
          facts: { limit, need },
        }).refusal
      }
    }
    return undefined
  }

  /** Whether there is room for these needs at this moment, and if not, what is short. */
  short(needs: Resources | null): 'slots' | 'resources' | undefined {
    if (this.settings.slots !== undefined && this.#slotsUsed >= this.settings.slots) return 'slots'
    return this.#hasRoom(needs) ? undefined : 'resources'
  }

  /** The label whose slots a job waits for, as `name value`. */
  shortLabel(job: Job): string | undefined {
    const { perLabel } = this.settings
    const value = perLabel && job.labels?.[perLabel.label]
    if (!perLabel || value === undefined) return undefined
    return (this.#lanes.get(value)?.live ?? 0) >= perLabel.slots ? `${perLabel.label} ${value}` : undefined
  }

  /** Whether its owner has as many live jobs as one owner may have. */
  isOwnerFull(job: Job): boolean {
    const { fair, ownerSlots } = this.settings
    return fair === true && ownerSlots !== undefined && (this.#lanes.get(job.owner)?.live ?? 0) >= ownerSlots
  }

  /** How many jobs would start before this one, counting by rank and age. Linear in the queue. */
  ahead(job: Job): number {
    let before = 0
    for (const lane of this.#lanes.values()) {
      for (const entry of lane.queue.items) {
        if (entry.job !== job && this.#stands(entry) && comesBefore(entry, { job, rank: job.rank })) before++
      }
    }
    return before
  }

  state(): PoolState {
    const { memoryBytes, diskBytes } = this.#used
    return {
      name: this.name,
      slots: this.settings.slots ?? null,
      slotsUsed: this.#slotsUsed,
      resources: this.settings.resources ?? null,
      used: { cpus: this.#used.microCpus / 1e6, memoryBytes, diskBytes },
      ready: this.#standing.size,
    }
  }

  #lane(job: Job): Lane {
    const key = this.#laneKey(job)
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = { key, queue: new Heap<Entry>(comesBefore), stale: 0, ready: 0, live: 0, blocked: undefined }
      this.#lanes.set(key, lane)
    }
    return lane
  }

  #laneKey(job: Job): string {
    const { fair, perLabel } = this.settings
    if (perLabel) return job.labels?.[perLabel.label] ?? ''
    return fair === true ? job.owner : ''
  }

  /** Owners and labels come and go: a lane with nothing in it is not kept. */
  #tidy(job: Job, lane: Lane): void {
    if (lane.ready > 0 || lane.live > 0) return
    if (this.settings.fair === true || this.settings.perLabel) this.#lanes.delete(this.#laneKey(job))
  }

  /** Whoever has the fewest live jobs is first; among equals, whose oldest job is older. */
  #lanesInTurn(): Iterable<Lane> {
    if (this.settings.perLabel) return this.#lanesByHead()
    if (this.#lanes.size === 1 && this.settings.ownerSlots === undefined) return this.#lanes.values()
    return [...this.#lanes.values()]
      .filter(lane => lane.ready > 0 && this.#isOpen(lane))
      .sort((a, b) => a.live - b.live || (this.#head(a)?.job.n ?? 0) - (this.#head(b)?.job.n ?? 0))
  }

  /** Lanes whose label has a slot left, in the order of their first jobs. Jobs without the label have a lane without limit. */
  #lanesByHead(): Lane[] {
    const open: { lane: Lane; head: Entry }[] = []
    for (const lane of this.#lanes.values()) {
      if (!this.#isOpen(lane)) continue
      const head = this.#head(lane)
      if (head !== undefined) open.push({ lane, head })
    }
    return open.sort((a, b) => (comesBefore(a.head, b.head) ? -1 : 1)).map(({ lane }) => lane)
  }

  /**
   * The job for which room is kept: of those that stand first and have not fitted for too long, the one that waits longest. One
   * that can never fit, since the pool is smaller than it was, waits alone.
   */
  #starved(now: number): Job | undefined {
    let found: Lane['blocked']
    for (const lane of this.#blocked) {
      const { blocked } = lane
      if (blocked === undefined || this.#head(lane)?.job !== blocked.job) {
        lane.blocked = undefined
        this.#blocked.delete(lane)
      } else if (
        now - blocked.sinceAt > patienceMs &&
        (found === undefined || blocked.sinceAt < found.sinceAt) &&
        this.#isOpen(lane) &&
        this.fits(blocked.job.needs ?? {}) === undefined
      ) {
        found = blocked
      }
    }
    return found?.job
  }

  /** Whether its owner, or its label, may have one more live job. */
  #isOpen({ key, live }: Lane): boolean {
    const { ownerSlots, perLabel } = this.settings
    if (perLabel) return key === '' || live < perLabel.slots
    return live < (ownerSlots ?? Number.POSITIVE_INFINITY)
  }

  /** The first entry that still stands; stale ones are dropped on the way. */
  #head(lane: Lane): Entry | undefined {
    for (;;) {
      const entry = lane.queue.peek()
      if (entry === undefined || this.#stands(entry)) return entry
      lane.queue.pop()
      lane.stale--
    }
  }

  #nextOf(lane: Lane, now: number): Job | undefined {
    const first = this.#head(lane)
    if (first === undefined) return undefined
    if (this.#hasRoom(first.job.needs)) return first.job
    if (lane.blocked?.job !== first.job) {
      lane.blocked = { job: first.job, sinceAt: now }
      this.#blocked.add(lane)
    }
    const passed: Entry[] = []
    let found: Job | undefined
    while (passed.length < lookBehindMax && found === undefined) {
      const entry = this.#head(lane)
      if (entry === undefined) break
      if (this.#hasRoom(entry.job.needs)) found = entry.job
      else passed.push(lane.queue.pop()!)
    }
    for (const entry of passed) lane.queue.push(entry)
    return found
  }

  #stands(entry: Entry): boolean {
    return this.#standing.get(entry.job.n) === entry
  }

  #hasRoom(needs: Resources | null): boolean {
    const limits = this.settings.resources
    if (limits === undefined || needs === null) return true
    return (
      (limits.cpus === undefined || this.#used.microCpus + microCpus(needs.cpus) <= microCpus(limits.cpus)) &&
      (limits.memoryBytes === undefined ||
        this.#used.memoryBytes + (needs.memoryBytes ?? 0) <= limits.memoryBytes) &&
      (limits.diskBytes === undefined || this.#used.diskBytes + (needs.diskBytes ?? 0) <= limits.diskBytes)
    )
  }

  #count(needs: Resources | null, sign: 1 | -1): void {
    if (needs === null) return
    this.#used.microCpus += sign * microCpus(needs.cpus)
    this.#used.memoryBytes += sign * (needs.memoryBytes ?? 0)
    this.#used.diskBytes += sign * (needs.diskBytes ?? 0)
  }
}

function microCpus(cpus: number | undefined): number {
  return Math.round((cpus ?? 0) * 1e6)
}

function comesBefore(a: Entry, b: Entry): boolean {
  return a.rank !== b.rank ? a.rank < b.rank : a.job.n < b.job.n
}
