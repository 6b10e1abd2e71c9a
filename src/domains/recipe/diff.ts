// What changed between two revisions of a recipe type, node by node, with reasons (contracts/scale.md §5.3).
// Nodes are matched by name. Linear in the size of both definitions.

import type { JsonObject } from '../../core/json.ts'
import { isEqual, showDataFilter } from './data-filter.ts'
import type { Definition, NodeType, RecipeNode } from './definition.ts'
import { showRunType } from './definition.ts'
import { descendantsOf, type Graph } from './graph.ts'
import { acceptInterface } from './interface.ts'
import { type Problem, problem } from './problem.ts'

/** How a node compares. */
export type NodeStatus = 'NEW' | 'CHANGED' | 'UNCHANGED' | 'DELETED'

/** One node's comparison. */
export interface NodeDiff {
  readonly status: NodeStatus
  readonly changes: readonly Problem[]
  /** Asked to run again although nothing may have changed. */
  readonly isForced: boolean
  /** The node as it is now; for a deleted one as it was. */
  readonly node: RecipeNode
  readonly previous?: RecipeNode
}

/** The comparison of two revisions. */
export interface RecipeDiff {
  readonly canBeReprocessed: boolean
  readonly reasons: readonly Problem[]
  /** In an order with parents first; deleted nodes last. */
  readonly nodes: ReadonlyMap<string, NodeDiff>
}

/** A definition with its graph. */
export interface Revision {
  readonly definition: Definition
  readonly graph: Graph
}

/** Compares a previous definition with the next one. */
export function diffDefinitions(previous: Definition, next: Revision): RecipeDiff {
  const { definition, graph } = next
  const [refusal] = acceptInterface(definition.input, previous.input).errors
  const reasons = refusal
    ? [problem('INPUT_CHANGE', `Input interface has changed: ${refusal.description}`)]
    : []
  const nodes = new Map<string, NodeDiff>()
  for (const name of graph.order) {
    const node = definition.nodes.get(name)!
    const before = previous.nodes.get(name)
    if (!before) {
      nodes.set(name, { status: 'NEW', changes: [], isForced: false, node })
      continue
    }
    const changes = [
      ...typeChanges(before.type, node.type),
      ...parentChanges(before, node, nodes),
      ...inputChanges(before, node),
    ]
    const status = changes.length > 0 ? 'CHANGED' : 'UNCHANGED'
    nodes.set(name, { status, changes, isForced: false, node, previous: before })
  }
  for (const [name, node] of previous.nodes)
    if (!definition.nodes.has(name))
      nodes.set(name, { status: 'DELETED', changes: [], isForced: false, node, previous: node })
  return { canBeReprocessed: !refusal, reasons, nodes }
}

/** Marks nodes, and everything below them, as forced; `'all'` marks every node. Statuses and changes stay. */
export function forceNodes(diff: RecipeDiff, graph: Graph, names: Iterable<string> | 'all'): RecipeDiff {
  const forced = names === 'all' ? undefined : descendantsOf(graph, names)
  const nodes = new Map<string, NodeDiff>()
  for (const [name, node] of diff.nodes)
    nodes.set(name, { ...node, isForced: forced ? forced.has(name) : true })
  return { ...diff, nodes }
}

/** Whether a reprocess runs this node anew instead of taking over what is there. */
export function runsAgain(diff: RecipeDiff, node: NodeDiff): boolean {
  if (!diff.canBeReprocessed || node.status === 'DELETED') return false
  return node.status !== 'UNCHANGED' || node.isForced
}

/** A diff as clients read it. */
export function showDiff(diff: RecipeDiff): JsonObject {
  const nodes = [...diff.nodes].map(([name, node]): [string, JsonObject] => [
    name,
    {
      status: node.status,
      changes: node.changes.map(showReason),
      reprocess_new_node: runsAgain(diff, node),
      force_reprocess: node.isForced,
      dependencies: node.node.dependencies.map(parent => ({ name: parent.name })),
      ...(hasNewKind(node) && { prev_node_type: node.previous!.type.kind }),
      node_type: { ...showRunType(node.node.type), ...showPrevious(node) },
    },
  ])
  return {
    can_be_reprocessed: diff.canBeReprocessed,
    reasons: diff.reasons.map(showReason),
    nodes: Object.fromEntries(nodes),
  }
}

function showReason({ name, description }: Problem): JsonObject {
  return { name, description }
}

function hasNewKind({ node, previous }: NodeDiff): boolean {
  return previous !== undefined && previous.type.kind !== node.type.kind
}

function showPrevious({ node, previous }: NodeDiff): JsonObject {
  const [now, before] = [node.type, previous?.type]
  if (now.kind === 'job' && before?.kind === 'job')
    return {
      ...(before.name !== now.name && { prev_job_type_name: before.name }),
      ...(before.version !== now.version && { prev_job_type_version: before.version }),
      ...(before.revision !== now.revision && { prev_job_type_revision: before.revision }),
    }
  if (now.kind === 'recipe' && before?.kind === 'recipe')
    return {
      ...(before.name !== now.name && { prev_recipe_type_name: before.name }),
      ...(before.revision !== now.revision && { prev_recipe_type_revision: before.revision }),
    }
  return {}
}

function typeChanges(before: NodeType, now: NodeType): Problem[] {
  if (before.kind !== now.kind)
    return [problem('NODE_TYPE_CHANGE', `Node type changed from ${before.kind} to ${now.kind}`)]
  const changes: Problem[] = []
  const compare = (name: string, subject: string, from: string | number, to: string | number): void => {
    if (from !== to) changes.push(problem(name, `${subject} changed from ${from} to ${to}`))
  }
  if (before.kind === 'job' && now.kind === 'job') {
    compare('JOB_TYPE_CHANGE', 'Job type', before.name, now.name)
    compare('JOB_TYPE_VERSION_CHANGE', 'Job type version', before.version, now.version)
    compare('JOB_TYPE_REVISION_CHANGE', 'Job type revision', before.revision, now.revision)
  } else if (before.kind === 'recipe' && now.kind === 'recipe') {
    compare('RECIPE_TYPE_CHANGE', 'Recipe type', before.name, now.name)
    compare('RECIPE_TYPE_REVISION_CHANGE', 'Recipe type revision', before.revision, now.revision)
  } else if (before.kind === 'condition' && now.kind === 'condition') {
    // Only the filter counts; the interface of a condition follows from what is connected to it.
    if (!isEqual(showDataFilter(before.filter), showDataFilter(now.filter)))
      changes.push(problem('FILTER_CHANGE', 'Data filter changed'))
  }
  return changes
}

function parentChanges(
  before: RecipeNode,
  now: RecipeNode,
  compared: ReadonlyMap<string, NodeDiff>,
): Problem[] {
  const changes: Problem[] = []
  const acceptances: Problem[] = []
  const left = new Map(before.dependencies.map(parent => [parent.name, parent]))
  for (const { name, acceptance } of now.dependencies) {
    const previous = left.get(name)
    left.delete(name)
    if (!previous) changes.push(problem('PARENT_NEW', `New parent node ${name} added`))
    else {
      if (compared.get(name)?.status === 'CHANGED')
        changes.push(problem('PARENT_CHANGED', `Parent node ${name} changed`))
      if (previous.acceptance !== acceptance)
        acceptances.push(problem('PARENT_ACCEPTANCE_CHANGED', `Approval for parent node ${name} changed`))
    }
  }
  const removed = [...left.keys()].map(name =>
    problem('PARENT_REMOVED', `Previous parent node ${name} removed`),
  )
  return [...changes, ...removed, ...acceptances]
}

function inputChanges(before: RecipeNode, now: RecipeNode): Problem[] {
  const changes: Problem[] = []
  for (const [name, connection] of now.input) {
    const previous = before.input.get(name)
    if (!previous) changes.push(problem('INPUT_NEW', `New input ${name} added`))
    else if (!isEqual({ ...previous }, { ...connection }))
      changes.push(problem('INPUT_CHANGE', `Input ${name} changed`))
  }
  for (const name of before.input.keys())
    if (!now.input.has(name)) changes.push(problem('INPUT_REMOVED', `Previous input ${name} removed`))
  return changes
}
