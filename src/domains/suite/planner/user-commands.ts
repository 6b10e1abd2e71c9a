// What people do to nodes: begin, requeue, suspend, force and their like. Each checks before it changes anything.

import { refuse } from '../../../core/refusal.ts'
import type { ClockAttribute } from '../tree/attribute.ts'
import { daysOf } from '../tree/calendar-date.ts'
import { findNode } from '../tree/find.ts'
import { flagNames } from '../tree/flag.ts'
import { type Node, visitAll } from '../tree/node.ts'
import { finishRepeat } from '../tree/repeat.ts'
import { type DefaultState, isBusy, isDefaultState, isNodeState, type NodeState } from '../tree/state.ts'
import { archiveChildren, restoreChildren } from './archive.ts'
import type { Living } from './living.ts'
import { submit } from './pass.ts'
import { requeueSubtree } from './reset.ts'
import { afterComplete, moveNode, noteRepeat, placeNode, recomputeFrom } from './state-change.ts'
import { consumeSlots, hasTimes, timeOfSuite } from './times.ts'
import { noteUserZombie, noteUserZombiesBelow } from './zombies.ts'

/** The node at a path, or the refusal that there is none. */
export function demandNode(living: Living, path: string): Node {
  const node = findNode(living.root, path)
  if (!node || node.kind === 'root') refuse('not-found', `Could not find node at path ${path}`)
  return node
}

function demandBegun(node: Node): Node {
  const suite = node.suiteNode!
  if (!suite.suite?.begun) {
    refuse('illegal-move', `For node ${node.path}: the suite ${suite.name} must be begun first`)
  }
  return suite
}

/** The first busy task of a subtree, if any. Aliases do not count: what they run is nothing to the suite. */
export function findBusyTask(top: Node): Node | undefined {
  if (!top.isContainer) return hasJob(top) ? top : undefined
  for (const child of top.children ?? []) {
    const found = findBusyTask(child)
    if (found) return found
  }
  return undefined
}

/** Busy by a job of ours: what a mirror shows runs elsewhere. */
export function hasJob(node: Node): boolean {
  return isBusy(node.state) && !node.attributes?.rare?.mirrors
}

/** The first busy task or alias of a subtree: what has a job that would lose its node. */
export function findRunning(top: Node): Node | undefined {
  if (!top.isContainer && hasJob(top)) return top
  for (const child of top.children ?? []) {
    const found = findRunning(child)
    if (found) return found
  }
  return undefined
}

/** Refuses what would take running jobs' nodes away from under them. */
export function refuseWhileBusy(top: Node, what: string): void {
  const busy = findRunning(top)
  if (!busy) return
  refuse(
    'illegal-move',
    `Cannot ${what} ${top.kind} ${top.path}: ${busy.kind} ${busy.path} is ${busy.state}. Use force to do it all the same; its job becomes a zombie`,
  )
}

/** A user's command leaves its mark on the node. */
function noteMessage(living: Living, node: Node): void {
  living.setFlag(node, 'message', true)
}

/** Starts a suite's clock and queues everything in it. Again on a begun suite: no effect. */
export function beginSuite(living: Living, path: string, localMinute: number): void {
  const node = findNode(living.root, path)
  if (node?.kind !== 'suite') refuse('illegal-move', `Begin failed as suite '${path}' is not loaded`)
  if (node.suite?.begun) return
  startClock(living, node, localMinute)
  requeueSubtree(living, node, 'begin')
}

/** Where a clock starts: one with a date at midnight of it, one without at the server's local time; the gain is added. */
export function clockStart(clock: ClockAttribute | undefined, localMinute: number): number {
  const base = clock && clock.day > 0 ? daysOf(clock.year, clock.month, clock.day) * 1440 : localMinute
  return base + Math.trunc((clock?.gainSeconds ?? 0) / 60)
}

/** Starts a suite's clock. */
export function startClock(living: Living, suite: Node, localMinute: number): void {
  const minute = clockStart(suite.attributes?.rare?.clock, localMinute)
  suite.suite = { begun: true, minute, wall: Math.floor(living.nowMs / 60_000), elapsed: 0 }
}

/**
 * Back to the beginning. Does nothing while a task below is busy, unless by `force`: then their jobs become zombies.
 * `abort` requeues the aborted tasks below, each by itself.
 */
export function requeueNode(living: Living, path: string, how?: 'abort' | 'force'): void {
  const node = demandNode(living, path)
  demandBegun(node)
  if (how === 'abort') {
    const aborted: Node[] = []
    visitAll(node, it => {
      if (it.kind === 'task' && it.state === 'aborted') aborted.push(it)
    })
    for (const task of aborted) {
      requeueSubtree(living, task, 'user')
      noteMessage(living, task)
      recomputeFrom(living, task.parent)
    }
    return
  }
  if (how === 'force') noteUserZombiesBelow(living, node)
  else if (findBusyTask(node)) return
  requeueSubtree(living, node, 'user')
  noteMessage(living, node)
  recomputeFrom(living, node.isContainer ? node : node.parent)
}

/** Sets or clears one flag by hand. */
export function changeFlag(living: Living, path: string, name: string, on: boolean): void {
  const node = demandNode(living, path)
  const flag = flagNames.find(it => it === name)
  // What is archived is so by having lost its children, not by its flag.
  if (!flag || flag === 'archived' || flag === 'restored') {
    refuse('bad-field', `flag: there is no flag '${name.slice(0, 40)}' that could be changed`, {
      field: 'flag',
    })
  }
  living.setFlag(node, flag, on)
  living.mark(node)
}

/** A user suspends a node: nothing of it starts until it is resumed. */
export function suspendNode(living: Living, path: string): void {
  const node = demandNode(living, path)
  noteMessage(living, node)
  switchSuspended(living, node, true)
}

/** A user resumes a node. */
export function resumeNode(living: Living, path: string): void {
  const node = demandNode(living, path)
  noteMessage(living, node)
  switchSuspended(living, node, false)
}

function switchSuspended(living: Living, node: Node, on: boolean): void {
  if (node.suspended === on) return
  node.suspended = on
  living.touch(node)
  living.wakeDependents(node)
  living.mark(node)
}

/** Changes the state that a node begins with; refuses one that no node can begin with. */
export function setDefaultState(living: Living, path: string, value: string): void {
  const node = demandNode(living, path)
  if (!isDefaultState(value) || value === 'submitted' || value === 'active') {
    refuse(
      'bad-field',
      `Expected defstatus_value to be one of queued, complete, unknown, aborted, suspended, not '${value.slice(0, 40)}'`,
      {
        field: 'defstatus_value',
      },
    )
  }
  node.defaultState = value as DefaultState
  noteMessage(living, node)
  living.touch(node)
}

/** The words that a user may force a state with. */
export function forcedState(action: string): NodeState | undefined {
  const word = { abort: 'aborted', rerun: 'queued', submit: 'submitted' }[action] ?? action
  return isNodeState(word) ? word : undefined
}

/** Sets a state as if it had happened, with its effects. */
export function forceNode(
  living: Living,
  path: string,
  state: NodeState,
  options: { recursive: boolean; full?: boolean },
): void {
  const node = demandNode(living, path)
  noteMessage(living, node)
  if (options.recursive && options.full) {
    visitAll(node, it => {
      const repeat = it.attributes?.repeat
      if (!repeat) return
      finishRepeat(repeat)
      noteRepeat(living, it)
    })
  }
  if (options.recursive && node.isContainer) {
    forceBelow(living, node, state)
    recomputeFrom(living, node)
    return
  }
  // Also of what is below and stays in its state (observed).
  if (state === 'queued') visitAll(node, at => resetShown(living, at))
  // Who is in that state already does not get there again (observed).
  if (node.state === state) return
  prepareForce(living, node, state)
  if (node.isContainer && node.children) {
    // It has been in that state for a moment: then it shows what its children come to again (observed).
    placeNode(living, node, state)
    recomputeFrom(living, node)
    return
  }
  if (state === 'aborted' && !node.isContainer) living.setFlag(node, 'task_aborted', true)
  moveNode(living, node, state)
}

/**
 * All nodes below take the state as it is: what follows from it, a repeat that goes on or times that requeue, follows for
 * the node itself alone. Who is in that state already is left alone (observed).
 */
function forceBelow(living: Living, top: Node, state: NodeState): void {
  visitAll(top, node => {
    if (node.kind === 'alias') return
    if (state === 'queued') resetShown(living, node)
    if (node.state === state) return
    prepareForce(living, node, state)
    placeNode(living, node, state)
    if (state !== 'aborted') return
    // With recursive on a container an abort is final until requeue or begin (observed).
    living.setFlag(node, 'force_aborted', true)
    if (!node.isContainer) living.setFlag(node, 'task_aborted', true)
  })
  if (state === 'complete') afterComplete(living, top, 'command')
}

function prepareForce(living: Living, node: Node, state: NodeState): void {
  const own = node.attributes
  if (!node.isContainer) {
    if (isBusy(node.state) && !isBusy(state)) {
      noteUserZombie(living, node)
      if (state !== 'aborted' && node.run) node.run = { ...node.run, password: '', remoteId: '' }
    }
    if (state === 'complete' && own && (own.times || own.todays)) {
      const suite = node.suiteNode
      if (suite?.suite?.begun) consumeSlots(own, timeOfSuite(suite))
      living.setFlag(node, 'no_reque', true)
    }
  }
  living.touch(node)
}

/** Queued by force: try number and output are kept; events, meters and late start again. */
function resetShown(living: Living, node: Node): void {
  const own = node.attributes
  if (!own && node.flags === 0) return
  for (const event of own?.events ?? []) event.value = event.initial
  for (const meter of own?.meters ?? []) meter.value = meter.min
  if (own?.rare?.late) own.rare.late.isLate = false
  living.setFlag(node, 'late', false)
  living.touch(node)
}

/**
 * Submits now, whatever holds it back. On a container: every task below that does not run already. An alias runs
 * only when it is named itself.
 */
export function executeNode(living: Living, path: string): void {
  const node = demandNode(living, path)
  demandBegun(node)
  if (!node.isContainer && isBusy(node.state)) {
    refuse('illegal-move', `Task ${node.path} is ${node.state}; it cannot be executed before that has ended`)
  }
  noteMessage(living, node)
  const tasks: Node[] = []
  visitAll(node, it => {
    if ((it.kind === 'task' || (it === node && !it.isContainer)) && !isBusy(it.state)) tasks.push(it)
  })
  for (const task of tasks) {
    const own = task.attributes
    if (own && (own.times || own.todays)) consumeSlots(own, timeOfSuite(task.suiteNode!))
    submit(living, task)
    living.setFlag(task, 'no_reque', true)
  }
}

/** Frees the node's trigger, dates, or times, until the next requeue. Ours: the original has it on the command line only. */
export function freeDependencies(
  living: Living,
  path: string,
  what: { trigger: boolean; dates: boolean; times: boolean },
): void {
  const node = demandNode(living, path)
  const own = node.attributes
  if (!own) return
  if (what.trigger && own.trigger) own.trigger.free = true
  if (what.dates) for (const date of own.dates ?? []) date.free = true
  if (what.times) {
    for (const list of [own.times, own.todays, own.crons, own.days]) {
      for (const item of list ?? []) item.free = true
    }
    // The slot that would have come next is used up.
    const suite = node.suiteNode
    if (suite?.suite?.begun) consumeSlots(own, timeOfSuite(suite))
  }
  // Where there is nothing to free, nothing is told (observed).
  if ((what.trigger && own.trigger) || (what.dates && own.dates) || (what.times && hasTimes(own)))
    noteMessage(living, node)
  living.touch(node)
  living.mark(node)
}

/** Has a node and all below it looked at in this turn's pass, without freeing anything. */
export function lookAgain(living: Living, path: string): void {
  visitAll(demandNode(living, path), node => living.mark(node))
}

/** Asks for the job of each busy task below to be killed. */
export function killNode(living: Living, path: string): void {
  for (const task of demandBusy(living, path)) {
    living.asks.push({ type: 'kill', path: task.path, remoteId: task.run?.remoteId ?? '' })
    living.setFlag(task, 'killed', true)
    living.setFlag(task, 'killcmd_failed', false)
  }
}

/** Asks for the status command of each busy task below; what it prints is where the command says. */
export function askStatus(living: Living, path: string): void {
  for (const task of demandBusy(living, path)) {
    living.asks.push({ type: 'status', path: task.path, remoteId: task.run?.remoteId ?? '' })
    living.setFlag(task, 'status', true)
    living.setFlag(task, 'statuscmd_failed', false)
  }
}

function demandBusy(living: Living, path: string): Node[] {
  const node = demandNode(living, path)
  const busy: Node[] = []
  visitAll(node, it => {
    if (!it.isContainer && hasJob(it)) busy.push(it)
  })
  if (busy.length === 0) refuse('illegal-move', `Nothing at or below ${node.path} is submitted or active`)
  noteMessage(living, node)
  return busy
}

/** Puts what is below a container away; refuses while anything of it runs, unless forced. */
export function archiveNode(living: Living, path: string, options: { force: boolean }): void {
  const node = demandNode(living, path)
  if (!node.isContainer || node.has('archived')) return
  if (!options.force) refuseWhileBusy(node, 'archive')
  noteMessage(living, node)
  noteUserZombiesBelow(living, node)
  archiveChildren(living, node)
}

/** Brings back what was archived below a node. */
export function restoreNode(living: Living, path: string): void {
  const node = demandNode(living, path)
  if (!node.has('archived'))
    refuse('illegal-move', `Node ${node.path} cannot be restored, as it is not archived`)
  noteMessage(living, node)
  restoreChildren(living, node)
}
