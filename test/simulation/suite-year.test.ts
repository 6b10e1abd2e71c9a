import { expect, test } from 'vitest'
import {
  dayMinutes,
  drawSchedules,
  expectedStarts,
  midnight,
  type Poll,
  play,
  type Scheduled,
} from './suite-year.ts'

const kinds = [
  'cron',
  'cron-w',
  'cron-d',
  'family-cron',
  'daily',
  'twice',
  'weekly',
  'monthly',
  'yearly',
  'relative',
  'leap',
]

/** Compares task by task: a whole map of a year's starts would be unreadable when one is wrong. */
function compare(schedules: readonly Scheduled[], starts: Map<string, number[]>, polls: Poll[], begun: Poll) {
  let fired = 0
  for (const schedule of schedules) {
    const path = schedule.lines[0]!.startsWith(' family') ? `/y/${schedule.name}/t` : `/y/${schedule.name}`
    const shown = (minutes: readonly number[]) =>
      minutes.map(minute => new Date(minute * 60_000).toISOString().slice(0, 16))
    const wanted = expectedStarts(schedule, polls, begun)
    expect(shown(starts.get(path) ?? []), schedule.lines.join('; ')).toEqual(shown(wanted))
    fired += wanted.length
  }
  return fired
}

test('a leap year of a suite of 1 000 tasks: each schedule fires when it has to, every time', {
  timeout: 300_000,
}, () => {
  const begin = midnight(2024, 1, 1)
  const begun = { utc: begin, minutes: [begin] }
  const polls = Array.from({ length: 366 * dayMinutes }, (_, index) => {
    const utc = begin + index + 1
    return { utc, minutes: [utc] }
  })
  const schedules = drawSchedules(7, 1000, kinds)
  const starts = play(schedules, { clock: ' clock real 1.1.2024', begun, polls })
  const fired = compare(schedules, starts, polls, begun)
  expect(fired).toBeGreaterThan(200_000)
})

/** Local minutes of a zone that is put forward on 2024-03-31 and back on 2024-10-27, each at 01:00 UTC. */
function localOf(utc: number): number {
  const isSummer = utc >= midnight(2024, 3, 31) + 60 && utc < midnight(2024, 10, 27) + 60
  return utc + (isSummer ? 120 : 60)
}

/** Looks at a clock that is put forward and back; `gaps`: minutes of the wall without a look, from a minute on. */
function pollsOfYear(begin: number, gaps: ReadonlyMap<number, number>): Poll[] {
  const polls: Poll[] = []
  let before = localOf(begin)
  let missed: number[] = []
  let blind = 0
  for (let utc = begin + 1; utc <= begin + 366 * dayMinutes; utc++) {
    const local = localOf(utc)
    // Put forward: the minutes that do not exist come all at once. Put back: one that comes again.
    const minutes =
      local > before ? Array.from({ length: local - before }, (_, i) => before + i + 1) : [local]
    before = local
    missed.push(...minutes)
    blind = Math.max(blind - 1, gaps.get(utc) ?? 0)
    if (blind > 0) continue
    polls.push({ utc, minutes: missed })
    missed = []
  }
  return polls
}

test('a year of local time, put forward and back: nothing is left out and no daily time comes twice', {
  timeout: 300_000,
}, () => {
  const begin = midnight(2023, 12, 31)
  const begun = { utc: begin, minutes: [localOf(begin)] }
  const polls = pollsOfYear(begin, new Map())
  const schedules = drawSchedules(11, 150, ['cron', 'cron-w', 'cron-d', 'family-cron', 'daily', 'twice'])
  // Around the hours that are left out and come again.
  for (let minute = 90; minute < 210; minute += 3) {
    const text = `0${Math.floor(minute / 60)}:${String(minute % 60).padStart(2, '0')}`
    schedules.push({
      name: `night${minute}`,
      lines: [` task night${minute}`, `  cron ${text}`],
      lasts: minute % 4 === 0 ? 20 : 0,
      once: true,
      fires: local => local % dayMinutes === minute,
    })
  }
  const starts = play(schedules, { clock: '', begun, polls, localOf })
  expect(compare(schedules, starts, polls, begun)).toBeGreaterThan(50_000)
})

test('a server that is away for hours starts once, late, what came meanwhile', { timeout: 300_000 }, () => {
  const begin = midnight(2024, 1, 15)
  const begun = { utc: begin, minutes: [localOf(begin)] }
  const gaps = new Map(
    Array.from({ length: 60 }, (_, index) => [begin + 3000 + index * 8111, 20 + ((index * 97) % 1300)]),
  )
  const polls = pollsOfYear(begin, gaps)
  expect(polls.length).toBeLessThan(366 * dayMinutes - 10_000)
  const schedules = drawSchedules(13, 150, ['cron', 'cron-w', 'cron-d', 'family-cron', 'daily', 'twice'])
  const starts = play(schedules, { clock: '', begun, polls, localOf })
  expect(compare(schedules, starts, polls, begun)).toBeGreaterThan(30_000)
})
