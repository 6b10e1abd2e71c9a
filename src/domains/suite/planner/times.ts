// Time attributes: when they become free, what happens to them at requeue, and whether a completed node goes on.
// Times of day are minutes; `elapsed` counts suite minutes and never goes back. Contract ecflow §3.9.

import type { Attributes, Cron, DateAttribute, DayAttribute, TimeAttribute } from '../tree/attribute.ts'
import { daysInMonth, daysOf, partsOf, weekdayOf } from '../tree/calendar-date.ts'
import type { Node, SuitePart } from '../tree/node.ts'

const dayMinutes = 1440

/** Why a node is reset: it decides what of its time attributes is kept. */
export type ResetCause = 'begin' | 'user' | 'repeat' | 'time'

/** Suite time as the attributes look at it. */
export interface SuiteTime {
  readonly day: number
  readonly minute: number
  readonly elapsed: number
  readonly hybrid: boolean
}

/** The suite's time now; the day of a hybrid clock never changes. */
export function timeOfSuite(suite: Node): SuiteTime {
  const part = suite.suite as SuitePart
  const day = Math.floor(part.minute / dayMinutes)
  return {
    day,
    minute: part.minute - day * dayMinutes,
    elapsed: part.elapsed,
    hybrid: suite.attributes?.rare?.clock?.hybrid ?? false,
  }
}

/** Whether a node waits for any time or day. */
export function hasTimes(own: Attributes): boolean {
  return Boolean(own.times || own.todays || own.crons || own.dates || own.days)
}

/** Whether the node's time attributes let it run: kinds are ANDed, lines of a kind ORed. */
export function timesAreFree(own: Attributes): boolean {
  return (
    anyFree(own.days) && anyFree(own.dates) && anyFree(own.times) && anyFree(own.todays) && anyFree(own.crons)
  )
}

function anyFree(list: readonly { free: boolean }[] | undefined): boolean {
  if (!list) return true
  for (const item of list) if (item.free) return true
  return false
}

/** A suite minute came: frees what it makes free. True when anything changed. */
export function freeTimes(own: Attributes, now: SuiteTime): boolean {
  let changed = false
  for (const day of own.days ?? []) {
    if (!day.free && !day.expired && day.target === now.day) changed = day.free = true
  }
  for (const date of own.dates ?? []) if (!date.free && dateMatches(date, now.day)) changed = date.free = true
  // While no day or date is free, times are not even looked at, and one that matched meanwhile is not remembered.
  if (!anyFree(own.days) || !anyFree(own.dates)) return changed
  for (const time of own.times ?? []) if (freeTime(time, now)) changed = true
  for (const today of own.todays ?? []) if (freeToday(today, own.todays!, now)) changed = true
  for (const cron of own.crons ?? []) if (cronMatches(cron, now.day) && freeTime(cron, now)) changed = true
  return changed
}

function freeTime(time: TimeAttribute, now: SuiteTime): boolean {
  if (time.free || time.spent || !isSlot(time, clockFor(time, now))) return false
  // A time that comes once a day does not come again when the clock is put back.
  if (!time.series.relative && time.series.finish < 0 && time.since === now.day) return false
  return setFree(time, now)
}

function freeToday(today: TimeAttribute, all: readonly TimeAttribute[], now: SuiteTime): boolean {
  if (today.free || today.spent) return false
  if (!isPastToday(today, all, now) && !isSlot(today, clockFor(today, now))) return false
  return setFree(today, now)
}

/** A single one is free after its time until midnight; of several, one matches now, or all of them are past. */
function isPastToday(today: TimeAttribute, all: readonly TimeAttribute[], now: SuiteTime): boolean {
  if (today.spent || today.series.finish >= 0) return false
  return all.every(({ series, since }) => {
    const at = series.relative ? now.elapsed - since : now.minute
    return at > (series.finish < 0 ? series.start : series.finish)
  })
}

function setFree(time: TimeAttribute, now: SuiteTime): boolean {
  time.free = true
  if (!time.series.relative) time.since = now.day
  return true
}

/** Minutes until a time of the node may become free: its next slot, at the latest midnight. */
export function minutesToNext(own: Attributes, now: SuiteTime): number {
  let minutes = dayMinutes - now.minute
  for (const list of [own.times, own.todays, own.crons]) {
    if (!list) continue
    for (const time of list) {
      if (time.free || time.spent) continue
      const at = clockFor(time, now)
      const slot = slotAfter(time, at)
      if (slot >= 0) minutes = Math.min(minutes, slot - at)
    }
  }
  return Math.max(1, minutes)
}

/** What the slots of an attribute are compared with: the time of day, or the minutes since its requeue. */
function clockFor(time: TimeAttribute, now: SuiteTime): number {
  return time.series.relative ? now.elapsed - time.since : now.minute
}

function isSlot(time: TimeAttribute, at: number): boolean {
  const { start, finish, step } = time.series
  if (at < time.next) return false
  if (finish < 0) return at === start
  return at >= start && at <= finish && (at - start) % step === 0
}

/** The first slot after a minute; -1 when there is none. */
function slotAfter(time: TimeAttribute, at: number): number {
  const { start, finish, step } = time.series
  if (at < start) return start
  if (finish < 0) return -1
  const next = start + (Math.floor((at - start) / step) + 1) * step
  return next <= finish ? next : -1
}

/** Whether a cron's days hold for a day, counted since 1970. */
export function cronMatches(cron: Cron, day: number): boolean {
  const { year, month, day: monthDay } = partsOf(day)
  const weekday = weekdayOf(day)
  const length = daysInMonth(year, month)
  if (cron.months.length > 0 && !cron.months.includes(month)) return false
  if (cron.monthDays.length > 0 || cron.lastMonthDay) {
    if (!cron.monthDays.includes(monthDay) && !(cron.lastMonthDay && monthDay === length)) return false
  }
  if (cron.weekdays.length > 0 || cron.lastWeekdays.length > 0) {
    const isLast = cron.lastWeekdays.includes(weekday) && monthDay + 7 > length
    if (!cron.weekdays.includes(weekday) && !isLast) return false
  }
  return true
}

/** Whether a date holds for a day, counted since 1970. */
export function dateMatches(date: DateAttribute, day: number): boolean {
  const parts = partsOf(day)
  return (
    (date.day === 0 || date.day === parts.day) &&
    (date.month === 0 || date.month === parts.month) &&
    (date.year === 0 || date.year === parts.year)
  )
}

/** Midnight: days and dates have to match anew, and the slots of the new day count again. */
export function turnDay(own: Attributes, at: { keepsDays: boolean; isQueued: boolean }): void {
  if (!at.keepsDays) {
    for (const day of own.days ?? []) day.free = false
    for (const date of own.dates ?? []) date.free = false
  }
  if (!at.isQueued) return
  for (const time of [...(own.times ?? []), ...(own.todays ?? []), ...(own.crons ?? [])]) {
    if (time.series.relative) continue
    time.spent = false
    time.next = time.series.start
  }
}

/** The clock is put back: series go on through the minutes that come again, single times (`from` < time ≤ `to`) had theirs. */
export function putTimesBack(own: Attributes, minutes: { from: number; to: number }): void {
  for (const time of [...(own.times ?? []), ...(own.todays ?? []), ...(own.crons ?? [])]) {
    const { start, finish, relative } = time.series
    if (relative) continue
    if (finish >= 0) time.next = start
    else if (start > minutes.from && start <= minutes.to) time.next = Math.max(time.next, start + 1)
  }
}

/** The node is begun or requeued. */
export function resetTimes(own: Attributes, now: SuiteTime, cause: ResetCause): void {
  for (const time of [...(own.times ?? []), ...(own.todays ?? [])]) resetTime(time, now, cause)
  for (const cron of own.crons ?? []) {
    cron.free = false
    cron.spent = false
    if (cron.series.relative && cause !== 'time') cron.since = now.elapsed
    const next = cause === 'time' ? slotAfter(cron, clockFor(cron, now)) : -1
    cron.next = next < 0 ? cron.series.start : next
  }
  for (const date of own.dates ?? []) date.free = false
  for (const day of own.days ?? []) {
    day.free = false
    if (cause === 'time') continue
    day.expired = false
    day.target = nextWeekday(day, cause === 'repeat' ? now.day + 1 : now.day)
  }
  // Requeued by its times: days and dates hold from the next minute on, else a node without a time would run in circles.
  if (cause === 'time') return
  // Days and dates hold at once. A slot of this very minute counts no more: a node that is requeued by its repeat in the
  // minute of its time waits for the next day (observed); only a today that is past by now is free.
  freeDays(own, now)
  if (!anyFree(own.days) || !anyFree(own.dates)) return
  for (const today of own.todays ?? []) if (isPastToday(today, own.todays!, now)) setFree(today, now)
}

function resetTime(time: TimeAttribute, now: SuiteTime, cause: ResetCause): void {
  time.free = false
  if (cause !== 'time') {
    time.spent = false
    time.next = time.series.start
    if (time.series.relative) time.since = now.elapsed
    else if (time.series.finish >= 0 && now.minute > time.series.finish) time.spent = true
    return
  }
  const next = slotAfter(time, clockFor(time, now))
  if (next < 0) time.spent = true
  else time.next = next
}

function freeDays(own: Attributes, now: SuiteTime): void {
  for (const day of own.days ?? []) if (!day.expired && day.target === now.day) day.free = true
  for (const date of own.dates ?? []) if (dateMatches(date, now.day)) date.free = true
}

function nextWeekday(day: DayAttribute, from: number): number {
  return from + ((day.weekday - weekdayOf(from) + 7) % 7)
}

/**
 * The node has completed: whether its time attributes make it queued again. `byCommand`: a child or a user said so,
 * as opposed to its complete expression.
 */
export function completionRequeues(own: Attributes, now: SuiteTime, byCommand: boolean): boolean {
  if (own.crons) return true
  if (own.times && seriesGoesOn(own.times, now, byCommand)) return true
  if (own.todays && seriesGoesOn(own.todays, now, byCommand)) return true
  if (own.days && daysGoOn(own.days, now, byCommand)) return true
  return own.dates ? own.dates.some(date => dateGoesOn(date, now)) : false
}

function seriesGoesOn(list: readonly TimeAttribute[], now: SuiteTime, byCommand: boolean): boolean {
  let earliest = Number.POSITIVE_INFINITY
  for (const time of list) earliest = Math.min(earliest, time.series.start)
  for (const time of list) {
    const { series } = time
    const at = clockFor(time, now)
    if (time.spent || (!byCommand && at < earliest)) continue
    // It ran past midnight: the slots that are left belong to another day.
    if (!series.relative && time.free && time.since !== now.day) continue
    if (series.finish >= 0) {
      if (at < lastSlot(time)) return true
    } else if (list.length > 1 && list.some(other => other.series.finish < 0 && at < other.series.start))
      return true
  }
  return false
}

function lastSlot(time: TimeAttribute): number {
  const { start, finish, step } = time.series
  return start + Math.floor((finish - start) / step) * step
}

function daysGoOn(days: readonly DayAttribute[], now: SuiteTime, byCommand: boolean): boolean {
  let goesOn = false
  for (const day of days) {
    if (byCommand || day.weekday === weekdayOf(now.day) || now.day >= day.target) {
      day.expired = true
      day.free = false
    }
    if (!day.expired && day.target > now.day && !now.hybrid) goesOn = true
  }
  return goesOn
}

function dateGoesOn(date: DateAttribute, now: SuiteTime): boolean {
  if (now.hybrid) return false
  const { year, month, day } = date
  if (year > 0 && month > 0 && day > 0) return daysOf(year, month, day) > now.day
  const today = partsOf(now.day)
  // With a * it comes round again, unless all parts that are given are reached or past.
  const isDone = (part: number, of: number) => part === 0 || part <= of
  return !(isDone(day, today.day) && isDone(month, today.month) && isDone(year, today.year))
}

/** A user forced completion before the time came: the slot it would have had is used up. */
export function consumeSlots(own: Attributes, now: SuiteTime): void {
  for (const time of [...(own.times ?? []), ...(own.todays ?? [])]) {
    const at = clockFor(time, now)
    const coming = slotAfter(time, at - 1)
    const after = coming < 0 ? -1 : slotAfter(time, coming)
    if (after < 0) time.spent = true
    else time.next = after
  }
}

/** Under a hybrid clock: whether nothing on the node can ever come true on the suite's only date. */
export function neverComesTrue(own: Attributes, now: SuiteTime): boolean {
  if (!now.hybrid) return false
  const weekday = weekdayOf(now.day)
  if (own.days && !own.days.some(day => day.weekday === weekday)) return true
  if (own.dates && !own.dates.some(date => dateMatches(date, now.day))) return true
  if (!own.crons) return false
  return !own.crons.some(
    cron =>
      cron.series.finish >= 0 &&
      cron.monthDays.length === 0 &&
      !cron.lastMonthDay &&
      cron.months.length === 0 &&
      cron.lastWeekdays.length === 0 &&
      (cron.weekdays.length === 0 || (cron.weekdays.length === 1 && cron.weekdays[0] === weekday)),
  )
}
