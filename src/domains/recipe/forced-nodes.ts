// What a user asks to run again in a reprocess: everything, some nodes, or nodes within sub-recipes
// (contracts/scale.md §5.6).

import type { JsonObject } from '../../core/json.ts'
import type { Definition } from './definition.ts'
import { faultText, findFaults, member, type Shape } from './json-shape.ts'
import { problem, type Reading, read, unreadable } from './problem.ts'
import { pythonText } from './python-text.ts'

/** The nodes to run again. */
export interface ForcedNodes {
  readonly all: boolean
  readonly nodes: readonly string[]
  readonly subRecipes: ReadonlyMap<string, ForcedNodes>
}

/** Forces nothing. */
export const noForcedNodes: ForcedNodes = { all: false, nodes: [], subRecipes: new Map() }
/** Forces everything. */
export const allForcedNodes: ForcedNodes = { all: true, nodes: [], subRecipes: new Map() }

/** Recipes are not nested deeper than this, so neither is what forces them. */
export const nestingDepthMax = 50

const shape: Shape = {
  type: 'object',
  required: ['all'],
  members: {
    version: { type: 'string' },
    all: { type: 'boolean' },
    nodes: { type: 'array', items: { type: 'string' } },
    sub_recipes: { type: 'object', others: { type: 'object' } },
  },
  others: false,
}

/** Reads forced nodes. */
export function readForcedNodes(document: JsonObject): Reading<ForcedNodes> {
  const version = member(document, 'version') ?? '7'
  if (version !== '6' && version !== '7' && version !== '1.0') {
    const shown = typeof version === 'string' ? version : pythonText(version)
    return unreadable('INVALID_VERSION', `${shown} is an unsupported version number`, ['version'])
  }
  return readLevel(document, [])
}

/** Forced nodes as stored and shown. */
export function showForcedNodes(forced: ForcedNodes): JsonObject {
  const subRecipes = [...forced.subRecipes].map(([name, inner]) => [name, showForcedNodes(inner)] as const)
  return { all: forced.all, nodes: [...forced.nodes], sub_recipes: Object.fromEntries(subRecipes) }
}

/** The nodes forced at this level: those named, and sub-recipes with something forced inside. */
export function forcedAtThisLevel(forced: ForcedNodes): Iterable<string> | 'all' {
  return forced.all ? 'all' : [...forced.nodes, ...forced.subRecipes.keys()]
}

/** What is forced inside a sub-recipe node. */
export function forcedWithin(forced: ForcedNodes, name: string): ForcedNodes {
  return forced.all ? allForcedNodes : (forced.subRecipes.get(name) ?? noForcedNodes)
}

/** Why forced nodes do not fit a definition; `inner` finds a sub-recipe type's definition. */
export function refuseForcedNodes(
  forced: ForcedNodes,
  definition: Definition,
  inner: (name: string, revision: number) => Definition | undefined,
): string[] {
  if (forced.all) return []
  const refusals: string[] = []
  for (const name of forced.nodes)
    if (!definition.nodes.has(name))
      refusals.push(`Recipe definition does not have a top level node with name: ${name}`)
  for (const [name, within] of forced.subRecipes) {
    const type = definition.nodes.get(name)?.type
    if (!type) refusals.push(`Recipe definition does not have a top level node with name: ${name}`)
    else if (type.kind !== 'recipe') refusals.push(`Sub-recipe node ${name} is not a recipe node`)
    else {
      const found = inner(type.name, type.revision)
      if (found) refusals.push(...refuseForcedNodes(within, found, inner))
      else refusals.push(`Unable to get recipe type revision for sub-recipe ${name}`)
    }
  }
  return refusals
}

function readLevel(document: JsonObject, path: readonly string[]): Reading<ForcedNodes> {
  if (path.length > nestingDepthMax * 2)
    return unreadable('INVALID_FORCED_NODES', `sub_recipes are nested deeper than ${nestingDepthMax}`, path)
  const faults = findFaults(document, shape).map(fault => ({ ...fault, path: [...path, ...fault.path] }))
  if (faults.length > 0)
    return {
      ok: false,
      problems: faults.map(fault => problem('INVALID_FORCED_NODES', faultText(fault), fault.path)),
    }
  // With everything forced the rest is ignored, whatever it says.
  if (document['all'] === true) return read(allForcedNodes)
  const subRecipes = new Map<string, ForcedNodes>()
  for (const [name, inner] of Object.entries(
    (member(document, 'sub_recipes') ?? {}) as Record<string, JsonObject>,
  )) {
    const reading = readLevel(inner, [...path, 'sub_recipes', name])
    if (!reading.ok) return reading
    subRecipes.set(name, reading.value)
  }
  return read({ all: false, nodes: (member(document, 'nodes') as string[] | undefined) ?? [], subRecipes })
}
