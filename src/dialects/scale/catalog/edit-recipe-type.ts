// Creates and edits recipe types. An edit of a definition makes a new revision; the types that contain the edited one
// follow with revisions of their own, as far as they are still valid (contracts/scale.md §4.3).

import type { JsonObject } from '../../../core/json.ts'
import type { Definition, NodeType } from '../../../domains/recipe/definition.ts'
import { showDefinition } from '../../../domains/recipe/definition.ts'
import { type DefinitionVerdict, validateDefinition } from '../../../domains/recipe/validate-definition.ts'
import type { Tx } from '../../../engine/engine.ts'
import { answerError } from '../web/answer-error.ts'
import type { World } from '../world.ts'
import { slugOf } from './slug.ts'
import { deprecatedSince, type JobType, type RecipeType, type RecipeTypeRevision } from './things.ts'

/** What a user says about a recipe type. */
export interface RecipeTypeWish {
  readonly title?: string
  readonly description?: string
  readonly definition?: JsonObject
  readonly isActive?: boolean
  readonly autoUpdate: boolean
}

/** A verdict that has a definition and its graph. */
type GoodVerdict = DefinitionVerdict & Required<Pick<DefinitionVerdict, 'definition' | 'graph'>>

/** Creates a recipe type. */
export async function createRecipeType(
  world: World,
  wish: RecipeTypeWish & { definition: JsonObject; title: string },
): Promise<RecipeType> {
  const name = slugOf(wish.title)
  if (name === 'validation') throw answerError(400, 'Unable to create recipe type named "validation"')
  if (name === '')
    throw answerError(400, 'Unable to create recipe type: its title has no letter or digit to name it by')
  checkLengths(wish)
  if (world.catalog.recipeTypeNamed(name)) throw nameTaken(name)
  const verdict = demandValid(validateDefinition(wish.definition, world.catalog, name))
  return world.commit(tx => {
    if (world.catalog.recipeTypeNamed(name)) throw nameTaken(name)
    const type: RecipeType = {
      id: tx.next('scale.recipe-type'),
      name,
      title: wish.title,
      description: wish.description ?? null,
      revision: 1,
      isActive: true,
      isSystem: false,
      createdAt: tx.now,
      deprecatedAt: null,
      modifiedAt: tx.now,
    }
    saveRevision(world, tx, type, verdict)
    return type
  })
}

/** Edits a recipe type; answers with the warnings. */
export async function editRecipeType(
  world: World,
  given: RecipeType,
  wish: RecipeTypeWish,
): Promise<readonly { name: string; description: string }[]> {
  checkLengths(wish)
  const verdict = wish.definition
    ? demandValid(validateDefinition(wish.definition, world.catalog, given.name))
    : undefined
  const warnings = [...(verdict?.warnings ?? [])]
  await world.commit(tx => {
    // What another edit did meanwhile must not be undone.
    let type = world.catalog.recipeTypes.get(given.id)!
    type = {
      ...type,
      title: wish.title ?? type.title,
      description: wish.description ?? type.description,
      isActive: wish.isActive ?? type.isActive,
      deprecatedAt: deprecatedSince(type, wish.isActive, tx.now),
      revision: type.revision + (verdict ? 1 : 0),
      modifiedAt: tx.now,
    }
    if (verdict) saveRevision(world, tx, type, verdict)
    else world.save(tx, { kind: 'recipe-type', value: type })
    if (verdict && wish.autoUpdate) followRecipeType(world, tx, type)
    if (wish.isActive === false) {
      const containing = deprecateContaining(world, tx, world.catalog.recipeTypesWithRecipeType(type.name))
      if (containing.length > 0) warnings.push(deprecatedWarning(containing, 'recipe type'))
    }
  })
  return warnings
}

/** Points the recipe types that contain a job type to its new revision, and so on upwards. */
export function followJobType(world: World, tx: Tx, type: JobType): void {
  for (const container of world.catalog.recipeTypesWithJobType(type.name, type.version))
    repoint(world, tx, container, part =>
      part.kind === 'job' && part.name === type.name && part.version === type.version
        ? { ...part, revision: type.revision }
        : part,
    )
}

/** Makes recipe types inactive, and those that contain them; answers with the names of the given ones that were active. */
export function deprecateContaining(world: World, tx: Tx, types: readonly RecipeType[]): string[] {
  const names: string[] = []
  const open = types.map(type => ({ type, isDirect: true }))
  const seen = new Set<number>()
  for (const { type, isDirect } of open) {
    if (seen.has(type.id) || !type.isActive) continue
    seen.add(type.id)
    if (isDirect) names.push(type.name)
    world.save(tx, {
      kind: 'recipe-type',
      value: { ...type, isActive: false, deprecatedAt: tx.now, modifiedAt: tx.now },
    })
    for (const above of world.catalog.recipeTypesWithRecipeType(type.name))
      open.push({ type: above, isDirect: false })
  }
  return names
}

/** The warning about recipe types that became inactive; the blank at its end is the original's. */
export function deprecatedWarning(
  names: readonly string[],
  what: 'recipe type' | 'job type',
): { name: string; description: string } {
  const list = `[${names.map(name => `'${name}'`).join(', ')}]`
  return {
    name: 'DEPRECATED_RECIPES',
    description: `The following recipes were deprecated as a result of deprecating this ${what}: ${list} `,
  }
}

function followRecipeType(world: World, tx: Tx, type: RecipeType): void {
  for (const container of world.catalog.recipeTypesWithRecipeType(type.name))
    repoint(world, tx, container, part =>
      part.kind === 'recipe' && part.name === type.name ? { ...part, revision: type.revision } : part,
    )
}

// Containment has no cycles, so going upwards ends; a type that would no longer be valid stays as it is.
function repoint(world: World, tx: Tx, type: RecipeType, change: (part: NodeType) => NodeType): void {
  const { definition } = world.catalog.currentRevision(type)
  const nodes = new Map(
    [...definition.nodes].map(([name, node]) => [name, { ...node, type: change(node.type) }]),
  )
  const changed: Definition = { ...definition, nodes }
  const verdict = validateDefinition(showDefinition(changed), world.catalog, type.name)
  if (verdict.errors.length > 0 || !verdict.definition || !verdict.graph) return
  const next = { ...type, revision: type.revision + 1, modifiedAt: tx.now }
  saveRevision(world, tx, next, verdict as GoodVerdict)
  followRecipeType(world, tx, next)
}

function saveRevision(world: World, tx: Tx, type: RecipeType, { definition, graph }: GoodVerdict): void {
  const revision: RecipeTypeRevision = {
    id: tx.next('scale.recipe-type-revision'),
    typeId: type.id,
    typeName: type.name,
    revision: type.revision,
    createdAt: tx.now,
    definition,
    graph,
  }
  world.save(tx, { kind: 'recipe-type-revision', value: revision }, { kind: 'recipe-type', value: type })
}

function demandValid(verdict: DefinitionVerdict): GoodVerdict {
  const [error] = verdict.errors
  if (error || !verdict.definition || !verdict.graph)
    throw answerError(400, error?.description ?? 'The definition is not valid')
  return verdict as GoodVerdict
}

function nameTaken(name: string): Error {
  return answerError(
    400,
    `Existing recipe types found for ${name} - will not re-create. Please change the title or patch the existing recipe type.`,
  )
}

function checkLengths({ title, description }: RecipeTypeWish): void {
  if (title !== undefined && title.length > 50)
    throw answerError(400, 'Parameter "title" must not be longer than 50 characters')
  if (description !== undefined && description.length > 500)
    throw answerError(400, 'Parameter "description" must not be longer than 500 characters')
}
