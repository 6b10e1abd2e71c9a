// The suites of this server between memory and store: each turn changes the living tree, plans, and is durable before
// its answer. When the store fails, memory is thrown away and read back. docs/decisions/040 says why so.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import { isObject, type Json } from '../../core/json.ts'
import { Refused, refuse } from '../../core/refusal.ts'
import {
  resume,
  type ServerImage,
  type SuiteChange,
  takeChanges,
} from '../../domains/suite/keeping/journal.ts'
import {
  type Ask,
  Living,
  type LivingParts,
  type LogEntry,
  type ZombieRecord,
} from '../../domains/suite/planner/living.ts'
import { runPass } from '../../domains/suite/planner/pass.ts'
import type { Engine, Tx } from '../../engine/engine.ts'
import type { Records } from '../../store/store.ts'
import { every } from './pages.ts'
import { logCollection, StateLog } from './state-log.ts'
import { SuiteRecords } from './suite-records.ts'

const serverCollection = 'ecflow.server'
const zombieCollection = 'ecflow.zombie'

/**
 * When changes come in a crowd (so many within so many ms), they are gathered for a moment: each commit costs as much
 * as several of them. A chain of single tasks is never held up.
 */
const crowdCount = 8
const crowdMs = 40
const gatherMs = 6

export interface KeeperParts {
  readonly engine: Engine
  readonly records: Records
  readonly clock: Clock
  readonly living: LivingParts
  readonly firstState: ServerImage['state']
  /** Writes down in the turn's own transaction what the world is asked to do; what it returns is called when that is durable. */
  readonly handOver: (tx: Tx, living: Living, asks: readonly Ask[]) => () => void
  /** Called after the tree was read back from the store. */
  readonly resumed: () => void
}

export type Listener = (log: readonly LogEntry[]) => void

export class Keeper {
  living: Living
  /** What happened lately. */
  log = new StateLog()
  readonly #parts: KeeperParts
  #suites = new SuiteRecords()
  #isStale = false
  #reloading: Promise<void> | undefined
  /** The changes of this turn of the event loop, until they are durable; undefined when there are none. */
  #turn: Promise<void> | undefined
  /** When the last few changes came. */
  readonly #changeTimes: number[] = []
  readonly #listeners = new Set<Listener>()
  /** What is shown of each suite, and of all of them: moves with every change that a reader could see. */
  #versions = new Map<string, number>()
  #forestVersion = 0
  #clockVersion = 0
  /** Names this reading of the store: versions of one life of the server mean nothing in another. */
  #epoch = ''
  #loads = 0
  /** Settled when everything was read back for the first time. */
  readonly #opened = Promise.withResolvers<void>()

  constructor(parts: KeeperParts) {
    this.#parts = parts
    this.living = new Living(parts.living)
  }

  /** Reads everything back. Called once the engine has recovered. */
  async load(): Promise<void> {
    const { records } = this.#parts
    const living = new Living(this.#parts.living)
    // A suite that failed would fail again: it stays alone over the reading back.
    living.failed = this.living.failed
    const log = new StateLog()
    const suites = await SuiteRecords.load(records, living.root)
    for await (const record of every(records, { collection: logCollection, order: 'id' }))
      log.restore(record.id, record.body)
    const server = await records.get(serverCollection, 'server')
    living.serverState = this.#parts.firstState
    resume(living, server === undefined ? undefined : (server.body as unknown as ServerImage))
    living.nowMs = this.#parts.clock.now()
    for await (const record of every(records, { collection: zombieCollection, order: 'seq' })) {
      if (isObject(record.body) && Array.isArray(record.body['records'])) {
        living.zombies.set(record.id, record.body['records'] as unknown as ZombieRecord[])
      }
    }
    this.living = living
    this.#suites = suites
    this.log = log
    this.#versions = new Map()
    this.#epoch = `${living.nowMs.toString(36)}.${(++this.#loads).toString(36)}`
    this.#isStale = false
    suites.sweep(fn => void this.#parts.engine.write(fn).catch(() => {}))
    this.#parts.resumed()
    this.#opened.resolve()
  }

  /** Makes sure that memory is what the store has; refuses while the store does not work. */
  async ready(): Promise<void> {
    await this.#opened.promise
    if (!this.#isStale) return
    if (!this.#parts.engine.up) refuse('unavailable', 'The server cannot store anything at the moment')
    this.#reloading ??= this.load().finally(() => {
      this.#reloading = undefined
    })
    await this.#reloading
  }

  /** Resolves when all that was changed so far is durable: await it before showing anything. */
  async settled(): Promise<void> {
    await this.ready()
    await this.#turn
    await this.#parts.engine.committed()
  }

  /**
   * Runs one change and the pass that follows from it; resolves with its value when both are durable. `fn` must
   * check before it changes anything. What is changed in one turn of the event loop is written down as one.
   */
  async change<T>(fn: (living: Living) => T): Promise<T> {
    await this.ready()
    const { living } = this
    living.nowMs = this.#parts.clock.now()
    let value: T
    let refusal: Refused | undefined
    try {
      value = fn(living)
    } catch (error) {
      if (!(error instanceof Refused)) {
        // A bug in the middle of a change: what is in memory cannot be trusted any more.
        living.blame(error)
        this.#isStale = true
        throw error
      }
      refusal = error
    }
    try {
      runPass(living)
    } catch (error) {
      living.blame(error)
      this.#isStale = true
      throw error
    }
    this.#changeTimes.push(living.nowMs)
    if (this.#changeTimes.length > crowdCount) this.#changeTimes.shift()
    await this.#kept(living)
    if (refusal) throw refusal
    return value!
  }

  /** Resolves when the changes of this turn are durable. */
  #kept(living: Living): Promise<void> {
    this.#turn ??= (async () => {
      await this.#gather()
      this.#turn = undefined
      if (living !== this.living || this.#isStale) {
        refuse('unavailable', 'The server could not store what was changed')
      }
      const isChanged =
        living.changed.size > 0 ||
        living.ticked.size > 0 ||
        living.structure.length > 0 ||
        living.changedZombies.size > 0 ||
        living.asks.length > 0
      if (isChanged) return this.#write(living)
      this.#tell(living.log.splice(0))
      // Somebody else may have written it down meanwhile.
      await this.#parts.engine.committed()
    })()
    return this.#turn
  }

  /** The rest of this turn of the event loop; a moment longer when changes come in a crowd. */
  #gather(): Promise<unknown> {
    const { clock } = this.#parts
    const now = clock.now()
    const times = this.#changeTimes
    if (times.length < crowdCount || now - times[0]! > crowdMs) return nextTurn()
    return new Promise<void>(resolve => clock.alarm(now + gatherMs, resolve))
  }

  /** What happened, what it means for the store and what the world has to do about it: one transaction. */
  async #write(living: Living, last: (tx: Tx) => void = () => {}): Promise<void> {
    let isHandedOver = () => {}
    let log: LogEntry[] = []
    try {
      await this.#parts.engine.write(tx => {
        isHandedOver = this.#parts.handOver(tx, living, living.asks.splice(0))
        log = living.log.splice(0)
        const { suites, server } = takeChanges(living)
        this.#noteVersions(suites, server !== undefined)
        for (const change of suites) this.#suites.write(tx, living, change)
        writeZombies(tx, living)
        this.log.write(tx, living.nowMs, log)
        if (server) {
          tx.record({
            put: { collection: serverCollection, id: 'server', body: server as unknown as Json },
          })
        }
        last(tx)
      })
    } catch (error) {
      // Nothing of this turn is certain: what is in memory may be ahead of the store.
      living.blame(error)
      this.#isStale = true
      throw error
    }
    isHandedOver()
    this.#tell(log, true)
    for (const suite of this.#suites.takeWanted()) void this.#fold(suite)
  }

  /** Folds a large suite's changes into a new image, while others have their turn. It may be broken off, and is begun again. */
  async #fold(suite: string): Promise<void> {
    const { living } = this
    const suites = this.#suites
    const isSame = () => suites === this.#suites && !this.#isStale
    const write = async (fn: (tx: Tx) => void) => {
      if (isSame()) await this.#parts.engine.write(fn)
    }
    try {
      const isWhole = await suites.fold(suite, { living, write, nextTurn })
      if (isWhole && isSame()) await this.#write(living, tx => suites.finish(tx, suite))
    } catch {
      // The store failed: what is read back then knows nothing of it.
    }
  }

  #tell(log: readonly LogEntry[], isChanged = log.length > 0): void {
    if (isChanged) for (const listener of [...this.#listeners]) listener(log)
  }

  #noteVersions(suites: readonly SuiteChange[], isServer: boolean): void {
    if (suites.length === 0 && !isServer) return
    this.#clockVersion++
    for (const change of suites) {
      if (isClockOnly(change)) continue
      this.#forestVersion++
      if (change.type === 'gone') this.#versions.delete(change.suite)
      else this.#versions.set(change.suite, this.#forestVersion)
    }
  }

  /**
   * The version of what is shown of a suite, or of all of them: the same text means that nothing changed since.
   * `withClock`: what also follows the clock and the server's variables, as generated variables do.
   */
  versionOf(suite: string | undefined, options: { withClock: boolean }): string {
    const version = options.withClock
      ? `c${this.#clockVersion}`
      : suite === undefined
        ? `a${this.#forestVersion}`
        : `s${this.#versions.get(suite) ?? 0}`
    return `${this.#epoch}.${version}`
  }

  /** Calls after each durable turn that changed anything. The returned function ends it. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** A minute went by on the suite's clock, and nothing else happened: most turns of a quiet suite. */
function isClockOnly(change: SuiteChange): boolean {
  return change.type === 'changes' && change.changes.every(it => it[0] === 'clock')
}

function writeZombies(tx: Tx, living: Living): void {
  for (const path of living.changedZombies) {
    const records = living.zombies.get(path)
    if (!records) tx.record({ drop: { collection: zombieCollection, id: path } })
    else {
      const body = { records: records as unknown as Json }
      tx.record({ put: { collection: zombieCollection, id: path, body } })
    }
  }
  living.changedZombies.clear()
}
