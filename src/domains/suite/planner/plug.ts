// Moving a family or task, with all that is below it, to another place of the tree: its states go with it.

import { refuse } from '../../../core/refusal.ts'
import { type Node, visitAll } from '../tree/node.ts'
import { removeNode } from './edit-tree.ts'
import { dropHolder, findLimit } from './limits.ts'
import { isWithin, type Living } from './living.ts'
import { showAnew } from './state-change.ts'
import { demandNode, refuseWhileBusy } from './user-commands.ts'

/**
 * Makes a node the last child of a suite or family, a task standing for what it is in; or gives it the place of one of its
 * siblings. Refuses while anything in it runs, and where its name is taken. Who named it by its old path finds nothing there any more, as after a deletion.
 */
export function plugNode(living: Living, path: string, destination: string): Node {
  const node = demandNode(living, path)
  if (node.kind !== 'family' && node.kind !== 'task') {
    refuse('illegal-move', `${node.path} is a ${node.kind}: only families and tasks can be moved`)
  }
  refuseWhileBusy(node, 'move')
  const named = demandNode(living, destination)
  if (named.parent === node.parent) return placeAt(living, node, named)
  const parent = named.isContainer ? named : named.parent!
  if (!parent.isContainer) refuse('illegal-move', `${parent.path} is a task: it takes no children`)
  if (parent.has('archived')) refuse('illegal-move', `${parent.path} is archived; restore it first`)
  if (isWithin(parent, node)) refuse('illegal-move', `${parent.path} is within ${node.path}`)
  if (parent.child(node.name)) refuse('conflict', `${parent.path} has a child '${node.name}' already`)
  giveFamilyTokens(living, node)
  removeNode(living, node)
  parent.add(node)
  const elapsed = parent.suiteNode?.suite?.elapsed ?? 0
  visitAll(node, it => {
    it.since = elapsed
    it.isOpen = false
    it.isMarked = false
  })
  living.structure.push({ type: 'put', node })
  living.enrol(node)
  living.setFlag(node, 'message', true)
  living.mark(parent)
  showAnew(living, parent)
  return node
}

/** Among its siblings it takes the place that the named one has (observed). */
function placeAt(living: Living, node: Node, named: Node): Node {
  if (named === node) refuse('illegal-move', `${node.path} is where it is`)
  const parent = node.parent!
  const at = parent.children!.indexOf(named)
  parent.remove(node)
  parent.insert(node, at)
  living.structure.push({ type: 'put', node })
  living.ordersStale = true
  living.setFlag(node, 'message', true)
  return node
}

/** Tokens are held by path: what a container kept is given back before its path changes. */
function giveFamilyTokens(living: Living, top: Node): void {
  visitAll(top, node => {
    for (const inlimit of node.attributes?.inlimits ?? []) {
      if (!inlimit.taken) continue
      inlimit.taken = false
      const found = findLimit(node, inlimit)
      if (found) dropHolder(living, found.node, found.limit, node.path)
    }
  })
}
