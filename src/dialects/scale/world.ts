// What the rooms of this dialect share: the kit, the catalogue, the instances, and one way to commit. Also brings memory
// back in step with the store, at the start and after a commit that failed.

import type { Event } from '../../core/event.ts'
import type { DagPlan } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import type { Unfolded } from '../../domains/recipe/unfold.ts'
import type { Engine, Tx } from '../../engine/engine.ts'
import type { Kit } from '../dialect.ts'
import { Batches } from './batches/batches.ts'
import { Catalog, type Entry, recordOf } from './catalog/catalog.ts'
import { ensureSystemTypes } from './catalog/system-types.ts'
import type { RecipeTypeRevision } from './catalog/things.ts'
import { Files } from './files/files.ts'
import { Scans } from './files/scans.ts'
import { Archive } from './instances/archive.ts'
import { Follower } from './instances/follow.ts'
import { Forgetting } from './instances/forget.ts'
import { Instances } from './instances/instances.ts'
import type { Program } from './instances/lay-out.ts'
import { LedgerTail } from './instances/ledger-record.ts'
import { loadInstances } from './instances/load.ts'
import { Retirement } from './instances/retire.ts'
import type { JobRow } from './instances/rows.ts'
import { Runs } from './run/runs.ts'
import type { ScaleSettings } from './settings.ts'
import { errorOfRow } from './shapes/job-error.ts'
import { AnswerError } from './web/answer-error.ts'

export class World {
  readonly kit: Kit
  readonly settings: ScaleSettings
  catalog = new Catalog()
  instances = new Instances(
    () => 0,
    () => undefined,
  )
  /** What of the ledgers is written down. */
  tail = new LedgerTail(this.instances.ledgers)
  readonly archive = new Archive(this)
  readonly retirement = new Retirement(this)
  readonly forgetting = new Forgetting(this)
  readonly files = new Files(this)
  readonly scans = new Scans(this)
  readonly runs = new Runs(this)
  readonly follower = new Follower(this)
  batches = new Batches()
  /** What revisions unfold to: revisions never change, nor do those that they name. */
  readonly unfolded = new WeakMap<RecipeTypeRevision, Unfolded>()
  /** The engine's plan of what takes nothing over, and what is below conditions in it. */
  readonly plans = new WeakMap<Unfolded, DagPlan>()
  /** The programs of its steps, where nobody asked for anything else than the types say. */
  readonly programs = new WeakMap<Unfolded, ReadonlyMap<string, Program>>()
  readonly guards = new WeakMap<Unfolded, ReadonlyMap<string, readonly string[]>>()
  /** How many commits are under way whose changes memory has already. */
  #unwritten = 0
  #loading: Promise<void> | undefined
  #isStale = true
  #wasLoaded = false
  #missed: Event[] = []

  constructor(kit: Kit, settings: ScaleSettings) {
    this.kit = kit
    this.settings = settings
  }

  get now(): number {
    return this.kit.clock.now()
  }

  /** Resolves when memory is in step with the store. */
  async loaded(): Promise<void> {
    while (this.#isStale) {
      this.#loading ??= this.#load().finally(() => {
        this.#loading = undefined
      })
      await this.#loading
    }
  }

  /** Resolves when memory is in step, and what it knows now is durable, so that it may be shown. */
  async ready(): Promise<void> {
    await this.loaded()
    if (this.#unwritten > 0) await this.kit.engine.committed()
  }

  /** Whether the catalogue is not known yet: after a start the engine may have something to plan before it is read. */
  get isUnread(): boolean {
    return !this.#wasLoaded
  }

  /** Runs `fn` in one batch. */
  commit<T>(fn: (tx: Tx) => T): Promise<T> {
    return this.#changing(() => this.kit.engine.write(fn))
  }

  /** Takes flows and jobs out of the engine's history, with what `also` takes out of memory and records. */
  forget(what: Parameters<Engine['forget']>[0], also: (tx: Tx) => boolean): Promise<void> {
    return this.#changing(() => this.kit.engine.forget(what, also))
  }

  // A commit that failed leaves memory ahead of the store, so it is read again.
  async #changing<T>(work: () => Promise<T>): Promise<T> {
    this.#unwritten++
    try {
      return await work()
    } catch (error) {
      // Whoever turns a request down does so before anything is changed.
      if (!(error instanceof AnswerError)) this.#isStale = true
      throw error
    } finally {
      this.#unwritten--
    }
  }

  /** Writes entries of the catalogue down, and takes them into memory. */
  save(tx: Tx, ...entries: Entry[]): void {
    for (const entry of entries) {
      tx.record(recordOf(entry))
      this.catalog.keep(entry)
    }
  }

  /** Hears of events; those that arrive while memory is being read are kept for after. */
  hear(events: readonly Event[]): void {
    if (this.#loading) this.#missed.push(...events)
    else if (!this.#isStale) this.follower.hear(events)
  }

  /** The engine's job that runs, or ran, a job's program (or collects its outputs). */
  engineJob(n: number): Promise<Job | undefined> {
    return n === 0 ? Promise.resolve(undefined) : this.kit.engine.job({ n })
  }

  async #load(): Promise<void> {
    const catalog = new Catalog()
    await catalog.load(this.kit.records)
    const scanJobs = (await this.scans.all()).flatMap(scan =>
      [scan.jobId, scan.dryRunJobId].filter(id => id !== null),
    )
    const errorIdOf = (row: JobRow): number => errorOfRow(row, catalog)?.id ?? 0
    const { instances, tail, ends } = await loadInstances(this.kit, errorIdOf, scanJobs)
    const batches = new Batches()
    await batches.load(this.kit.records)
    this.catalog = catalog
    this.instances = instances
    this.tail = tail
    this.archive.clear()
    this.batches = batches
    this.#isStale = false
    this.#wasLoaded = true
    await ensureSystemTypes(this)
    // What happened while the pages were read may stand in them already; hearing it twice changes nothing.
    this.follower.hear([...ends, ...this.#missed.splice(0)])
    this.follower.catchUp()
  }
}
