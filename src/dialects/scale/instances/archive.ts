// Rows of jobs and recipes, wherever they are: at hand while something of them may still move, else read from the engine's
// history and the dialect's records. A few that were read lately are kept.

import { setImmediate as turn } from 'node:timers/promises'
import type { World } from '../world.ts'
import { jobInts, recipeInts, recipeTimes } from './ledgers.ts'
import { freshJob, readRow, recipeRows } from './load.ts'
import { readRecipe, readRecipeEnd, type Superseded, supersededCollection } from './recipe-record.ts'
import { jobStepsOf } from './recipe-spec.ts'
import { RestKeys } from './rest-keys.ts'
import { type JobRow, type RecipeRow, statusOfRow } from './rows.ts'

/** How many rows of each kind are kept after they were read. */
const keptMax = 2048
/** After this many readings others have their turn: a batch may ask for ten thousand rows. */
const turnEvery = 100

export class Archive {
  readonly #world: World
  readonly #jobs = new Kept<JobRow>()
  readonly #recipes = new Kept<RecipeRow>()
  /** What lists were ordered by of rows at rest. */
  readonly jobKeys = new RestKeys()
  readonly recipeKeys = new RestKeys()
  #readings = 0

  constructor(world: World) {
    this.#world = world
  }

  /** A job; undefined when there is none, or when history has forgotten it. */
  async job(id: number | null): Promise<JobRow | undefined> {
    if (id === null) return undefined
    const known = this.#world.instances.jobs.get(id) ?? this.#jobs.get(id)
    return known ?? this.#readJob(id)
  }

  /** Jobs in the order of their ids given; those that are gone are left out. */
  async jobs(ids: readonly number[]): Promise<JobRow[]> {
    const rows: JobRow[] = []
    for (const id of ids) {
      const row = await this.job(id)
      if (row) rows.push(row)
    }
    return rows
  }

  /** A recipe or sub-recipe. */
  async recipe(id: number | null): Promise<RecipeRow | undefined> {
    if (id === null) return undefined
    const known = this.#world.instances.recipes.get(id) ?? this.#recipes.get(id)
    return known ?? this.#readRecipe(id)
  }

  /** Recipes in the order of their ids given. */
  async recipes(ids: readonly number[]): Promise<RecipeRow[]> {
    const rows: RecipeRow[] = []
    for (const id of ids) {
      const row = await this.recipe(id)
      if (row) rows.push(row)
    }
    return rows
  }

  /** What was kept of these is not true any more. */
  drop(is: 'job' | 'recipe', id: number): void {
    if (is === 'job') {
      this.#jobs.drop(id)
      this.jobKeys.drop(id)
    } else {
      this.#recipes.drop(id)
      this.recipeKeys.drop(id)
    }
  }

  /** Memory was read again. */
  clear(): void {
    this.#jobs.clear()
    this.#recipes.clear()
    this.jobKeys.clear()
    this.recipeKeys.clear()
  }

  async #readJob(id: number): Promise<JobRow | undefined> {
    if (++this.#readings % turnEvery === 0) await turn()
    const { instances, kit } = this.#world
    const ledger = instances.ledgers.jobs
    const entry = ledger.rowOf(id)
    if (!entry) return undefined
    const facts = instances.ledgers.jobClassOf(id)!
    const [mainPlace, postPlace] = [entry.ints[jobInts.main]!, entry.ints[jobInts.post]!]
    const main = mainPlace === 0 ? undefined : await kit.engine.job({ n: mainPlace })
    const post = postPlace === 0 ? undefined : await kit.engine.job({ n: postPlace })
    const row =
      mainPlace === 0 ? await this.#unmadeRow(id, entry.ints[jobInts.recipe]!) : main && readRow(main, post)
    if (!row) {
      // Its time in history is over.
      if (!instances.jobs.has(id)) ledger.drop(id)
      return undefined
    }
    row.isVisible = facts.isVisible
    row.modifiedAt = entry.at
    if (facts.isSuperseded) Object.assign(row, await this.#supersededOf('job', id))
    // It may have been replaced while it was read.
    if (instances.ledgers.jobClassOf(id)?.isSuperseded === facts.isSuperseded) this.#jobs.keep(id, row)
    return row
  }

  // Its recipe was stopped before it was its turn: then there is nothing but the flow's document.
  async #unmadeRow(id: number, recipe: number): Promise<JobRow | undefined> {
    const flow = (await this.recipe(recipe))?.flow
    const spec = flow === undefined ? undefined : await this.#world.runs.specOf({ flow })
    const found = spec && [...jobStepsOf(spec)].find(([, step]) => step.id === id)
    if (flow === undefined || !found) return undefined
    const row = freshJob({ flow, key: found[0], step: found[1], spec, now: spec.eventAt })
    row.mainState = 'cancelled'
    row.status = statusOfRow(row)
    return row
  }

  async #readRecipe(id: number): Promise<RecipeRow | undefined> {
    if (++this.#readings % turnEvery === 0) await turn()
    const { instances, kit } = this.#world
    const entry = instances.ledgers.recipes.rowOf(id)
    if (!entry) return undefined
    const root = entry.ints[recipeInts.root]!
    const record = await readRecipe(kit.records, root)
    const row = record && recipeRows(record).find(other => other.id === id)
    if (!row) {
      // Its record is gone: a line of what cannot be shown would only be counted.
      if (!instances.recipes.has(id)) instances.ledgers.recipes.drop(id)
      return undefined
    }
    const end = await readRecipeEnd(kit.records, root)
    if (end)
      Object.assign(
        row,
        end.ends.find(other => other.id === id),
      )
    else {
      // Nothing is written down of an end at which all jobs were complete, and there was nothing else.
      row.completedAt = entry.times[recipeTimes.completed]!
      row.counts.COMPLETED = Object.keys(record.recipes[0]!.nodes).length
    }
    row.modifiedAt = entry.at
    const isSuperseded = instances.ledgers.recipeClassOf(id)?.isSuperseded
    if (isSuperseded) Object.assign(row, await this.#supersededOf('recipe', id))
    if (instances.ledgers.recipeClassOf(id)?.isSuperseded === isSuperseded) this.#recipes.keep(id, row)
    return row
  }

  async #supersededOf(is: 'job' | 'recipe', id: number): Promise<object> {
    const record = await this.#world.kit.records.get(supersededCollection, `${is} ${id}`)
    const facts = record?.body as unknown as Superseded | undefined
    return facts ? { supersededAt: facts.at, supersededBy: facts.by } : {}
  }
}

/** The rows read last. */
class Kept<T> {
  readonly #rows = new Map<number, T>()

  get(id: number): T | undefined {
    const row = this.#rows.get(id)
    if (row !== undefined) this.keep(id, row)
    return row
  }

  keep(id: number, row: T): void {
    this.#rows.delete(id)
    this.#rows.set(id, row)
    if (this.#rows.size > keptMax) this.#rows.delete(this.#rows.keys().next().value!)
  }

  drop(id: number): void {
    this.#rows.delete(id)
  }

  clear(): void {
    this.#rows.clear()
  }
}
