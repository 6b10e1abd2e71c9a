// The scheduling pass. Instead of walking all trees it looks at marked nodes only, in definition order, and each
// look sees what the earlier ones did: a submission changes triggers and limits further down. Contract ecflow §3.6.

import { holds } from '../expression/evaluate.ts'
import type { Condition } from '../tree/attribute.ts'
import type { Node } from '../tree/node.ts'
import { isBusy } from '../tree/state.ts'
import { findUserVariable } from '../tree/user-variable.ts'
import {
  findLimit,
  fullLimitAt,
  fullLimitFor,
  takeTokens,
  waitFor,
  wakeHungry,
  wakeNextWaiter,
} from './limits.ts'
import type { Living } from './living.ts'
import { assignState, moveNode, recomputeFrom } from './state-change.ts'
import { hasTimes, timesAreFree } from './times.ts'

/** Passes that follow each other without anything new from outside; more than this is a suite that runs in circles. */
const roundsMax = 50

/** Looks at every marked node, and at those that get marked by it. Does nothing unless the server is running. */
export function runPass(living: Living): void {
  if (living.serverState !== 'RUNNING') return
  for (let round = 0; round < roundsMax; round++) {
    living.refreshOrders()
    wakeHungry(living)
    living.takeFresh()
    if (living.marked.size === 0) break
    for (let node = living.marked.pop(); node; node = living.marked.pop()) {
      node.isMarked = false
      if (node.order < 0) continue
      if (living.failed.size > 0 && living.failed.has(node.suiteNode?.name ?? '')) continue
      living.position = node.order
      living.working = node
      look(living, node)
      if (living.ordersStale) break
      if (living.hungry.size > 0) wakeHungry(living)
    }
    living.position = -1
    living.working = undefined
    living.takeLater()
  }
}

/** One node's turn. The first thing that holds it ends the look. */
function look(living: Living, node: Node): void {
  if (node.kind === 'root') return
  if (!isReached(node)) {
    letNextGo(living, node)
    return
  }
  if (holdsBack(living, node)) return
  if (node.isContainer) {
    const full = fullLimitAt(node)
    if (full) {
      waitFor(living, full.limit, node)
      letNextGo(living, node)
      return
    }
    node.isOpen = true
    if (node.children) for (const child of node.children) living.mark(child)
    return
  }
  if (!canStart(node)) {
    letNextGo(living, node)
    return
  }
  const full = fullLimitFor(node)
  if (full) {
    waitFor(living, full.limit, node)
    letNextGo(living, node)
  } else submit(living, node)
}

/** Whether everything above the node lets its children be looked at. */
function isReached(node: Node): boolean {
  for (let at = node.parent; at && at.kind !== 'root'; at = at.parent) if (!at.isOpen) return false
  return node.suiteNode?.suite?.begun ?? false
}

function holdsBack(living: Living, node: Node): boolean {
  if (node.has('archived') || node.suspended || node.state === 'complete') return letNextGo(living, node)
  const own = node.attributes
  if (!own) return false
  if (own.rare?.mirrors) return letNextGo(living, node)
  if (own.rare?.avisos?.some(aviso => !aviso.free)) return letNextGo(living, node)
  if (hasTimes(own) && !timesAreFree(own)) return letNextGo(living, node)
  if (own.complete && isQueuedThroughout(node) && conditionHolds(own.complete, node)) {
    completeByExpression(living, node)
    return true
  }
  if (own.trigger && !conditionHolds(own.trigger, node)) return letNextGo(living, node)
  return false
}

/** The node was perhaps woken because a limit had room: it does not take it, so the next waiter that fits may. */
function letNextGo(living: Living, node: Node): true {
  if (living.waiters.size === 0) return true
  for (let at: Node | undefined = node; at; at = at.parent) {
    for (const inlimit of at.attributes?.inlimits ?? []) {
      const found = findLimit(at, inlimit)
      if (found && found.limit.value < found.limit.max) wakeNextWaiter(living, found.limit)
    }
  }
  return true
}

/** Nothing below is submitted, active or aborted: only then the complete expression acts. */
function isQueuedThroughout(node: Node): boolean {
  if (node.state === 'queued' || node.state === 'unknown') return true
  // A container may show its defstatus while its tasks wait.
  if (node.state !== 'aborted' || !node.isContainer || !node.children) return false
  return !someTask(node, task => task.state === 'aborted' || isBusy(task.state))
}

function someTask(top: Node, is: (task: Node) => boolean): boolean {
  if (!top.isContainer || !top.children) return is(top)
  return top.children.some(child => someTask(child, is))
}

/** Parts joined as they were written, from left to right. */
export function conditionHolds(condition: Condition, node: Node): boolean {
  if (condition.free) return true
  let value = false
  for (const part of condition.parts) {
    const own = holds(part.tree, node)
    value = part.join === 'first' ? own : part.join === 'and' ? value && own : value || own
  }
  return value
}

function completeByExpression(living: Living, node: Node): void {
  living.setFlag(node, 'by_rule', true)
  completeAllBelow(living, node)
  moveNode(living, node, 'complete', 'expression')
}

/** Sets everything below to complete without any of it being requeued. */
export function completeAllBelow(living: Living, node: Node): void {
  if (!node.isContainer || !node.children) return
  for (const child of node.children) {
    if (child.state !== 'complete') assignState(living, child, 'complete')
    completeAllBelow(living, child)
  }
}

/** How often a task may be tried. */
export function triesOf(node: Node): number {
  const text = findUserVariable(node, 'ECF_TRIES')
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : 2
}

/** An aborted task with one of these is not tried again by itself. */
export const finalFlags = ['force_aborted', 'killed', 'edit_failed', 'no_script', 'ecfcmd_failed'] as const

function canStart(node: Node): boolean {
  if (node.kind !== 'task') return false
  if (findUserVariable(node, 'ECF_DUMMY_TASK') !== undefined) return false
  if (node.state === 'queued') return true
  if (node.state !== 'aborted' || (node.run?.tryNumber ?? 0) >= triesOf(node)) return false
  return !finalFlags.some(flag => node.has(flag))
}

/** Next try: a new secret, the tokens, the state, and the wish that the world starts the job. */
export function submit(living: Living, node: Node): void {
  node.run ??= { tryNumber: 0, password: '', remoteId: '', abortReason: '' }
  const { run } = node
  run.tryNumber++
  run.password = living.parts.password()
  run.remoteId = ''
  run.abortReason = ''
  run.job = undefined
  run.edited = undefined
  for (const label of node.attributes?.labels ?? []) label.value = label.text
  for (const flag of [
    'killed',
    'late',
    'task_aborted',
    'edit_failed',
    'ecfcmd_failed',
    'no_script',
  ] as const) {
    living.setFlag(node, flag, false)
  }
  living.touch(node)
  living.asks.push({ type: 'start', path: node.path, tryNumber: run.tryNumber, password: run.password })
  assignState(living, node, 'submitted')
  takeTokens(living, node)
  recomputeFrom(living, node.parent)
}
