// Days of the proleptic Gregorian calendar as integers: days since 1970-01-01, and Julian day numbers.
// Pure arithmetic, so that a date never depends on the machine's time zone.

export const weekdayNames = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
export const monthNames = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
]

/** A calendar day in its three parts; months count from 1. */
export interface DayParts {
  readonly year: number
  readonly month: number
  readonly day: number
}

/** Days since 1970-01-01. */
export function daysOf(year: number, month: number, day: number): number {
  // Years are counted from March so that the leap day is the last one.
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146097 + dayOfEra - 719468
}

/** The calendar day that is so many days after 1970-01-01. */
export function partsOf(days: number): DayParts {
  const z = days + 719468
  const era = Math.floor(z / 146097)
  const dayOfEra = z - era * 146097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const mp = Math.floor((5 * dayOfYear + 2) / 153)
  const month = mp < 10 ? mp + 3 : mp - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * mp + 2) / 5) + 1,
  }
}

/** Whether such a day exists in the years that the language knows. */
export function isRealDay(year: number, month: number, day: number): boolean {
  if (year < 1400 || year > 9999 || month < 1 || month > 12 || day < 1) return false
  return day <= daysInMonth(year, month)
}

/** How long a month (1-12) of the Gregorian calendar is. */
export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** 0 = Sunday. */
export function weekdayOf(days: number): number {
  return (((days + 4) % 7) + 7) % 7
}

/** The Julian day number of a day since 1970. */
export function julianOf(days: number): number {
  return days + 2440588
}

/** 20240229 for a day since 1970. */
export function compactDate(days: number): number {
  const { year, month, day } = partsOf(days)
  return year * 10000 + month * 100 + day
}

/** Days since 1970 of 20240229; undefined when there is no such day. */
export function daysOfCompact(date: number): number | undefined {
  const year = Math.floor(date / 10000)
  const month = Math.floor(date / 100) % 100
  const day = date % 100
  return isRealDay(year, month, day) ? daysOf(year, month, day) : undefined
}

/** `20240101T060000` of seconds since 1970. */
export function showInstant(seconds: number): string {
  const days = Math.floor(seconds / 86400)
  const rest = seconds - days * 86400
  return `${compactDate(days)}T${pad2(Math.floor(rest / 3600))}${pad2(Math.floor(rest / 60) % 60)}${pad2(rest % 60)}`
}

/** Seconds since 1970 of `20240101T060000`; undefined when it is no such instant. */
export function readInstant(text: string): number | undefined {
  if (!/^\d{8}T\d{6}$/.test(text)) return undefined
  const days = daysOfCompact(Number(text.slice(0, 8)))
  const hour = Number(text.slice(9, 11))
  const minute = Number(text.slice(11, 13))
  const second = Number(text.slice(13, 15))
  if (days === undefined || hour > 23 || minute > 59 || second > 59) return undefined
  return days * 86400 + hour * 3600 + minute * 60 + second
}

/** A number below 100 with two digits. */
export function pad2(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}
