// Starts a recipe: gives everything in it its id, lays it out as a flow, and writes all of it in one batch. The same for
// a recipe that is queued, that replaces an older one, and for a single job (a flow of one step).

import type { DagPlan } from '../../../core/flow.ts'
import type { JsonObject } from '../../../core/json.ts'
import type { Data } from '../../../domains/recipe/data.ts'
import { fileIdsOf, showData } from '../../../domains/recipe/data.ts'
import {
  type Configuration,
  defaultPriority,
  isEmptyConfiguration,
  overlayConfiguration,
  storeConfiguration,
} from '../../../domains/recipe/seed/configuration.ts'
import { mergeSources, type SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import type { JobStep, Unfolded, UnfoldedRecipe } from '../../../domains/recipe/unfold.ts'
import { guardsOf } from '../../../domains/recipe/unfold.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { JobType, JobTypeRevision } from '../catalog/things.ts'
import type { FileEntry } from '../files/file-entry.ts'
import { filteredFile, sourceFactsOf } from '../files/file-entry.ts'
import { recipeKind } from '../run/drafter.ts'
import { planImage } from '../run/image.ts'
import { answerError } from '../web/answer-error.ts'
import type { World } from '../world.ts'
import { type JobPlace, layOut, type Program, planRecipe } from './lay-out.ts'
import { countCopies, freshJob, liveFlow, recipeRows } from './load.ts'
import { type NodeRef, putRecipe, type RecipeRecord, type StoredRecipe } from './recipe-record.ts'
import { jobStepsOf, type RecipeSpec } from './recipe-spec.ts'
import type { JobRow, RecipeRow } from './rows.ts'

/** Who or what caused a recipe. */
export interface Cause {
  readonly user: string
  readonly batch: number | null
  readonly ingestEvent: { readonly id: number; readonly occurredAt: number } | null
  readonly priority?: number
}

/** What a reprocess takes over, by place in the unfolded recipe. */
export interface Reuse {
  /** Job steps that are done already, with their jobs. */
  readonly jobs: ReadonlyMap<string, { readonly job: number; readonly facts?: JsonObject }>
  /** Sub-recipes that are taken over whole, by position. */
  readonly recipes: ReadonlyMap<number, number>
  /** What the new jobs and sub-recipes replace. */
  readonly supersededJobs: ReadonlyMap<string, number>
  readonly supersededRecipes: ReadonlyMap<number, number>
  readonly rootSuperseded: number | null
  readonly why: JsonObject
}

/** What to start. */
export interface RecipeOrder {
  readonly unfolded: Unfolded
  readonly input: Data
  /** The files of the input, by id. */
  readonly files: ReadonlyMap<number, FileEntry>
  readonly configuration: Configuration
  readonly cause: Cause
  readonly reuse?: Reuse
}

/** Everything that was looked up and checked before anything is changed. */
export interface PreparedRecipe extends RecipeOrder {
  readonly programs: ReadonlyMap<string, Program>
  readonly typeIds: readonly number[]
  readonly plan: DagPlan
  readonly inputBytes: number
  readonly source: SourceFacts
}

/** Looks up every program; refuses what can never run. */
export function prepareRecipe(world: World, order: RecipeOrder): PreparedRecipe {
  const programs = programsOf(world, order)
  const typeIds = order.unfolded.recipes.map(
    recipe => world.catalog.recipeTypeNamed(recipe.typeName)?.id ?? 0,
  )
  const files = fileIdsOf(order.input).map(id => order.files.get(id)!)
  const inputBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
  demandGuards(world, order.unfolded)
  const plan = demandPlan(world, order, programs)
  return { ...order, programs, typeIds, plan, inputBytes, source: mergeSources(files.map(sourceFactsOf)) }
}

function demandGuards(world: World, unfolded: Unfolded): void {
  const guards = world.guards.get(unfolded) ?? guardsOf(unfolded)
  if (!guards)
    throw answerError(400, 'The recipe cannot be run: too many of its nodes wait for too many conditions')
  world.guards.set(unfolded, guards)
}

// Checked here: within a commit, with numbers given out already, it would be too late to turn it down.
function demandPlan(
  world: World,
  { unfolded, reuse }: RecipeOrder,
  programs: ReadonlyMap<string, Program>,
): DagPlan {
  const copied = new Set(reuse?.jobs.keys() ?? [])
  const known = copied.size === 0 ? world.plans.get(unfolded) : undefined
  if (known) return known
  const plan = planRecipe(unfolded, copied, programs)
  const trouble = world.kit.engine.planTrouble(plan)
  if (trouble) throw answerError(400, `The recipe cannot be run: ${trouble.text}`)
  // One plan for all recipes of a revision: the engine reads it, and writes it as text, once.
  if (copied.size === 0) world.plans.set(unfolded, plan)
  return plan
}

function programsOf(world: World, order: RecipeOrder): ReadonlyMap<string, Program> {
  const { unfolded, reuse, configuration, cause } = order
  const isUsual = reuse === undefined && cause.priority === undefined && isEmptyConfiguration(configuration)
  const known = isUsual ? world.programs.get(unfolded) : undefined
  // As long as no type was edited they are what they were for the last recipe.
  if (known && [...new Set(known.values())].every(({ type }) => world.catalog.jobTypes.get(type.id) === type))
    return known
  const programs = new Map<string, Program>()
  // Many steps may run the same program.
  const byType = new Map<string, Program>()
  for (const step of unfolded.steps) {
    if (step.does !== 'job' || reuse?.jobs.has(step.key)) continue
    const { name, version, revision } = step.type
    const identity = `${revision} ${version} ${name}`
    const program = byType.get(identity) ?? programOf(world, step, configuration, cause.priority)
    byType.set(identity, program)
    programs.set(step.key, program)
  }
  if (isUsual) world.programs.set(unfolded, programs)
  return programs
}

/** What was started: the rows of the recipes, and which ids everything got. */
export interface StartedRecipe {
  readonly rows: readonly RecipeRow[]
  /** By position in the unfolded recipe. */
  readonly recipeIds: readonly number[]
  /** By step. */
  readonly jobIds: ReadonlyMap<string, number>
}

/** Starts a prepared recipe within a batch, and answers with its rows. */
export function startRecipe(world: World, tx: Tx, order: PreparedRecipe): StartedRecipe {
  const { unfolded, reuse } = order
  const { now } = tx
  const recipeIds = unfolded.recipes.map((_, at) => reuse?.recipes.get(at) ?? tx.next('scale.recipe'))
  const eventId = tx.next('scale.event')
  const jobIds = new Map<string, number>()
  for (const step of unfolded.steps)
    if (step.does === 'job') jobIds.set(step.key, reuse?.jobs.get(step.key)?.job ?? tx.next('scale.job'))
  const { plan, spec, done } = documentsOf(now, eventId, order, recipeIds, jobIds)
  const flow = tx.startFlow({
    dialect: 'scale',
    kind: recipeKind,
    plan,
    spec: spec as unknown as JsonObject,
    name: unfolded.recipes[0]!.typeName,
    ref: `recipe ${recipeIds[0]}`,
    owner: order.cause.user,
    done,
  })
  const guards = world.guards.get(unfolded)!
  const record: RecipeRecord = {
    recipes: storedRecipes(tx, order, recipeIds, jobIds, guards),
    flow: flow.n,
    eventId,
    eventAt: now,
    user: order.cause.user,
    batch: order.cause.batch,
    ingestEvent: order.cause.ingestEvent,
    createdAt: now,
    input: showData(order.input),
    inputBytes: order.inputBytes,
    source: order.source,
    ...storedConfiguration(order.configuration),
    ...(guards.size > 0 && { guards: Object.fromEntries(guards) }),
    ...(reuse && { why: reuse.why }),
  }
  tx.record(putRecipe(record))
  const rows = recipeRows(record)
  for (const row of rows) world.instances.addRecipe(row)
  countCopies(world.instances, record)
  buildRows(world, { n: flow.n, plan, spec, record, now })
  return { rows, recipeIds, jobIds }
}

/** Starts a single job: a flow of its program, and the collecting of its outputs. */
export function startJob(
  world: World,
  tx: Tx,
  order: {
    readonly type: JobType
    readonly revision: JobTypeRevision
    readonly program: Program
    readonly input: Data
    readonly inputBytes: number
    readonly configuration: Configuration
    readonly cause: Cause
  },
): number {
  const id = tx.next('scale.job')
  const eventId = tx.next('scale.event')
  const input = new Map(
    [...order.revision.manifest.input.keys()].map(name => [name, { from: 'input', input: name } as const]),
  )
  const step: JobStep = {
    does: 'job',
    key: order.type.name,
    needs: [],
    recipe: 0,
    node: order.type.name,
    type: {
      kind: 'job',
      name: order.type.name,
      version: order.type.version,
      revision: order.revision.revision,
    },
    input,
  }
  const layout = layOut(
    { recipes: [], steps: [step] },
    {
      recipe: null,
      placeOf: () => ({ id, recipe: null, program: order.program }),
      copied: new Set(),
      inputBytes: order.inputBytes,
    },
  )
  const spec: RecipeSpec = {
    recipe: null,
    eventId,
    eventAt: tx.now,
    batch: order.cause.batch,
    input: showData(order.input),
    ...storedConfiguration(order.configuration),
    programs: layout.programs,
    steps: layout.steps,
  }
  const flow = tx.startFlow({
    dialect: 'scale',
    kind: recipeKind,
    plan: layout.plan,
    spec: spec as unknown as JsonObject,
    name: order.type.name,
    ref: `job ${id}`,
    owner: order.cause.user,
  })
  buildRows(world, { n: flow.n, plan: layout.plan, spec, record: undefined, now: tx.now })
  return id
}

/** The program of a job step; refuses, before anything is changed, an image that cannot be run here at all. */
export function programOf(
  world: World,
  step: Pick<JobStep, 'type'>,
  configuration: Configuration,
  priority?: number,
): Program {
  const type = world.catalog.jobTypeNamed(step.type.name, step.type.version)
  const revision = type && world.catalog.jobTypeRevision(type.id, step.type.revision)
  if (!type || !revision)
    throw answerError(
      400,
      `Job type ${step.type.name} ${step.type.version} has no revision ${step.type.revision}`,
    )
  const image = planImage(revision.image, world.settings)
  if (typeof image === 'string') throw answerError(400, image)
  const own = overlayConfiguration(type.configuration, configuration)
  return { type, revision, image, priority: priority ?? own.priority ?? defaultPriority }
}

function documentsOf(
  now: number,
  eventId: number,
  order: PreparedRecipe,
  recipeIds: readonly number[],
  jobIds: ReadonlyMap<string, number>,
): { plan: ReturnType<typeof layOut>['plan']; spec: RecipeSpec; done: string[] } {
  const { unfolded, reuse } = order
  const placeOf = (step: JobStep): JobPlace => {
    const supersedes = reuse?.supersededJobs.get(step.key)
    return {
      id: jobIds.get(step.key)!,
      recipe: recipeIds[step.recipe]!,
      program: order.programs.get(step.key)!,
      ...(supersedes !== undefined && { supersedes }),
    }
  }
  const done = [...(reuse?.jobs.keys() ?? [])]
  const layout = layOut(unfolded, {
    recipe: recipeIds[0]!,
    placeOf,
    copied: new Set(done),
    inputBytes: order.inputBytes,
    plan: order.plan,
  })
  const hasConditions = unfolded.steps.some(step => step.does === 'condition')
  const spec: RecipeSpec = {
    recipe: recipeIds[0]!,
    eventId,
    eventAt: now,
    batch: order.cause.batch,
    input: showData(order.input),
    ...storedConfiguration(order.configuration),
    programs: layout.programs,
    steps: layout.steps,
    ...(hasConditions && { inputFiles: filteredInput(order) }),
    ...(reuse && { copied: Object.fromEntries(reuse.jobs) }),
  }
  return { plan: layout.plan, spec, done }
}

function filteredInput({ input, files }: RecipeOrder): JsonObject {
  const shown = [...input.files].map(([name, ids]) => [name, ids.map(id => filteredFile(files.get(id)!))])
  return Object.fromEntries(shown) as JsonObject
}

function storedRecipes(
  tx: Tx,
  order: PreparedRecipe,
  recipeIds: readonly number[],
  jobIds: ReadonlyMap<string, number>,
  guards: ReadonlyMap<string, readonly string[]>,
): StoredRecipe[] {
  const { unfolded, reuse } = order
  const nodes = unfolded.recipes.map(() => new Map<string, NodeRef>())
  for (const step of unfolded.steps) {
    if (step.does === 'job') {
      const copied = reuse?.jobs.has(step.key)
      nodes[step.recipe]!.set(step.node, {
        is: 'job',
        id: jobIds.get(step.key)!,
        step: step.key,
        ...(copied && { copied }),
      })
    } else if (step.does === 'condition') {
      const known = nodes[step.recipe]!.get(step.node) ?? {
        is: 'condition' as const,
        id: tx.next('scale.condition'),
      }
      nodes[step.recipe]!.set(step.node, { ...known, [step.opensOn ? 'yes' : 'no']: step.key })
    }
  }
  for (const [at, recipe] of unfolded.recipes.entries())
    if (recipe.parent) {
      const copied = reuse?.recipes.has(at)
      nodes[recipe.parent.recipe]!.set(recipe.parent.node, {
        is: 'recipe',
        id: recipeIds[at]!,
        ...(copied && { copied }),
      })
    }
  const isCopied = copiedWhole(unfolded.recipes, reuse)
  return unfolded.recipes.flatMap((recipe, at) =>
    // What was taken over whole stays in the record of the recipe that made it.
    isCopied(at) ? [] : [storedRecipe(order, at, recipe, recipeIds, nodes, guards, isCopied)],
  )
}

function storedRecipe(
  { unfolded, typeIds, reuse }: PreparedRecipe,
  at: number,
  recipe: UnfoldedRecipe,
  recipeIds: readonly number[],
  nodes: readonly ReadonlyMap<string, NodeRef>[],
  guards: ReadonlyMap<string, readonly string[]>,
  isCopied: (at: number) => boolean,
): StoredRecipe {
  const supersedes = reuse?.supersededRecipes.get(at) ?? null
  const copies = reuse ? countWithin(unfolded, at, nodes, isCopied) : { jobs: 0, subRecipes: 0 }
  return {
    id: recipeIds[at]!,
    typeId: typeIds[at]!,
    revision: recipe.revision,
    parent: recipe.parent ? recipeIds[recipe.parent.recipe]! : null,
    supersedes,
    rootSuperseded: at === 0 ? (reuse?.rootSuperseded ?? null) : supersedes,
    ...(recipe.beginsWith !== undefined && { beginsWith: recipe.beginsWith }),
    ...(recipe.endsWith !== undefined && { endsWith: recipe.endsWith }),
    guards: recipe.beginsWith === undefined ? [] : (guards.get(recipe.beginsWith) ?? []),
    ...(recipe.parent && {
      input: Object.fromEntries(
        [...recipe.input].map(([name, source]) => [
          name,
          source.from === 'input' ? ['input', source.input] : ['job', source.step, source.output],
        ]),
      ),
    }),
    nodes: Object.fromEntries(nodes[at]!),
    copiedJobs: copies.jobs,
    copiedSubRecipes: copies.subRecipes,
  }
}

/** What a recipe took over: everything inside a copied sub-recipe counts for the recipe that holds the copy. */
function countWithin(
  unfolded: Unfolded,
  at: number,
  nodes: readonly ReadonlyMap<string, NodeRef>[],
  isCopied: (at: number) => boolean,
): { jobs: number; subRecipes: number } {
  const within = (place: number): boolean =>
    place === at || (isCopied(place) && within(unfolded.recipes[place]!.parent!.recipe))
  const places = [...unfolded.recipes.keys()].filter(within)
  const jobs = places.reduce(
    (sum, place) => sum + [...nodes[place]!.values()].filter(ref => ref.is === 'job' && ref.copied).length,
    0,
  )
  return { jobs, subRecipes: places.length - 1 }
}

function copiedWhole(recipes: readonly UnfoldedRecipe[], reuse: Reuse | undefined): (at: number) => boolean {
  const isCopied = (at: number): boolean => {
    if (!reuse) return false
    if (reuse.recipes.has(at)) return true
    const parent = recipes[at]!.parent
    return parent !== undefined && isCopied(parent.recipe)
  }
  return isCopied
}

interface NewFlow {
  readonly n: number
  readonly plan: DagPlan
  readonly spec: RecipeSpec
  readonly record: RecipeRecord | undefined
  readonly now: number
}

// In the batch that starts the flow, so that no event can come before the rows that it is about.
function buildRows(world: World, { n, plan, spec, record, now }: NewFlow): void {
  const { instances } = world
  const rows: JobRow[] = []
  for (const [key, step] of jobStepsOf(spec)) {
    const row = freshJob({ flow: n, key, step, spec, now })
    if (record?.guards && Object.hasOwn(record.guards, key)) row.isVisible = false
    instances.addJob(row)
    rows.push(row)
  }
  const hasGates = plan.steps.some(step => step.does === 'gate')
  const nodes = hasGates ? (world.kit.engine.atHand.nodes(n) ?? []) : []
  instances.addFlow(liveFlow({ n, plan }, nodes, rows, instances, record), now)
}

/** A configuration is stored where it says anything. */
function storedConfiguration(configuration: Configuration): Pick<RecipeSpec, 'configuration'> {
  return isEmptyConfiguration(configuration) ? {} : { configuration: storeConfiguration(configuration) }
}
