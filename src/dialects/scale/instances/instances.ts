// The jobs and recipes that are not at rest, with the counts that clients watch. Changes come in as the engine's events,
// after the commit that made them true; nothing here decides anything. What is at rest lies in the store (archive.ts);
// the ledgers have a line of both.

import type { Event } from '../../../core/event.ts'
import type { FlowNode } from '../../../core/flow.ts'
import { readAttemptId } from '../../../core/ids.ts'
import type { EndReason, JobState } from '../../../core/job-state.ts'
import type { Status } from '../words.ts'
import { type BatchTally, Ledgers } from './ledgers.ts'
import { type JobRow, noCounts, type RecipeRow, statusOfRow } from './rows.ts'

/** A flow that has not ended, with what its rows hang on. */
export interface LiveFlow {
  readonly n: number
  /** Recipes of this flow, the top first; none for a single job. */
  readonly recipes: readonly LiveRecipe[]
  readonly jobs: ReadonlyMap<string, JobRow>
  /** Parents of each job among the jobs, by step. */
  readonly parents: ReadonlyMap<string, readonly string[]>
  /** Gates by key, as the planner moves them. */
  readonly gates: ReadonlyMap<string, FlowNode>
  /** For steps and recipes below conditions: the gates that must all be open for them to exist. */
  readonly guards: ReadonlyMap<string, readonly string[]>
  /** The engine's jobs of all its steps. */
  readonly places: readonly number[]
}

/** A recipe that is not complete. */
export interface LiveRecipe {
  readonly row: RecipeRow
  /** The gates at its beginning and end; absent for the top recipe. */
  readonly beginsWith?: string
  readonly endsWith?: string
  readonly guards: readonly string[]
}

/** What happened to recipes in a batch of events. */
export interface RecipeNews {
  readonly completed: readonly RecipeRow[]
  readonly begun: readonly RecipeRow[]
  readonly failed: readonly JobRow[]
  readonly moved: readonly JobRow[]
  /** Flows of which nothing will move any more, in the order of their ends. */
  readonly ended: readonly LiveFlow[]
}

const stateOfEvent: Readonly<Record<string, JobState>> = {
  released: 'ready',
  blocked: 'blocked',
  delayed: 'delayed',
  due: 'ready',
  claimed: 'starting',
  began: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  retried: 'delayed',
  yielded: 'ready',
  cancelled: 'cancelled',
  resubmitted: 'ready',
  revived: 'blocked',
  'written-off': 'cancelled',
}

export class Instances {
  readonly jobs = new Map<number, JobRow>()
  readonly recipes = new Map<number, RecipeRow>()
  readonly flows = new Map<number, LiveFlow>()
  /** A line of everything, at hand or not. */
  readonly ledgers: Ledgers
  /** Jobs that have not ended, for everything that watches the queue. */
  readonly unfinished = new Set<JobRow>()
  readonly #byPlace = new Map<number, JobRow>()
  /** What changed since the ledgers heard of it last, and when. */
  readonly #changedJobs = new Map<JobRow, number>()
  readonly #changedRecipes = new Map<RecipeRow, number>()
  /** While rows are loaded the ledgers take them in no order. */
  #isLoading = true

  /** `errorIdOf` gives the number of a failed job's error in the catalogue. */
  constructor(errorIdOf: (row: JobRow) => number) {
    this.ledgers = new Ledgers(errorIdOf)
  }

  /** Everything is loaded: puts the ledgers in the order of changes. */
  settle(): void {
    this.#isLoading = false
    this.ledgers.jobs.settle()
    this.ledgers.recipes.settle()
  }

  /** It has changed, and goes to the end of the order; while rows are loaded they keep the times they came with. */
  touchJob(row: JobRow, at: number): void {
    if (!this.#isLoading) row.modifiedAt = at
    const entry = this.ledgers.jobEntry(row)
    if (this.#isLoading) this.ledgers.jobs.take(entry)
    else row.modifiedAt = this.ledgers.jobs.put(entry)
  }

  touchRecipe(row: RecipeRow, at: number): void {
    if (!this.#isLoading) row.modifiedAt = at
    const entry = this.ledgers.recipeEntry(row)
    if (this.#isLoading) this.ledgers.recipes.take(entry)
    else row.modifiedAt = this.ledgers.recipes.put(entry)
  }

  /** Something became known of rows that is no change to whoever watches: what their input was sensed by. */
  amend(rows: { readonly job?: JobRow; readonly recipe?: RecipeRow }): void {
    if (rows.job) this.ledgers.jobs.amend(this.ledgers.jobEntry(rows.job))
    if (rows.recipe) this.ledgers.recipes.amend(this.ledgers.recipeEntry(rows.recipe))
  }

  /** Lets go of the rows of a flow: they are at rest, and written down as such. */
  release(flow: LiveFlow): void {
    this.flows.delete(flow.n)
    for (const { row } of flow.recipes) this.recipes.delete(row.id)
    for (const row of flow.jobs.values()) this.releaseJob(row)
    for (const n of flow.places) this.#byPlace.delete(n)
  }

  /** Lets go of a single job that is at rest. */
  releaseJob(row: JobRow): void {
    this.jobs.delete(row.id)
    this.unfinished.delete(row)
    this.#byPlace.delete(row.main)
    this.#byPlace.delete(row.post)
  }

  // Events of jobs whose rows are still being made; kept only while some are.
  readonly #early = new Map<number, Event[]>()
  readonly #endedEarly = new Map<number, Event>()
  #expected = 0

  /** Rows of a new flow will come: until the returned function is called, events of unknown jobs are kept. */
  expect(): () => void {
    this.#expected++
    return () => {
      if (--this.#expected > 0) return
      this.#early.clear()
      this.#endedEarly.clear()
    }
  }

  /** The end of a flow that nobody knew yet; undefined when it goes on. */
  endedEarly(flow: number): Event | undefined {
    return this.#endedEarly.get(flow)
  }

  /** Lays the events over a new row that came before it. */
  catchUp(row: JobRow): void {
    for (const n of [row.main, row.post])
      for (const event of this.#early.get(n) ?? []) {
        this.#apply(row, event)
        row.changedAt = event.at
        row.modifiedAt = event.at
      }
  }

  /** Adds a job, and counts it. */
  addJob(row: JobRow): void {
    row.status = statusOfRow(row)
    this.jobs.set(row.id, row)
    this.touchJob(row, row.modifiedAt)
    this.#byPlace.set(row.main, row)
    if (row.post !== 0) this.#byPlace.set(row.post, row)
    if (!isEnded(row.status)) this.unfinished.add(row)
    if (row.isVisible) this.count(row.recipe, row.status, 1)
  }

  /** Adds a recipe whose jobs have not been counted. */
  addRecipe(row: RecipeRow): void {
    this.recipes.set(row.id, row)
    this.touchRecipe(row, row.modifiedAt)
    if (row.parent === null) {
      if (row.batch !== null) this.ledgers.tallyOf(row.batch).recipes++
    } else if (row.isVisible) this.#countSubRecipe(row.parent, 1, 0)
  }

  /** What the recipes of a flow add to their batch. */
  tallyOf(flow: LiveFlow): (BatchTally & { readonly batch: number }) | undefined {
    const top = flow.recipes[0]?.row
    if (!top || top.batch === null) return undefined
    return { batch: top.batch, recipes: 1, completed: top.completedAt === null ? 0 : 1, jobs: top.counts }
  }

  /** The job that an engine job works for. */
  jobAt(n: number): JobRow | undefined {
    return this.#byPlace.get(n)
  }

  /** Says that a job is now run by another engine job as well. */
  place(n: number, row: JobRow): void {
    this.#byPlace.set(n, row)
  }

  /** Adds to the counts of a recipe and of all that contain it. */
  count(recipe: number | null, status: Status, by: number): void {
    for (let row = this.#recipe(recipe); row; row = this.#recipe(row.parent)) {
      row.counts[status] += by
      if (row.parent === null && row.batch !== null) this.ledgers.tallyOf(row.batch).jobs[status] += by
    }
  }

  /** Applies events. Events of the past that are told again change nothing. */
  follow(events: readonly Event[]): RecipeNews {
    const failed: JobRow[] = []
    const moved = new Set<JobRow>()
    const touched = new Map<number, number>()
    const ended = new Map<number, { at: number; isCancelled: boolean }>()
    for (const event of events) {
      if (event.subject === 'flow') {
        const isCancelled = event.type === 'cancelled'
        if (event.type !== 'succeeded' && !isCancelled) continue
        ended.set(event.n, { at: event.at, isCancelled })
        if (this.#expected > 0 && !this.flows.has(event.n)) this.#endedEarly.set(event.n, event)
        continue
      }
      const row = event.subject === 'job' ? this.#byPlace.get(event.n) : undefined
      if (!row) {
        if (this.#expected > 0 && event.subject === 'job') this.#keepEarly(event)
        continue
      }
      this.#apply(row, event)
      moved.add(row)
      if (this.#refresh(row, event.at) && row.status === 'FAILED') failed.push(row)
      touched.set(row.flow, event.at)
    }
    this.#tellLedgers()
    const completed: RecipeRow[] = []
    const begun: RecipeRow[] = []
    for (const [n, at] of touched) {
      const flow = this.flows.get(n)
      if (flow) this.#settleFlow(flow, at, begun, completed)
    }
    const endedFlows: LiveFlow[] = []
    for (const [n, { at, isCancelled }] of ended) {
      const flow = this.flows.get(n)
      if (!flow) continue
      this.#settleFlow(flow, at, begun, completed)
      const top = flow.recipes[0]?.row
      // A recipe that was replaced before it was complete never becomes so.
      if (top && !isCancelled) this.complete(top, at, completed)
      endedFlows.push(flow)
    }
    return { completed, begun, failed, moved: [...moved], ended: endedFlows }
  }

  /** Marks a job cancelled, or no longer so, before the engine gets there. */
  setCanceled(row: JobRow, isCanceled: boolean, at: number): void {
    row.isCanceled = isCanceled
    this.#refresh(row, at)
    this.#spreadTrouble(row, at)
    this.#tellLedgers()
  }

  /** Takes up a flow: rows become visible as their gates are. */
  addFlow(flow: LiveFlow, at: number): void {
    this.flows.set(flow.n, flow)
    this.#settleFlow(flow, at, [], [])
    for (const row of flow.jobs.values()) if (row.isCanceled) this.#spreadTrouble(row, at)
    this.#tellLedgers()
  }

  complete(row: RecipeRow, at: number, completed: RecipeRow[]): void {
    if (row.completedAt !== null) return
    row.completedAt = at
    this.touchRecipe(row, at)
    if (row.parent !== null) this.#countSubRecipe(row.parent, 0, 1)
    else if (row.batch !== null) this.ledgers.tallyOf(row.batch).completed++
    completed.push(row)
  }

  #keepEarly(event: Event): void {
    const list = this.#early.get(event.n)
    if (list) list.push(event)
    else this.#early.set(event.n, [event])
  }

  #apply(row: JobRow, event: Event): void {
    const { body, at, type } = event
    if (type === 'upstream-failed' || type === 'upstream-mended') {
      if (event.n === row.main) row.isBelowTrouble = type === 'upstream-failed' || this.#isBelowCanceled(row)
      return
    }
    const state = stateOfEvent[type]
    if (!state) return
    if (event.n === row.post) {
      row.postState = state
      if (state === 'succeeded' || state === 'failed') {
        row.endedAt = at
        if (state === 'failed') {
          row.reason = 'stage-out'
          row.exitCode = typeof body?.['exitCode'] === 'number' ? body['exitCode'] : null
        }
      }
      return
    }
    row.main = event.n
    row.mainState = state
    if (state === 'blocked') row.isBelowTrouble = body?.['reason'] === 'upstream'
    if (state === 'ready') {
      row.queuedAt = at
      row.startedAt = null
      row.endedAt = null
      row.reason = null
      row.exitCode = null
    }
    if (state === 'starting')
      row.attempts = readAttemptId(String(body?.['attempt']))?.number ?? row.attempts + 1
    if (state === 'running') row.startedAt = at
    if (state === 'cancelled' && row.startedAt !== null) row.endedAt = at
    if (state === 'succeeded' || state === 'failed') {
      row.endedAt = at
      // A cancel that loses the race against the end is no cancel.
      if (state === 'succeeded') row.isCanceled = false
      row.reason = (body?.['reason'] as EndReason | undefined) ?? null
      row.exitCode = typeof body?.['exitCode'] === 'number' ? body['exitCode'] : null
    }
  }

  /** Brings the status in step with the facts; true when it changed. */
  #refresh(row: JobRow, at: number): boolean {
    const status = statusOfRow(row)
    const isNew = status !== row.status
    if (isNew) {
      if (row.isVisible) {
        this.count(row.recipe, row.status, -1)
        this.count(row.recipe, status, 1)
      }
      row.status = status
      row.changedAt = at
      if (isEnded(status)) this.unfinished.delete(row)
      else this.unfinished.add(row)
    }
    this.#mark(this.#changedJobs, row, at)
    for (let above = this.#recipe(row.recipe); above; above = this.#recipe(above.parent))
      this.#mark(this.#changedRecipes, above, at)
    return isNew
  }

  #mark<T>(changed: Map<T, number>, row: T, at: number): void {
    changed.delete(row)
    changed.set(row, at)
  }

  // A batch of events may change a row many times; the ledgers hear of it once, in the order of the last changes.
  #tellLedgers(): void {
    for (const [row, at] of this.#changedJobs) this.touchJob(row, at)
    for (const [row, at] of this.#changedRecipes) this.touchRecipe(row, at)
    this.#changedJobs.clear()
    this.#changedRecipes.clear()
  }

  #settleFlow(flow: LiveFlow, at: number, begun: RecipeRow[], completed: RecipeRow[]): void {
    for (const [step, guards] of flow.guards) {
      const row = flow.jobs.get(step)
      if (!row || row.isVisible || !isOpen(flow, guards)) continue
      row.isVisible = true
      this.count(row.recipe, row.status, 1)
      this.touchJob(row, at)
    }
    for (const { row, beginsWith, endsWith, guards } of flow.recipes) {
      if (!row.isVisible && isOpen(flow, guards)) {
        row.isVisible = true
        if (row.parent !== null) this.#countSubRecipe(row.parent, 1, 0)
        this.touchRecipe(row, at)
      }
      if (row.inputBytes === null && beginsWith !== undefined && isOpen(flow, [beginsWith])) begun.push(row)
      if (endsWith !== undefined && row.completedAt === null && isOpen(flow, [endsWith]))
        this.complete(row, this.#isLoading ? row.modifiedAt : at, completed)
    }
  }

  // The engine only knows that a cancelled job waits; that what is below it is blocked, it need not know.
  #spreadTrouble(cause: JobRow, at: number): void {
    const flow = this.flows.get(cause.flow)
    if (!flow) return
    const affected = new Set([cause.step])
    for (const [step, parents] of flow.parents) {
      if (!parents.some(parent => affected.has(parent))) continue
      affected.add(step)
      const row = flow.jobs.get(step)
      if (row?.mainState !== 'blocked') continue
      row.isBelowTrouble = this.#isBelowCanceled(row) || row.isBelowTrouble
      if (!cause.isCanceled) row.isBelowTrouble = this.#isBelowCanceled(row) || this.#isBelowFailed(row)
      this.#refresh(row, at)
    }
  }

  #isBelowCanceled(row: JobRow): boolean {
    return this.#hasAbove(row, above => above.isCanceled)
  }

  #isBelowFailed(row: JobRow): boolean {
    return this.#hasAbove(row, above => above.status === 'FAILED' || above.status === 'CANCELED')
  }

  #hasAbove(row: JobRow, matches: (above: JobRow) => boolean): boolean {
    const flow = this.flows.get(row.flow)
    if (!flow) return false
    const met = new Set(flow.parents.get(row.step) ?? [])
    for (const step of met) {
      const above = flow.jobs.get(step)
      if (above && matches(above)) return true
      for (const parent of flow.parents.get(step) ?? []) met.add(parent)
    }
    return false
  }

  #countSubRecipe(parent: number, total: number, done: number): void {
    for (let row = this.#recipe(parent); row; row = this.#recipe(row.parent)) {
      row.subRecipes += total
      row.subRecipesDone += done
    }
  }

  #recipe(id: number | null): RecipeRow | undefined {
    return id === null ? undefined : this.recipes.get(id)
  }
}

/** Whether a job with this status is at rest: it can only go on when somebody asks. */
export function isEnded(status: Status): boolean {
  return status === 'COMPLETED' || status === 'FAILED' || status === 'CANCELED'
}

function isOpen(flow: LiveFlow, gates: readonly string[]): boolean {
  return gates.every(key => flow.gates.get(key)?.state === 'done')
}

/** A recipe row at its creation. */
export function freshRecipe(
  facts: Omit<
    RecipeRow,
    | 'counts'
    | 'subRecipes'
    | 'subRecipesDone'
    | 'completedAt'
    | 'modifiedAt'
    | 'supersededAt'
    | 'supersededBy'
  >,
): RecipeRow {
  return {
    ...facts,
    counts: noCounts(),
    subRecipes: 0,
    subRecipesDone: 0,
    completedAt: null,
    modifiedAt: facts.createdAt,
    supersededAt: null,
    supersededBy: null,
  }
}
