// Reading the time attributes: time, today, cron, date, day, late, autocancel, autoarchive, clock.

import type {
  ClockAttribute,
  Cron,
  DateAttribute,
  DayAttribute,
  Expiry,
  Late,
  TimeAttribute,
  TimeSeries,
} from '../tree/attribute.ts'
import { isRealDay, weekdayNames } from '../tree/calendar-date.ts'
import { readInteger } from './name.ts'
import type { Statement } from './statement.ts'

/** Minutes of `HH:MM`; undefined when it is not one. Durations may have more than 23 hours. */
export function readMinutes(text: string, hoursMax = 23): number | undefined {
  const match = /^(\d{2,3}):(\d{2})$/.exec(text)
  if (!match || (match[1]!.length > 2 && hoursMax < 100)) return undefined
  const hours = Number(match[1])
  const minutes = Number(match[2])
  return hours <= hoursMax && minutes <= 59 ? hours * 60 + minutes : undefined
}

/** `[+]HH:MM` or `[+]START FINISH STEP`, to the end of the statement. */
export function readSeries(statement: Statement, from: number): TimeSeries {
  const first = statement.word(from)
  const relative = first.startsWith('+')
  const start = readMinutes(relative ? first.slice(1) : first)
  if (start === undefined) throw statement.fault(from, 'a time as [+]HH:MM, 00:00 to 23:59')
  if (statement.count === from + 1) return { relative, start, finish: -1, step: 0 }
  const finish = readMinutes(statement.word(from + 1))
  if (finish === undefined) throw statement.fault(from + 1, 'the finish time as HH:MM')
  const step = readMinutes(statement.word(from + 2))
  if (step === undefined) throw statement.fault(from + 2, 'the step as HH:MM')
  if (start > finish) throw statement.fault(from + 1, 'a finish that is not before the start')
  if (step === 0 || step > finish - start) {
    throw statement.fault(from + 2, 'a step of at least one minute that fits between start and finish')
  }
  statement.expectEnd(from + 3)
  return { relative, start, finish, step }
}

/** `[+]HH:MM`, or `[+]HH:MM HH:MM HH:MM` for a series. */
export function readTime(statement: Statement): TimeAttribute {
  return timeOf(readSeries(statement, 1))
}

/** A time attribute as it is before its node is begun. */
export function timeOf(series: TimeSeries): TimeAttribute {
  return { series, free: false, next: series.start, spent: false, since: 0 }
}

/** `[-w WEEKDAYS] [-d DAYS] [-m MONTHS] TIMES`. */
export function readCron(statement: Statement): Cron {
  let weekdays: number[] = []
  let lastWeekdays: number[] = []
  let monthDays: number[] = []
  let months: number[] = []
  let lastMonthDay = false
  const seen = new Set<string>()
  let at = 1
  while (statement.word(at).startsWith('-')) {
    const option = statement.word(at)
    if (option !== '-w' && option !== '-d' && option !== '-m')
      throw statement.fault(at, '-w, -d, -m or a time')
    if (seen.has(option)) throw statement.fault(at, `${option} only once`)
    seen.add(option)
    const list = readList(statement, at + 1)
    at = list.next
    if (option === '-w') {
      const plain = list.items.filter(item => !item.endsWith('L'))
      const last = list.items.filter(item => item.endsWith('L')).map(item => item.slice(0, -1))
      weekdays = readNumbers(statement, list.from, { items: plain, min: 0, max: 6 })
      lastWeekdays = readNumbers(statement, list.from, { items: last, min: 0, max: 6 })
    } else if (option === '-d') {
      lastMonthDay = list.items.includes('L')
      const plain = list.items.filter(item => item !== 'L')
      monthDays = readNumbers(statement, list.from, { items: plain, min: 1, max: 31 })
    } else {
      months = readNumbers(statement, list.from, { items: list.items, min: 1, max: 12 })
    }
  }
  if (at >= statement.count) throw statement.fault(at, 'a time as [+]HH:MM or START FINISH STEP')
  return { ...timeOf(readSeries(statement, at)), weekdays, lastWeekdays, monthDays, lastMonthDay, months }
}

interface List {
  readonly from: number
  readonly items: string[]
  readonly next: number
}

/** A comma list that may be spread over several words: it goes on until a time or the next option. */
function readList(statement: Statement, from: number): List {
  let next = from
  while (next < statement.count) {
    const word = statement.word(next)
    if (word.includes(':') || word.startsWith('-') || word.startsWith('+')) break
    next++
  }
  const items = statement
    .words(from, next)
    .join(',')
    .split(',')
    .filter(item => item !== '')
  if (items.length === 0) throw statement.fault(from, 'a list of numbers joined with commas')
  return { from, items, next }
}

function readNumbers(
  statement: Statement,
  at: number,
  list: { items: readonly string[]; min: number; max: number },
): number[] {
  return list.items.map(item => {
    const value = /^\d+$/.test(item) ? readInteger(item) : undefined
    if (value === undefined || value < list.min || value > list.max) {
      throw statement.fault(at, `numbers from ${list.min} to ${list.max}, not '${item.slice(0, 20)}'`)
    }
    return value
  })
}

/** `D.M.Y`, each part a number or `*`. */
export function readDate(statement: Statement): DateAttribute {
  const parts = statement.word(1).split('.')
  const expected = 'a date as D.M.Y, each part a number or *'
  if (parts.length !== 3) throw statement.fault(1, expected)
  const [day, month, year] = parts.map(part =>
    part === '*' ? 0 : /^\d{1,4}$/.test(part) ? Number(part) : -1,
  )
  if (day! < 0 || month! < 0 || year! < 0) throw statement.fault(1, expected)
  const wrong =
    (parts[0] !== '*' && (day! < 1 || day! > 31)) ||
    (parts[1] !== '*' && (month! < 1 || month! > 12)) ||
    (parts[2] !== '*' && (year! < 1400 || year! > 9999))
  if (wrong || (day && month && year && !isRealDay(year, month, day))) {
    throw statement.fault(1, 'a date that exists, in the years 1400 to 9999')
  }
  statement.expectEnd(2)
  return { day: day!, month: month!, year: year!, free: false }
}

/** A weekday by its English name. */
export function readDay(statement: Statement): DayAttribute {
  const weekday = weekdayNames.indexOf(statement.word(1))
  if (weekday < 0) throw statement.fault(1, `one of ${weekdayNames.join(', ')}`)
  statement.expectEnd(2)
  return { weekday, free: false, expired: false, target: -1 }
}

/** `-s +HH:MM -a HH:MM -c [+]HH:MM`, any of them. */
export function readLate(statement: Statement): Late {
  let submitted = -1
  let active = -1
  let complete = -1
  let submittedRelative = true
  let completeRelative = false
  let at = 1
  if (statement.count < 2) throw statement.fault(1, '-s, -a or -c and a time')
  while (at < statement.count) {
    const option = statement.word(at)
    const text = statement.word(at + 1)
    const relative = text.startsWith('+')
    const minutes = readMinutes(relative ? text.slice(1) : text, relative ? 99 : 23)
    if (option === '-s' && submitted < 0) {
      if (minutes === undefined) throw statement.fault(at + 1, 'a time as [+]HH:MM')
      submitted = minutes
      submittedRelative = true
    } else if (option === '-a' && active < 0) {
      if (minutes === undefined || relative) throw statement.fault(at + 1, 'a time as HH:MM')
      active = minutes
    } else if (option === '-c' && complete < 0) {
      if (minutes === undefined) throw statement.fault(at + 1, 'a time as [+]HH:MM')
      complete = minutes
      completeRelative = relative
    } else {
      throw statement.fault(at, 'each of -s, -a and -c at most once')
    }
    at += 2
  }
  return { submitted, active, complete, submittedRelative, completeRelative, isLate: false }
}

/** autocancel and autoarchive: `[+]HH:MM` or a number of days; autoarchive also `-i`. */
export function readExpiry(statement: Statement, options: { mayIdle: boolean }): Expiry {
  const words = statement.words(1)
  const idle = options.mayIdle && words.includes('-i')
  const rest = idle ? words.filter(word => word !== '-i') : words
  const text = rest[0] ?? ''
  const expected = 'a time as [+]HH:MM or a number of days'
  if (rest.length !== 1)
    throw statement.fault(rest.length === 0 ? 1 : 2, rest.length === 0 ? expected : 'the end of the line')
  if (/^\d+$/.test(text)) {
    const days = readInteger(text)
    if (days === undefined || days > 36500) throw statement.fault(1, 'at most 36500 days')
    return { relative: true, days: true, minutes: days * 1440, idle }
  }
  const relative = text.startsWith('+')
  const minutes = readMinutes(relative ? text.slice(1) : text, relative ? 999 : 23)
  if (minutes === undefined) throw statement.fault(1, expected)
  return { relative, days: false, minutes, idle }
}

/** `real|hybrid [D.M.Y] [GAIN] [-s]`. */
export function readClock(statement: Statement): ClockAttribute {
  const kind = statement.word(1)
  if (kind !== 'real' && kind !== 'hybrid') throw statement.fault(1, 'real or hybrid')
  return { hybrid: kind === 'hybrid', ...readDateAndGain(statement, 2) }
}

/** `[D.M.Y] [GAIN] [-s]`, to the end of the statement; also what `endclock` takes. */
export function readDateAndGain(statement: Statement, from: number): Omit<ClockAttribute, 'hybrid'> {
  let at = from
  let day = 0
  let month = 0
  let year = 0
  let gainSeconds = 0
  let signed = false
  let hasGain = false
  const date = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(statement.word(at))
  if (date) {
    day = Number(date[1])
    month = Number(date[2])
    year = Number(date[3])
    if (!isRealDay(year, month, day)) throw statement.fault(at, 'a date that exists')
    at++
  }
  const text = statement.word(at)
  if (text !== '' && text !== '-s') {
    signed = text.startsWith('+')
    const bare = signed ? text.slice(1) : text
    const minutes = readMinutes(bare, 99)
    const seconds = minutes === undefined ? readInteger(bare) : minutes * 60
    if (seconds === undefined)
      throw statement.fault(at, 'a date as D.M.Y, or a gain in seconds or as [+]HH:MM')
    gainSeconds = seconds
    hasGain = true
    at++
  }
  if (statement.word(at) === '-s') at++
  statement.expectEnd(at)
  return { day, month, year, gainSeconds, signed, hasGain }
}
