// The jobs and recipes that are not at rest, with the counts that clients watch. Changes come in as the engine's events,
// after the commit that made them true; nothing here decides anything. What is at rest lies in the store (archive.ts);
// the ledgers have a line of both.

import type { Event } from '../../../core/event.ts'
import type { DagPlan, FlowNode } from '../../../core/flow.ts'
import { readAttemptId } from '../../../core/ids.ts'
import type { Job } from '../../../core/job.ts'
import type { EndReason, JobState } from '../../../core/job-state.ts'
import type { Status } from '../words.ts'
import { jobIdIn } from './job-facts.ts'
import { LastChanges } from './last-changes.ts'
import { type BatchTally, Ledgers } from './ledgers.ts'
import { type JobRow, noCounts, type RecipeRow, statusOfRow } from './rows.ts'
import { stepsBelowTrouble } from './trouble.ts'

/** A flow that has not ended, with what its rows hang on. */
export interface LiveFlow {
  readonly n: number
  /** Recipes of this flow, the top first; none for a single job. */
  readonly recipes: readonly LiveRecipe[]
  readonly jobs: ReadonlyMap<string, JobRow>
  readonly plan: DagPlan
  /** Gates by key, as the planner moves them. */
  readonly gates: ReadonlyMap<string, FlowNode>
  /** For steps and recipes below conditions: the gates that must all be open for them to exist. */
  readonly guards: ReadonlyMap<string, readonly string[]>
  /** Places of engine jobs that worked for its rows before those that do now. */
  readonly places: number[]
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
  submitted: 'ready',
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
  get unfinished(): JobRow[] {
    return [...this.jobs.values()].filter(row => !isEnded(row.status))
  }
  readonly #byPlace = new Map<number, JobRow>()
  /** What changed since the ledgers heard of it last. */
  readonly #changedJobs = new LastChanges<JobRow>()
  readonly #changedRecipes = new LastChanges<RecipeRow>()
  /** While rows are loaded the ledgers take them in no order. */
  #isLoading = true

  readonly #engineJob: (n: number) => Readonly<Job> | undefined

  /** `errorIdOf` gives the number of a failed job's error in the catalogue, `engineJob` a job that the engine has at hand. */
  constructor(errorIdOf: (row: JobRow) => number, engineJob: (n: number) => Readonly<Job> | undefined) {
    this.ledgers = new Ledgers(errorIdOf)
    this.#engineJob = engineJob
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
    this.#byPlace.delete(row.main)
    this.#byPlace.delete(row.post)
  }

  /** Adds a job, and counts it. */
  addJob(row: JobRow): void {
    row.status = statusOfRow(row)
    this.jobs.set(row.id, row)
    this.touchJob(row, row.modifiedAt)
    if (row.main !== 0) this.#byPlace.set(row.main, row)
    if (row.post !== 0) this.#byPlace.set(row.post, row)
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

  /** Says that an engine job works for a job, now or before. */
  place(n: number, row: JobRow): void {
    this.#byPlace.set(n, row)
    this.flows.get(row.flow)?.places.push(n)
  }

  /** Adds to the counts of a recipe and of all that contain it. */
  count(recipe: number | null, status: Status, by: number): void {
    for (let row = this.#recipe(recipe); row; row = this.#recipe(row.parent))
      countIn(this.ledgers, row, status, by)
  }

  /** Applies events. Events of the past that are told again change nothing. */
  follow(events: readonly Event[]): RecipeNews {
    const failed: JobRow[] = []
    const changes = new LastChanges<JobRow>()
    const moved: JobRow[] = []
    const touched = new Map<number, number>()
    const ended = new Map<number, { at: number; isCancelled: boolean }>()
    const troubled = new Map<number, number>()
    for (const event of events) {
      if (event.subject === 'flow') {
        const isCancelled = event.type === 'cancelled'
        if (event.type === 'stop-asked') this.#endUnmade(event.n, event.at)
        if (event.type === 'succeeded' || isCancelled) ended.set(event.n, { at: event.at, isCancelled })
        continue
      }
      const row = event.subject === 'job' ? this.#rowOf(event) : undefined
      if (!row) continue
      this.#apply(row, event)
      changes.add(row, event.at)
    }
    changes.take((row, at) => {
      const was = row.status
      if (this.#refresh(row, at)) {
        if (row.status === 'FAILED') failed.push(row)
        if (holdsUp(was) !== holdsUp(row.status)) troubled.set(row.flow, at)
      }
      moved.push(row)
      // Without gates there is nothing to be opened or completed before the end.
      if (this.flows.get(row.flow)?.gates.size) touched.set(row.flow, at)
    })
    for (const [n, at] of troubled) this.#spreadTrouble(n, at)
    for (const [n, { at }] of ended) this.#endUnmade(n, at)
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
    return { completed, begun, failed, moved, ended: endedFlows }
  }

  /** Marks a job cancelled, or no longer so, before the engine gets there. */
  setCanceled(row: JobRow, isCanceled: boolean, at: number): void {
    row.isCanceled = isCanceled
    this.#refresh(row, at)
    this.#spreadTrouble(row.flow, at)
    this.#tellLedgers()
  }

  /** Takes up a flow: rows become visible as their gates are. */
  addFlow(flow: LiveFlow, at: number): void {
    this.flows.set(flow.n, flow)
    this.#settleFlow(flow, at, [], [])
  }

  complete(row: RecipeRow, at: number, completed: RecipeRow[]): void {
    if (row.completedAt !== null) return
    row.completedAt = at
    this.touchRecipe(row, at)
    if (row.parent !== null) this.#countSubRecipe(row.parent, 0, 1)
    else if (row.batch !== null) this.ledgers.tallyOf(row.batch).completed++
    completed.push(row)
  }

  /** The row that an event is about: a new engine job says in its detail which one it works for. */
  #rowOf({ n, type }: Event): JobRow | undefined {
    const known = this.#byPlace.get(n)
    if (known || type !== 'submitted') return known
    const job = this.#engineJob(n)
    if (job?.dialect !== 'scale') return undefined
    const collects = job.detail?.['collects']
    const row = this.jobs.get(typeof collects === 'number' ? collects : jobIdIn(job.detail))
    if (!row) return undefined
    if (typeof collects === 'number') row.post = n
    else row.main = n
    this.#byPlace.set(n, row)
    return row
  }

  // What the engine has made no job for when its flow is stopped, or has ended, will never run.
  #endUnmade(flow: number, at: number): void {
    for (const row of this.flows.get(flow)?.jobs.values() ?? []) {
      if (row.main !== 0 || row.mainState !== 'blocked') continue
      row.mainState = 'cancelled'
      this.#refresh(row, at)
    }
  }

  #apply(row: JobRow, event: Event): void {
    const { body, at, type } = event
    let state = stateOfEvent[type]
    if (!state) return
    // One that was made before its time waits where its row did.
    if (type === 'submitted' && this.#engineJob(event.n)?.state === 'blocked') state = 'blocked'
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
    if (state === 'ready') {
      row.queuedAt = at
      row.startedAt = null
      row.endedAt = null
      row.reason = null
      row.exitCode = null
    }
    if (state === 'starting') {
      const attempt = body?.['attempt']
      row.attempts = typeof attempt === 'string' ? (readAttemptId(attempt)?.number ?? 1) : 1
    }
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
    const was = row.status
    const status = statusOfRow(row)
    const isNew = status !== was
    this.#changedJobs.add(row, at)
    for (let above = this.#recipe(row.recipe); above; above = this.#recipe(above.parent)) {
      if (isNew && row.isVisible) {
        countIn(this.ledgers, above, was, -1)
        countIn(this.ledgers, above, status, 1)
      }
      this.#changedRecipes.add(above, at)
    }
    if (isNew) {
      row.status = status
      row.changedAt = at
    }
    return isNew
  }

  // A batch of events may change a row many times; the ledgers hear of it once, in the order of the last changes.
  #tellLedgers(): void {
    this.#changedJobs.take((row, at) => this.touchJob(row, at))
    this.#changedRecipes.take((row, at) => this.touchRecipe(row, at))
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

  #spreadTrouble(n: number, at: number): void {
    const flow = this.flows.get(n)
    if (!flow) return
    const below = stepsBelowTrouble(flow.plan, flow.jobs)
    for (const [step, row] of flow.jobs) {
      if (row.mainState !== 'blocked' || row.isBelowTrouble === below.has(step)) continue
      row.isBelowTrouble = below.has(step)
      this.#refresh(row, at)
    }
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

function countIn(ledgers: Ledgers, row: RecipeRow, status: Status, by: number): void {
  row.counts[status] += by
  if (row.parent === null && row.batch !== null) ledgers.tallyOf(row.batch).jobs[status] += by
}

/** Whether a job with this status is at rest: it can only go on when somebody asks. */
export function isEnded(status: Status): boolean {
  return status === 'COMPLETED' || status === 'FAILED' || status === 'CANCELED'
}

function holdsUp(status: Status): boolean {
  return status === 'FAILED' || status === 'CANCELED'
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
