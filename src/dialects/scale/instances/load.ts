// Makes the rows again from what is stored: at a start, and after a commit that failed. Reads in pages; a million jobs
// take some seconds, during which only this dialect waits.

import type { Flow, FlowNode } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import type { Rec, Records } from '../../../store/store.ts'
import type { Kit } from '../../dialect.ts'
import { collectKind, recipeKind } from '../run/drafter.ts'
import { maxTriesUsual } from '../shapes/catalog.ts'
import { freshRecipe, Instances, type LiveFlow, type LiveRecipe } from './instances.ts'
import { readJobFacts } from './job-facts.ts'
import {
  type RecipeEnd,
  type RecipeRecord,
  recipeCollection,
  recipeEndCollection,
  type StoredRecipe,
  type Superseded,
  supersededCollection,
} from './recipe-record.ts'
import type { JobStepSpec, RecipeSpec } from './recipe-spec.ts'
import type { JobRow, RecipeRow } from './rows.ts'

const pageSize = 1000

/** All rows, as the store has them. */
export async function loadInstances(kit: Kit): Promise<Instances> {
  const instances = new Instances()
  const records = new Map<number, RecipeRecord>()
  for await (const { body } of allRecords(kit.records, recipeCollection)) {
    const record = body as unknown as RecipeRecord
    records.set(record.recipes[0]!.id, record)
    for (const row of recipeRows(record)) instances.keepRecipe(row)
  }
  const ends: RecipeEnd[] = []
  for await (const { body } of allRecords(kit.records, recipeEndCollection))
    ends.push(body as unknown as RecipeEnd)
  for (const end of ends) endRecipes(instances, end)
  await loadJobs(kit, instances, ends, records.values())
  for await (const { body } of allRecords(kit.records, supersededCollection))
    supersede(instances, body as unknown as Superseded)
  const byFlow = new Map([...records.values()].map(record => [record.flow, record]))
  for (const flow of kit.engine.liveFlows({ dialect: 'scale' })) {
    if (flow.kind !== recipeKind) continue
    const record = byFlow.get(flow.n)
    if (record) countCopies(instances, record)
    instances.addFlow(liveFlow(flow, await kit.engine.nodes(flow.n), instances, record), kit.clock.now())
  }
  instances.sortByChange()
  return instances
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
    createdAt: job.createdAt,
    supersedes: facts.supersedes,
    exesBefore: facts.exesBefore,
    main: job.n,
    post: 0,
    mainState: job.state,
    // Until the collecting job is met it is as good as blocked, so that the job never looks complete too early.
    postState: facts.collects ? 'blocked' : null,
    isBelowTrouble: job.state === 'blocked' && job.reason === 'upstream',
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
    supersededAt: null,
    supersededBy: null,
    status: 'PENDING',
  }
}

/** The row of a job that has just been made: blocked, as the engine makes all jobs of a recipe. */
export function freshJob(facts: {
  flow: number
  key: string
  step: JobStepSpec
  spec: RecipeSpec
  main: number
  post: number
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
    main: facts.main,
    post: facts.post,
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
    supersededAt: null,
    supersededBy: null,
    status: 'PENDING',
  }
}

/** Lays the facts of a collecting job over its row. */
export function joinPost(row: JobRow, job: Job): void {
  row.post = job.n
  row.postState = job.state
  if (job.endedAt !== null) row.endedAt = job.endedAt
  if (job.state === 'failed') {
    row.reason = 'stage-out'
    row.exitCode = job.exitCode
  }
}

/** What hangs together in a flow that lives. */
export function liveFlow(
  flow: Pick<Flow, 'n' | 'plan'>,
  nodes: readonly FlowNode[],
  instances: Instances,
  record: RecipeRecord | undefined,
): LiveFlow {
  const jobs = new Map<string, JobRow>()
  const gates = new Map<string, FlowNode>()
  for (const node of nodes) {
    const step = flow.plan.steps[node.step]!
    const row = step.does === 'job' ? instances.jobAt(node.job) : undefined
    if (step.does === 'gate') gates.set(node.key, node)
    else if (row && row.main === node.job) jobs.set(node.key, row)
  }
  const parents = new Map(flow.plan.steps.map(step => [step.key, step.needs]))
  const recipes: LiveRecipe[] = (record?.recipes ?? []).map(({ id, beginsWith, endsWith, guards }) => ({
    row: instances.recipes.get(id)!,
    guards,
    ...(beginsWith !== undefined && { beginsWith }),
    ...(endsWith !== undefined && { endsWith }),
  }))
  return { n: flow.n, recipes, jobs, parents, gates, guards: new Map(Object.entries(record?.guards ?? {})) }
}

async function loadJobs(
  kit: Kit,
  instances: Instances,
  ends: readonly RecipeEnd[],
  records: Iterable<RecipeRecord>,
): Promise<void> {
  const rows = new Map<number, JobRow>()
  const posts: Job[] = []
  let after: string | undefined
  do {
    const query = { dialect: 'scale', order: 'oldest', limit: pageSize, ...(after && { after }) } as const
    const page = await kit.engine.history.jobs(query)
    for (const job of page.items) {
      if (job.kind === collectKind) posts.push(job)
      const row = jobRow(job)
      if (row) rows.set(row.id, row)
    }
    after = page.next
  } while (after)
  for (const post of posts) {
    const row = rows.get(Number(post.detail?.['collects']))
    if (row) joinPost(row, post)
  }
  const hidden = new Set(ends.flatMap(end => end.hidden))
  const guards = new Map([...records].map(record => [record.flow, record.guards ?? {}]))
  for (const row of rows.values()) {
    const recipe = row.recipe === null ? undefined : instances.recipes.get(row.recipe)
    const hasEnded = recipe !== undefined && recipe.completedAt !== null
    // Below a condition that may yet say yes, the flow decides what is seen; of a complete recipe its end says.
    row.isVisible = hasEnded ? !hidden.has(row.id) : !Object.hasOwn(guards.get(row.flow) ?? {}, row.step)
    instances.addJob(row, { isCounted: !hasEnded })
  }
}

function endRecipes(instances: Instances, end: RecipeEnd): void {
  for (const { id, ...facts } of end.ends) {
    const row = instances.recipes.get(id)
    if (row) Object.assign(row, facts)
  }
}

function supersede(instances: Instances, { is, id, at, by }: Superseded): void {
  const row = is === 'job' ? instances.jobs.get(id) : instances.recipes.get(id)
  if (row) Object.assign(row, { supersededAt: at, supersededBy: by })
}

async function* allRecords(records: Records, collection: string): AsyncIterable<Rec> {
  let after: string | undefined
  do {
    const page = await records.list({ collection, limit: pageSize, ...(after && { after }) })
    yield* page.items
    after = page.next
  } while (after)
}
