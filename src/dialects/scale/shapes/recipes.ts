// Recipes and their instances as clients read them (contracts/scale.md §4.1, §4.2 and §6.5).

import type { Json, JsonObject } from '../../../core/json.ts'
import { emptyData, readData, showData } from '../../../domains/recipe/data.ts'
import { showRunType } from '../../../domains/recipe/definition.ts'
import { mebibytes } from '../../../domains/recipe/seed/resources.ts'
import { type NodeRef, type RecipeRecord, readRecipe, readRecipeEnd } from '../instances/recipe-record.ts'
import { noCounts, type RecipeRow } from '../instances/rows.ts'
import { showTime } from '../web/time-text.ts'
import type { World } from '../world.ts'
import { partsOf, showJobTypeBase, showRecipeTypeBase, showRecipeTypeRevision } from './catalog.ts'
import { showSource } from './files.ts'
import { showJobCounts } from './job-counts.ts'
import { showBatchBase, showRecipeBase } from './jobs.ts'

/** A recipe in lists, and in the answer to whoever queued it. */
export async function showRecipe(row: RecipeRow, world: World): Promise<JsonObject> {
  const { catalog } = world
  const type = catalog.recipeTypes.get(row.typeId)!
  const revision = catalog.recipeTypeRevision(type.name, row.revision)!
  const parent = await world.archive.recipe(row.parent)
  return {
    id: row.id,
    recipe_type: showRecipeTypeBase(type),
    recipe_type_rev: { id: revision.id, recipe_type: { id: type.id }, revision_num: row.revision },
    event: { id: row.eventId, type: 'USER', occurred: showTime(row.eventAt) },
    ingest_event: null,
    batch: showBatchBase(row.batch, world),
    recipe: parent ? showRecipeBase(parent, world) : null,
    is_superseded: row.supersededAt !== null,
    root_superseded_recipe: row.rootSuperseded === null ? null : { id: row.rootSuperseded },
    superseded_recipe: row.supersedes === null ? null : { id: row.supersedes },
    superseded_by_recipe: row.supersededBy === null ? null : { id: row.supersededBy },
    input_file_size: row.inputBytes === null ? null : mebibytes(row.inputBytes),
    ...showSource(row.source),
    ...showCounts(row),
    is_completed: row.completedAt !== null,
    created: showTime(row.createdAt),
    completed: showTime(row.completedAt),
    superseded: showTime(row.supersededAt),
    last_modified: showTime(row.modifiedAt),
  }
}

/** A recipe as it was at its creation: nothing in it has been counted or measured yet. */
export function showNewRecipe(row: RecipeRow, world: World): Promise<JsonObject> {
  const nothing = { counts: noCounts(), subRecipes: 0, subRecipesDone: 0, source: {} }
  const fresh = { ...row, ...nothing, inputBytes: null, completedAt: null, modifiedAt: row.createdAt }
  return showRecipe(fresh, world)
}

/** A recipe by itself. */
export async function showRecipeDetails(row: RecipeRow, world: World): Promise<JsonObject> {
  const { archive, catalog } = world
  const type = catalog.recipeTypes.get(row.typeId)!
  const revision = catalog.recipeTypeRevision(type.name, row.revision)!
  const replaced = await archive.recipe(row.supersedes)
  const by = await archive.recipe(row.supersededBy)
  const parts = partsOf(type, catalog, revision)
  // The types of the recipe's own revision and of today's: what people need to compare them.
  const today = partsOf(type, catalog)
  const jobTypes = new Map([...parts.jobTypes, ...today.jobTypes].map(part => [part.id, part]))
  const recipeTypes = new Map([...parts.recipeTypes, ...today.recipeTypes].map(part => [part.id, part]))
  const record = await recordOf(row, world)
  const shown = await showRecipe(row, world)
  return {
    ...shown,
    recipe_type_rev: showRecipeTypeRevision(revision, type, { full: true }),
    event: { ...(shown['event'] as JsonObject), description: { user: record?.user || 'Anonymous' } },
    ...(record?.ingestEvent && {
      ingest_event: {
        id: record.ingestEvent.id,
        type: 'SCAN',
        occurred: showTime(record.ingestEvent.occurredAt),
      },
    }),
    superseded_recipe: replaced ? showRecipeBase(replaced, world) : null,
    superseded_by_recipe: by ? showRecipeBase(by, world) : null,
    input: showData(await inputOfRecipe(row, world, record)),
    // Ours: for a recipe that replaced another, why each of its nodes ran anew or was taken over.
    ...(record?.why && row.id === row.root && { why: record.why }),
    details: { nodes: await showNodes(row, world, record) },
    job_types: [...jobTypes.values()].map(showJobTypeBase),
    sub_recipe_types: [...recipeTypes.values()].map(showRecipeTypeBase),
  }
}

/** A recipe's input data; a sub-recipe's follows from what it is connected to. */
export async function inputOfRecipe(
  row: RecipeRow,
  world: World,
  known?: RecipeRecord,
): Promise<Parameters<typeof showData>[0]> {
  const record = known ?? (await recordOf(row, world))
  const stored = record?.recipes.find(recipe => recipe.id === row.id)
  if (record && row.id === row.root) {
    const reading = readData(record.input as unknown as JsonObject)
    return reading.ok ? reading.value : emptyData
  }
  const spec = await world.runs.specOf(row)
  const type = world.catalog.recipeTypes.get(row.typeId)!
  const names = [...world.catalog.recipeTypeRevision(type.name, row.revision)!.definition.input.keys()]
  const own = Object.fromEntries(names.map(name => [name, ['input', name] as const]))
  return world.runs.follow(stored?.input ?? own, spec)
}

/** The record in which a recipe, or the recipe that contains it, was written down. */
export function recordOf(row: RecipeRow, world: World): Promise<RecipeRecord | undefined> {
  return readRecipe(world.kit.records, row.root)
}

/** What stands at each node of a recipe. */
export async function nodesOf(
  row: RecipeRow,
  world: World,
  known?: RecipeRecord,
): Promise<ReadonlyMap<string, NodeRef>> {
  const record = known ?? (await recordOf(row, world))
  return new Map(Object.entries(record?.recipes.find(recipe => recipe.id === row.id)?.nodes ?? {}))
}

/** Which gates of conditions are open in a recipe's flow: `undefined` for those not decided yet. */
export async function gatesOf(
  row: RecipeRow,
  world: World,
): Promise<(key: string | undefined) => boolean | undefined> {
  const flow = world.instances.flows.get(row.flow)
  if (flow)
    return key => {
      const state = key === undefined ? undefined : flow.gates.get(key)?.state
      return state === 'done' ? true : state === 'skipped' ? false : undefined
    }
  const open = new Set((await readRecipeEnd(world.kit.records, row.root))?.open ?? [])
  return key => (key === undefined ? undefined : open.has(key))
}

async function showNodes(
  row: RecipeRow,
  world: World,
  record: RecipeRecord | undefined,
): Promise<JsonObject> {
  const type = world.catalog.recipeTypes.get(row.typeId)!
  const { definition } = world.catalog.recipeTypeRevision(type.name, row.revision)!
  const isOpen = await gatesOf(row, world)
  const shown: [string, Json][] = []
  for (const [name, ref] of await nodesOf(row, world, record)) {
    const node = definition.nodes.get(name)
    const instance = node && (await showInstance(ref, world, isOpen))
    if (!node || !instance) continue
    const dependencies = node.dependencies.map(parent => ({ name: parent.name }))
    shown.push([name, { dependencies, node_type: { ...showRunType(node.type), ...instance } }])
  }
  return Object.fromEntries(shown)
}

// Undefined for what no condition has let exist yet.
async function showInstance(
  ref: NodeRef,
  world: World,
  isOpen: (key: string | undefined) => boolean | undefined,
): Promise<JsonObject | undefined> {
  if (ref.is === 'job') {
    const job = world.instances.ledgers.jobClassOf(ref.id)
    return job?.isVisible ? { job_id: ref.id, status: job.status } : undefined
  }
  if (ref.is === 'recipe') {
    const recipe = await world.archive.recipe(ref.id)
    if (!recipe?.isVisible) return undefined
    return { recipe_id: recipe.id, is_completed: recipe.completedAt !== null, ...showCounts(recipe) }
  }
  const [yes, no] = [isOpen(ref.yes), isOpen(ref.no)]
  const isProcessed = yes === true || no === true
  // Both sides closed: something above this condition was never let exist, and so was the condition.
  if (!isProcessed && yes === false && no === false) return undefined
  return { condition_id: ref.id, is_processed: isProcessed, is_accepted: yes === true }
}

function showCounts(row: RecipeRow): JsonObject {
  return {
    ...showJobCounts(row.counts),
    sub_recipes_total: row.subRecipes,
    sub_recipes_completed: row.subRecipesDone,
  }
}
