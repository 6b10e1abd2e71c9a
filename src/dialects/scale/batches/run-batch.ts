// Checks what a batch would do, creates it, and makes its recipes: one commit for each, which also says how far the batch
// has come, so that a restart goes on where it was.

import type { JsonObject } from '../../../core/json.ts'
import { diffDefinitions, forceNodes, type RecipeDiff } from '../../../domains/recipe/diff.ts'
import {
  allForcedNodes,
  type ForcedNodes,
  forcedAtThisLevel,
  noForcedNodes,
  readForcedNodes,
} from '../../../domains/recipe/forced-nodes.ts'
import { faultText, findFaults, type Shape } from '../../../domains/recipe/json-shape.ts'
import { type Problem, problem } from '../../../domains/recipe/problem.ts'
import { emptyConfiguration } from '../../../domains/recipe/seed/configuration.ts'
import type { RecipeType } from '../catalog/things.ts'
import { recipeInts } from '../instances/ledgers.ts'
import { idsThatFit } from '../instances/list.ts'
import { queueRecipe, reprocess } from '../instances/queue.ts'
import type { RecipeRow } from '../instances/rows.ts'
import type { Cause } from '../instances/start-recipe.ts'
import { AnswerError } from '../web/answer-error.ts'
import type { World } from '../world.ts'
import { type Batch, putBatch } from './batches.ts'
import { type Dataset, getDataset } from './datasets.ts'

const definitionShape: Shape = {
  type: 'object',
  members: {
    version: { type: 'string' },
    dataset: { type: 'integer' },
    previous_batch: {
      type: 'object',
      required: ['root_batch_id'],
      members: { root_batch_id: { type: 'integer' }, forced_nodes: { type: 'object' } },
      others: false,
    },
    supersedes: { type: 'boolean' },
    forced_nodes: { type: 'object' },
  },
  others: false,
}
const configurationShape: Shape = {
  type: 'object',
  members: {
    version: { type: 'string' },
    priority: { type: 'integer', minimum: 1 },
    inputMap: {
      type: 'array',
      items: {
        type: 'object',
        required: ['input', 'datasetParameter'],
        members: { input: { type: 'string' }, datasetParameter: { type: 'string' } },
        others: false,
      },
    },
  },
  others: false,
}

/** What a batch would do. */
export interface BatchVerdict {
  readonly errors: readonly Problem[]
  readonly recipesEstimated: number
  readonly forced: ForcedNodes
  readonly previous?: { readonly batch: Batch; readonly diff: RecipeDiff }
  /** The definition as it is kept and shown. */
  readonly definition: JsonObject
}

/** Checks a batch. */
export async function validateBatch(
  world: World,
  type: RecipeType,
  document: JsonObject,
  configuration: JsonObject,
): Promise<BatchVerdict> {
  const bad = (name: string, text: string): BatchVerdict => ({
    errors: [problem(name, text)],
    recipesEstimated: 0,
    forced: noForcedNodes,
    definition: document,
  })
  const [fault] = findFaults(document, definitionShape)
  if (fault) return bad('INVALID_BATCH_DEFINITION', `Invalid batch definition: ${faultText(fault)}`)
  const [wrong] = findFaults(configuration, configurationShape)
  if (wrong) return bad('INVALID_BATCH_CONFIGURATION', `Invalid batch configuration: ${faultText(wrong)}`)
  const previous = document['previous_batch'] as JsonObject | undefined
  const given = (previous?.['forced_nodes'] ?? document['forced_nodes']) as JsonObject | undefined
  const reading = given ? readForcedNodes(given) : undefined
  if (reading && !reading.ok)
    return bad('INVALID_BATCH_DEFINITION', `Invalid forced nodes: ${reading.problems[0]!.description}`)
  const forced = reading?.ok ? reading.value : noForcedNodes
  const definition = keptDefinition(document, given)
  if (previous) return validateAgain(world, type, Number(previous['root_batch_id']), forced, definition)
  const dataset =
    typeof document['dataset'] === 'number' ? await getDataset(world, document['dataset']) : undefined
  if (document['dataset'] !== undefined && !dataset)
    return bad('NO_RECIPES', `No dataset with the ID ${String(document['dataset'])} exists`)
  if (!dataset || dataset.members.length === 0)
    return bad('NO_RECIPES', 'Batch definition must result in creating at least one recipe')
  const mismatch = refuseParameters(world, type, dataset, inputMapOf(configuration))
  if (mismatch)
    return { ...bad(mismatch.name, mismatch.description), recipesEstimated: dataset.members.length }
  return { errors: [], recipesEstimated: dataset.members.length, forced, definition }
}

/** Creates a batch that was found valid; its recipes follow. */
export async function createBatch(
  world: World,
  type: RecipeType,
  facts: {
    title: string
    description: string | null
    verdict: BatchVerdict
    configuration: JsonObject
    user: string
  },
): Promise<Batch> {
  const { verdict } = facts
  const batch = await world.commit(tx => {
    const { now } = tx
    const id = tx.next('scale.batch')
    const previous = verdict.previous?.batch
    const supersedes = verdict.definition['supersedes'] !== false
    const made: Batch = {
      id,
      title: facts.title,
      description: facts.description,
      recipeTypeId: type.id,
      revision: type.revision,
      user: facts.user,
      eventId: tx.next('scale.event'),
      eventAt: now,
      definition: verdict.definition,
      configuration: facts.configuration,
      rootId: previous?.rootId ?? id,
      supersededId: previous && supersedes ? previous.id : null,
      recipesEstimated: verdict.recipesEstimated,
      recipes: 0,
      isCreationDone: false,
      isSuperseded: false,
      createdAt: now,
      supersededAt: null,
      modifiedAt: now,
    }
    save(world, tx, made)
    if (previous && supersedes)
      save(world, tx, { ...previous, isSuperseded: true, supersededAt: now, modifiedAt: now })
    return made
  })
  goOn(world, batch)
  return batch
}

/** Goes on with batches whose recipes were not all made. */
export function resumeBatches(world: World): void {
  for (const batch of world.batches.all()) if (!batch.isCreationDone) goOn(world, batch)
}

/** The recipes at the top that a batch made. */
export function recipesOfBatch(world: World, id: number): Promise<RecipeRow[]> {
  const { ledgers } = world.instances
  const { recipes } = ledgers
  const isTop = (place: number): boolean =>
    recipes.intAt(recipeInts.batch, place) === id &&
    recipes.intAt(recipeInts.root, place) === recipes.idAt(place)
  const query = { fits: ledgers.recipeClasses.all.map(() => true), also: isTop }
  const ids = idsThatFit({ ledger: recipes, query })
  return world.archive.recipes(ids.toSorted((a, b) => a - b))
}

function goOn(world: World, batch: Batch): void {
  makeRecipes(world, batch).catch(error =>
    world.kit.log.warn({ err: error, batch: batch.id }, 'a batch stopped; it goes on at the next start'),
  )
}

async function makeRecipes(world: World, batch: Batch): Promise<void> {
  const type = world.catalog.recipeTypes.get(batch.recipeTypeId)!
  const priority = batch.configuration['priority'] as number | undefined
  const cause: Cause = {
    user: batch.user,
    batch: batch.id,
    ingestEvent: null,
    ...(priority !== undefined && { priority }),
  }
  const previous = batch.definition['previous_batch'] as JsonObject | undefined
  if (previous) await makeAgain(world, batch, type, cause)
  else await makeFromDataset(world, batch, type, cause)
  await world.commit(tx =>
    save(world, tx, { ...current(world, batch), isCreationDone: true, modifiedAt: tx.now }),
  )
}

async function makeFromDataset(world: World, batch: Batch, type: RecipeType, cause: Cause): Promise<void> {
  const dataset = await getDataset(world, Number(batch.definition['dataset']))
  const names = inputMapOf(batch.configuration)
  for (const member of (dataset?.members ?? []).slice(batch.recipes)) {
    const input = {
      files: renamed(member.data.files, names),
      json: renamed(member.data.json, names),
    } as JsonObject
    // A member that does not fit any more must not hold up the others.
    await queueRecipe(world, {
      type,
      input,
      configuration: emptyConfiguration,
      cause,
      also: tx => advance(world, tx, batch),
    }).catch(async error => {
      world.kit.log.warn({ err: error, batch: batch.id }, 'a recipe of a batch could not be queued')
      await world.commit(tx => advance(world, tx, batch))
    })
  }
}

async function makeAgain(world: World, batch: Batch, type: RecipeType, cause: Cause): Promise<void> {
  const before = world.batches
    .all()
    .filter(other => other.rootId === batch.rootId && other.id < batch.id)
    .at(-1)
  const revision = world.catalog.recipeTypeRevision(type.name, batch.revision)!
  const given = (batch.definition['previous_batch'] as JsonObject)['forced_nodes'] as JsonObject | undefined
  const reading = given ? readForcedNodes(given) : undefined
  const forced = reading?.ok ? reading.value : noForcedNodes
  for (const row of before ? await recipesOfBatch(world, before.id) : []) {
    if (row.supersededAt !== null) continue
    // One that was replaced meanwhile, or whose input is gone, must not hold up the others.
    await reprocess(world, row, revision, forced, cause, tx => advance(world, tx, batch)).catch(error => {
      if (!(error instanceof AnswerError)) throw error
      world.kit.log.warn({ err: error, batch: batch.id }, 'a recipe of a batch could not be run again')
    })
  }
}

async function validateAgain(
  world: World,
  type: RecipeType,
  rootId: number,
  forced: ForcedNodes,
  definition: JsonObject,
): Promise<BatchVerdict> {
  const bad = (name: string, text: string): BatchVerdict => ({
    errors: [problem(name, text)],
    recipesEstimated: 0,
    forced,
    definition,
  })
  const batch = world.batches.newestOf(rootId)
  if (!batch) return bad('PREV_BATCH_NOT_FOUND', 'No batch with that root ID exists')
  if (batch.recipeTypeId !== type.id)
    return bad('MISMATCHED_RECIPE_TYPE', 'New batch and previous batch must have the same recipe type')
  if (!batch.isCreationDone)
    return bad('PREV_BATCH_STILL_CREATING', 'Must wait until the previous batch is done creating recipes')
  const before = world.catalog.recipeTypeRevision(type.name, batch.revision)!
  const now = world.catalog.currentRevision(type)
  const diff = forceNodes(
    diffDefinitions(before.definition, now),
    now.graph,
    forcedAtThisLevel(forced.all ? allForcedNodes : forced),
  )
  if (!diff.canBeReprocessed)
    return {
      ...bad(
        'PREV_BATCH_NO_REPROCESS',
        `Previous batch cannot be reprocessed: ${diff.reasons[0]?.description ?? ''}`,
      ),
      previous: { batch, diff },
    }
  const recipes = (await recipesOfBatch(world, batch.id)).filter(row => row.supersededAt === null)
  if (recipes.length === 0)
    return bad('NO_RECIPES', 'Batch definition must result in creating at least one recipe')
  return { errors: [], recipesEstimated: recipes.length, forced, previous: { batch, diff }, definition }
}

function refuseParameters(
  world: World,
  type: RecipeType,
  dataset: Dataset,
  names: ReadonlyMap<string, string>,
): Problem | undefined {
  const given = new Set<string>()
  for (const list of Object.values(dataset.definition['parameters'] as Record<string, { name: string }[]>))
    for (const { name } of list) given.add(names.get(name) ?? name)
  for (const parameter of world.catalog.currentRevision(type).definition.input.values())
    if (parameter.required && !given.has(parameter.name))
      return problem(
        'MISMATCHED_PARAMS',
        `Dataset parameters do not match the recipe inputs: Parameter '${parameter.name}' is required`,
      )
  return undefined
}

/** Names of dataset parameters by the recipe input that each is for. */
function inputMapOf(configuration: JsonObject): Map<string, string> {
  const list = (configuration['inputMap'] ?? []) as { input: string; datasetParameter: string }[]
  return new Map(list.map(({ input, datasetParameter }) => [datasetParameter, input]))
}

function renamed<T>(
  values: Readonly<Record<string, T>>,
  names: ReadonlyMap<string, string>,
): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [names.get(name) ?? name, value]))
}

function keptDefinition(document: JsonObject, given: JsonObject | undefined): JsonObject {
  const { version: _, ...kept } = document
  const forced = given && { version: '7', ...given }
  const previous = kept['previous_batch'] as JsonObject | undefined
  return {
    ...kept,
    supersedes: kept['supersedes'] ?? true,
    ...(previous && { previous_batch: { ...previous, ...(forced && { forced_nodes: forced }) } }),
    ...(forced && { forced_nodes: forced }),
  }
}

function advance(world: World, tx: Parameters<Parameters<World['commit']>[0]>[0], batch: Batch): void {
  const now = current(world, batch)
  save(world, tx, { ...now, recipes: now.recipes + 1, modifiedAt: tx.now })
}

function current(world: World, batch: Batch): Batch {
  return world.batches.get(batch.id) ?? batch
}

function save(world: World, tx: Parameters<Parameters<World['commit']>[0]>[0], batch: Batch): void {
  tx.record(putBatch(batch))
  world.batches.keep(batch)
}
