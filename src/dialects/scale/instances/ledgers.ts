// The ledger of jobs and the one of recipes: what of a row goes into which column, and how many jobs of every batch
// stand where. From here lists, counts and the watching of types are answered, whether a row is at hand or not.

import type { SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import { type Status, statuses } from '../words.ts'
import { classesOf, Ledger, type LedgerRow } from './ledger.ts'
import { type JobRow, noCounts, type RecipeRow } from './rows.ts'

/** What decides most filters of job lists. */
export interface JobClass {
  readonly typeId: number
  readonly status: Status
  readonly isSuperseded: boolean
  readonly isVisible: boolean
  /** Its error's number in the catalogue; 0 for jobs that did not fail. */
  readonly errorId: number
}

/** What decides most filters of recipe lists. */
export interface RecipeClass {
  readonly typeId: number
  readonly isCompleted: boolean
  readonly isSuperseded: boolean
  readonly isVisible: boolean
}

/** By what something was sensed, as far as it is known. */
export type SourceNames = Pick<
  SourceFacts,
  'sourceSensorClass' | 'sourceSensor' | 'sourceCollection' | 'sourceTask'
>

/** The columns of whole numbers; 0 stands for none. */
export const jobInts = { batch: 0, recipe: 1, main: 2, post: 3, source: 4 } as const
export const recipeInts = { batch: 0, root: 1, source: 2 } as const
/** The columns of times. */
export const jobTimes = { started: 0, ended: 1, sourceFrom: 2, sourceTo: 3 } as const
export const recipeTimes = { completed: 0, sourceFrom: 1, sourceTo: 2 } as const

/** How the recipes of a batch stand, and the jobs in them. */
export interface BatchTally {
  readonly jobs: Record<Status, number>
  recipes: number
  completed: number
}

export class Ledgers {
  readonly jobs = new Ledger(Object.keys(jobInts).length, Object.keys(jobTimes).length)
  readonly recipes = new Ledger(Object.keys(recipeInts).length, Object.keys(recipeTimes).length)
  readonly jobClasses = classesOf<JobClass>(
    facts =>
      `${facts.typeId} ${facts.status} ${facts.errorId}${facts.isSuperseded ? ' s' : ''}${facts.isVisible ? '' : ' h'}`,
  )
  readonly recipeClasses = classesOf<RecipeClass>(
    facts =>
      `${facts.typeId}${facts.isCompleted ? ' c' : ''}${facts.isSuperseded ? ' s' : ''}${facts.isVisible ? '' : ' h'}`,
  )
  /** Everything that things were sensed by; the first is nothing. */
  readonly sources = classesOf<SourceNames>(names =>
    JSON.stringify([names.sourceSensorClass, names.sourceSensor, names.sourceCollection, names.sourceTask]),
  )
  readonly batches = new Map<number, BatchTally>()
  readonly #errorIdOf: (row: JobRow) => number
  readonly #usualJobClasses = new Map<number, number>()
  readonly #usualRecipeClasses = new Map<number, number>()
  readonly #jobEntry = emptyEntry(Object.keys(jobInts).length, Object.keys(jobTimes).length)
  readonly #recipeEntry = emptyEntry(Object.keys(recipeInts).length, Object.keys(recipeTimes).length)

  constructor(errorIdOf: (row: JobRow) => number) {
    this.#errorIdOf = errorIdOf
    this.sources.numberOf({})
  }

  /** A job's row as its ledger has it; good until the next one is asked for. */
  jobEntry(row: JobRow): LedgerRow {
    const { source } = row
    const entry = this.#jobEntry
    entry.id = row.id
    entry.at = row.modifiedAt
    entry.class = this.#classOfJob(row)
    entry.ints[jobInts.batch] = row.batch ?? 0
    entry.ints[jobInts.recipe] = row.recipe ?? 0
    entry.ints[jobInts.main] = row.main
    entry.ints[jobInts.post] = row.post
    entry.ints[jobInts.source] = this.#sourceOf(source)
    entry.times[jobTimes.started] = row.startedAt
    entry.times[jobTimes.ended] = row.endedAt
    entry.times[jobTimes.sourceFrom] = source.sourceStartedAt ?? null
    entry.times[jobTimes.sourceTo] = source.sourceEndedAt ?? null
    return entry
  }

  /** A recipe's row as its ledger has it; good until the next one is asked for. */
  recipeEntry(row: RecipeRow): LedgerRow {
    const { source } = row
    const entry = this.#recipeEntry
    entry.id = row.id
    entry.at = row.modifiedAt
    entry.class = this.#classOfRecipe(row)
    entry.ints[recipeInts.batch] = row.batch ?? 0
    entry.ints[recipeInts.root] = row.root
    entry.ints[recipeInts.source] = this.#sourceOf(source)
    entry.times[recipeTimes.completed] = row.completedAt
    entry.times[recipeTimes.sourceFrom] = source.sourceStartedAt ?? null
    entry.times[recipeTimes.sourceTo] = source.sourceEndedAt ?? null
    return entry
  }

  // Asked at every move of every job: the usual classes are found by a number, without putting their facts into words.
  #classOfJob(row: JobRow): number {
    const isSuperseded = row.supersededAt !== null
    const flags = (isSuperseded ? 1 : 0) + (row.isVisible ? 2 : 0)
    const short = (row.typeId * statuses.length + statuses.indexOf(row.status)) * 4 + flags
    const known = row.status === 'FAILED' ? undefined : this.#usualJobClasses.get(short)
    if (known !== undefined) return known
    const errorId = row.status === 'FAILED' ? this.#errorIdOf(row) : 0
    const { typeId, status, isVisible } = row
    const cls = this.jobClasses.numberOf({ typeId, status, isSuperseded, isVisible, errorId })
    if (row.status !== 'FAILED') this.#usualJobClasses.set(short, cls)
    return cls
  }

  #classOfRecipe(row: RecipeRow): number {
    const [isCompleted, isSuperseded] = [row.completedAt !== null, row.supersededAt !== null]
    const flags = (isCompleted ? 1 : 0) + (isSuperseded ? 2 : 0) + (row.isVisible ? 4 : 0)
    const short = row.typeId * 8 + flags
    const known = this.#usualRecipeClasses.get(short)
    if (known !== undefined) return known
    const { typeId, isVisible } = row
    const cls = this.recipeClasses.numberOf({ typeId, isCompleted, isSuperseded, isVisible })
    this.#usualRecipeClasses.set(short, cls)
    return cls
  }

  jobClassOf(id: number): JobClass | undefined {
    const place = this.jobs.placeOf(id)
    return place === undefined ? undefined : this.jobClasses.all[this.jobs.classAt(place)]
  }

  recipeClassOf(id: number): RecipeClass | undefined {
    const place = this.recipes.placeOf(id)
    return place === undefined ? undefined : this.recipeClasses.all[this.recipes.classAt(place)]
  }

  /** The entry of something that is replaced now. */
  supersededEntry(is: 'job' | 'recipe', id: number, at: number): LedgerRow | undefined {
    if (is === 'job') {
      const [entry, facts] = [this.jobs.rowOf(id), this.jobClassOf(id)]
      return entry && { ...entry, at, class: this.jobClasses.numberOf({ ...facts!, isSuperseded: true }) }
    }
    const [entry, facts] = [this.recipes.rowOf(id), this.recipeClassOf(id)]
    return entry && { ...entry, at, class: this.recipeClasses.numberOf({ ...facts!, isSuperseded: true }) }
  }

  /** The tally of a batch, to be counted in. */
  tallyOf(batch: number): BatchTally {
    let tally = this.batches.get(batch)
    if (!tally) {
      tally = { jobs: noCounts(), recipes: 0, completed: 0 }
      this.batches.set(batch, tally)
    }
    return tally
  }

  /** Adds what is known of recipes of a batch that are not at hand. */
  addTally(batch: number, more: BatchTally): void {
    const tally = this.tallyOf(batch)
    for (const status of statuses) tally.jobs[status] += more.jobs[status]
    tally.recipes += more.recipes
    tally.completed += more.completed
  }

  #sourceOf(facts: SourceFacts): number {
    const { sourceSensorClass, sourceSensor, sourceCollection, sourceTask } = facts
    if (!(sourceSensorClass ?? sourceSensor ?? sourceCollection ?? sourceTask)) return 0
    return this.sources.numberOf({
      ...(sourceSensorClass !== undefined && { sourceSensorClass }),
      ...(sourceSensor !== undefined && { sourceSensor }),
      ...(sourceCollection !== undefined && { sourceCollection }),
      ...(sourceTask !== undefined && { sourceTask }),
    })
  }
}

interface Entry extends LedgerRow {
  id: number
  at: number
  class: number
  readonly ints: number[]
  readonly times: (number | null)[]
}

function emptyEntry(ints: number, times: number): Entry {
  return { id: 0, at: 0, class: 0, ints: new Array(ints).fill(0), times: new Array(times).fill(null) }
}
