// Builders and arbitraries for this room's tests: definitions, catalogs, and random graphs. Not part of the product.

import fc from 'fast-check'
import type { Json, JsonObject } from '../../core/json.ts'
import { readStoredDefinition } from './definition.ts'
import type { Revision } from './diff.ts'
import { buildGraph } from './graph.ts'
import { buildInterface, type Interface } from './interface.ts'
import type { Catalog, NodeInterfaces } from './validate-definition.ts'

/** An interface from its document. */
export function anInterface(document: JsonObject): Interface {
  return buildInterface(document, []).value
}

/** A job node's `node_type`. */
export function jobType(name = 'noop', version = '1.0.0', revision = 1): JsonObject {
  return { node_type: 'job', job_type_name: name, job_type_version: version, job_type_revision: revision }
}

/** A node document: parents by name, the rest as said. */
export function aNode(
  parents: string[] = [],
  more: { input?: JsonObject; type?: JsonObject } = {},
): JsonObject {
  return {
    dependencies: parents.map(name => ({ name })),
    input: more.input ?? {},
    node_type: more.type ?? jobType(),
  }
}

/** A definition with its graph, from a document that is known to be good. */
export function aRevision(document: JsonObject): Revision {
  const definition = readStoredDefinition(document)
  const built = buildGraph(definition)
  if (!('graph' in built)) throw new Error(built.problems[0]?.description)
  return { definition, graph: built.graph }
}

/** A catalog of job types (`name` → interfaces, version 1.0.0, revision 1) and recipe types. */
export function aCatalog(
  jobs: Record<string, { input?: JsonObject; output?: JsonObject }> = {},
  recipes: Record<string, { input?: JsonObject; contains?: string[] }> = {},
): Catalog {
  const interfaces = new Map<string, NodeInterfaces>()
  for (const [name, { input, output }] of Object.entries({ noop: {}, ...jobs } as typeof jobs))
    interfaces.set(name, { input: anInterface(input ?? {}), output: anInterface(output ?? {}) })
  return {
    jobType: (name, version, revision) => {
      const found = version === '1.0.0' ? interfaces.get(name) : undefined
      if (!found) return 'no type'
      return revision === 1 ? found : 'no revision'
    },
    recipeType: (name, revision) => {
      if (!Object.hasOwn(recipes, name)) return 'no type'
      return revision === 1 ? anInterface(recipes[name]!.input ?? {}) : 'no revision'
    },
    currentJobTypeRevision: (name, version) => (version === '1.0.0' && interfaces.has(name) ? 1 : undefined),
    subRecipeTypes: name => (Object.hasOwn(recipes, name) ? (recipes[name]!.contains ?? []) : []),
  }
}

/** Random node documents whose parents may be anything in the graph, so that cycles occur. */
export const anyGraph = fc.integer({ min: 0, max: 12 }).chain(count =>
  fc
    .array(fc.array(fc.nat({ max: Math.max(count - 1, 0) }), { maxLength: 3 }), {
      minLength: count,
      maxLength: count,
    })
    .map(
      parents =>
        Object.fromEntries(parents.map((list, n) => [`n${n}`, aNode(list.map(p => `n${p}`))])) as JsonObject,
    ),
)

/** Random node documents without cycles; types, inputs and parents vary, so that two of them differ in many ways. */
export const acyclicNodes: fc.Arbitrary<JsonObject> = fc
  .array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
      parents: fc.array(fc.nat({ max: 5 }), { maxLength: 3 }),
      type: fc.constantFrom('noop', 'other'),
      revision: fc.integer({ min: 1, max: 2 }),
      kind: fc.constantFrom('job', 'job', 'job', 'recipe'),
      takes: fc.option(fc.constantFrom('X', 'Y'), { nil: undefined }),
    }),
    { maxLength: 10 },
  )
  .map(items => {
    const nodes = new Map<string, Json>()
    for (const { name, parents, type, revision, kind, takes } of items) {
      if (nodes.has(name)) continue
      const earlier = [...nodes.keys()]
      const chosen = parents.map(p => earlier[p]).filter(p => p !== undefined)
      const nodeType =
        kind === 'job'
          ? jobType(type, '1.0.0', revision)
          : { node_type: 'recipe', recipe_type_name: type, recipe_type_revision: revision }
      nodes.set(
        name,
        aNode([...new Set(chosen)], {
          input: takes ? { [takes]: { type: 'recipe', input: 'v' } } : {},
          type: nodeType,
        }),
      )
    }
    return Object.fromEntries(nodes)
  })

/** A definition document around nodes; its one input is a text. */
export function around(nodes: JsonObject): JsonObject {
  return { input: { json: [{ name: 'v', type: 'string', required: false }] }, nodes }
}
