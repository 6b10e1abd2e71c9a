// Recipes: queue, list, details, input files, reprocess (contracts/scale.md §4.1, §4.2, §5.6).

import type { JsonObject } from '../../../core/json.ts'
import { showDiff } from '../../../domains/recipe/diff.ts'
import { readForcedNodes } from '../../../domains/recipe/forced-nodes.ts'
import { emptyConfiguration } from '../../../domains/recipe/seed/configuration.ts'
import { demandOverrides } from '../catalog/edit-job-type.ts'
import type { FileEntry } from '../files/file-entry.ts'
import { findRecipes } from '../instances/find.ts'
import { demandReprocessable, planReplacement, queueRecipe, reprocess } from '../instances/queue.ts'
import type { RecipeRow } from '../instances/rows.ts'
import type { Cause } from '../instances/start-recipe.ts'
import { showFile } from '../shapes/files.ts'
import { inputOfRecipe, showNewRecipe, showRecipe, showRecipeDetails } from '../shapes/recipes.ts'
import { answerError, notFound } from '../web/answer-error.ts'
import { pageOf, pageOfWindow, readPage } from '../web/page.ts'
import { type Answer, type Call, pathNumber, type Route } from '../web/routing.ts'
import type { World } from '../world.ts'
import { inputFileFilter } from './files.ts'

/** The routes of recipes. The seed document queues under the singular, the server of today under the plural. */
export function recipeRoutes(world: World): Route[] {
  const queue = (call: Call): Promise<Answer> => queueFrom(world, call)
  const details = async (call: Call): Promise<Answer> => ({
    status: 200,
    body: await showRecipeDetails(await recipeOf(world, call), world),
  })
  return [
    { method: 'POST', path: '/recipe', onlyAdds: true, handle: queue },
    { method: 'POST', path: '/recipes', onlyAdds: true, handle: queue },
    { method: 'GET', path: '/recipe/:id', handle: details },
    { method: 'GET', path: '/recipes/:id', handle: details },
    {
      method: 'GET',
      path: '/recipes',
      handle: async call => {
        const wish = readPage(call.params)
        const found = await findRecipes(world, call.params, wish)
        return {
          status: 200,
          body: await pageOfWindow(wish, call.address, found, row => showRecipe(row, world)),
        }
      },
    },
    {
      method: 'GET',
      path: '/recipes/:id/input_files',
      handle: async call => {
        const row = await recipeOf(world, call)
        const data = await inputOfRecipe(row, world)
        const only = call.params.texts('recipe_input')
        const wanted = [...data.files]
          .filter(([name]) => !only || only.includes(name))
          .flatMap(([, ids]) => [...ids])
        return inputFiles(world, call, wanted)
      },
    },
    {
      method: 'POST',
      path: '/recipes/:id/reprocess',
      handle: call => reprocessFrom(world, call),
    },
  ]
}

/** A page of files that something took as input, each once. */
export async function inputFiles(world: World, call: Call, ids: readonly number[]): Promise<Answer> {
  const matches = inputFileFilter(call.params)
  const files = [...(await world.files.getMany([...new Set(ids)])).values()].filter(matches)
  const sorted = files.toSorted((a, b) => a.modifiedAt - b.modifiedAt || a.id - b.id)
  const show = (file: FileEntry): JsonObject => showFile(file, world)
  return { status: 200, body: await pageOf(readPage(call.params), call.address, sorted, show) }
}

/** Who asks, as a cause of recipes and jobs. */
export function causeOf(call: Call): Cause {
  // Without authentication there are no users to name.
  const isNobody = call.principal.scheme === 'anonymous' || call.principal.scheme === 'local'
  return { user: isNobody ? '' : call.principal.name, batch: null, ingestEvent: null }
}

async function queueFrom(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const typeId = params.requiredInteger('recipe_type_id')
  const input = params.object('input') ?? params.object('recipe_data') ?? {}
  const overrides = params.object('configuration')
  const type = world.catalog.recipeTypes.get(typeId)
  if (!type) throw notFound()
  const configuration = overrides
    ? demandOverrides(overrides, 'Recipe configuration invalid: ')
    : emptyConfiguration
  const row = await queueRecipe(world, { type, input, configuration, cause: causeOf(call) })
  return {
    status: 201,
    headers: { location: `${call.base}/recipes/${row.id}/` },
    body: await showNewRecipe(row, world),
  }
}

async function reprocessFrom(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const document = params.requiredObject('forced_nodes')
  const number = params.integer('revision_num')
  const row = await recipeOf(world, call)
  const type = world.catalog.recipeTypes.get(row.typeId)!
  const reading = readForcedNodes(document)
  if (!reading.ok) {
    const { name, description } = reading.problems[0]!
    throw answerError(400, name === 'INVALID_VERSION' ? description : `Invalid forced nodes: ${description}`)
  }
  const revision = world.catalog.recipeTypeRevision(type.name, number ?? type.revision)
  if (!revision) throw notFound()
  // Ours: shows what would be done, and why, without doing it.
  if (params.flag('dry_run')) {
    const diff = demandReprocessable(world, row, revision, reading.value)
    const plan = await planReplacement(world, row, revision, diff, reading.value)
    return { status: 200, body: { ...showDiff(diff), plan } }
  }
  const made = await reprocess(world, row, revision, reading.value, causeOf(call))
  return { status: 202, headers: { location: `${call.base}/recipes/${made.id}/` } }
}

async function recipeOf(world: World, call: Call): Promise<RecipeRow> {
  const row = await world.archive.recipe(pathNumber(call, 'id'))
  if (!row?.isVisible) throw notFound()
  return row
}
