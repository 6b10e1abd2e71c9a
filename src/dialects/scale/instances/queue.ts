// Queues recipes and jobs, and reprocesses: checks everything first, in the contract's order, then starts
// (contracts/scale.md §4.1, §4.5 and §5.6).

import type { JsonObject } from '../../../core/json.ts'
import { type Data, fileIdsOf, fitData, readData } from '../../../domains/recipe/data.ts'
import { diffDefinitions, forceNodes, type NodeDiff, type RecipeDiff } from '../../../domains/recipe/diff.ts'
import {
  allForcedNodes,
  type ForcedNodes,
  forcedAtThisLevel,
  forcedWithin,
  refuseForcedNodes,
} from '../../../domains/recipe/forced-nodes.ts'
import type { Interface } from '../../../domains/recipe/interface.ts'
import {
  incompletePlan,
  type NodePlan,
  planReprocess,
  showNodePlan,
} from '../../../domains/recipe/reprocess.ts'
import {
  type Configuration,
  emptyConfiguration,
  readConfiguration,
} from '../../../domains/recipe/seed/configuration.ts'
import { type Unfolded, unfold } from '../../../domains/recipe/unfold.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { JobType, RecipeType, RecipeTypeRevision } from '../catalog/things.ts'
import type { FileEntry } from '../files/file-entry.ts'
import { factsOf } from '../run/drafter.ts'
import { recordOf } from '../shapes/recipes.ts'
import { answerError, bareError, notFound } from '../web/answer-error.ts'
import type { World } from '../world.ts'
import type { LedgerRow } from './ledger.ts'
import { type NodeRef, putSuperseded, type Superseded } from './recipe-record.ts'
import type { JobRow, RecipeRow } from './rows.ts'
import { type Cause, prepareRecipe, programOf, type Reuse, startJob, startRecipe } from './start-recipe.ts'

/** A recipe to be queued. */
export interface QueueOrder {
  readonly type: RecipeType
  /** The current one unless said. */
  readonly revision?: RecipeTypeRevision
  readonly input: JsonObject
  readonly configuration: Configuration
  readonly cause: Cause
  /** What else belongs to the same commit. */
  readonly also?: (tx: Tx) => void
}

/** Queues the current revision of a recipe type. */
export async function queueRecipe(world: World, order: QueueOrder): Promise<RecipeRow> {
  const revision = order.revision ?? world.catalog.currentRevision(order.type)
  const { data, files } = await demandInput(world, order.input, revision.definition.input, 'recipe')
  if (!order.type.isActive)
    throw bareError(`Inactive recipe type: Recipe Type ${order.type.name} is inactive`)
  const unfolded = unfoldRevision(world, revision)
  const prepared = prepareRecipe(world, {
    unfolded,
    input: data,
    files,
    configuration: order.configuration,
    cause: order.cause,
  })
  return world.commit(tx => {
    order.also?.(tx)
    return startRecipe(world, tx, prepared).rows[0]!
  })
}

/** Queues a single job. */
export async function queueJob(
  world: World,
  order: { type: JobType; input: JsonObject; configuration: Configuration; cause: Cause },
): Promise<number> {
  const { type, configuration, cause } = order
  const revision = world.catalog.jobTypeRevision(type.id, type.revision)!
  const { data, files } = await demandInput(world, order.input, revision.manifest.input, 'job')
  const node = { kind: 'job', name: type.name, version: type.version, revision: type.revision } as const
  const program = programOf(world, { type: node }, configuration)
  const inputBytes = [...files.values()].reduce((sum, file) => sum + file.sizeBytes, 0)
  return world.commit(tx =>
    startJob(world, tx, { type, revision, program, input: data, inputBytes, configuration, cause }),
  )
}

/** Reads input and checks it against an interface and against the files that exist. */
export async function demandInput(
  world: World,
  document: JsonObject,
  parameters: Interface,
  what: 'recipe' | 'job',
): Promise<{ data: Data; files: Map<number, FileEntry> }> {
  const reading = readData(document)
  if (!reading.ok) throw answerError(400, `Invalid data: ${reading.problems[0]!.description}`)
  const { data, problems } = fitData(reading.value, parameters)
  if (problems[0]) throw bareError(`Invalid ${what} data: ${problems[0].description}`)
  const files = await world.files.filesOf(data)
  for (const id of fileIdsOf(data))
    if (!files.has(id)) throw bareError(`Invalid ${what} data: File ID ${id} does not exist`)
  return { data, files }
}

/** A revision with all its sub-recipes. */
export function unfoldRevision(world: World, revision: RecipeTypeRevision): Unfolded {
  const known = world.unfolded.get(revision)
  if (known) return known
  const result = unfold(revision, (name, number) => world.catalog.recipeTypeRevision(name, number))
  if ('refusal' in result) throw answerError(400, `The recipe cannot be run: ${result.refusal}`)
  world.unfolded.set(revision, result.unfolded)
  return result.unfolded
}

/** The diff of a reprocess: from a recipe's revision to another, with what is forced. */
export function diffForReprocess(
  world: World,
  row: RecipeRow,
  revision: RecipeTypeRevision,
  forced: ForcedNodes,
): RecipeDiff {
  const before = world.catalog.recipeTypeRevision(revision.typeName, row.revision)!
  return forceNodes(diffDefinitions(before.definition, revision), revision.graph, forcedAtThisLevel(forced))
}

/** Refuses what cannot be reprocessed; nothing is changed by asking. */
export function demandReprocessable(
  world: World,
  row: RecipeRow,
  revision: RecipeTypeRevision,
  forced: ForcedNodes,
): RecipeDiff {
  if (row.supersededAt !== null) throw answerError(400, 'Cannot reprocess a superseded recipe')
  if (row.parent !== null)
    throw answerError(400, `Recipe ${row.id} is part of another recipe: reprocess recipe ${row.root} instead`)
  const inner = (name: string, number: number) => world.catalog.recipeTypeRevision(name, number)?.definition
  const refusals = refuseForcedNodes(forced, revision.definition, inner)
  if (refusals.length > 0) {
    const list = `[${refusals.map(refusal => `'${refusal}'`).join(', ')}]`
    throw answerError(400, `Unable to reprocess recipe. Errors in validating forced_nodes: ${list}`)
  }
  const diff = diffForReprocess(world, row, revision, forced)
  if (!diff.canBeReprocessed)
    throw answerError(
      400,
      `Recipe ${row.id} cannot be reprocessed: ${diff.reasons[0]?.description ?? 'its input has changed'}`,
    )
  return diff
}

/** What a reprocess would do with each node, and why, also inside of sub-recipes; nothing is changed by asking. */
export function planReplacement(
  world: World,
  row: RecipeRow,
  revision: RecipeTypeRevision,
  diff: RecipeDiff,
  forced: ForcedNodes,
): Promise<JsonObject> {
  return new Replacement(world, unfoldRevision(world, revision)).compare(0, row, diff, forced)
}

/** Replaces a recipe by a new one that runs only what the diff or the force asks for. */
export async function reprocess(
  world: World,
  row: RecipeRow,
  revision: RecipeTypeRevision,
  forced: ForcedNodes,
  cause: Cause,
  also?: (tx: Tx) => void,
): Promise<RecipeRow> {
  const diff = demandReprocessable(world, row, revision, forced)
  const record = (await recordOf(row, world))!
  const unfolded = unfoldRevision(world, revision)
  const { data, files } = await demandInput(
    world,
    record.input as unknown as JsonObject,
    revision.definition.input,
    'recipe',
  )
  const work = new Replacement(world, unfolded)
  const why = await work.compare(0, row, diff, forced)
  const stored = readConfiguration(record.configuration ?? {})
  const reuse: Reuse = {
    jobs: work.jobs,
    recipes: work.recipes,
    supersededJobs: work.supersededJobs,
    supersededRecipes: work.supersededRecipes,
    rootSuperseded: row.rootSuperseded ?? row.id,
    why,
  }
  const configuration = stored.ok ? stored.value : emptyConfiguration
  const prepared = prepareRecipe(world, { unfolded, input: data, files, configuration, cause, reuse })
  return world.commit(tx => {
    // Two requests may have come this far at once; only the first may replace it. Or its time in history is over.
    if (!world.instances.ledgers.recipes.has(row.id)) throw notFound()
    if (world.instances.ledgers.recipeClassOf(row.id)?.isSuperseded)
      throw answerError(400, 'Cannot reprocess a superseded recipe')
    also?.(tx)
    const { rows, recipeIds, jobIds } = startRecipe(world, tx, prepared)
    const made = rows[0]!
    const newRecipes = new Map([...work.supersededRecipes].map(([at, old]) => [old, recipeIds[at]!]))
    const newJobs = new Map([...work.supersededJobs].map(([step, old]) => [old, jobIds.get(step) ?? null]))
    const replaced: Superseded[] = [
      ...work.oldRecipes.map(old => {
        const by = old.id === row.id ? made.id : (newRecipes.get(old.id) ?? null)
        return { is: 'recipe', id: old.id, at: tx.now, by } as const
      }),
      ...work.oldJobs.map(old => {
        return { is: 'job', id: old.id, at: tx.now, by: newJobs.get(old.id) ?? null } as const
      }),
    ]
    for (const one of replaced) tx.record(putSuperseded(one))
    supersede(world, tx, replaced)
    // What still runs of the old recipe is of no use to anybody any more; what was taken over has ended.
    if (row.completedAt === null) tx.cancelFlow(row.flow)
    return made
  })
}

// What is at hand changes there; of what is at rest only its line in the ledger changes, which is written down again.
function supersede(world: World, tx: Tx, replaced: readonly Superseded[]): void {
  const { archive, instances, tail } = world
  const { ledgers } = instances
  const rest: { jobs: LedgerRow[]; recipes: LedgerRow[] } = { jobs: [], recipes: [] }
  for (const { is, id, at, by } of replaced) {
    const facts = { supersededAt: at, supersededBy: by }
    const [job, recipe] = [instances.jobs.get(id), instances.recipes.get(id)]
    archive.drop(is, id)
    if (is === 'job' && job) instances.touchJob(Object.assign(job, facts), at)
    else if (is === 'recipe' && recipe) instances.touchRecipe(Object.assign(recipe, facts), at)
    else {
      const entry = ledgers.supersededEntry(is, id, at)
      if (!entry) continue
      const now = ledgers[`${is}s`].put(entry)
      rest[`${is}s`].push({ ...entry, at: now })
    }
  }
  if (rest.jobs.length + rest.recipes.length > 0) tail.write(tx, { ...rest, batches: [] })
}

/** Walks an old recipe beside its replacement, and sorts everything into taken over and replaced. */
class Replacement {
  readonly jobs = new Map<string, { job: number; facts?: JsonObject }>()
  readonly recipes = new Map<number, number>()
  readonly supersededJobs = new Map<string, number>()
  readonly supersededRecipes = new Map<number, number>()
  readonly oldJobs: JobRow[] = []
  readonly oldRecipes: RecipeRow[] = []
  readonly #world: World

  readonly #stepAt = new Map<string, string>()
  readonly #recipeAt = new Map<string, number>()
  readonly #feeding = new Set<string>()

  constructor(world: World, unfolded: Unfolded) {
    this.#world = world
    for (const step of unfolded.steps) {
      if (step.does === 'job') this.#stepAt.set(`${step.recipe} ${step.node}`, step.key)
      if (step.does === 'condition')
        for (const source of step.input.values()) if (source.from === 'job') this.#feeding.add(source.step)
    }
    for (const [at, { parent }] of unfolded.recipes.entries())
      if (parent) this.#recipeAt.set(`${parent.recipe} ${parent.node}`, at)
  }

  /**
   * Compares the recipe at a place of the unfolded whole with the old recipe there. Answers with what becomes of each
   * node, and why.
   */
  async compare(at: number, old: RecipeRow, diff: RecipeDiff, forced: ForcedNodes): Promise<JsonObject> {
    const plans = planReprocess(diff)
    const refs = await this.#nodesOf(old)
    this.oldRecipes.push(old)
    this.supersededRecipes.set(at, old.id)
    const told: [string, JsonObject][] = []
    for (const [name, node] of diff.nodes) {
      const ref = refs.get(name)
      const plan = plans.get(name)!
      let shown: JsonObject | undefined
      if (ref?.is === 'job') shown = await this.#compareJob(at, name, ref, plan)
      if (ref?.is === 'recipe') shown = await this.#compareRecipe(at, name, ref, { node, plan, forced })
      told.push([name, shown ?? showNodePlan(plan)])
    }
    return Object.fromEntries(told)
  }

  async #compareJob(at: number, name: string, ref: NodeRef, plan: NodePlan): Promise<JsonObject | undefined> {
    const job = await this.#world.archive.job(ref.id)
    if (!job) return undefined
    const step = this.#stepAt.get(`${at} ${name}`)
    // Only what is complete can be taken over: a new recipe must not wait for jobs of an old one.
    if (plan.action === 'copy' && job.status === 'COMPLETED' && step !== undefined) {
      await this.#copy(step, job)
      return undefined
    }
    this.#replace(step, job)
    return plan.action === 'copy' ? showNodePlan(incompletePlan) : undefined
  }

  async #compareRecipe(
    at: number,
    name: string,
    ref: NodeRef,
    { node, plan, forced }: { node: NodeDiff; plan: NodePlan; forced: ForcedNodes },
  ): Promise<JsonObject | undefined> {
    const { archive, catalog } = this.#world
    const inner = await archive.recipe(ref.id)
    const place = this.#recipeAt.get(`${at} ${name}`)
    if (!inner) return undefined
    const type = node.node.type.kind === 'recipe' ? node.node.type : undefined
    const revision = type && catalog.recipeTypeRevision(type.name, type.revision)
    const isSame = revision && catalog.recipeTypes.get(inner.typeId)?.name === revision.typeName
    if (place === undefined || !revision || !isSame) await this.#dropAll(inner)
    else if (plan.action === 'copy' && inner.completedAt !== null) await this.#copyAll(place, inner)
    else {
      const within = plan.redoesAllInside ? allForcedNodes : forcedWithin(forced, name)
      const diff = diffForReprocess(this.#world, inner, revision, within)
      const inside = await this.compare(place, inner, diff, within)
      return showNodePlan(plan.action === 'copy' ? incompletePlan : plan, inside)
    }
    return undefined
  }

  async #copy(step: string, job: JobRow): Promise<void> {
    const engineJob = job.post === 0 ? undefined : await this.#world.engineJob(job.post)
    const captured = engineJob?.detail?.['captured'] as JsonObject | undefined
    this.jobs.set(step, {
      job: job.id,
      ...(captured && this.#feeding.has(step) && { facts: factsOf(captured) }),
    })
  }

  #replace(step: string | undefined, job: JobRow): void {
    this.oldJobs.push(job)
    if (step !== undefined) this.supersededJobs.set(step, job.id)
  }

  async #copyAll(place: number, old: RecipeRow): Promise<void> {
    this.recipes.set(place, old.id)
    for (const [name, ref] of await this.#nodesOf(old)) {
      const step = ref.is === 'job' ? this.#stepAt.get(`${place} ${name}`) : undefined
      const job = step === undefined ? undefined : await this.#world.archive.job(ref.id)
      if (step !== undefined && job?.status === 'COMPLETED') await this.#copy(step, job)
      const inner = this.#recipeAt.get(`${place} ${name}`)
      const row = ref.is === 'recipe' ? await this.#world.archive.recipe(ref.id) : undefined
      if (row && inner !== undefined) await this.#copyAll(inner, row)
    }
  }

  async #dropAll(old: RecipeRow): Promise<void> {
    this.oldRecipes.push(old)
    for (const ref of (await this.#nodesOf(old)).values()) {
      const job = ref.is === 'job' ? await this.#world.archive.job(ref.id) : undefined
      const inner = ref.is === 'recipe' ? await this.#world.archive.recipe(ref.id) : undefined
      if (job) this.#replace(undefined, job)
      if (inner) await this.#dropAll(inner)
    }
  }

  async #nodesOf(row: RecipeRow): Promise<Map<string, NodeRef>> {
    const record = await recordOf(row, this.#world)
    return new Map(Object.entries(record?.recipes.find(recipe => recipe.id === row.id)?.nodes ?? {}))
  }
}
