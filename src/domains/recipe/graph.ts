// The shape of a definition as a graph: whether what it names exists, an order with parents first, cycles, ancestors
// and descendants. Everything here is linear in nodes and dependencies, or (reachability) in their product over 32.

import type { Definition } from './definition.ts'
import { type Problem, problem } from './problem.ts'

/** A definition's order and downward edges. */
export interface Graph {
  /** Node names, every parent before its children. */
  readonly order: readonly string[]
  readonly children: ReadonlyMap<string, readonly string[]>
}

/** A graph, or the problems that forbid one. */
export type GraphReading = { readonly graph: Graph } | { readonly problems: readonly Problem[] }

/** Builds the graph; a topological order exists exactly when no cycle is reported. */
export function buildGraph(definition: Definition): GraphReading {
  const problems = findDanglingNames(definition)
  if (problems.length > 0) return { problems }
  const children = childrenOf(definition)
  const order = orderNodes(definition, children)
  if (order.length === definition.nodes.size) return { graph: { order, children } }
  const name = findNodeOnCycle(definition, new Set(order))
  const text = `Recipe node '${name}' has a circular dependency on itself`
  return { problems: [problem('CIRCULAR_DEPENDENCY', text, ['nodes', name])] }
}

/** The named nodes and everything below them. */
export function descendantsOf(graph: Graph, names: Iterable<string>): Set<string> {
  const found = new Set(names)
  // A set yields what is added while it is walked, so this visits each descendant once.
  for (const name of found) for (const child of graph.children.get(name) ?? []) found.add(child)
  return found
}

/** A question of reachability: is `ancestor` above `node`? */
export interface AncestryQuestion {
  readonly node: string
  readonly ancestor: string
}

/** The questions whose answer is no. Asked in groups of 32 ancestors, one pass over the graph for each group. */
export function findUnrelated<Q extends AncestryQuestion>(
  definition: Definition,
  graph: Graph,
  questions: readonly Q[],
): Q[] {
  const byAncestor = Map.groupBy(questions, question => question.ancestor)
  const ancestors = [...byAncestor.keys()]
  const unrelated = new Set<Q>()
  for (let start = 0; start < ancestors.length; start += 32) {
    const group = ancestors.slice(start, start + 32)
    const bitOf = new Map(group.map((name, index) => [name, 1 << index]))
    const above = new Map<string, number>()
    for (const name of graph.order) {
      let bits = 0
      for (const parent of definition.nodes.get(name)!.dependencies)
        bits |= above.get(parent.name)! | (bitOf.get(parent.name) ?? 0)
      above.set(name, bits)
    }
    for (const ancestor of group)
      for (const question of byAncestor.get(ancestor)!)
        if (((above.get(question.node) ?? 0) & bitOf.get(ancestor)!) === 0) unrelated.add(question)
  }
  return questions.filter(question => unrelated.has(question))
}

function findDanglingNames({ input, nodes }: Definition): Problem[] {
  const problems: Problem[] = []
  for (const node of nodes.values()) {
    const path = ['nodes', node.name]
    for (const [index, { name }] of node.dependencies.entries())
      if (!nodes.has(name))
        problems.push(
          problem('UNKNOWN_NODE', `Node '${name}' is not defined`, [...path, 'dependencies', index]),
        )
    for (const [inputName, connection] of node.input) {
      const place = [...path, 'input', inputName]
      if (connection.from === 'recipe') {
        if (!input.has(connection.input))
          problems.push(problem('UNKNOWN_INPUT', `Recipe input '${connection.input}' is not defined`, place))
        continue
      }
      const source = nodes.get(connection.node)
      if (!source) problems.push(problem('UNKNOWN_NODE', `Node '${connection.node}' is not defined`, place))
      else if (source.type.kind === 'recipe') {
        const text = `Node '${node.name}' cannot have a connection to a recipe node`
        problems.push(problem('CONNECTION_INVALID_NODE', text, place))
      }
    }
  }
  return problems
}

function childrenOf({ nodes }: Definition): Map<string, string[]> {
  const children = new Map<string, string[]>([...nodes.keys()].map(name => [name, []]))
  for (const node of nodes.values())
    for (const { name } of node.dependencies) children.get(name)!.push(node.name)
  return children
}

function orderNodes({ nodes }: Definition, children: ReadonlyMap<string, readonly string[]>): string[] {
  const waiting = new Map([...nodes.values()].map(node => [node.name, node.dependencies.length]))
  const order = [...nodes.values()].filter(node => node.dependencies.length === 0).map(node => node.name)
  // The list grows while it is walked: a node joins when its last parent has been placed.
  for (const name of order)
    for (const child of children.get(name)!) {
      const left = waiting.get(child)! - 1
      waiting.set(child, left)
      if (left === 0) order.push(child)
    }
  return order
}

// Every node that could not be placed has a parent that could not be placed, so walking up must meet a node again.
function findNodeOnCycle({ nodes }: Definition, placed: ReadonlySet<string>): string {
  const met = new Set<string>()
  let name = [...nodes.keys()].find(candidate => !placed.has(candidate))!
  while (!met.has(name)) {
    met.add(name)
    name = nodes.get(name)!.dependencies.find(parent => !placed.has(parent.name))!.name
  }
  return name
}
