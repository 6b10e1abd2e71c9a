// Attributes as the objects that clients see, without their `type`: contract ecflow §4.1 and §4.2.

import {
  showCron,
  showDate,
  showDay,
  showExpiry,
  showInLimit,
  showLate,
  showMinutes,
  showSeries,
  showSpan,
} from '../language/print-attribute.ts'
import type {
  Aviso,
  Condition,
  Cron,
  DateAttribute,
  DayAttribute,
  Event,
  Expiry,
  Generic,
  InLimit,
  Label,
  Late,
  Limit,
  Meter,
  Mirror,
  Queue,
  TimeAttribute,
  Zombie,
} from '../tree/attribute.ts'
import { showInstant } from '../tree/calendar-date.ts'
import type { Repeat } from '../tree/repeat.ts'
import { repeatText } from '../tree/repeat.ts'

export type Shape = { [member: string]: unknown }

export const showLabel = ({ name, value }: Label): Shape => ({ name, value })
export const showMeter = ({ name, min, max, value }: Meter): Shape => ({ name, min, max, value })

/** An event without a name is shown by its number. */
export const showEvent = ({ name, number, value, initial }: Event): Shape => ({
  name: name === '' ? String(number) : name,
  value,
  initial_value: initial,
})
/** The same with its number, null when it has none. */
export const showNumberedEvent = (event: Event): Shape => ({
  ...showEvent(event),
  number: event.number < 0 ? null : event.number,
})
export const showVariable = (name: string, value: string, isConst = false): Shape => ({
  name,
  value,
  const: isConst,
})
export const showLimit = ({ name, value, max }: Limit): Shape => ({ name, value, limit: max })
export const showInLimitShape = (inlimit: InLimit): Shape => ({ value: `inlimit ${showInLimit(inlimit)}` })
export const showDateShape = (date: DateAttribute): Shape => ({ value: showDate(date), free: date.free })
export const showDayShape = (day: DayAttribute): Shape => ({
  value: showDay(day),
  free: day.free,
  expired: day.expired,
})
export const showCronShape = (cron: Cron): Shape => ({ value: showCron(cron) })
export const showTimeShape = (time: TimeAttribute): Shape => ({ value: showSeries(time.series) })
export const showTodayShape = (today: TimeAttribute): Shape => ({
  value: showSeries(today.series),
  free: today.free,
  expired: today.spent,
})

/** A late attribute as JSON. */
export function showLateShape(late: Late): Shape {
  const time = (minutes: number) => ({ value: showMinutes(Math.max(0, minutes)) })
  return {
    submitted: time(late.submitted),
    active: time(late.active),
    complete: time(late.complete),
    complete_is_relative: late.completeRelative,
    is_late: late.isLate,
    value: showLate(late),
  }
}

/** An autocancel or autoarchive as JSON. */
export function showExpiryShape(expiry: Expiry): Shape {
  return {
    relative: expiry.relative,
    days: expiry.days,
    time: { value: showMinutes(expiry.minutes) },
    value: showExpiry(expiry),
  }
}

/** A repeat as JSON, whatever its kind. */
export function showRepeatShape(repeat: Repeat): Shape {
  switch (repeat.kind) {
    case 'day':
      return { name: 'day', value: repeat.step, valid: !repeat.exhausted }
    case 'date':
    case 'integer': {
      const { name, start, end, step, value } = repeat
      return { name, start, end, step, value }
    }
    case 'datetime':
      return {
        name: repeat.name,
        start: showInstant(repeat.start),
        end: showInstant(repeat.end),
        step: showSpan(repeat.step),
        value: showInstant(repeat.value),
      }
    default:
      return { name: repeat.name, index: repeat.index, value: repeatText(repeat), values: repeat.items }
  }
}

/** A queue as JSON, with the item it stands at. */
export function showQueue(queue: Queue): Shape {
  return {
    name: queue.name,
    index: queue.index,
    value: queue.items[queue.index] ?? '<NULL>',
    queue: queue.items,
  }
}

export const showZombieShape = (zombie: Zombie): Shape => ({
  action: zombie.action,
  child_commands: zombie.commands.join(','),
  lifetime: zombie.lifetimeSeconds,
})
export const showGeneric = ({ name, values }: Generic): Shape => ({ name, values })
export const showAvisoShape = ({ name, listener, url, schema, polling }: Aviso): Shape => ({
  name,
  listener,
  url,
  schema,
  polling,
})
export const showMirrorShape = (mirror: Mirror): Shape => ({
  name: mirror.name,
  remote_path: mirror.remotePath,
  remote_host: mirror.remoteHost,
  remote_port: mirror.remotePort,
  polling: mirror.polling,
  ssl: mirror.ssl,
})

/** A condition in its parts; the text joins them with AND and OR. */
export function showConditionShape(condition: Condition, text: string): Shape {
  return {
    free: condition.free,
    expressions: condition.parts.map(part => ({ expression: part.text, type: part.join.toUpperCase() })),
    value: text,
  }
}
