// Makes the rows again from what is stored: at a start, and after a commit that failed. Reads the ledgers, which are a
// line for each job and recipe, and the jobs of flows that have not come to rest; everything else stays in the store.

import type { Event } from '../../../core/event.ts'
import type { Flow, FlowNode } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import type { Kit } from '../../dialect.ts'
import { collectKind, recipeKind } from '../run/drafter.ts'
import { maxTriesUsual } from '../shapes/catalog.ts'
import { freshRecipe, Instances, type LiveFlow, type LiveRecipe } from './instances.ts'
import { mendedAt, readJobFacts } from './job-facts.ts'
import { LedgerTail } from './ledger-record.ts'
import {
  againCollection,
  type RecipeRecord,
  readRecipe,
  type StoredRecipe,
  type Superseded,
  supersededCollection,
} from './recipe-record.ts'
import { type JobStepSpec, jobStepsOf, type RecipeSpec } from './recipe-spec.ts'
import { type JobRow, type RecipeRow, statusOfRow } from './rows.ts'
import { stepsBelowMended, stepsBelowTrouble } from './trouble.ts'

/** What was read of the store. */
export interface LoadedInstances {
  readonly instances: Instances
  readonly tail: LedgerTail
  /** Ends of flows that were not written down as such before the server stopped, in their order. */
  readonly ends: readonly Event[]
}

/** The rows of what is not at rest, and a line of everything. */
export async function loadInstances(
  kit: Kit,
  errorIdOf: (row: JobRow) => number,
  scanJobs: readonly number[],
): Promise<LoadedInstances> {
  const instances = new Instances(errorIdOf, n => kit.engine.atHand.job(n))
  const tail = new LedgerTail(instances.ledgers)
  await tail.load(kit.records)
  const ended = await endedSince(kit, instances)
  const live = [...kit.engine.liveFlows({ dialect: 'scale' })].filter(flow => flow.kind === recipeKind)
  for (const flow of [...ended, ...live]) await takeUp(kit, instances, flow)
  for (const id of scanJobs) await takeUpScan(kit, instances, id)
  instances.settle()
  const ends = ended.map(
    (flow): Event => ({
      subject: 'flow',
      n: flow.n,
      type: flow.state,
      at: flow.endedAt ?? kit.clock.now(),
      seq: 0,
      prev: 0,
      body: null,
    }),
  )
  return { instances, tail, ends }
}

// Ends are written down in their order, shortly after they happen: only the newest can be missing. So the ended flows are
// walked from the newest to the first that is known, and on to the end of that instant.
async function endedSince(kit: Kit, instances: Instances): Promise<Flow[]> {
  const missing: Flow[] = []
  let knownAt: number | undefined
  let after: string | undefined
  do {
    const query = { dialect: 'scale', order: 'ended', limit: 100, ...(after && { after }) } as const
    const page = await kit.engine.history.flows(query)
    for (const flow of page.items) {
      if (knownAt !== undefined && (flow.endedAt ?? 0) < knownAt) return missing.reverse()
      if (flow.kind !== recipeKind || flow.state === 'running') continue
      if (isAtRest(instances, flow)) knownAt ??= flow.endedAt ?? 0
      else missing.push(flow)
    }
    after = page.next
  } while (after)
  return missing.reverse()
}

function isAtRest(instances: Instances, flow: Flow): boolean {
  const [is, id] = flow.ref?.split(' ') ?? []
  return (is === 'recipe' ? instances.ledgers.recipes : instances.ledgers.jobs).has(Number(id))
}

/** Makes the rows of a flow again from the engine's jobs. */
async function takeUp(kit: Kit, instances: Instances, flow: Flow): Promise<void> {
  const [is, id] = flow.ref?.split(' ') ?? []
  const record = is === 'recipe' ? await readRecipe(kit.records, Number(id)) : undefined
  const nodes = await kit.engine.nodes(flow.n)
  const spec = (await kit.engine.spec(flow.n)) as unknown as RecipeSpec | null
  const mended = new Map<string, number>()
  const rows = [...(await jobRows(kit, nodes, mended))]
  const guards = record?.guards ?? {}
  const made = new Set(rows.map(row => row.id))
  // What the engine has no job for yet.
  for (const [key, step] of spec === null ? [] : jobStepsOf(spec)) {
    if (made.has(step.id)) continue
    const row = freshJob({ flow: flow.n, key, step, spec: spec!, now: record?.createdAt ?? flow.createdAt })
    if (flow.stop === 'cancel' || flow.state !== 'running') row.mainState = 'cancelled'
    rows.push(row)
  }
  for (const row of rows) {
    row.isVisible = !Object.hasOwn(guards, row.step)
    row.status = statusOfRow(row)
  }
  const below = stepsBelowTrouble(flow.plan, new Map(rows.map(row => [row.step, row])))
  const mendedAbove = stepsBelowMended(flow.plan, mended)
  for (const row of rows) {
    if (row.mainState !== 'blocked') continue
    row.isBelowTrouble = below.has(row.step)
    // Nothing else says of what has not run when it began to wait in another way.
    const at = below.get(row.step) ?? mendedAbove.get(row.step)
    if (!row.isCanceled) row.changedAt = Math.max(row.changedAt, at ?? 0)
    row.modifiedAt = Math.max(row.modifiedAt, at ?? 0)
  }
  const recipes = record ? recipeRows(record) : []
  const newest = newestChanges(recipes, rows)
  for (const row of recipes) {
    row.modifiedAt = newest.get(row.id) ?? row.modifiedAt
    instances.addRecipe(row)
  }
  if (record) countCopies(instances, record)
  for (const row of rows) instances.addJob(row)
  // Also by the engine's job of its step, where that is not the one that runs it now.
  const byStep = new Map(rows.map(row => [row.step, row]))
  for (const node of nodes) {
    const row = node.job === 0 ? undefined : byStep.get(node.key)
    if (row) instances.place(node.job, row)
  }
  const { records } = kit
  const ids = [...rows.map(row => `job ${row.id}`), ...recipes.map(row => `recipe ${row.id}`)]
  for (const { body } of (await records.getMany(supersededCollection, ids)).values())
    supersede(instances, body as unknown as Superseded)
  instances.addFlow(liveFlow(flow, nodes, rows, instances, record), kit.clock.now())
}

// Also tells of each step when its job was last put back after trouble.
async function jobRows(kit: Kit, nodes: readonly FlowNode[], mended: Map<string, number>): Promise<JobRow[]> {
  const tell = ({ step }: JobRow, { detail }: Job): void => {
    const at = detail?.[mendedAt]
    if (typeof at === 'number') mended.set(step, at)
  }
  const rows = new Map<number, JobRow>()
  const posts: Job[] = []
  for (const node of nodes) {
    const job = node.job === 0 ? undefined : await kit.engine.job({ n: node.job })
    if (job?.kind === collectKind) posts.push(job)
    const row = job && jobRow(job)
    if (!row) continue
    rows.set(row.id, await changed(kit, row, job))
    tell(row, job)
  }
  const failed: string[] = []
  for (const post of posts) {
    const row = rows.get(Number(post.detail?.['collects']))
    if (!row) continue
    joinPost(row, post)
    // One that still waits with its program has not moved by itself.
    if (post.state !== 'blocked') await changed(kit, row, post)
    if (post.state !== 'succeeded') failed.push(String(row.id))
  }
  // A program that ran again because its outputs could not be collected runs outside of its flow.
  for (const [id, { body }] of await kit.records.getMany(againCollection, failed)) {
    const job = await kit.engine.job({ n: Number((body as { main: number }).main) })
    const row = job && jobRow(job)
    const old = rows.get(Number(id))
    if (!row || !old) continue
    rows.set(row.id, await changed(kit, { ...row, post: old.post, postState: old.postState }, job))
    tell(row, job)
  }
  return [...rows.values()]
}

// When it last changed is when the engine last had something to say of it.
async function changed(kit: Kit, row: JobRow, job: Job): Promise<JobRow> {
  const [event] = await kit.engine.history.chain(job.lastEvent, 1)
  row.modifiedAt = Math.max(row.modifiedAt, event?.at ?? 0)
  row.changedAt = job.endedAt ?? row.modifiedAt
  return row
}

/** When something in a recipe last changed, by recipe. */
function newestChanges(recipes: readonly RecipeRow[], jobs: readonly JobRow[]): Map<number, number> {
  const parents = new Map(recipes.map(row => [row.id, row.parent]))
  const newest = new Map<number, number>()
  for (const job of jobs)
    for (let at: number | null = job.recipe; at !== null; at = parents.get(at) ?? null) {
      if ((newest.get(at) ?? 0) >= job.modifiedAt) break
      newest.set(at, job.modifiedAt)
    }
  return newest
}

// Scans walk outside of flows; those that are at rest have been written down.
async function takeUpScan(kit: Kit, instances: Instances, id: number): Promise<void> {
  if (instances.ledgers.jobs.has(id)) return
  const job = await kit.engine.job({ dialect: 'scale', ref: String(id) })
  const row = job && jobRow(job)
  if (row) instances.addJob(row)
}

/** The row of a job from the engine's jobs that did its work. */
export function readRow(main: Job, post: Job | undefined): JobRow | undefined {
  const row = jobRow(main)
  if (!row) return undefined
  if (post) joinPost(row, post)
  row.status = statusOfRow(row)
  return row
}

/** The rows of a recipe with its sub-recipes, as at their creation. */
export function recipeRows(record: RecipeRecord): RecipeRow[] {
  const root = record.recipes[0]!.id
  return record.recipes.map(recipe =>
    freshRecipe({
      id: recipe.id,
      typeId: recipe.typeId,
      revision: recipe.revision,
      eventId: record.eventId,
      eventAt: record.eventAt,
      batch: record.batch,
      parent: recipe.parent,
      root,
      flow: record.flow,
      createdAt: record.createdAt,
      supersedes: recipe.supersedes,
      rootSuperseded: recipe.rootSuperseded,
      isVisible: recipe.guards.length === 0,
      inputBytes: recipe.parent === null ? record.inputBytes : null,
      source: recipe.parent === null ? record.source : {},
    }),
  )
}

/** Counts what a recipe took over from an older one. */
export function countCopies(instances: Instances, record: RecipeRecord): void {
  for (const recipe of record.recipes) {
    if (recipe.copiedJobs + recipe.copiedSubRecipes === 0) continue
    if (recipe.copiedJobs > 0) instances.count(recipe.id, 'COMPLETED', recipe.copiedJobs)
    const chain: StoredRecipe[] = []
    for (
      let at: StoredRecipe | undefined = recipe;
      at;
      at = record.recipes.find(other => other.id === at!.parent)
    )
      chain.push(at)
    for (const { id } of chain) {
      const row = instances.recipes.get(id)!
      row.subRecipes += recipe.copiedSubRecipes
      row.subRecipesDone += recipe.copiedSubRecipes
    }
  }
}

/** A job's row from the engine's job; post and visibility follow. */
export function jobRow(job: Job): JobRow | undefined {
  const facts = readJobFacts(job.detail)
  if (!facts) return undefined
  return {
    id: facts.id,
    typeId: facts.typeId,
    revision: facts.revision,
    recipe: facts.recipe,
    node: facts.node,
    step: facts.step,
    flow: job.flow ?? facts.flow,
    eventId: facts.eventId,
    eventAt: facts.eventAt,
    batch: facts.batch,
    // As old as its recipe; the engine's job may have been made much later.
    createdAt: facts.eventAt,
    supersedes: facts.supersedes,
    exesBefore: facts.exesBefore,
    main: job.n,
    post: 0,
    mainState: job.state,
    // Until the collecting job is met it is as good as blocked, so that the job never looks complete too early.
    postState: facts.collects ? 'blocked' : null,
    isBelowTrouble: false,
    isCanceled: job.detail?.['isCanceled'] === true || job.stop === 'cancel',
    isVisible: true,
    attempts: job.attempts,
    reason: job.reason,
    exitCode: job.exitCode,
    priority: job.rank,
    maxTries: typeof job.detail?.['maxTries'] === 'number' ? job.detail['maxTries'] : maxTriesUsual,
    queuedAt: job.attempts > 0 || job.state === 'ready' ? (job.readyAt ?? job.createdAt) : null,
    startedAt: job.startedAt,
    endedAt: job.endedAt,
    changedAt: job.endedAt ?? job.startedAt ?? job.readyAt ?? job.createdAt,
    modifiedAt: job.endedAt ?? job.startedAt ?? job.readyAt ?? job.createdAt,
    inputBytes: null,
    source: {},
    supersededAt: null,
    supersededBy: null,
    status: 'PENDING',
  }
}

/** The row of a job for which the engine has none yet. */
export function freshJob(facts: {
  flow: number
  key: string
  step: JobStepSpec
  spec: RecipeSpec
  now: number
}): JobRow {
  const { step, spec, now } = facts
  return {
    id: step.id,
    typeId: step.typeId,
    revision: step.revision,
    recipe: step.recipe,
    node: step.node,
    step: facts.key,
    flow: facts.flow,
    eventId: spec.eventId,
    eventAt: spec.eventAt,
    batch: spec.batch,
    createdAt: now,
    supersedes: step.supersedes ?? null,
    exesBefore: 0,
    main: 0,
    post: 0,
    mainState: 'blocked',
    postState: step.collectedBy === undefined ? null : 'blocked',
    isBelowTrouble: false,
    isCanceled: false,
    isVisible: true,
    attempts: 0,
    reason: null,
    exitCode: null,
    priority: step.rank,
    maxTries: maxTriesUsual,
    queuedAt: null,
    startedAt: null,
    endedAt: null,
    changedAt: now,
    modifiedAt: now,
    inputBytes: null,
    source: {},
    supersededAt: null,
    supersededBy: null,
    status: 'PENDING',
  }
}

/** Lays the facts of a collecting job over its row. */
export function joinPost(row: JobRow, job: Job): void {
  row.post = job.n
  row.postState = job.state
  if (job.endedAt !== null) {
    row.endedAt = job.endedAt
    row.changedAt = job.endedAt
  }
  if (job.state === 'failed') {
    row.reason = 'stage-out'
    row.exitCode = job.exitCode
  }
}

/** What hangs together in a flow that lives. */
export function liveFlow(
  flow: Pick<Flow, 'n' | 'plan'>,
  nodes: readonly FlowNode[],
  rows: readonly JobRow[],
  instances: Instances,
  record: RecipeRecord | undefined,
): LiveFlow {
  const gates = new Map<string, FlowNode>()
  for (const node of nodes) {
    const step = flow.plan.steps[node.step]!
    if (step.does === 'gate') gates.set(node.key, node)
  }
  const recipes: LiveRecipe[] = (record?.recipes ?? []).map(({ id, beginsWith, endsWith, guards }) => ({
    row: instances.recipes.get(id)!,
    guards,
    ...(beginsWith !== undefined && { beginsWith }),
    ...(endsWith !== undefined && { endsWith }),
  }))
  return {
    n: flow.n,
    recipes,
    jobs: new Map(rows.map(row => [row.step, row])),
    plan: flow.plan,
    gates,
    guards: new Map(Object.entries(record?.guards ?? {})),
    places: nodes.map(node => node.job).filter(n => n !== 0),
  }
}

function supersede(instances: Instances, { is, id, at, by }: Superseded): void {
  const job = is === 'job' ? instances.jobs.get(id) : undefined
  const recipe = is === 'recipe' ? instances.recipes.get(id) : undefined
  if (job) {
    Object.assign(job, { supersededAt: at, supersededBy: by })
    job.modifiedAt = Math.max(at, job.modifiedAt)
    instances.touchJob(job, at)
  }
  if (recipe) {
    Object.assign(recipe, { supersededAt: at, supersededBy: by })
    recipe.modifiedAt = Math.max(at, recipe.modifiedAt)
    instances.touchRecipe(recipe, at)
  }
}
