// Attributes of a living node that refer to other nodes: what they name has to be there, or declared.

import { refuse } from '../../../core/refusal.ts'
import { ValueError } from '../language/definition-error.ts'
import { conditionOf } from '../language/read-attribute.ts'
import type { Condition } from '../tree/attribute.ts'
import { Node } from '../tree/node.ts'
import { checkCondition, checkReferences, MissingReference } from '../tree/references.ts'
import type { Living } from './living.ts'

/** Gives a node this trigger or complete expression, in the place of one that it may have. */
export function setCondition(
  living: Living,
  node: Node,
  keyword: 'trigger' | 'complete',
  text: string,
): void {
  if (node.kind === 'suite') refuse('bad-field', `type: no ${keyword} on a suite`, { field: 'type' })
  let condition: Condition
  try {
    condition = conditionOf(text.trim())
    checkCondition(node, condition, { keyword, externs: { declared: living.externs, all: false } })
  } catch (error) {
    if (error instanceof ValueError) refuse('bad-field', `value: ${error.message}`, { field: 'value' })
    if (error instanceof MissingReference) refuse('not-found', error.message, { field: 'value' })
    throw error
  }
  node.own[keyword] = condition
}

/** Refuses what a node is to restore when that is not there, and takes it off the node. */
export function checkRestores(living: Living, node: Node): void {
  const paths = node.attributes?.rare?.autorestore
  if (!paths) return
  const only = new Node(node.kind, node.name, node.parent)
  only.ownRare.autorestore = paths
  try {
    checkReferences(only, { declared: living.externs, all: false })
  } catch (error) {
    if (!(error instanceof MissingReference)) throw error
    node.ownRare.autorestore = undefined
    refuse('not-found', error.message, { field: 'value' })
  }
}
