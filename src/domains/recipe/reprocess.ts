// What a reprocess does with each node, and why: taken over, run anew, or dropped (contracts/scale.md §5.3, end).
// Decides only; making jobs and marking old ones superseded is the dialect's work.

import type { JsonObject } from '../../core/json.ts'
import { type NodeDiff, type RecipeDiff, runsAgain } from './diff.ts'

/** What happens to a node. */
export interface NodePlan {
  readonly action: 'copy' | 'run' | 'drop'
  /** The old recipe's object of this node is marked superseded. */
  readonly supersedesOld: boolean
  /** The old products of this node are taken back. */
  readonly unpublishesOld: boolean
  /** For a sub-recipe that runs: everything inside runs anew, instead of being compared revision to revision. */
  readonly redoesAllInside: boolean
  /** Sentences for a person. */
  readonly why: readonly string[]
}

const ownChanges = new Set(['RECIPE_TYPE_CHANGE', 'RECIPE_TYPE_REVISION_CHANGE'])

/** The plan for every node of a diff that can be reprocessed, parents first. */
export function planReprocess(diff: RecipeDiff): Map<string, NodePlan> {
  const plans = new Map<string, NodePlan>()
  for (const [name, node] of diff.nodes) plans.set(name, planNode(diff, node))
  return plans
}

/** A node's plan as clients read it; `inside` are those of the nodes of a sub-recipe that is compared node by node. */
export function showNodePlan(
  { action, why }: Pick<NodePlan, 'action' | 'why'>,
  inside?: JsonObject,
): JsonObject {
  return { action, why: [...why], ...(inside && { nodes: inside }) }
}

/** What becomes of a node that could have been taken over, had its old job or sub-recipe been complete. */
export const incompletePlan = {
  action: 'run',
  why: ['Nothing changed, but there is no complete result to take over'],
} as const

function planNode(diff: RecipeDiff, node: NodeDiff): NodePlan {
  const again = runsAgain(diff, node)
  const action = node.status === 'DELETED' ? 'drop' : again ? 'run' : 'copy'
  return {
    action,
    supersedesOld: node.status === 'DELETED' || (node.status !== 'NEW' && again),
    unpublishesOld: node.status === 'DELETED',
    redoesAllInside: again && redoesAllInside(diff, node),
    why: explain(node, action),
  }
}

function redoesAllInside(diff: RecipeDiff, node: NodeDiff): boolean {
  const { node: now, changes, previous } = node
  if (now.type.kind !== 'recipe') return false
  // Without an old sub-recipe in this place there is nothing inside to compare with.
  if (previous?.type.kind !== 'recipe') return true
  if (changes.some(change => !ownChanges.has(change.name))) return true
  return now.dependencies.some(parent => runsAgain(diff, diff.nodes.get(parent.name)!))
}

function explain(node: NodeDiff, action: NodePlan['action']): string[] {
  if (node.status === 'DELETED') return ['This node is no longer in the recipe type']
  if (node.status === 'NEW') return ['This node is new']
  const why = node.changes.map(change => change.description)
  if (node.isForced) why.push('Forced: named in forced_nodes, or below a node that is')
  if (action === 'copy') why.push('Nothing changed: the previous result is taken over')
  return why
}
