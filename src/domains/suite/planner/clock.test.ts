import { expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import { findVariable } from '../tree/lookup.ts'
import { childCommand } from './child-commands.ts'
import { loadSuites } from './edit-tree.ts'
import { Living } from './living.ts'
import { runPass } from './pass.ts'
import { followWall, tickMinute } from './tick.ts'
import { beginSuite } from './user-commands.ts'

/** 2024-03-30 00:00, a Saturday, as UTC and local minutes. */
const start = 19812 * 1440

function setup(lines: readonly string[], begin = start) {
  const living = new Living({ password: () => 'p' })
  living.nowMs = begin * 60_000
  loadSuites(living, parseDefinition(`suite s\n${lines.join('\n')}`), {
    allowMissing: false,
    localMinute: begin,
  })
  beginSuite(living, '/s', begin)
  const runs: string[] = []
  /** Runs what may run, each job ending at once. */
  const settle = () => {
    runPass(living)
    for (let ask = living.asks.shift(); ask; ask = living.asks.shift()) {
      const suite = living.root.child('s')!
      runs.push(`${ask.path.slice(3)} ${findVariable(suite, 'ECF_DATE')} ${findVariable(suite, 'ECF_TIME')}`)
      const identity = { path: ask.path, password: 'p', remoteId: '1', tryNumber: 1 }
      childCommand(living, identity, { command: 'init' })
      childCommand(living, identity, { command: 'complete' })
      runPass(living)
    }
  }
  settle()
  return { living, runs, settle }
}

test('minutes that were missed are lived through, and what came meanwhile runs once', () => {
  const { living, runs, settle } = setup([' task t', '  time 02:30', ' task c', '  cron 02:00 04:00 00:10'])
  followWall(living, { utcMinute: start + 200, localOf: utc => utc })
  settle()
  expect(runs).toEqual(['t 20240330 03:20', 'c 20240330 03:20'])
  expect(living.root.child('s')!.suite!.minute).toBe(start + 200)
  followWall(living, { utcMinute: start + 200, localOf: utc => utc })
  settle()
  expect(runs).toHaveLength(2)
})

test('a server that was away for a week goes on at the right time', () => {
  const { living } = setup([' task t', '  cron 10:00'])
  followWall(living, { utcMinute: start + 7 * 1440 + 5, localOf: utc => utc })
  expect(findVariable(living.root.child('s')!, 'ECF_DATE')).toBe('20240406')
  expect(findVariable(living.root.child('s')!, 'ECF_TIME')).toBe('00:05')
})

test('when local time is put forward, times in the hour that does not exist come at its end', () => {
  const { living, runs, settle } = setup([' task t', '  cron 02:30'])
  // Sunday, 2024-03-31: 02:00 becomes 03:00.
  for (let minute = start; minute < start + 2 * 1440; minute++) {
    const localOf = (utc: number) => (utc >= start + 1440 + 120 ? utc + 60 : utc)
    followWall(living, { utcMinute: minute, localOf })
    settle()
  }
  expect(runs).toEqual(['t 20240330 02:30', 't 20240331 03:00'])
})

test('when local time is put back, a suite clock goes back with it', () => {
  const { living, settle } = setup([' task t', '  cron 23:00'])
  followWall(living, { utcMinute: start + 180, localOf: utc => (utc >= start + 180 ? utc - 60 : utc) })
  settle()
  expect(findVariable(living.root.child('s')!, 'ECF_TIME')).toBe('02:00')
  expect(living.root.child('s')!.suite!.elapsed).toBe(180)
})

test('leap days and month ends are days like others', () => {
  // 2024-02-27.
  const begin = 19780 * 1440
  const { living, runs, settle } = setup(
    [
      ' task last',
      '  cron -d L 12:00',
      ' task leap',
      '  date 29.2.2024',
      '  time 06:00',
      ' task first',
      '  date 1.*.*',
    ],
    begin,
  )
  for (let minute = 0; minute < 4 * 1440; minute++) {
    tickMinute(living)
    settle()
  }
  expect(runs).toEqual(['leap 20240229 06:00', 'last 20240229 12:00', 'first 20240301 00:00'])
})

test('a clock with a date keeps it, whatever the wall says', () => {
  const { living } = setup([' clock real 1.1.2030 +01:00', ' task t', '  cron 23:00'])
  followWall(living, { utcMinute: start + 30, localOf: utc => utc + 60 })
  expect(findVariable(living.root.child('s')!, 'ECF_DATE')).toBe('20300101')
  expect(findVariable(living.root.child('s')!, 'ECF_TIME')).toBe('01:30')
})
