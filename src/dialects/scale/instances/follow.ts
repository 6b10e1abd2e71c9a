// What follows from the engine's events beyond the rows themselves: ends are written down, products published, failures
// that are the system's are tried again, and held types let go. Each of these may be repeated without harm.

import type { Event } from '../../../core/event.ts'
import { mergeSources } from '../../../domains/recipe/seed/side-car.ts'
import { resumeBatches } from '../batches/run-batch.ts'
import { sourceFactsOf } from '../files/file-entry.ts'
import { undecided } from '../run/drafter.ts'
import { errorOfRow } from '../shapes/job-error.ts'
import type { World } from '../world.ts'
import { mendedAt } from './job-facts.ts'
import { requeueJobs } from './move-jobs.ts'
import { readRecipe } from './recipe-record.ts'
import { executionCount, type JobRow, type RecipeRow } from './rows.ts'

export class Follower {
  readonly #world: World

  readonly #measuring = new Map<RecipeRow, Promise<void>>()
  /** Jobs that are wanted again as soon as they have stopped, with their new priority. */
  readonly #wanted = new Map<JobRow, number>()

  constructor(world: World) {
    this.#world = world
  }

  /** Applies events to the rows, and sees to what follows. */
  hear(events: readonly Event[]): void {
    const { instances } = this.#world
    const { begun, failed, moved, ended } = instances.follow(events)
    for (const row of moved) this.#afterMove(row)
    for (const row of failed) this.#after(this.#retry(row))
    for (const row of begun) this.#after(this.measure(row))
    if (ended.length > 0) this.#after(this.#world.retirement.flows(ended))
    const typeIds = new Set<number>()
    for (const row of moved) typeIds.add(row.typeId)
    this.releaseHeld(typeIds)
  }

  /** After a load: takes up what was not finished before. */
  catchUp(): void {
    const { instances } = this.#world
    // What ended shortly before the server did may not have been seen to: publishing, collecting, registering.
    for (const row of instances.jobs.values()) this.#afterMove(row)
    this.#after(this.#world.runs.sweep())
    resumeBatches(this.#world)
    for (const row of instances.jobs.values()) if (row.status === 'FAILED') this.#after(this.#retry(row))
    this.#after(this.#decide())
    this.releaseHeld(new Set(instances.unfinished.map(row => row.typeId)))
  }

  // Jobs that were released while a start was under way, when nothing was known of their types.
  async #decide(): Promise<void> {
    const { instances, kit } = this.#world
    const rows = instances.unfinished.filter(
      row => row.main !== 0 && kit.engine.atHand.job(row.main)?.detail?.[undecided] === true,
    )
    if (rows.length === 0) return
    await this.#world.commit(tx => {
      for (const row of rows) {
        tx.note(row.main, { [undecided]: null })
        if (!row.isCanceled && this.mayStart(row.typeId)) tx.release(row.main)
      }
    })
  }

  /** Queues a job again when the cancel that is under way has come through. */
  requeueOnceStopped(row: JobRow, priority: number): void {
    this.#wanted.set(row, priority)
  }

  /** Whether a job of this type may start as soon as it is ready. */
  mayStart(typeId: number): boolean {
    const type = this.#world.catalog.jobTypes.get(typeId)
    return !type || (!type.isPaused && type.maxScheduled === null)
  }

  /** Lets go as many held jobs of these types as may run now: none while paused, some where a type has a limit. */
  releaseHeld(typeIds: Iterable<number>): void {
    const { catalog, instances } = this.#world
    for (const typeId of typeIds) {
      const type = catalog.jobTypes.get(typeId)
      if (!type || type.isPaused || type.maxScheduled === null) continue
      const rows = instances.unfinished.filter(row => row.typeId === typeId && !row.isCanceled)
      const running = rows.filter(row => row.mainState === 'starting' || row.mainState === 'running').length
      const waiting = rows.filter(row => row.mainState === 'ready')
      const chosen = waiting.toSorted(byQueue).slice(0, Math.max(0, type.maxScheduled - running))
      if (chosen.length > 0) this.#after(this.#release(chosen))
    }
  }

  /** Holds or releases the waiting jobs of a type that was paused or resumed. */
  async holdType(typeId: number, isPaused: boolean): Promise<void> {
    const rows = this.#world.instances.unfinished.filter(row => row.typeId === typeId && !row.isCanceled)
    // Those without a job of the engine are held or not when they get one.
    const waiting = rows.filter(
      row => row.main !== 0 && ['blocked', 'ready', 'delayed'].includes(row.mainState),
    )
    if (waiting.length === 0) return
    if (!isPaused && this.#world.catalog.jobTypes.get(typeId)?.maxScheduled != null)
      return this.releaseHeld([typeId])
    await this.#world.commit(tx => {
      for (const row of waiting) isPaused ? tx.hold(row.main) : tx.release(row.main)
    })
  }

  async #release(rows: readonly JobRow[]): Promise<void> {
    await this.#world.commit(tx => {
      for (const row of rows) tx.release(row.main)
    })
  }

  #afterMove(row: JobRow): void {
    const priority = this.#wanted.size === 0 ? undefined : this.#wanted.get(row)
    if (priority !== undefined && (row.mainState === 'cancelled' || row.mainState === 'failed')) {
      this.#wanted.delete(row)
      this.#after(requeueJobs(this.#world, [row], priority))
    }
    if (row.status === 'COMPLETED') {
      if (row.flow === 0) this.#after(this.#registered(row))
      else {
        if (row.post !== 0) this.#after(this.#world.files.outputOf(row))
        if (this.#world.runs.mayHaveFolder(row)) this.#after(this.#world.runs.clear(row))
      }
    }
    if (needsCollecting(row)) this.#after(this.#collectAgain(row))
  }

  async #registered(row: JobRow): Promise<void> {
    await this.#world.scans.register(row)
    await this.#world.retirement.job(row)
  }

  // Only errors of the system are worth another try; what an algorithm says of itself it would say again.
  async #retry(row: JobRow): Promise<void> {
    const error = errorOfRow(row, this.#world.catalog)
    if (!error?.isRetried || row.supersededAt !== null || executionCount(row) >= row.maxTries) return
    if (row.mainState === 'failed')
      await this.#world.kit.engine.resubmit(row.main, { detail: { [mendedAt]: this.#world.now } })
  }

  async #collectAgain(row: JobRow): Promise<void> {
    await this.#world.kit.engine.resubmit(row.post)
  }

  /** Finds out how large a sub-recipe's input is, and by what it was sensed, once that is known. */
  async measure(row: RecipeRow): Promise<void> {
    if (row.inputBytes !== null || this.#measuring.has(row)) return this.#measuring.get(row)
    const work = this.#measure(row).finally(() => this.#measuring.delete(row))
    this.#measuring.set(row, work)
    return work
  }

  async #measure(row: RecipeRow): Promise<void> {
    const { kit, runs, files: known, instances } = this.#world
    const record = await readRecipe(kit.records, row.root)
    const stored = record?.recipes.find(recipe => recipe.id === row.id)
    const data = stored?.input ? await runs.follow(stored.input, await runs.specOf(row)) : undefined
    const files = data ? [...(await known.filesOf(data)).values()] : []
    row.inputBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    row.source = mergeSources(files.map(sourceFactsOf))
    if (files.length > 0) instances.amend({ recipe: row })
  }

  #after(work: Promise<unknown>): void {
    work.catch(error =>
      this.#world.kit.log.warn(
        { err: error },
        'a consequence of Scale jobs could not be drawn; it will be at the next start',
      ),
    )
  }
}

/** Its program ran again after its outputs could not be collected, and has succeeded. */
function needsCollecting(row: JobRow): boolean {
  return row.post !== 0 && row.main > row.post && row.mainState === 'succeeded' && row.postState === 'failed'
}

function byQueue(a: JobRow, b: JobRow): number {
  return a.priority - b.priority || (a.queuedAt ?? 0) - (b.queuedAt ?? 0)
}
