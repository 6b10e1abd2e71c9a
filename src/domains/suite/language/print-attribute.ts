// Attributes → the text that stands behind their keyword. The same text is the `value` that clients see.

import type {
  ClockAttribute,
  Condition,
  Cron,
  DateAttribute,
  DayAttribute,
  Expiry,
  InLimit,
  Late,
  TimeSeries,
  Zombie,
} from '../tree/attribute.ts'
import { pad2, showInstant, weekdayNames } from '../tree/calendar-date.ts'
import type { Repeat } from '../tree/repeat.ts'

/** 90 → `01:30`. */
export function showMinutes(minutes: number): string {
  return `${pad2(Math.floor(minutes / 60))}:${pad2(minutes % 60)}`
}

/** A time, or times from start to finish, as the language writes them. */
export function showSeries(series: TimeSeries): string {
  const start = `${series.relative ? '+' : ''}${showMinutes(series.start)}`
  return series.finish < 0 ? start : `${start} ${showMinutes(series.finish)} ${showMinutes(series.step)}`
}

/** A cron as the language writes it, without its keyword. */
export function showCron(cron: Cron): string {
  const weekdays = [...cron.weekdays.map(String), ...cron.lastWeekdays.map(day => `${day}L`)]
  const monthDays = [...cron.monthDays.map(String), ...(cron.lastMonthDay ? ['L'] : [])]
  return [
    weekdays.length > 0 ? `-w ${weekdays.join(',')} ` : '',
    monthDays.length > 0 ? `-d ${monthDays.join(',')} ` : '',
    cron.months.length > 0 ? `-m ${cron.months.join(',')} ` : '',
    showSeries(cron.series),
  ].join('')
}

/** A date as the language writes it: `D.M.Y`, `*` for any. */
export function showDate(date: DateAttribute): string {
  return [date.day, date.month, date.year].map(part => (part === 0 ? '*' : String(part))).join('.')
}

/** A day as the language writes it. */
export function showDay(day: DayAttribute): string {
  return weekdayNames[day.weekday]!
}

/** A late attribute as the language writes it, without its keyword. */
export function showLate(late: Late): string {
  const parts: string[] = []
  if (late.submitted >= 0) parts.push(`-s +${showMinutes(late.submitted)}`)
  if (late.active >= 0) parts.push(`-a ${showMinutes(late.active)}`)
  if (late.complete >= 0) parts.push(`-c ${late.completeRelative ? '+' : ''}${showMinutes(late.complete)}`)
  return parts.join(' ')
}

/** An autocancel or autoarchive as the language writes it, without its keyword. */
export function showExpiry(expiry: Expiry): string {
  const time = expiry.days
    ? String(expiry.minutes / 1440)
    : `${expiry.relative ? '+' : ''}${showMinutes(expiry.minutes)}`
  return expiry.idle ? `${time} -i` : time
}

/** An inlimit as the language writes it, without its keyword. */
export function showInLimit(inlimit: InLimit): string {
  const option = inlimit.per === 'node' ? '-n ' : inlimit.per === 'submission' ? '-s ' : ''
  const path = inlimit.path === '' ? '' : `${inlimit.path}:`
  return `${option}${path}${inlimit.name}${inlimit.tokens === 1 ? '' : ` ${inlimit.tokens}`}`
}

/** A zombie attribute as the language writes it, without its keyword. */
export function showZombie(zombie: Zombie): string {
  return `${zombie.kind}:${zombie.action}:${zombie.commands.join(',')}:${zombie.lifetimeSeconds}`
}

/** All parts joined with AND and OR, as trees and attribute lists show them. */
export function showCondition(condition: Condition): string {
  return condition.parts
    .map(part => (part.join === 'first' ? part.text : `${part.join === 'and' ? 'AND' : 'OR'} ${part.text}`))
    .join(' ')
}

/** A repeat as the language writes it, without its keyword. */
export function showRepeat(repeat: Repeat): string {
  switch (repeat.kind) {
    case 'day':
      return `day ${repeat.step}`
    case 'date':
      return `date ${repeat.name} ${repeat.start} ${repeat.end} ${repeat.step}`
    case 'integer':
      return `integer ${repeat.name} ${repeat.start} ${repeat.end}${repeat.step === 1 ? '' : ` ${repeat.step}`}`
    case 'datetime':
      return `datetime ${repeat.name} ${showInstant(repeat.start)} ${showInstant(repeat.end)} ${showSpan(repeat.step)}`
    default:
      return `${repeat.kind} ${repeat.name} ${repeat.items.map(item => `"${item}"`).join(' ')}`
  }
}

/** Seconds as `HH:MM:SS`. */
export function showSpan(seconds: number): string {
  const all = Math.abs(seconds)
  return `${seconds < 0 ? '-' : ''}${pad2(Math.floor(all / 3600))}:${pad2(Math.floor(all / 60) % 60)}:${pad2(all % 60)}`
}

/** `real `, `hybrid 25.12.2030 `, `real 1.2.2030 600`: a blank stands behind the last part that is there. */
export function showClock(clock: ClockAttribute): string {
  const date = clock.day > 0 ? `${clock.day}.${clock.month}.${clock.year} ` : ''
  const gain = clock.hasGain ? `${clock.signed ? '+' : ''}${clock.gainSeconds}` : ''
  return `${clock.hybrid ? 'hybrid' : 'real'} ${date}${gain}`
}
