// Archiving: children leave memory and come back. They are kept as persisted text, which the store holds; there is
// no file of their own.

import { parseDefinition } from '../language/parse-definition.ts'
import { printPersisted } from '../language/print-definition.ts'
import { Node } from '../tree/node.ts'
import type { Living } from './living.ts'

/** Takes the children of a suite or family out of memory. */
export function archiveChildren(living: Living, node: Node): void {
  const { children } = node
  if (!node.isContainer || node.has('archived')) return
  const holder = new Node('suite', node.name)
  for (const child of children ?? []) living.dismiss(child)
  const moved = [...(children ?? [])]
  node.clearChildren()
  for (const child of moved) holder.add(child)
  node.archive = printPersisted([holder])
  living.setFlag(node, 'restored', false)
  living.setFlag(node, 'archived', true)
  living.touch(node)
  living.structure.push({ type: 'put', node })
  living.ordersStale = true
}

/** Brings the children back, as they were. */
export function restoreChildren(living: Living, node: Node): void {
  if (!node.has('archived')) return
  const text = node.archive
  node.archive = undefined
  if (text !== undefined) {
    const holder = parseDefinition(text).nodes[0]!
    for (const child of holder.children ?? []) node.add(child)
    for (const child of node.children ?? []) living.enrol(child)
  }
  living.setFlag(node, 'archived', false)
  living.setFlag(node, 'restored', true)
  living.touch(node)
  living.structure.push({ type: 'put', node })
  living.mark(node)
}
