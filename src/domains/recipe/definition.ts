// A recipe type's definition: its inputs and its nodes, read from JSON and shown in canonical form
// (contracts/scale.md §6.3). Whether it makes sense as a graph is graph.ts, as data flow validate-definition.ts.

import type { Json, JsonObject } from '../../core/json.ts'
import { buildDataFilter, type DataFilter, dataFilterShape, showDataFilter } from './data-filter.ts'
import { convertOldDefinition } from './definition-old.ts'
import {
  buildInterface,
  type Interface,
  interfaceShape,
  showInterface,
  spelledOutInterfaceShape,
} from './interface.ts'
import { type Fault, findFaults, member, type Shape } from './json-shape.ts'
import { type Problem, problem, type Reading, read, unreadable } from './problem.ts'
import { pythonText } from './python-text.ts'

/** Where a node's input comes from. */
export type Connection =
  | { readonly from: 'recipe'; readonly input: string }
  | { readonly from: 'node'; readonly node: string; readonly output: string }

/** A node that runs a job type. */
export interface JobNode {
  readonly kind: 'job'
  readonly name: string
  readonly version: string
  readonly revision: number
}

/** A node that runs another recipe type. */
export interface SubRecipeNode {
  readonly kind: 'recipe'
  readonly name: string
  readonly revision: number
}

/** A node that decides whether its children run. */
export interface ConditionNode {
  readonly kind: 'condition'
  readonly interface: Interface
  readonly filter: DataFilter
}

/** What a node does. */
export type NodeType = JobNode | SubRecipeNode | ConditionNode

/** A parent, and (below a condition) whether the node runs on its yes or on its no. */
export interface Dependency {
  readonly name: string
  readonly acceptance: boolean
}

/** One vertex of a definition. */
export interface RecipeNode {
  readonly name: string
  readonly dependencies: readonly Dependency[]
  readonly input: ReadonlyMap<string, Connection>
  readonly type: NodeType
}

/** A whole definition. */
export interface Definition {
  readonly input: Interface
  readonly nodes: ReadonlyMap<string, RecipeNode>
}

/** What reading an old definition has to know of the stored job types. */
export interface CurrentRevisions {
  currentJobTypeRevision(name: string, version: string): number | undefined
}

/** No definition may have more nodes than this; a graph of this size still validates within a second. */
export const nodeCountMax = 20_000

const words = (...values: string[]): Shape => ({ type: 'string', oneOfWords: values })
const text: Shape = { type: 'string' }
const exactly = (members: Readonly<Record<string, Shape>>): Shape => ({
  type: 'object',
  required: Object.keys(members),
  members,
  others: false,
})

const nodeShape: Shape = {
  type: 'object',
  required: ['dependencies', 'input', 'node_type'],
  members: {
    dependencies: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name'],
        members: { name: text, acceptance: { type: 'boolean' } },
        others: false,
      },
    },
    input: {
      type: 'object',
      others: {
        alternatives: [
          exactly({ type: words('recipe'), input: text }),
          exactly({ type: words('dependency'), node: text, output: text }),
        ],
      },
    },
    node_type: {
      alternatives: [
        exactly({
          interface: spelledOutInterfaceShape,
          data_filter: dataFilterShape,
          node_type: words('condition'),
        }),
        exactly({
          node_type: words('job'),
          job_type_name: text,
          job_type_version: text,
          job_type_revision: { type: 'integer' },
        }),
        exactly({
          recipe_type_name: text,
          recipe_type_revision: { type: 'integer' },
          node_type: words('recipe'),
        }),
      ],
    },
  },
  others: false,
}
const definitionShape: Shape = {
  type: 'object',
  members: { version: text, input: interfaceShape, nodes: { type: 'object', others: nodeShape } },
  others: false,
}

/** Reads a definition of any accepted version. */
export function readDefinition(document: JsonObject, current: CurrentRevisions): Reading<Definition> {
  const version = member(document, 'version') ?? '7'
  if (version === '1.0') {
    const converted = convertOldDefinition(document, current)
    return converted.ok ? readCurrent(converted.value) : converted
  }
  if (version !== '6' && version !== '7') {
    const shown = typeof version === 'string' ? version : pythonText(version)
    return unreadable('INVALID_DEFINITION', `${shown} is an unsupported version number`, ['version'])
  }
  return readCurrent(document)
}

/** Reads a definition this server stored itself; it was checked before it was stored. */
export function readStoredDefinition(document: JsonObject): Definition {
  const reading = buildDefinition(document)
  if (!reading.ok)
    throw new Error(`a stored recipe definition is broken: ${reading.problems[0]?.description}`)
  return reading.value
}

/** A definition in canonical form: no version, every default spelled out. */
export function showDefinition(definition: Definition): JsonObject {
  const nodes: [string, Json][] = []
  for (const node of definition.nodes.values())
    nodes.push([
      node.name,
      {
        dependencies: node.dependencies.map(({ name, acceptance }) => ({ name, acceptance })),
        input: Object.fromEntries(
          [...node.input].map(([name, connection]) => [name, showConnection(connection)]),
        ),
        node_type: showNodeType(node.type),
      },
    ])
  return { input: showInterface(definition.input), nodes: Object.fromEntries(nodes) }
}

/** The members that say what a job or recipe node runs; a condition shows only its kind. */
export function showRunType(type: NodeType): JsonObject {
  switch (type.kind) {
    case 'job':
      return {
        node_type: 'job',
        job_type_name: type.name,
        job_type_version: type.version,
        job_type_revision: type.revision,
      }
    case 'recipe':
      return { node_type: 'recipe', recipe_type_name: type.name, recipe_type_revision: type.revision }
    case 'condition':
      return { node_type: 'condition' }
  }
}

function showNodeType(type: NodeType): JsonObject {
  if (type.kind !== 'condition') return showRunType(type)
  // The version numbers inside condition nodes are not stripped: the original's definitions carry them.
  return {
    node_type: 'condition',
    interface: { version: '7', ...showInterface(type.interface) },
    data_filter: { version: '7', ...showDataFilter(type.filter) },
  }
}

function showConnection(connection: Connection): JsonObject {
  return connection.from === 'recipe'
    ? { type: 'recipe', input: connection.input }
    : { type: 'dependency', node: connection.node, output: connection.output }
}

function readCurrent(document: JsonObject): Reading<Definition> {
  const nodeCount = Object.keys((member(document, 'nodes') as JsonObject | undefined) ?? {}).length
  if (nodeCount > nodeCountMax)
    return unreadable(
      'INVALID_DEFINITION',
      `Issue with nodes: ${nodeCount} nodes, at most ${nodeCountMax} are allowed`,
      ['nodes'],
    )
  const faults = findFaults(document, definitionShape)
  if (faults.length > 0) return { ok: false, problems: faults.map(problemOfFault) }
  return buildDefinition(document)
}

// Of a document whose shape is known to be right.
function buildDefinition(document: JsonObject): Reading<Definition> {
  const problems: Problem[] = []
  const built = buildInterface((member(document, 'input') as JsonObject | undefined) ?? {}, ['input'])
  problems.push(...built.problems)
  const nodes = new Map<string, RecipeNode>()
  for (const [name, node] of Object.entries((member(document, 'nodes') as JsonObject | undefined) ?? {})) {
    nodes.set(name, buildNode(name, node as JsonObject, problems))
    // It names steps of a flow, and what is kept as text comes back as another name.
    if (!name.isWellFormed())
      problems.push(
        problem('INVALID_DEFINITION', 'Issue with nodes: a name holds half of a surrogate pair', ['nodes']),
      )
  }
  return problems.length > 0 ? { ok: false, problems } : read({ input: built.value, nodes })
}

function buildNode(name: string, node: JsonObject, problems: Problem[]): RecipeNode {
  const dependencies = new Map<string, Dependency>()
  for (const dependency of node['dependencies'] as JsonObject[]) {
    const parent = String(dependency['name'])
    // Naming a parent twice is harmless; the first mention counts.
    if (!dependencies.has(parent))
      dependencies.set(parent, { name: parent, acceptance: member(dependency, 'acceptance') !== false })
  }
  const input = new Map<string, Connection>()
  for (const [inputName, connection] of Object.entries(node['input'] as Record<string, JsonObject>))
    input.set(
      inputName,
      connection['type'] === 'recipe'
        ? { from: 'recipe', input: String(connection['input']) }
        : { from: 'node', node: String(connection['node']), output: String(connection['output']) },
    )
  const type = buildNodeType(name, node['node_type'] as JsonObject, problems)
  return { name, dependencies: [...dependencies.values()], input, type }
}

function buildNodeType(name: string, type: JsonObject, problems: Problem[]): NodeType {
  if (type['node_type'] === 'job')
    return {
      kind: 'job',
      name: String(type['job_type_name']),
      version: String(type['job_type_version']),
      revision: Number(type['job_type_revision']),
    }
  if (type['node_type'] === 'recipe')
    return {
      kind: 'recipe',
      name: String(type['recipe_type_name']),
      revision: Number(type['recipe_type_revision']),
    }
  const path = ['nodes', name, 'node_type']
  const built = buildInterface(type['interface'] as JsonObject, [...path, 'interface'])
  const filter = buildDataFilter(type['data_filter'] as JsonObject, [...path, 'data_filter'])
  problems.push(...built.problems, ...filter.problems)
  return { kind: 'condition', interface: built.value, filter: filter.value }
}

// Clients show the text to people, who look for the name of the thing: the wrong scalar itself, or what encloses
// the wrong object. Where alternatives exist the text is a JSON list, one line for each way it does not fit.
function problemOfFault(fault: Fault): Problem {
  const enclosing = fault.path.slice(0, -1).findLast(step => typeof step === 'string')
  const container = enclosing ?? fault.path.at(-1) ?? 'definition'
  if (fault.alternatives) {
    const lines = fault.alternatives.map(({ text }) => `Issue with ${container}: ${text}`)
    return problem(
      'INVALID_DEFINITION_JSON',
      `[${lines.map(line => JSON.stringify(line)).join(', ')}]`,
      fault.path,
    )
  }
  const isScalar = typeof fault.value !== 'object' || fault.value === null
  const shown = typeof fault.value === 'string' ? fault.value.slice(0, 200) : pythonText(fault.value)
  return problem(
    'INVALID_DEFINITION',
    `Issue with ${isScalar ? shown : container}: ${fault.text}`,
    fault.path,
  )
}
