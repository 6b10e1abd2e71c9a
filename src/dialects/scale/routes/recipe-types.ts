// Recipe types: list, create, edit, revisions, validation with its diff, and the diff of any two revisions
// (contracts/scale.md §4.3).

import type { JsonObject } from '../../../core/json.ts'
import { diffDefinitions, showDiff } from '../../../domains/recipe/diff.ts'
import { problem } from '../../../domains/recipe/problem.ts'
import { validateDefinition } from '../../../domains/recipe/validate-definition.ts'
import { createRecipeType, editRecipeType } from '../catalog/edit-recipe-type.ts'
import type { RecipeType, RecipeTypeRevision } from '../catalog/things.ts'
import { showRecipeType, showRecipeTypeDetails, showRecipeTypeRevision } from '../shapes/catalog.ts'
import { notFound } from '../web/answer-error.ts'
import { pageOf, readPage } from '../web/page.ts'
import type { Params } from '../web/params.ts'
import { type Call, pathNumber, type Route } from '../web/routing.ts'
import type { World } from '../world.ts'
import { showVerdict } from './job-types.ts'

/** The routes of recipe types. */
export function recipeTypeRoutes(world: World): Route[] {
  return [
    {
      method: 'GET',
      path: '/recipe-types',
      handle: async call => {
        const types = [...world.catalog.recipeTypes.values()].filter(filterOf(call.params))
        const sorted = types.toSorted((a, b) => (a.name < b.name ? -1 : 1))
        const show = (type: RecipeType): JsonObject => showRecipeType(type, world.catalog)
        return { status: 200, body: await pageOf(readPage(call.params), call.address, sorted, show) }
      },
    },
    {
      method: 'POST',
      path: '/recipe-types',
      handle: async call => {
        const { params } = call
        params.required('title')
        const definition = params.requiredObject('definition')
        const type = await createRecipeType(world, {
          title: params.text('title')!,
          definition,
          autoUpdate: true,
          ...textOf(params, 'description'),
        })
        const location = `${call.base}/recipe-types/${type.name}/`
        return { status: 201, headers: { location }, body: showRecipeTypeDetails(type, world.catalog) }
      },
    },
    {
      method: 'POST',
      path: '/recipe-types/validation',
      right: 'read',
      handle: call => ({ status: 200, body: validate(world, call.params) }),
    },
    {
      method: 'GET',
      path: '/recipe-types/:name',
      handle: call => ({ status: 200, body: showRecipeTypeDetails(typeOf(world, call), world.catalog) }),
    },
    {
      method: 'PATCH',
      path: '/recipe-types/:name',
      handle: async call => {
        const { params } = call
        const type = typeOf(world, call)
        const [definition, isActive] = [params.object('definition'), params.flag('is_active')]
        const warnings = await editRecipeType(world, type, {
          autoUpdate: params.flag('auto_update') ?? true,
          ...textOf(params, 'title'),
          ...textOf(params, 'description'),
          ...(definition && { definition }),
          ...(isActive !== undefined && { isActive }),
        })
        return { status: 200, body: { ...showVerdict([], warnings), diff: {} } }
      },
    },
    {
      method: 'GET',
      path: '/recipe-types/:name/revisions',
      handle: async call => {
        const type = world.catalog.recipeTypeNamed(call.path['name'] ?? '')
        const revisions = type ? world.catalog.recipeTypeRevisionsOf(type) : []
        const show = (revision: RecipeTypeRevision): JsonObject => showRecipeTypeRevision(revision, type!)
        return { status: 200, body: await pageOf(readPage(call.params), call.address, revisions, show) }
      },
    },
    {
      method: 'GET',
      path: '/recipe-types/:name/revisions/:number',
      handle: call => {
        const body = showRecipeTypeRevision(revisionOf(world, call, 'number'), typeOf(world, call), {
          full: true,
        })
        return { status: 200, body }
      },
    },
    {
      // Ours: the original shows a diff only inside validations.
      method: 'GET',
      path: '/recipe-types/:name/revisions/:from/diff/:to',
      handle: call => {
        const [from, to] = [revisionOf(world, call, 'from'), revisionOf(world, call, 'to')]
        return { status: 200, body: showDiff(diffDefinitions(from.definition, to)) }
      },
    },
  ]
}

function validate(world: World, params: Params): JsonObject {
  const document = params.requiredObject('definition')
  const name = params.text('name')
  const type = name === undefined ? undefined : world.catalog.recipeTypeNamed(name)
  const { errors, warnings, definition, graph } = validateDefinition(document, world.catalog, name)
  const shown = [...warnings]
  let diff: JsonObject = {}
  if (type && definition && graph) {
    const compared = diffDefinitions(world.catalog.currentRevision(type).definition, { definition, graph })
    diff = showDiff(compared)
    if (!compared.canBeReprocessed)
      shown.push(problem('REPROCESS_WARNING', 'This recipe cannot be reprocessed after updating.'))
  }
  return { ...showVerdict(errors, shown, { pointers: params.flag('pointers') ?? false }), diff }
}

function textOf<N extends 'title' | 'description'>(params: Params, name: N): { [K in N]?: string } {
  const text = params.text(name)
  return (text === undefined ? {} : { [name]: text }) as { [K in N]?: string }
}

function filterOf(params: Params): (type: RecipeType) => boolean {
  const keywords = params.texts('keyword')?.map(word => word.toLowerCase())
  const [isActive, isSystem] = [params.flag('is_active'), params.flag('is_system')]
  return type => {
    const words = [type.name, type.title, type.description ?? ''].map(text => text.toLowerCase())
    return (
      (!keywords || keywords.some(keyword => words.some(word => word.includes(keyword)))) &&
      (isActive === undefined || type.isActive === isActive) &&
      (isSystem === undefined || type.isSystem === isSystem)
    )
  }
}

function typeOf(world: World, call: Call): RecipeType {
  const type = world.catalog.recipeTypeNamed(call.path['name'] ?? '')
  if (!type) throw notFound()
  return type
}

function revisionOf(world: World, call: Call, part: string): RecipeTypeRevision {
  const revision = world.catalog.recipeTypeRevision(typeOf(world, call).name, pathNumber(call, part))
  if (!revision) throw notFound()
  return revision
}
