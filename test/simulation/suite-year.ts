// A year of a suite under a clock of its own, minute by minute, and an oracle that says from each schedule's own words
// when it has to fire. The oracle knows nothing of the planner: it looks at one task and the minutes that went by.

import { parseDefinition } from '../../src/domains/suite/language/parse-definition.ts'
import { childCommand } from '../../src/domains/suite/planner/child-commands.ts'
import { loadSuites } from '../../src/domains/suite/planner/edit-tree.ts'
import { type Ask, Living } from '../../src/domains/suite/planner/living.ts'
import { runPass } from '../../src/domains/suite/planner/pass.ts'
import { followWall, type LocalOf, tickMinute } from '../../src/domains/suite/planner/tick.ts'
import { beginSuite } from '../../src/domains/suite/planner/user-commands.ts'
import { type Dice, diceOf } from './random.ts'

export const dayMinutes = 1440

/** Minutes since 1970 of a date's midnight. */
export function midnight(year: number, month: number, day: number): number {
  return Date.UTC(year, month - 1, day) / 60_000
}

/** One look at the clock: the wall, and the minutes of local time that have come since the last look. */
export interface Poll {
  readonly utc: number
  readonly minutes: readonly number[]
}

export interface Scheduled {
  readonly name: string
  readonly lines: readonly string[]
  /** How long its job lasts, in minutes of the wall. */
  readonly lasts: number
  /** Whether a minute of local time is one of its times; `since` is when it was last begun or requeued. */
  fires(minute: number, since: { local: number; utc: number }, utc: number): boolean
  /** A time that comes once a day does not come again when the clock is put back. */
  readonly once: boolean
}

/** When the tasks of a schedule have to start: one after another, never while the job before still runs. */
export function expectedStarts(schedule: Scheduled, polls: readonly Poll[], begun: Poll): number[] {
  const starts: number[] = []
  const seen = new Set<number>()
  let since = { local: begun.minutes[0]!, utc: begun.utc }
  let busyUntil = -1
  for (const { utc, minutes } of polls) {
    let isTime = false
    for (const minute of minutes) {
      if (!schedule.fires(minute, since, utc)) continue
      if (!schedule.once) isTime = true
      else if (!seen.has(minute)) {
        isTime = true
        seen.add(minute)
      }
    }
    if (busyUntil < 0 && isTime) {
      starts.push(utc)
      busyUntil = utc + schedule.lasts
    }
    if (busyUntil >= 0 && utc >= busyUntil) {
      busyUntil = -1
      since = { local: minutes.at(-1)!, utc }
    }
  }
  return starts
}

/** Plays the suites through all polls; gives the starts of each task, by its path, in minutes of the wall. */
export function play(
  schedules: readonly Scheduled[],
  at: { clock: string; begun: Poll; polls: readonly Poll[]; localOf?: LocalOf },
): Map<string, number[]> {
  const living = new Living({ password: () => 'p' })
  const lines = ['suite y', at.clock, ...schedules.flatMap(schedule => schedule.lines)]
  const definition = parseDefinition(lines.filter(line => line !== '').join('\n'))
  living.nowMs = at.begun.utc * 60_000
  const localMinute = at.begun.minutes[0]!
  loadSuites(living, definition, { allowMissing: false, localMinute })
  beginSuite(living, '/y', localMinute)
  const lasting = new Map(schedules.map(schedule => [schedule.name, schedule.lasts]))
  const starts = new Map<string, number[]>()
  const ending = new Map<number, string[]>()
  const say = (path: string, command: 'init' | 'complete') =>
    childCommand(living, { path, password: 'p', remoteId: '1', tryNumber: 1 }, { command })
  const start = (ask: Ask, utc: number) => {
    const known = starts.get(ask.path)
    if (known) known.push(utc)
    else starts.set(ask.path, [utc])
    say(ask.path, 'init')
    const until = utc + lasting.get(ask.path.split('/')[2]!)!
    if (until <= utc) say(ask.path, 'complete')
    else if (ending.has(until)) ending.get(until)!.push(ask.path)
    else ending.set(until, [ask.path])
  }
  const settle = (utc: number) => {
    runPass(living)
    for (let ask = living.asks.shift(); ask; ask = living.asks.shift()) {
      start(ask, utc)
      runPass(living)
    }
  }
  let before = at.begun.utc
  settle(before)
  for (const { utc } of at.polls) {
    living.nowMs = utc * 60_000
    if (at.localOf) followWall(living, { utcMinute: utc, localOf: at.localOf })
    else tickMinute(living)
    settle(utc)
    for (let minute = before + 1; minute <= utc; minute++) {
      for (const path of ending.get(minute) ?? []) say(path, 'complete')
      ending.delete(minute)
    }
    settle(utc)
    before = utc
    living.log.length = 0
    living.changed.clear()
  }
  return starts
}

/** The parts of a date, from the calendar of the language that this is written in. */
function dateOf(minute: number) {
  const date = new Date(minute * 60_000)
  const month = date.getUTCMonth() + 1
  const year = date.getUTCFullYear()
  return {
    year,
    month,
    day: date.getUTCDate(),
    weekday: date.getUTCDay(),
    days: new Date(Date.UTC(year, month, 0)).getUTCDate(),
  }
}

const clock = (minute: number) =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`

type Slots = { readonly text: string; readonly single: boolean; has(minuteOfDay: number): boolean }

function slotsOf(dice: Dice): Slots {
  if (dice.chance(0.6)) {
    const at = dice.below(dayMinutes)
    return { text: clock(at), single: true, has: minute => minute === at }
  }
  const start = dice.below(1200)
  const step = 10 + dice.below(110)
  const finish = Math.min(1439, start + step * (1 + dice.below(6)) + dice.below(step))
  return {
    text: `${clock(start)} ${clock(finish)} ${clock(step)}`,
    single: false,
    has: minute => minute >= start && minute <= finish && (minute - start) % step === 0,
  }
}

const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']

/** So many schedules of these kinds, in turn; the same seed draws the same ones. */
export function drawSchedules(seed: number, count: number, kinds: readonly string[]): Scheduled[] {
  const dice = diceOf(seed)
  return Array.from({ length: count }, (_, index) => {
    const name = `n${index}`
    const lasts = dice.chance(0.7) ? 0 : 1 + dice.below(50)
    const slots = slotsOf(dice)
    const kind = kinds[index % kinds.length]!
    return { name, lasts, ...drawSchedule(dice, { name, kind, slots }) }
  })
}

function drawSchedule(
  dice: Dice,
  of: { name: string; kind: string; slots: Slots },
): Pick<Scheduled, 'lines' | 'fires' | 'once'> {
  const { name, kind, slots } = of
  // Again and again: the family begins anew when its task is complete.
  const again = (...times: string[]) => [
    ` family ${name}`,
    '  repeat integer N 1 1000000',
    '  task t',
    ...times.map(time => `   ${time}`),
    ' endfamily',
  ]
  const once = slots.single
  const atSlot = (minute: number) => slots.has(minute % dayMinutes)
  switch (kind) {
    case 'cron':
      return { once, lines: [` task ${name}`, `  cron ${slots.text}`], fires: atSlot }
    case 'cron-w': {
      const one = dice.below(7)
      const last = dice.below(7)
      return {
        once,
        lines: [` task ${name}`, `  cron -w ${one},${last}L ${slots.text}`],
        fires: minute => {
          const { weekday, day, days } = dateOf(minute)
          return atSlot(minute) && (weekday === one || (weekday === last && day + 7 > days))
        },
      }
    }
    case 'cron-d': {
      const wanted = 1 + dice.below(31)
      const month = 1 + dice.below(12)
      const inMonth = dice.chance(0.3)
      return {
        once,
        lines: [` task ${name}`, `  cron -d ${wanted},L ${inMonth ? `-m ${month} ` : ''}${slots.text}`],
        fires: minute => {
          const date = dateOf(minute)
          if (!atSlot(minute) || (inMonth && date.month !== month)) return false
          return date.day === wanted || date.day === date.days
        },
      }
    }
    case 'family-cron':
      return {
        once,
        lines: [` family ${name}`, `  cron ${slots.text}`, '  task t', ' endfamily'],
        fires: atSlot,
      }
    case 'daily':
      return { once, lines: again(`time ${slots.text}`), fires: atSlot }
    case 'twice': {
      const [one, other] = [dice.below(700), 720 + dice.below(700)]
      return {
        once: true,
        lines: again(`time ${clock(one)}`, `time ${clock(other)}`),
        fires: minute => minute % dayMinutes === one || minute % dayMinutes === other,
      }
    }
    case 'weekly': {
      const wanted = dice.below(7)
      return {
        once: true,
        lines: again(`day ${weekdays[wanted]}`, 'time 12:34'),
        fires: minute => minute % dayMinutes === 12 * 60 + 34 && dateOf(minute).weekday === wanted,
      }
    }
    case 'monthly': {
      const wanted = 1 + dice.below(31)
      return {
        once,
        lines: again(`date ${wanted}.*.*`, `time ${slots.text}`),
        fires: minute => atSlot(minute) && dateOf(minute).day === wanted,
      }
    }
    case 'yearly': {
      const month = 1 + dice.below(12)
      return {
        once,
        lines: again(`date *.${month}.*`, `time ${slots.text}`),
        fires: minute => atSlot(minute) && dateOf(minute).month === month,
      }
    }
    case 'leap': {
      const at = dice.below(dayMinutes)
      return {
        once: true,
        lines: [` task ${name}`, '  date 29.2.2024', `  time ${clock(at)}`],
        fires: minute => minute === midnight(2024, 2, 29) + at,
      }
    }
    default: {
      const every = 5 + dice.below(2000)
      const [hours, minutes] = [Math.floor(Math.min(every, 1439) / 60), Math.min(every, 1439) % 60]
      const length = hours * 60 + minutes
      return {
        once: false,
        lines: again(`time +${clock(length)}`),
        fires: (_, since, utc) => utc - since.utc === length,
      }
    }
  }
}
