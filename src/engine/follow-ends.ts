// Follows the ends of one dialect's jobs and flows from a place that the follower writes down itself. Ends are told from
// memory as they become durable; what was missed is read from the store beside the running server. Why: decision 007.

import type { Clock } from '../core/clock.ts'
import type { Event } from '../core/event.ts'
import type { End, Ended, EndsFollowed, Engine } from './engine.ts'

export interface FollowParts extends EndsFollowed {
  readonly engine: Pick<Engine, 'history' | 'job' | 'flow' | 'lastEvent' | 'watch'>
  readonly clock: Clock
  /** Runs something after what is happening now. */
  readonly defer: (run: () => void) => void
}

/** How many ends are dealt with at once, and how many events read. */
const takenAtOnce = 500
/** How many ends may wait in memory; when there are more, they are read from the store in time. */
const waitingMax = 10_000
/** How many events may go by before `take` is called although there was no end. */
const idleEventsMax = 20_000
/** How long reading what was missed pauses after each page while the server has other work. */
const pauseMs = 20
/** A turn of everybody else that takes this long is other work. */
const busyMs = 2

const endings = new Set(['succeeded', 'failed', 'cancelled'])

export class EndFollower {
  readonly #parts: FollowParts
  /** The last event that was dealt with, and the last one heard of. */
  #dealt = 0
  #heard = 0
  #waiting: End[] = []
  /** There are events after the last one dealt with that only the store can tell. */
  #isBehind = true
  /** Set while ends are being dealt with, and before anything may be. */
  #isBusy = true
  #work: Promise<void> = Promise.resolve()
  #unwatch = () => {}
  #closed = false

  constructor(parts: FollowParts) {
    this.#parts = parts
  }

  /** Begins; does not wait for what was missed. */
  async start(): Promise<void> {
    const { engine, from, take } = this.#parts
    this.#unwatch = engine.watch((events, ended) => this.#hear(events, ended))
    const last = await engine.lastEvent()
    this.#heard = Math.max(this.#heard, last)
    this.#dealt = from ?? this.#heard
    if (from === undefined) await take([], this.#dealt)
    this.#isBusy = false
    this.#goOn()
  }

  /** Ends once what is being dealt with is done; the rest is told to the next follower. */
  async close(): Promise<void> {
    this.#closed = true
    this.#unwatch()
    await this.#work
  }

  #hear(events: readonly Event[], ended: Ended): void {
    this.#heard = events.at(-1)?.seq ?? this.#heard
    if (!this.#isBehind) {
      for (const end of this.#endsAmong(events, ended)) this.#waiting.push(end)
      if (this.#waiting.length > waitingMax) {
        this.#isBehind = true
        this.#waiting = []
      }
    }
    this.#goOn()
  }

  #endsAmong(events: readonly Event[], { jobs, flows }: Ended): End[] {
    const { dialect } = this.#parts
    const ownJobs = new Map(jobs.filter(job => job.dialect === dialect).map(job => [job.n, job]))
    const ownFlows = new Map(flows.filter(flow => flow.dialect === dialect).map(flow => [flow.n, flow]))
    if (ownJobs.size + ownFlows.size === 0) return []
    const ends: End[] = []
    for (const { seq, type, subject, n } of events) {
      if (!endings.has(type)) continue
      const job = subject === 'job' ? ownJobs.get(n) : undefined
      const flow = subject === 'flow' ? ownFlows.get(n) : undefined
      if (job !== undefined) ends.push({ seq, job })
      if (flow !== undefined) ends.push({ seq, flow })
    }
    return ends
  }

  /** Unless it goes on already, or there is nothing to do. */
  #goOn(): void {
    if (this.#isBusy || this.#closed || !this.#hasWork()) return
    this.#isBusy = true
    this.#work = this.#workOff().catch(error => {
      // All of it is told again: at the next event, or to the next follower.
      this.#isBehind = true
      this.#waiting = []
      this.#isBusy = false
      if (!this.#closed) this.#parts.onError(error)
    })
  }

  #hasWork(): boolean {
    return this.#isBehind || this.#waiting.length > 0 || this.#heard - this.#dealt >= idleEventsMax
  }

  async #workOff(): Promise<void> {
    while (!this.#closed && this.#hasWork()) {
      if (this.#isBehind) await this.#catchUp()
      else {
        const ends = this.#waiting.splice(0, takenAtOnce)
        await this.#take(ends, this.#waiting.length > 0 ? ends.at(-1)!.seq : this.#heard)
      }
    }
    // In one turn with the look at what is left: whatever is heard next begins anew.
    this.#isBusy = false
  }

  async #catchUp(): Promise<void> {
    let at = this.#dealt
    while (!this.#closed) {
      const events = await this.#parts.engine.history.events(at, takenAtOnce)
      const found = await Promise.all(
        events.filter(({ type }) => endings.has(type)).map(event => this.#lookUp(event)),
      )
      const ends = found.filter(end => end !== undefined)
      at = events.at(-1)?.seq ?? Math.max(at, this.#heard)
      if (ends.length > 0 || at - this.#dealt >= idleEventsMax) await this.#take(ends, at)
      if (at >= this.#heard) {
        // Decided in one turn with what was heard: from here on, what is heard is told from memory.
        this.#isBehind = false
        return
      }
      await this.#letOthersGo()
    }
  }

  async #lookUp({ seq, subject, n }: Event): Promise<End | undefined> {
    const { engine, dialect } = this.#parts
    if (subject === 'job') {
      const job = await engine.job({ n })
      return job?.dialect === dialect ? { seq, job } : undefined
    }
    const flow = subject === 'flow' ? await engine.flow({ n }) : undefined
    return flow?.dialect === dialect ? { seq, flow } : undefined
  }

  async #take(ends: readonly End[], upTo: number): Promise<void> {
    await this.#parts.take(ends, upTo)
    this.#dealt = upTo
  }

  /** Requests get their turn, and most of the time while there are any. */
  async #letOthersGo(): Promise<void> {
    const { clock, defer } = this.#parts
    const askedAt = clock.now()
    await new Promise<void>(resolve => defer(resolve))
    if (clock.now() - askedAt < busyMs) return
    await new Promise<void>(resolve => void clock.alarm(clock.now() + pauseMs, resolve))
  }
}
