// The suites of this server between memory and store: each turn changes the living tree, plans, and is durable before
// its answer. When the store fails, memory is thrown away and read back. docs/decisions/040 says why so.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import { isObject, type Json } from '../../core/json.ts'
import { Refused, refuse } from '../../core/refusal.ts'
import {
  type Change,
  imageOfSuite,
  readChanges,
  readImage,
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
import type { RecordQuery, Records } from '../../store/store.ts'
import { logCollection, StateLog } from './state-log.ts'

const imageCollection = 'ecflow.suite'
const pieceCollection = 'ecflow.piece'
const changeCollection = 'ecflow.change'
const serverCollection = 'ecflow.server'
const zombieCollection = 'ecflow.zombie'

/** Images are stored in pieces: one of ten megabytes would exist several times over while it is being written. */
const pieceLength = 512 * 1024

/**
 * When changes come in a crowd (so many within so many ms), they are gathered for a moment: each commit costs as much
 * as several of them. A chain of single tasks is never held up.
 */
const crowdCount = 8
const crowdMs = 40
const gatherMs = 6

/** A suite's changes are folded into a new image when they are many, or weigh more than the image itself. */
const changesMin = 500
/** For each so many bytes of image one more: folding a large suite holds the server up for a moment. */
const bytesPerChange = 1000
const changeBytesMin = 256 * 1024

interface KeptSuite {
  imageBytes: number
  /** How many records hold the image, the first one included. */
  pieceCount: number
  changeBytes: number
  changeIds: string[]
}

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
  #suites = new Map<string, KeptSuite>()
  #seq = 0
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
    const suites = new Map<string, KeptSuite>()
    const log = new StateLog()
    let seq = 0
    for await (const record of every(records, { collection: imageCollection, order: 'seq' })) {
      const pieces = [textOf(record.body)]
      for await (const piece of every(records, {
        collection: pieceCollection,
        parent: record.id,
        order: 'id',
      })) {
        pieces.push(textOf(piece.body))
      }
      const text = pieces.join('')
      readImage(living.root, text)
      suites.set(record.id, keptImage(text.length, pieces.length))
    }
    for await (const record of every(records, { collection: changeCollection, order: 'id' })) {
      const kept = suites.get(record.parent ?? '')
      if (!kept) continue
      const text = textOf(record.body)
      readChanges(living.root, JSON.parse(text) as Change[])
      kept.changeIds.push(record.id)
      kept.changeBytes += text.length
      seq = Math.max(seq, Number(record.id.slice(record.id.lastIndexOf('/') + 1)))
    }
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
    this.#seq = seq
    this.log = log
    this.#versions = new Map()
    this.#epoch = `${living.nowMs.toString(36)}.${(++this.#loads).toString(36)}`
    this.#isStale = false
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
  async #write(living: Living): Promise<void> {
    let isHandedOver = () => {}
    let log: LogEntry[] = []
    try {
      await this.#parts.engine.write(tx => {
        isHandedOver = this.#parts.handOver(tx, living, living.asks.splice(0))
        log = living.log.splice(0)
        const { suites, server } = takeChanges(living)
        this.#noteVersions(suites, server !== undefined)
        for (const change of suites) this.#writeSuite(tx, living, change)
        writeZombies(tx, living)
        this.log.write(tx, living.nowMs, log)
        if (server) {
          tx.record({
            put: { collection: serverCollection, id: 'server', body: server as unknown as Json },
          })
        }
      })
    } catch (error) {
      // Nothing of this turn is certain: what is in memory may be ahead of the store.
      living.blame(error)
      this.#isStale = true
      throw error
    }
    isHandedOver()
    this.#tell(log, true)
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

  #writeSuite(tx: Tx, living: Living, change: SuiteChange): void {
    const { suite } = change
    const kept = this.#suites.get(suite)
    if (change.type === 'gone') {
      this.#dropChanges(tx, kept)
      if (kept) {
        tx.record({ drop: { collection: imageCollection, id: suite } })
        dropPieces(tx, suite, { from: 1, to: kept.pieceCount })
      }
      this.#suites.delete(suite)
      return
    }
    if (change.type === 'image' || !kept) {
      this.#writeImage(tx, suite, change.type === 'image' ? change.pieces : imageOfSuite(living, suite))
      return
    }
    const text = JSON.stringify(change.changes)
    const isHeavy = kept.changeBytes + text.length > Math.max(changeBytesMin, kept.imageBytes)
    const changesMax = Math.max(changesMin, kept.imageBytes / bytesPerChange)
    if (isHeavy || kept.changeIds.length >= changesMax) {
      this.#writeImage(tx, suite, imageOfSuite(living, suite))
      return
    }
    const id = `${suite}/${String(++this.#seq).padStart(15, '0')}`
    kept.changeIds.push(id)
    kept.changeBytes += text.length
    tx.record({ put: { collection: changeCollection, id, parent: suite, body: { text } } })
  }

  #writeImage(tx: Tx, suite: string, printed: readonly string[]): void {
    const before = this.#suites.get(suite)
    const pieces = gather(printed)
    const imageBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    this.#dropChanges(tx, before)
    this.#suites.set(suite, keptImage(imageBytes, pieces.length))
    pieces.forEach((text, index) => {
      if (index === 0) tx.record({ put: { collection: imageCollection, id: suite, body: { text } } })
      else {
        const id = pieceId(suite, index)
        tx.record({ put: { collection: pieceCollection, id, parent: suite, body: { text } } })
      }
    })
    dropPieces(tx, suite, { from: pieces.length, to: before?.pieceCount ?? 0 })
  }

  #dropChanges(tx: Tx, kept: KeptSuite | undefined): void {
    for (const id of kept?.changeIds ?? []) tx.record({ drop: { collection: changeCollection, id } })
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

/** Joins what was printed to pieces of about the stored length. */
function gather(printed: readonly string[]): string[] {
  const pieces: string[] = []
  let open: string[] = []
  let length = 0
  for (const text of printed) {
    open.push(text)
    length += text.length
    if (length < pieceLength) continue
    pieces.push(open.join(''))
    open = []
    length = 0
  }
  if (open.length > 0 || pieces.length === 0) pieces.push(open.join(''))
  return pieces
}

function keptImage(imageBytes: number, pieceCount: number): KeptSuite {
  return { imageBytes, pieceCount, changeBytes: 0, changeIds: [] }
}

function pieceId(suite: string, index: number): string {
  return `${suite}/${String(index).padStart(6, '0')}`
}

function dropPieces(tx: Tx, suite: string, at: { from: number; to: number }): void {
  for (let index = at.from; index < at.to; index++) {
    tx.record({ drop: { collection: pieceCollection, id: pieceId(suite, index) } })
  }
}

function textOf(body: Json): string {
  return isObject(body) && typeof body['text'] === 'string' ? body['text'] : ''
}

/** All records of a query, page by page, giving others a turn between pages. */
async function* every(records: Records, query: Omit<RecordQuery, 'limit' | 'after'>) {
  let after: string | undefined
  for (;;) {
    const page = await records.list({ ...query, limit: 200, ...(after === undefined ? {} : { after }) })
    yield* page.items
    if (page.next === undefined) return
    after = page.next
    await nextTurn()
  }
}
