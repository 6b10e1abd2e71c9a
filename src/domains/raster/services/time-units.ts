// What the numbers of a time coordinate mean: `days since 2000-01-01 00:00:00`, or plain years.

import { type Attributes, textOf } from '../netcdf/grid-file.ts'

export interface TimeUnits {
  /** In the singular: `day`. */
  readonly unit: string
  /** The instant of a value, in ms since 1970. */
  readonly instant: (value: number) => number
}

const lengths: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
}
const aliases: Readonly<Record<string, string>> = {
  ...{ ms: 'millisecond', msec: 'millisecond', s: 'second', sec: 'second', min: 'minute' },
  ...{ h: 'hour', hr: 'hour', d: 'day' },
}

/** Reads the units of a coordinate; years where there are none. Undefined when they mean nothing to us. */
export function readTimeUnits(attributes: Attributes | undefined): TimeUnits | undefined {
  const text = attributes === undefined ? undefined : textOf(attributes, 'units')
  if (text === undefined || /^years?$/i.test(text.trim()))
    return { unit: 'year', instant: value => yearStart(Math.trunc(value)) }
  const match =
    /^\s*([a-z]+)\s+since\s+(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d*)?)?)?/i.exec(
      text.slice(0, 200),
    )
  if (!match) return undefined
  const word = match[1]!.toLowerCase()
  const single = word.length > 2 ? word.replace(/s$/, '') : word
  const unit = aliases[single] ?? single
  const [year, month, day, hour, minute, second] = match.slice(2).map(part => Number(part ?? 0))
  const start = new Date(0)
  start.setUTCFullYear(year!, month! - 1, day!)
  start.setUTCHours(hour!, minute!, second!)
  const length = Object.hasOwn(lengths, unit) ? lengths[unit]! : undefined
  if (length !== undefined) return { unit, instant: value => start.getTime() + value * length }
  if (unit === 'month' || unit === 'year') {
    const months = unit === 'year' ? 12 : 1
    return {
      unit,
      instant: value => {
        const at = new Date(start)
        at.setUTCMonth(at.getUTCMonth() + Math.trunc(value * months))
        return at.getTime()
      },
    }
  }
  return undefined
}

function yearStart(year: number): number {
  const date = new Date(0)
  date.setUTCFullYear(year, 0, 1)
  return date.getTime()
}
