// Jobs and recipes as lists need them: compact rows in memory. What changes comes from the engine's events, what does
// not stands in the engine's jobs and in records, from which the rows are made again at a start.

import type { EndReason, JobState } from '../../../core/job-state.ts'
import type { SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import { type Status, statuses, statusWord } from '../words.ts'

/** A job. */
export interface JobRow {
  readonly id: number
  readonly typeId: number
  readonly revision: number
  readonly recipe: number | null
  readonly node: string | null
  readonly step: string
  readonly flow: number
  readonly eventId: number
  readonly eventAt: number
  readonly batch: number | null
  readonly createdAt: number
  readonly supersedes: number | null
  /** Executions before the engine job that runs it now; not nothing only when its outputs had to be made again. */
  exesBefore: number
  /**
   * The engine's job that runs the program, and the one that collects its outputs. 0: none, or not made yet: the engine
   * makes jobs when nothing is left to wait for, or when somebody wants to do something with one.
   */
  main: number
  post: number
  mainState: JobState
  postState: JobState | null
  isBelowTrouble: boolean
  isCanceled: boolean
  /** Below a condition that has not said yes, it does not exist for clients. */
  isVisible: boolean
  attempts: number
  reason: EndReason | null
  exitCode: number | null
  priority: number
  maxTries: number
  queuedAt: number | null
  startedAt: number | null
  endedAt: number | null
  changedAt: number
  modifiedAt: number
  inputBytes: number | null
  /** When and by what its input was sensed; only at hand for jobs whose recipe has not ended. */
  source: SourceFacts
  supersededAt: number | null
  supersededBy: number | null
  status: Status
}

/** A recipe, or a sub-recipe. */
export interface RecipeRow {
  readonly id: number
  readonly typeId: number
  readonly revision: number
  readonly eventId: number
  readonly eventAt: number
  readonly batch: number | null
  /** The recipe that contains it, and the one at the top. */
  readonly parent: number | null
  readonly root: number
  readonly flow: number
  readonly createdAt: number
  readonly supersedes: number | null
  readonly rootSuperseded: number | null
  isVisible: boolean
  inputBytes: number | null
  source: SourceFacts
  counts: Record<Status, number>
  subRecipes: number
  subRecipesDone: number
  completedAt: number | null
  modifiedAt: number
  supersededAt: number | null
  supersededBy: number | null
}

/** Zero of every status. */
export function noCounts(): Record<Status, number> {
  return { PENDING: 0, BLOCKED: 0, QUEUED: 0, RUNNING: 0, FAILED: 0, COMPLETED: 0, CANCELED: 0 }
}

/** How many jobs there are in all. */
export function countAll(counts: Readonly<Record<Status, number>>): number {
  return statuses.reduce((sum, status) => sum + counts[status], 0)
}

/** The status that follows from a row's facts. */
export function statusOfRow(row: JobRow): Status {
  const { mainState: main, postState: post, isBelowTrouble, isCanceled } = row
  return statusWord({ main, post, isBelowTrouble, isCanceled })
}

/** How many executions a client is told of: those begun, and the one that waits in the queue. */
export function executionCount(row: JobRow): number {
  const waits = row.mainState === 'ready' || row.mainState === 'delayed'
  return row.exesBefore + row.attempts + (waits && !row.isCanceled ? 1 : 0)
}
