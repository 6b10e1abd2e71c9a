// Begin and requeue: putting a subtree back to where its definition starts. Contract ecflow §3.5.

import type { Node } from '../tree/node.ts'
import { resetRepeat } from '../tree/repeat.ts'
import type { NodeState } from '../tree/state.ts'
import { restoreChildren } from './archive.ts'
import { emptyLimit, giveTokens } from './limits.ts'
import type { Living } from './living.ts'
import { assignState, clearFlags, significantChild } from './state-change.ts'
import { neverComesTrue, type ResetCause, resetTimes, type SuiteTime, timeOfSuite } from './times.ts'

/** Requeues a node and all below it; containers above are the caller's concern. */
export function requeueSubtree(living: Living, top: Node, cause: ResetCause): void {
  const suite = top.suiteNode
  if (!suite?.suite?.begun) return
  resetNode(living, top, { top, cause, now: timeOfSuite(suite), forced: undefined })
  living.mark(top)
}

interface Reset {
  readonly top: Node
  readonly cause: ResetCause
  readonly now: SuiteTime
  /** A container with defstatus complete above: everything below it is complete too. */
  readonly forced: NodeState | undefined
}

function resetNode(living: Living, node: Node, reset: Reset): void {
  const { cause, now } = reset
  const isTop = node === reset.top
  node.isOpen = false
  if (node.has('archived')) restoreChildren(living, node)
  resetFacts(living, node, reset)
  if (cause === 'user' && !isTop && node.suspended) node.suspended = false
  let state: NodeState = 'queued'
  if (node.defaultState === 'suspended') node.suspended = true
  else state = node.defaultState
  if (reset.forced) state = reset.forced
  // What a mirror shows is the other server's: only that changes it.
  if (node.attributes?.rare?.mirrors) state = node.state
  assignState(living, node, state)
  living.deadlines.note(node)
  const own = node.attributes
  if (own && state === 'queued' && neverComesTrue(own, now)) {
    assignState(living, node, 'complete')
    completeBelow(living, node)
    return
  }
  const { children } = node
  if (children && node.isContainer) {
    const forced = reset.forced ?? (node.defaultState === 'complete' ? 'complete' : undefined)
    const below = forced ? { ...reset, forced } : reset
    for (const child of children) resetNode(living, child, below)
    // A defstatus of its own stays on a container until something below it changes (observed).
    if (node.defaultState !== 'queued') return
    const computed = significantChild(node)
    if (computed !== node.state) assignState(living, node, computed)
  }
}

function completeBelow(living: Living, node: Node): void {
  if (!node.isContainer || !node.children) return
  for (const child of node.children) {
    assignState(living, child, 'complete')
    completeBelow(living, child)
  }
}

function resetFacts(living: Living, node: Node, reset: Reset): void {
  const { cause, now } = reset
  living.touch(node)
  clearFlags(living, node, cause === 'begin' ? [] : ['message', 'archived'])
  if (node.run) {
    if (cause !== 'begin') giveTokens(living, node, 'ended')
    node.run = undefined
  }
  const own = node.attributes
  if (!own) return
  for (const aviso of own.rare?.avisos ?? []) aviso.free = false
  const keepsRepeat = node === reset.top && (cause === 'repeat' || cause === 'time')
  if (own.repeat && !keepsRepeat) resetRepeat(own.repeat)
  if (own.meters) for (const meter of own.meters) meter.value = meter.min
  if (own.events) for (const event of own.events) event.value = event.initial
  // A task's labels are cleared when it is next submitted, so that they can be read until then.
  if (own.labels && (cause === 'begin' || node.isContainer))
    for (const label of own.labels) label.value = label.text
  if (own.limits) for (const limit of own.limits) emptyLimit(living, node, limit)
  if (own.inlimits) for (const inlimit of own.inlimits) inlimit.taken = false
  if (own.trigger) own.trigger.free = false
  if (own.complete) own.complete.free = false
  resetTimes(own, now, cause)
  living.lookSoon(node)
  const { rare } = own
  if (!rare) return
  if (rare.late) rare.late.isLate = false
  for (const queue of rare.queues ?? []) {
    queue.states.fill('queued')
    queue.index = 0
  }
}
