// Repeats: series of values that a node runs through, and the variables that show where it stands.

import {
  compactDate,
  daysOfCompact,
  julianOf,
  pad2,
  partsOf,
  readInstant,
  showInstant,
  weekdayOf,
} from './calendar-date.ts'

/** From start to end by step: days as 20240131, instants as seconds since 1970, or plain integers. */
export interface RangeRepeat {
  readonly kind: 'date' | 'datetime' | 'integer'
  readonly name: string
  readonly start: number
  readonly end: number
  /** Days, seconds or units. */
  readonly step: number
  value: number
  /** The series is over; `value` is its last valid one. */
  exhausted: boolean
}

/** A list of items. */
export interface ListRepeat {
  readonly kind: 'enumerated' | 'string' | 'datelist' | 'datetimelist'
  readonly name: string
  readonly items: readonly string[]
  index: number
  exhausted: boolean
}

/** Requeues for ever. */
export interface DayRepeat {
  readonly kind: 'day'
  readonly name: ''
  readonly step: number
  exhausted: boolean
}

export type Repeat = RangeRepeat | ListRepeat | DayRepeat

/** From start to end, as opposed to a list of items. */
export function isRange(repeat: Repeat): repeat is RangeRepeat {
  return repeat.kind === 'date' || repeat.kind === 'datetime' || repeat.kind === 'integer'
}

/** The value as the variable of the repeat's own name shows it. */
export function repeatText(repeat: Repeat): string {
  switch (repeat.kind) {
    case 'date':
    case 'integer':
      return String(repeat.value)
    case 'datetime':
      return showInstant(repeat.value)
    case 'day':
      return ''
    default:
      return repeat.items[repeat.index] ?? ''
  }
}

/** The value as expressions see it. */
export function repeatNumber(repeat: Repeat): number {
  switch (repeat.kind) {
    case 'date':
    case 'integer':
    case 'datetime':
      return repeat.value
    case 'day':
      return repeat.step
    case 'datelist':
      return Number(repeat.items[repeat.index])
    case 'datetimelist':
      return readInstant(repeat.items[repeat.index] ?? '') ?? 0
    case 'string':
      return repeat.index
    case 'enumerated': {
      const item = repeat.items[repeat.index] ?? ''
      return /^[+-]?\d+$/.test(item) ? Number(item) : repeat.index
    }
  }
}

/** Whether adding to the value is calendar arithmetic in days. */
export function countsDays(repeat: Repeat): boolean {
  return repeat.kind === 'date' || repeat.kind === 'datelist'
}

/** The first value again. */
export function resetRepeat(repeat: Repeat): void {
  repeat.exhausted = false
  if (isRange(repeat)) repeat.value = repeat.start
  else if (repeat.kind !== 'day') repeat.index = 0
}

/** The last value of the series, as if it had run to its end. */
export function finishRepeat(repeat: Repeat): void {
  if (repeat.kind === 'day') return
  repeat.exhausted = true
  if (!isRange(repeat)) repeat.index = Math.max(0, repeat.items.length - 1)
  else if (repeat.kind === 'date') {
    const days = daysOfCompact(repeat.end)! - daysOfCompact(repeat.start)!
    repeat.value = addDays(repeat.start, Math.trunc(days / repeat.step) * repeat.step)
  } else repeat.value = repeat.start + Math.trunc((repeat.end - repeat.start) / repeat.step) * repeat.step
}

/** Moves on by one step. False when the series is over; then the last valid value stays. */
export function advanceRepeat(repeat: Repeat): boolean {
  if (repeat.kind === 'day') return true
  if (repeat.exhausted) return false
  if (isRange(repeat)) {
    const next = repeat.kind === 'date' ? addDays(repeat.value, repeat.step) : repeat.value + repeat.step
    const over = repeat.step > 0 ? next > repeat.end : next < repeat.end
    if (over) repeat.exhausted = true
    else repeat.value = next
    return !over
  }
  if (repeat.index + 1 >= repeat.items.length) {
    repeat.exhausted = true
    return false
  }
  repeat.index++
  return true
}

/** The value before or after the current one; at either end the one that is there. */
export function neighbourText(repeat: Repeat, side: 'prev' | 'next'): string {
  const copy = { ...repeat, exhausted: false }
  if (side === 'next') advanceRepeat(copy)
  else if (copy.kind !== 'day' && !isRange(copy)) copy.index = Math.max(0, copy.index - 1)
  else if (isRange(copy) && copy.value !== copy.start)
    copy.value = copy.kind === 'date' ? addDays(copy.value, -copy.step) : copy.value - copy.step
  return repeatText(copy)
}

/** 20240229 + 1 = 20240301. A number that is no day is added to as it is. */
export function addDays(date: number, days: number): number {
  const from = daysOfCompact(date)
  return from === undefined ? date + days : compactDate(from + days)
}

/** Puts the repeat on a given value of its series. Answers what is wrong when it is none of them. */
export function placeRepeat(repeat: Repeat, text: string): string | undefined {
  if (repeat.kind === 'day') return 'a day repeat has no value that could be changed'
  if (isRange(repeat)) {
    const value = readRangeValue(repeat, text)
    if (value === undefined) return `'${text}' is not a value of repeat ${repeat.name}`
    const low = Math.min(repeat.start, repeat.end)
    const high = Math.max(repeat.start, repeat.end)
    if (value < low || value > high) return `'${text}' is outside of repeat ${repeat.name}`
    const offset =
      repeat.kind === 'date' ? daysOfCompact(value)! - daysOfCompact(repeat.start)! : value - repeat.start
    if (offset % repeat.step !== 0) return `'${text}' is not on a step of repeat ${repeat.name}`
    repeat.value = value
    repeat.exhausted = false
    return undefined
  }
  let index = repeat.items.indexOf(text)
  if (index < 0 && /^\d+$/.test(text)) index = Number(text)
  if (index < 0 || index >= repeat.items.length)
    return `'${text}' is not an item or index of repeat ${repeat.name}`
  repeat.index = index
  repeat.exhausted = false
  return undefined
}

function readRangeValue(repeat: RangeRepeat, text: string): number | undefined {
  if (repeat.kind === 'datetime') return readInstant(text)
  if (!/^[+-]?\d+$/.test(text)) return undefined
  const value = Number(text)
  if (repeat.kind === 'date' && daysOfCompact(value) === undefined) return undefined
  return Number.isSafeInteger(value) ? value : undefined
}

/** The variables that show the repeat: its derived ones, then the one of its own name. */
export function repeatVariables(repeat: Repeat): [name: string, value: string][] {
  const { name } = repeat
  if (repeat.kind === 'day') return [['day', '']]
  const text = repeatText(repeat)
  if (repeat.kind === 'date' || repeat.kind === 'datelist') {
    const days = daysOfCompact(Number(text))
    if (days === undefined) return [[name, text]]
    const { year, month, day } = partsOf(days)
    return [
      [`${name}_YYYY`, String(year)],
      [`${name}_MM`, pad2(month)],
      [`${name}_DD`, pad2(day)],
      [`${name}_DOW`, String(weekdayOf(days))],
      [`${name}_JULIAN`, String(julianOf(days))],
      [name, text],
    ]
  }
  if (repeat.kind === 'datetime' || repeat.kind === 'datetimelist') {
    const seconds = readInstant(text)
    if (seconds === undefined) return [[name, text]]
    const days = Math.floor(seconds / 86400)
    const { year, month, day } = partsOf(days)
    return [
      [`${name}_DATE`, text.slice(0, 8)],
      [`${name}_YYYY`, String(year)],
      [`${name}_MM`, pad2(month)],
      [`${name}_DD`, pad2(day)],
      [`${name}_JULIAN`, String(julianOf(days))],
      [`${name}_TIME`, text.slice(9)],
      [`${name}_HOURS`, text.slice(9, 11)],
      [`${name}_MINUTES`, text.slice(11, 13)],
      [`${name}_SECONDS`, text.slice(13, 15)],
      [name, text],
    ]
  }
  return [[name, text]]
}
