// A minute of suite time passes: clocks advance, times become free, late is looked at, what has had its time goes.

import type { Node } from '../tree/node.ts'
import { isBusy } from '../tree/state.ts'
import { archiveChildren } from './archive.ts'
import { expiresAt, expiriesOf, lateAt } from './deadlines.ts'
import { removeNode } from './edit-tree.ts'
import type { Living } from './living.ts'
import { freeTimes, minutesToNext, putTimesBack, type SuiteTime, timeOfSuite, turnDay } from './times.ts'
import { findRunning } from './user-commands.ts'
import { expireZombies } from './zombies.ts'

/** A server that was away for longer than this does not live through the missed minutes one by one. */
const catchUpMax = 1440

/**
 * A poll that keeps suite clocks in step with the wall: minutes that were missed (a restart, a busy machine) are lived
 * through in order, so that no time is passed over; a node whose time came meanwhile runs once, late.
 */
export function followWall(living: Living, now: { utcMinute: number; localOf: LocalOf }): void {
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
    if (skipped > 0) skipMinutes(living, suite, skipped)
  }
  for (let step = Math.min(most, catchUpMax); step > 0; step--) {
    const utc = now.utcMinute - step + 1
    const due = new Set<Node>()
    for (const suite of living.root.children ?? []) {
      if (behind(suite) < step) continue
      due.add(suite)
      if (suite.suite!.wall > 0) putBack(living, suite, now.localOf(utc))
    }
    tickMinute(living, suite => due.has(suite))
    for (const suite of due) {
      const isNew = suite.suite!.wall === 0
      suite.suite!.wall = utc
      if (!isNew) putForward(living, suite, now.localOf(utc))
    }
  }
}

/** The minute of local time at a minute of UTC, both since 1970. */
export type LocalOf = (utcMinute: number) => number

/** Too long away: the clock jumps, and what would have come in between waits for its next time. */
function skipMinutes(living: Living, suite: Node, minutes: number): void {
  const part = suite.suite!
  part.minute += minutes
  part.elapsed += minutes
  part.wall += minutes
  clockJumped(living, suite)
}

/** Nothing that was reckoned in minutes from now holds any more: all of it is looked at in the next minute. */
export function clockJumped(living: Living, suite: Node): void {
  for (const node of living.timedOf(suite)) living.lookSoon(node)
  living.deadlines.hurry(suite)
  living.wakeClockReaders('day')
}

/** By how much local time is ahead of a clock that shows it; 0 for one with a date, which goes its own way. */
function localStep(suite: Node, minute: number, localMinute: number): number {
  const clock = suite.attributes?.rare?.clock
  if (clock && clock.day > 0) return 0
  const offset = localMinute + Math.trunc((clock?.gainSeconds ?? 0) / 60) - minute
  // Anything else than a summer time's step is not ours to correct: the clock was set so on purpose.
  return Math.abs(offset) === 60 || Math.abs(offset) === 30 ? offset : 0
}

/** Local time goes back in the minute that comes: so does the clock. */
function putBack(living: Living, suite: Node, localMinute: number): void {
  const part = suite.suite!
  const offset = localStep(suite, part.minute + 1, localMinute)
  if (offset >= 0) return
  // Series go on through the hour that comes again; what has one time a day has had it.
  const before = timeOfSuite(suite).minute
  part.minute += offset
  for (const node of living.timedOf(suite)) {
    putTimesBack(node.attributes!, { from: before + offset, to: before })
    living.touch(node)
  }
  clockJumped(living, suite)
}

/** Local time has been put forward: so is the clock, and times within the hour that does not exist come at its end. */
function putForward(living: Living, suite: Node, localMinute: number): void {
  const part = suite.suite!
  const { elapsed } = part
  for (let step = localStep(suite, part.minute, localMinute); step > 0; step--) {
    moveClocks(living, it => it === suite, { elapsed })
  }
  if (part.elapsed === elapsed) return
  part.elapsed = elapsed
  clockJumped(living, suite)
}

/** Advances begun suites by one minute. Nothing happens unless the server is running. */
export function tickMinute(living: Living, isDue: (suite: Node) => boolean = () => true): void {
  expireZombies(living)
  if (living.serverState !== 'RUNNING') return
  const times = moveClocks(living, isDue)
  lookForLate(living, times)
  lookForExpired(living, times)
}

/**
 * Moves clocks by a minute and looks at the times that are due. `jump`: these are minutes that nobody lived through, so
 * what counts minutes stands still at that many.
 */
function moveClocks(
  living: Living,
  isDue: (suite: Node) => boolean,
  jump?: { elapsed: number },
): Map<Node, SuiteTime> {
  const newDays = new Set<Node>()
  const times = new Map<Node, SuiteTime>()
  for (const suite of living.root.children ?? []) {
    const part = suite.suite
    if (!part?.begun || !isDue(suite) || living.failed.has(suite.name)) continue
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
    living.working = suite
    const isNewDay = newDays.has(suite) && !now.hybrid
    const heap = living.dueBySuite.get(suite)
    // Midnight is for all of them; any other minute for those that it may free.
    const due = isNewDay ? living.timedOf(suite) : (heap?.take(now.elapsed) ?? [])
    for (const node of due) {
      if (!living.timed.has(node)) continue
      lookAtTimes(living, node, { ...now, ...jump }, isNewDay)
      node.due = now.elapsed + minutesToNext(node.attributes!, now)
      heap?.push(node)
    }
  }
  living.working = undefined
  living.wakeClockReaders(newDays.size > 0 ? 'day' : 'minute')
  return times
}

function lookAtTimes(living: Living, node: Node, now: SuiteTime, isNewDay: boolean): void {
  const own = node.attributes!
  if (isNewDay) {
    turnDay(own, {
      keepsDays: node.isContainer && isBusy(node.state),
      isQueued: node.state === 'queued',
    })
    living.touch(node)
    // A container that was open by its day is closed again.
    living.mark(node)
  }
  if (!freeTimes(own, now)) return
  living.touch(node)
  living.mark(node)
}

function lookForLate(living: Living, times: ReadonlyMap<Node, SuiteTime>): void {
  const { deadlines } = living
  for (const [suite, now] of times) {
    for (const task of deadlines.takeLate(suite, now)) {
      if (task.order < 0 || task.has('late')) continue
      const due = lateAt(task, now)
      if (due === undefined) continue
      if (due <= now.elapsed) setLate(living, task)
      else deadlines.note(task)
    }
  }
}

function setLate(living: Living, task: Node): void {
  const late = task.attributes?.rare?.late
  if (late) late.isLate = true
  living.setFlag(task, 'late', true)
}

/** autocancel and autoarchive of what is at rest. */
function lookForExpired(living: Living, times: ReadonlyMap<Node, SuiteTime>): void {
  for (const [suite, now] of times) {
    for (const node of living.deadlines.takeExpired(suite, now))
      if (node.order >= 0) expire(living, node, now)
  }
}

function expire(living: Living, node: Node, now: SuiteTime): void {
  const { deadlines } = living
  for (const { kind, expiry } of expiriesOf(node)) {
    if (expiresAt(node, expiry, now) > now.elapsed) deadlines.note(node)
    else if (findRunning(node) || (kind === 'autoarchive' && node.suspended)) deadlines.retryExpiry(node)
    else if (kind === 'autoarchive') archiveChildren(living, node)
    else {
      living.log.push({ path: node.path, deleted: 'autocancel' })
      removeNode(living, node)
      return
    }
  }
}
