// A minute of suite time passes: clocks advance, times become free, late is looked at, what has had its time goes.

import type { Expiry, Late } from '../tree/attribute.ts'
import { type Node, visitAll } from '../tree/node.ts'
import { isBusy } from '../tree/state.ts'
import { archiveChildren } from './archive.ts'
import { removeNode } from './edit-tree.ts'
import type { Living } from './living.ts'
import { freeTimes, minutesToNext, type SuiteTime, timeOfSuite, turnDay } from './times.ts'
import { findRunning } from './user-commands.ts'
import { expireZombies } from './zombies.ts'

/** A server that was away for longer than this does not live through the missed minutes one by one. */
const catchUpMax = 1440

/**
 * A poll that keeps suite clocks in step with the wall: minutes that were missed (a restart, a busy machine) are lived
 * through in order, so that no time is passed over; a node whose time came meanwhile runs once, late.
 */
export function followWall(living: Living, now: { utcMinute: number; localMinute: number }): void {
  const behind = (suite: Node) => {
    const part = suite.suite
    if (!part?.begun) return 0
    // A suite that never followed the wall begins to.
    return part.wall === 0 ? 1 : Math.max(0, now.utcMinute - part.wall)
  }
  const suites = living.root.children ?? []
  let most = 0
  for (const suite of suites) most = Math.max(most, behind(suite))
  if (most === 0 || living.serverState !== 'RUNNING') {
    expireZombies(living)
    return
  }
  for (const suite of suites) {
    const skipped = behind(suite) - catchUpMax
    if (skipped > 0) skipMinutes(suite, skipped)
  }
  for (let step = Math.min(most, catchUpMax); step > 0; step--) {
    tickMinute(living, suite => behind(suite) >= step && behind(suite) > 0)
    for (const suite of living.root.children ?? []) {
      const part = suite.suite
      if (part?.begun && behind(suite) >= step) part.wall = now.utcMinute - step + 1
    }
  }
  for (const suite of living.root.children ?? []) followLocalTime(living, suite, now.localMinute)
}

/** Too long away: the clock jumps, and what would have come in between waits for its next time. */
function skipMinutes(suite: Node, minutes: number): void {
  const part = suite.suite!
  part.minute += minutes
  part.elapsed += minutes
  part.wall += minutes
}

/** A clock without a date shows local time: when that is put forward or back by an hour, so is the clock. */
function followLocalTime(living: Living, suite: Node, localMinute: number): void {
  const part = suite.suite
  const clock = suite.attributes?.rare?.clock
  if (!part?.begun || part.wall === 0 || (clock && clock.day > 0)) return
  const offset = localMinute + Math.trunc((clock?.gainSeconds ?? 0) / 60) - part.minute
  const size = Math.abs(offset)
  // Anything else than a summer time's step is not ours to correct: the clock was set so on purpose.
  if (size !== 60 && size !== 30) return
  if (offset < 0) {
    part.minute += offset
    return
  }
  // Times within the hour that does not exist become free at its end.
  const { elapsed } = part
  for (let step = 0; step < offset; step++) tickMinute(living, it => it === suite)
  part.elapsed = elapsed
}

/** Advances begun suites by one minute. Nothing happens unless the server is running. */
export function tickMinute(living: Living, isDue: (suite: Node) => boolean = () => true): void {
  expireZombies(living)
  if (living.serverState !== 'RUNNING') return
  const newDays = new Set<Node>()
  const times = new Map<Node, SuiteTime>()
  for (const suite of living.root.children ?? []) {
    const part = suite.suite
    if (!part?.begun || !isDue(suite)) continue
    const before = timeOfSuite(suite)
    part.elapsed++
    part.minute++
    // A hybrid clock keeps its date: at midnight it wraps to the beginning of the same day.
    if (before.hybrid && part.minute % 1440 === 0) part.minute -= 1440
    const now = timeOfSuite(suite)
    if (now.minute < before.minute) newDays.add(suite)
    times.set(suite, now)
    living.ticked.add(suite)
  }
  for (const [suite, now] of times) {
    const isNewDay = newDays.has(suite) && !now.hybrid
    for (const node of living.timedOf(suite)) {
      // Most minutes matter to few nodes: the others are passed over without being looked at.
      if (now.elapsed < node.due && !isNewDay) continue
      lookAtTimes(living, node, now, isNewDay)
    }
  }
  for (const reader of living.clockReaders) {
    if (reader.order < 0) living.clockReaders.delete(reader)
    else living.mark(reader)
  }
  lookForLate(living, times)
  lookForExpired(living, times)
}

function lookAtTimes(living: Living, node: Node, now: SuiteTime, isNewDay: boolean): void {
  const own = node.attributes!
  if (isNewDay) {
    turnDay(own, {
      keepsDays: node.isContainer && isBusy(node.state),
      isQueued: node.state === 'queued',
    })
    living.touch(node)
  }
  const isFreed = freeTimes(own, now)
  node.due = now.elapsed + minutesToNext(own, now)
  if (!isFreed) return
  living.touch(node)
  living.mark(node)
}

/** Each option counts from the nearest level that gives it. */
function lookForLate(living: Living, times: ReadonlyMap<Node, SuiteTime>): void {
  const seen = new Set<Node>()
  for (const node of living.lateNodes) {
    const now = times.get(node.suiteNode!)
    if (!now) continue
    visitAll(node, task => {
      if (task.kind !== 'task' || seen.has(task)) return
      seen.add(task)
      if (!task.has('late') && isLate(task, now)) setLate(living, task)
    })
  }
}

function isLate(task: Node, now: SuiteTime): boolean {
  const busyFor = now.elapsed - task.since
  if (task.state === 'submitted') {
    const submitted = lateOption(task, 'submitted')
    if (submitted && busyFor >= submitted.submitted) return true
  }
  if (task.state === 'queued' || task.state === 'submitted') {
    const active = lateOption(task, 'active')
    if (active && now.minute >= active.active) return true
  }
  if (task.state !== 'active') return false
  const complete = lateOption(task, 'complete')
  if (!complete) return false
  return complete.completeRelative ? busyFor >= complete.complete : now.minute >= complete.complete
}

function lateOption(task: Node, option: 'submitted' | 'active' | 'complete'): Late | undefined {
  for (let at: Node | undefined = task; at; at = at.parent) {
    const late = at.attributes?.rare?.late
    if (late && late[option] >= 0) return late
  }
  return undefined
}

function setLate(living: Living, task: Node): void {
  const late = task.attributes?.rare?.late
  if (late) late.isLate = true
  living.setFlag(task, 'late', true)
}

/** autocancel and autoarchive of what is complete and at rest. */
function lookForExpired(living: Living, times: ReadonlyMap<Node, SuiteTime>): void {
  for (const node of [...living.expiring]) {
    if (node.order < 0) continue
    const now = times.get(node.suiteNode!)
    const rare = node.attributes?.rare
    if (!now || !rare) continue
    if (rare.autocancel && node.state === 'complete' && isDue(node, rare.autocancel, now)) {
      living.log.push({ path: node.path, deleted: 'autocancel' })
      removeNode(living, node)
      continue
    }
    const archive = rare.autoarchive
    if (!archive || node.suspended || node.has('archived') || node.has('restored')) continue
    const isAtRest =
      node.state === 'complete' || (archive.idle && (node.state === 'queued' || node.state === 'aborted'))
    if (isAtRest && isDue(node, archive, now)) archiveChildren(living, node)
  }
}

function isDue(node: Node, expiry: Expiry, now: SuiteTime): boolean {
  if (findRunning(node)) return false
  if (expiry.relative) return now.elapsed - node.since >= expiry.minutes
  return now.minute >= expiry.minutes
}
