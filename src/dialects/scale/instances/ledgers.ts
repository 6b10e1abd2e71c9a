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

  constructor(errorIdOf: (row: JobRow) => number) {
    this.#errorIdOf = errorIdOf
    this.sources.numberOf({})
  }

  /** A job's row as its ledger has it. */
  jobEntry(row: JobRow): LedgerRow {
    const facts: JobClass = {
      typeId: row.typeId,
      status: row.status,
      isSuperseded: row.supersededAt !== null,
      isVisible: row.isVisible,
      errorId: row.status === 'FAILED' ? this.#errorIdOf(row) : 0,
    }
    return {
      id: row.id,
      at: row.modifiedAt,
      class: this.jobClasses.numberOf(facts),
      ints: [row.batch ?? 0, row.recipe ?? 0, row.main, row.post, this.#sourceOf(row.source)],
      times: [row.startedAt, row.endedAt, ...sourceTimes(row.source)],
    }
  }

  /** A recipe's row as its ledger has it. */
  recipeEntry(row: RecipeRow): LedgerRow {
    const facts: RecipeClass = {
      typeId: row.typeId,
      isCompleted: row.completedAt !== null,
      isSuperseded: row.supersededAt !== null,
      isVisible: row.isVisible,
    }
    return {
      id: row.id,
      at: row.modifiedAt,
      class: this.recipeClasses.numberOf(facts),
      ints: [row.batch ?? 0, row.root, this.#sourceOf(row.source)],
      times: [row.completedAt, ...sourceTimes(row.source)],
    }
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

function sourceTimes(facts: SourceFacts): [number | null, number | null] {
  return [facts.sourceStartedAt ?? null, facts.sourceEndedAt ?? null]
}
