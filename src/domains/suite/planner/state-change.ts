// Moves of a node's state: the move itself, what completing sets off, and the containers above.

import { findReference } from '../tree/find.ts'
import type { FlagName } from '../tree/flag.ts'
import { flagBit } from '../tree/flag.ts'
import type { Node } from '../tree/node.ts'
import { advanceRepeat, repeatText } from '../tree/repeat.ts'
import { isBusy, type NodeState, nodeStates, rankOf } from '../tree/state.ts'
import { restoreChildren } from './archive.ts'
import { giveTokens } from './limits.ts'
import type { Living } from './living.ts'
import { requeueSubtree } from './reset.ts'
import { completionRequeues, timeOfSuite } from './times.ts'

/** Who moved the node: it decides how a completed node's time attributes are judged. */
export type Mover = 'command' | 'expression'

/** Puts a node into a state, with all that follows from it, up to the suite. */
export function moveNode(living: Living, node: Node, state: NodeState, by: Mover = 'command'): void {
  settle(living, node, state, by)
  // What stands above an alias is a task, and its state is its own.
  for (let at = node.parent; at?.isContainer && at.kind !== 'root'; at = at.parent) {
    const computed = significantChild(at)
    // One above may still show its own defstatus: so it goes on upwards.
    if (computed !== at.state) settle(living, at, computed, by)
  }
}

/** One node's own move. Completing may requeue it at once, by its repeat or times: then it ends up queued. */
function settle(living: Living, node: Node, state: NodeState, by: Mover): void {
  placeNode(living, node, state)
  if (state === 'complete') afterComplete(living, node, by)
}

/** Puts one node into a state, and its tokens where they belong; what completing sets off does not follow. */
export function placeNode(living: Living, node: Node, state: NodeState): void {
  assignState(living, node, state)
  if (node.isContainer) return
  // Whatever it was before: a token that a container above kept goes with it (observed).
  if (!isBusy(state)) giveTokens(living, node, 'ended')
  else if (state === 'active') giveTokens(living, node, 'active')
}

/** How a node came to be aborted: forgotten when it is so no more (observed). */
const abortFlags = flagBit('force_aborted') | flagBit('task_aborted')

/** Sets the state and tells it; nothing follows from it here but the waking of who looks at it. */
export function assignState(living: Living, node: Node, state: NodeState): void {
  const before = node.state
  living.log.push({ path: node.path, state })
  if (before === state) return
  node.state = state
  node.since = node.suiteNode?.suite?.elapsed ?? 0
  const counts = node.parent?.counts
  if (counts) {
    counts[rankOf(before)]!--
    counts[rankOf(state)]!++
  }
  living.touch(node)
  if (state !== 'aborted' && (node.flags & abortFlags) !== 0) node.flags &= ~abortFlags
  living.deadlines.note(node)
  living.wakeDependents(node)
  // A container's own state matters to what is below only through being complete or not, and its complete expression
  // acts only while it is queued.
  const mayComplete = state === 'queued' && node.attributes?.complete !== undefined
  if (!node.isContainer || before === 'complete' || state === 'complete' || mayComplete) living.mark(node)
}

/** What a container shows: its most significant child. Without children, what it is. */
export function significantChild(node: Node): NodeState {
  const { children } = node
  if (!children || children.length === 0) return node.state
  if (!node.counts) {
    node.counts = [0, 0, 0, 0, 0, 0]
    for (const child of children) node.counts[rankOf(child.state)]!++
  }
  for (let rank = 5; rank > 0; rank--) if (node.counts[rank]! > 0) return nodeStates[rank]!
  return 'unknown'
}

/** Computes a container anew after its children changed, and then those above it. A task has no use for it. */
export function recomputeFrom(living: Living, node: Node | undefined): void {
  for (let at = node; at?.isContainer && at.kind !== 'root'; at = at.parent) {
    if (!at.children) continue
    const computed = significantChild(at)
    if (computed === at.state) continue
    settle(living, at, computed, 'command')
  }
}

/** The same where nobody moved: a child is gone. What that makes complete has not completed, so no repeat goes on (observed). */
export function showAnew(living: Living, node: Node | undefined): void {
  for (let at = node; at?.isContainer && at.kind !== 'root'; at = at.parent) {
    const computed = significantChild(at)
    if (computed !== at.state) assignState(living, at, computed)
  }
}

/** Repeat first, then times: contract ecflow §3.8. */
export function afterComplete(living: Living, node: Node, by: Mover): void {
  const own = node.attributes
  if (!own) return
  if (own.rare?.autorestore) {
    for (const path of own.rare.autorestore) {
      const target = findReference(node, path)
      if (target?.has('archived')) restoreChildren(living, target)
    }
  }
  if (own.repeat && advanceRepeat(own.repeat)) {
    noteRepeat(living, node)
    requeueSubtree(living, node, 'repeat')
    return
  }
  if (own.repeat) living.touch(node)
  const suite = node.suiteNode
  if (!suite?.suite?.begun) return
  if (!completionRequeues(own, timeOfSuite(suite), by === 'command')) return
  requeueSubtree(living, node, 'time')
}

/** The repeat's value changed: tells it, and wakes who reads it or one of its derived variables. */
export function noteRepeat(living: Living, node: Node): void {
  const repeat = node.attributes?.repeat
  if (!repeat) return
  living.touch(node)
  living.log.push({ path: node.path, repeat: repeat.name, value: repeatText(repeat) })
  living.wakeDependents(node)
  for (const name of living.namedReaders.keys()) {
    if (name === repeat.name || name.startsWith(`${repeat.name}_`)) living.wakeReaders(node, name)
  }
}

/** Several flags at once, off. */
export function clearFlags(living: Living, node: Node, keep: readonly FlagName[] = []): void {
  let kept = 0
  for (const flag of keep) kept |= node.flags & flagBit(flag)
  if (kept === node.flags) return
  node.flags = kept
  living.touch(node)
  living.deadlines.note(node)
  living.wakeDependents(node)
}
