// Everything a definition can be wrong about beyond its JSON: the graph, the types it names, the data that flows between
// its nodes, and recipe types that contain themselves (contracts/scale.md §5.1 and §7.1). All errors are reported at once.

import type { JsonObject } from '../../core/json.ts'
import {
  type CurrentRevisions,
  type Definition,
  type NodeType,
  type RecipeNode,
  readDefinition,
} from './definition.ts'
import { type AncestryQuestion, buildGraph, findUnrelated, type Graph } from './graph.ts'
import { acceptInterface, emptyInterface, type Interface, interfaceOf, type Parameter } from './interface.ts'
import { type Problem, problem, type Verdict } from './problem.ts'

/** What a definition may refer to, as the store knows it. */
export interface Catalog extends CurrentRevisions {
  /** A job type revision's interfaces; a word says what is missing. */
  jobType(name: string, version: string, revision: number): NodeInterfaces | 'no type' | 'no revision'
  /** A recipe type revision's input interface; a word says what is missing. */
  recipeType(name: string, revision: number): Interface | 'no type' | 'no revision'
  /** Names of the recipe types that a recipe type's current revision contains directly. */
  subRecipeTypes(name: string): readonly string[]
}

/** What goes into a node and what comes out of it. */
export interface NodeInterfaces {
  readonly input: Interface
  readonly output: Interface
}

/** A verdict, with the definition and its graph as far as they could be made. */
export interface DefinitionVerdict extends Verdict {
  readonly definition?: Definition
  readonly graph?: Graph
}

/** Validates a definition document; `name` is the recipe type it is meant for, when there is one. */
export function validateDefinition(document: JsonObject, catalog: Catalog, name?: string): DefinitionVerdict {
  const reading = readDefinition(document, catalog)
  if (!reading.ok) return { errors: reading.problems, warnings: [] }
  const definition = reading.value
  const built = buildGraph(definition)
  if (!('graph' in built)) return { definition, errors: built.problems, warnings: [] }
  const { graph } = built
  const errors: Problem[] = []
  const interfaces = findInterfaces(definition, catalog, errors)
  const flow = checkFlow(definition, graph, interfaces)
  errors.push(...flow.errors)
  if (name !== undefined) errors.push(...findRecursion(definition, name, catalog))
  return { definition, graph, errors, warnings: flow.warnings }
}

/** What goes into and comes out of a condition: the same, but what a filter demanded is known to be there afterwards. */
export function conditionInterfaces(type: NodeType & { kind: 'condition' }): NodeInterfaces {
  const demanded = new Set(type.filter.all ? type.filter.filters.map(filter => filter.name) : [])
  const output = [...type.interface.values()].map(parameter =>
    demanded.has(parameter.name) ? { ...parameter, required: true } : parameter,
  )
  return { input: type.interface, output: interfaceOf(output) }
}

function findInterfaces(
  definition: Definition,
  catalog: Catalog,
  errors: Problem[],
): Map<string, NodeInterfaces> {
  const interfaces = new Map<string, NodeInterfaces>()
  for (const { name, type } of definition.nodes.values()) {
    const found = interfacesOf(type, catalog)
    if (typeof found === 'string')
      errors.push(problem(missingName[type.kind], found, ['nodes', name, 'node_type']))
    else interfaces.set(name, found)
  }
  return interfaces
}

const missingName = {
  job: 'JOB_TYPE_DOES_NOT_EXIST',
  recipe: 'RECIPE_TYPE_DOES_NOT_EXIST',
  condition: 'INVALID_DEFINITION',
} as const

function interfacesOf(type: NodeType, catalog: Catalog): NodeInterfaces | string {
  if (type.kind === 'condition') return conditionInterfaces(type)
  if (type.kind === 'job') {
    const found = catalog.jobType(type.name, type.version, type.revision)
    if (typeof found === 'object') return found
    const model = found === 'no type' ? 'JobType' : 'JobTypeRevision'
    return `Recipe definition contains a job type that does not exist: ${model} matching query does not exist.`
  }
  const found = catalog.recipeType(type.name, type.revision)
  if (typeof found === 'object') return { input: found, output: emptyInterface }
  const model = found === 'no type' ? 'RecipeType' : 'RecipeTypeRevision'
  return `Recipe definition contains a sub recipe type that does not exist: ${model} matching query does not exist.`
}

function checkFlow(
  definition: Definition,
  graph: Graph,
  interfaces: ReadonlyMap<string, NodeInterfaces>,
): { errors: Problem[]; warnings: Problem[] } {
  const unrelated = Map.groupBy(
    findUnrelated(definition, graph, ancestryQuestions(definition)),
    ({ node }) => node,
  )
  const errors: Problem[] = []
  const warnings: Problem[] = []
  for (const name of graph.order) {
    const node = definition.nodes.get(name)!
    const wrong = unrelated.get(name)?.[0]
    if (wrong) {
      const text = `Cannot get output '${wrong.output}' without dependency on node '${wrong.ancestor}'`
      errors.push(nodeProblem(node, text, wrong.input))
      continue
    }
    const own = interfaces.get(name)
    const provided = own && connect(definition, node, interfaces, errors)
    if (!provided) continue
    for (const parameter of own.input.values())
      if (parameter.required && !node.input.has(parameter.name))
        errors.push(
          problem('NODE_INTERFACE', `input '${parameter.name}' is missing for ${name}`, [
            'nodes',
            name,
            'input',
          ]),
        )
    const connected = interfaceOf([...own.input.values()].filter(parameter => node.input.has(parameter.name)))
    const verdict = acceptInterface(connected, provided)
    errors.push(...verdict.errors.map(error => nodeProblem(node, error.description)))
    warnings.push(...verdict.warnings)
  }
  return { errors, warnings }
}

interface OutputQuestion extends AncestryQuestion {
  readonly input: string
  readonly output: string
}

function ancestryQuestions(definition: Definition): OutputQuestion[] {
  const questions: OutputQuestion[] = []
  for (const node of definition.nodes.values()) {
    const parents = new Set(node.dependencies.map(({ name }) => name))
    // A direct parent needs no search, and most connections come from one.
    for (const [input, connection] of node.input)
      if (connection.from === 'node' && !parents.has(connection.node))
        questions.push({ node: node.name, ancestor: connection.node, input, output: connection.output })
  }
  return questions
}

// The interface of what arrives at a node: each source parameter under the name of the input it feeds.
function connect(
  definition: Definition,
  node: RecipeNode,
  interfaces: ReadonlyMap<string, NodeInterfaces>,
  errors: Problem[],
): Interface | undefined {
  const arriving: Parameter[] = []
  for (const [name, connection] of node.input) {
    const source =
      connection.from === 'recipe'
        ? definition.input.get(connection.input)
        : interfaces.get(connection.node)?.output.get(connection.output)
    if (source) arriving.push({ ...source, name })
    else if (connection.from === 'node') {
      // The source's own type is missing: that was reported, and nothing can be said about its outputs.
      if (!interfaces.has(connection.node)) return undefined
      const text = `Input ${name} cannot be connected to output ${connection.output}; no output exists with that name`
      errors.push(nodeProblem(node, text, name))
      return undefined
    }
  }
  return interfaceOf(arriving)
}

function nodeProblem(node: RecipeNode, text: string, input?: string): Problem {
  const path = ['nodes', node.name, 'input', ...(input === undefined ? [] : [input])]
  return problem('NODE_INTERFACE', `Node '${node.name}' interface error: ${text}`, path)
}

function findRecursion(definition: Definition, own: string, catalog: Catalog): Problem[] {
  const visited = new Set<string>()
  const open: { within: string; names: readonly string[] }[] = [
    { within: own, names: subRecipeNames(definition) },
  ]
  for (let next = open.pop(); next; next = open.pop()) {
    if (next.names.includes(own)) {
      const text = `Recipe type ${own} contains sub-recipes of itself. Found within recipe type ${next.within}.`
      return [problem('RECURSIVE_SUBRECIPES', text)]
    }
    for (const name of next.names) {
      if (visited.has(name)) continue
      visited.add(name)
      open.push({ within: name, names: catalog.subRecipeTypes(name) })
    }
  }
  return []
}

/** Names of the recipe types a definition contains directly, each once. */
export function subRecipeNames(definition: Definition): string[] {
  const names = new Set<string>()
  for (const { type } of definition.nodes.values()) if (type.kind === 'recipe') names.add(type.name)
  return [...names]
}
