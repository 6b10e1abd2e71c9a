// Reading `repeat`: the kind decides what follows.

import { daysOfCompact, readInstant } from '../tree/calendar-date.ts'
import type { ListRepeat, RangeRepeat, Repeat } from '../tree/repeat.ts'
import { isName, nameRule, readInteger, unquote } from './name.ts'
import type { Statement } from './statement.ts'

/** A repeat of any kind: `KIND [NAME] VALUES`. */
export function readRepeat(statement: Statement): Repeat {
  const kind = statement.word(1)
  if (kind === 'day') return readDayRepeat(statement)
  const name = statement.word(2)
  switch (kind) {
    case 'date':
    case 'datetime':
    case 'integer':
      checkName(statement)
      return readRange(statement, kind, name)
    case 'enumerated':
    case 'string':
    case 'datelist':
    case 'datetimelist':
      checkName(statement)
      return readItems(statement, kind, name)
    default:
      throw statement.fault(1, 'date, datetime, datelist, datetimelist, integer, enumerated, string or day')
  }
}

function checkName(statement: Statement): void {
  if (!isName(statement.word(2))) throw statement.fault(2, nameRule)
}

function readDayRepeat(statement: Statement): Repeat {
  const step = statement.count > 2 ? readInteger(statement.word(2)) : 1
  if (step === undefined) throw statement.fault(2, 'the step as an integer')
  statement.expectEnd(3)
  return { kind: 'day', name: '', step, exhausted: false }
}

function readRange(statement: Statement, kind: RangeRepeat['kind'], name: string): Repeat {
  const start = readBound(statement, kind, 3)
  const end = readBound(statement, kind, 4)
  let step = kind === 'datetime' ? 86400 : 1
  if (statement.count > 5) {
    const read = kind === 'datetime' ? readSpan(statement.word(5)) : readInteger(statement.word(5))
    if (read === undefined || read === 0) {
      throw statement.fault(
        5,
        kind === 'datetime' ? 'the step as HH:MM:SS' : 'the step as an integer other than 0',
      )
    }
    step = read
  }
  statement.expectEnd(6)
  if (kind !== 'integer' && ((step > 0 && start > end) || (step < 0 && start < end))) {
    throw statement.fault(
      4,
      step > 0 ? 'an end that is not before the start' : 'an end that is not after the start',
    )
  }
  return { kind, name, start, end, step, value: start, exhausted: false }
}

function readBound(statement: Statement, kind: RangeRepeat['kind'], at: number): number {
  const text = statement.word(at)
  if (kind === 'datetime') {
    const instant = readInstant(text)
    if (instant === undefined) throw statement.fault(at, 'an instant that exists, as YYYYMMDDTHHMMSS')
    return instant
  }
  const value = readInteger(text)
  if (value === undefined) throw statement.fault(at, kind === 'date' ? 'a date as YYYYMMDD' : 'an integer')
  if (kind === 'date' && (text.length !== 8 || daysOfCompact(value) === undefined)) {
    throw statement.fault(at, 'a date that exists, as YYYYMMDD')
  }
  return value
}

/** Seconds of `[-]HH:MM:SS`. */
function readSpan(text: string): number | undefined {
  const match = /^(-?)(\d{1,4}):(\d{2}):(\d{2})$/.exec(text)
  if (!match || Number(match[3]) > 59 || Number(match[4]) > 59) return undefined
  const seconds = Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4])
  return match[1] === '-' ? -seconds : seconds
}

function readItems(statement: Statement, kind: ListRepeat['kind'], name: string): Repeat {
  if (statement.count < 4) throw statement.fault(3, 'at least one item')
  // Quotes do not protect blanks: items are split first, and each loses its own pair (observed).
  const items = statement.words(3).map(unquote)
  items.forEach((item, index) => {
    if (kind === 'datelist' && (!/^\d{8}$/.test(item) || daysOfCompact(Number(item)) === undefined)) {
      throw statement.fault(3 + index, 'a date that exists, as YYYYMMDD')
    }
    if (kind === 'datetimelist' && readInstant(item) === undefined) {
      throw statement.fault(3 + index, 'an instant that exists, as YYYYMMDDTHHMMSS')
    }
  })
  return { kind, name, items, index: 0, exhausted: false }
}
