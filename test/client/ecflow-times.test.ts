// Schedules on the real server, at a suite minute every few seconds, and in our planner: the same jobs start in the
// same minutes. The dates are chosen so that midnight passes.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseDefinition } from '../../src/domains/suite/language/parse-definition.ts'
import { childCommand } from '../../src/domains/suite/planner/child-commands.ts'
import { loadSuites } from '../../src/domains/suite/planner/edit-tree.ts'
import { Living } from '../../src/domains/suite/planner/living.ts'
import { runPass } from '../../src/domains/suite/planner/pass.ts'
import { tickMinute } from '../../src/domains/suite/planner/tick.ts'
import { beginSuite } from '../../src/domains/suite/planner/user-commands.ts'
import { findVariable } from '../../src/domains/suite/tree/lookup.ts'
import { type Node, visitAll } from '../../src/domains/suite/tree/node.ts'
import { missingRealEcflow, startRealEcflow } from './ecflow-server.ts'

const minutes = 13
/** A busy machine makes the real server's jobs report in the next minute: then it is asked again, with longer ones. */
const intervals = [4, 8, 16]

/** Monday, 2024-02-05 23:54. */
const begun = '20240205 23:54'
const again = (name: string, ...lines: string[]) => [
  ` family ${name}`,
  '  repeat integer N 1 30',
  '  task t',
  ...lines.map(line => `   ${line}`),
  ' endfamily',
]
const tasks: Readonly<Record<string, readonly string[]>> = {
  past: ['time 23:50'],
  now: ['time 23:54'],
  'now-today': ['today 23:54'],
  'past-today': ['today 23:50'],
  soon: ['time 23:57'],
  series: ['time 23:56 23:59 00:01'],
  two: ['time 23:50', 'time 00:01'],
  midnight: ['time 00:00'],
  relative: ['time +00:05'],
  'relative-series': ['time +00:02 00:08 00:03'],
  today: ['today 23:58'],
  todays: ['today 23:50', 'today 23:59'],
  'cron-series': ['cron 23:55 23:58 00:01'],
  'cron-weekday': ['cron -w 2 00:03'],
  'cron-other-weekday': ['cron -w 1 00:03'],
  'cron-monthday': ['cron -d 6 00:01 00:05 00:02'],
  'cron-last': ['cron -d L 00:01 00:05 00:02'],
  'cron-month': ['cron -m 2 00:02'],
  'cron-relative': ['cron +00:02'],
  tuesday: ['day tuesday'],
  'tuesday-at': ['day tuesday', 'time 00:02'],
  'monday-late': ['day monday', 'time 00:02'],
  'two-days': ['day monday', 'day wednesday'],
  date: ['date 6.2.2024'],
  'date-cron': ['date 6.2.2024', 'cron 00:01 00:05 00:02'],
  repeats: ['repeat enumerated E a b c', 'time +00:02'],
  clock: ['trigger :TIME ge 2358', 'time +00:01'],
  weekday: ['trigger :DOW == 2 and :DD == 6'],
  skipped: ['complete soon == complete', 'time 00:03'],
  after: ['trigger soon == complete', 'repeat integer N 1 3'],
  kept: ['defstatus complete', 'time 23:58'],
}
const lines = [
  'suite y',
  ' clock real 5.2.2024 +23:54',
  ...Object.entries(tasks).flatMap(([name, own]) => [
    ` task ${name.replaceAll('-', '_')}`,
    ...own.map(it => `  ${it}`),
  ]),
  ...again('daily', 'time 23:57'),
  ...again('daily_series', 'time 23:56 23:58 00:02'),
  ...again('weekly', 'day tuesday', 'time 00:01'),
  ...again('monthly', 'date 6.*.*', 'time 00:02'),
  ...again('every_two', 'time +00:02'),
  ' family closed',
  '  day monday',
  '  task a',
  '   time 00:02',
  ' endfamily',
  ' family opened',
  '  time 23:57',
  '  task a',
  '  task b',
  '   trigger a == complete',
  ' endfamily',
  ' family crons',
  '  cron 23:56 23:59 00:01',
  '  task a',
  ' endfamily',
  ' family gone',
  '  autocancel +00:02',
  '  task a',
  '   time 23:56',
  ' endfamily',
  ' limit one 1',
  ' family lim',
  '  inlimit one',
  ...['a', 'b', 'c'].flatMap(name => [`  task ${name}`, '   time 23:59']),
  ' endfamily',
]

/** `path date time` of each job, and `path state` of each node at the end. */
interface Course {
  readonly starts: string[]
  readonly ends: Record<string, string>
}

/** What starts in the last minute is left out: the servers do not stop at the same instant. */
const counts = (start: string) => !/ 20240206 00:(0[7-9]|1\d)$/.test(start)

/** When exactly a begin is followed by the first poll is chance: what starts then counts as one. */
const shown = (start: string) => start.replace(/ 20240205 23:5[45]$/, ' at begin')

function runOurs(): Course {
  const living = new Living({ password: () => 'p' })
  loadSuites(living, parseDefinition(lines.join('\n')), { allowMissing: false, localMinute: 0 })
  beginSuite(living, '/y', 0)
  const suite = living.root.child('y')!
  const starts: string[] = []
  const settle = () => {
    runPass(living)
    for (let ask = living.asks.shift(); ask; ask = living.asks.shift()) {
      starts.push(`${ask.path} ${findVariable(suite, 'ECF_DATE')} ${findVariable(suite, 'ECF_TIME')}`)
      const identity = { path: ask.path, password: 'p', remoteId: '1', tryNumber: 1 }
      for (const command of ['init', 'complete'] as const) childCommand(living, identity, { command })
      runPass(living)
    }
  }
  settle()
  for (let minute = 0; minute < minutes; minute++) {
    tickMinute(living)
    settle()
  }
  const ends: Record<string, string> = {}
  visitAll(suite, node => {
    ends[node.path] = node.state
  })
  return { starts: starts.filter(counts).map(shown).sort(), ends }
}

async function runTheirs(intervalSeconds: number): Promise<Course> {
  const real = await startRealEcflow(intervalSeconds)
  try {
    const file = join(real.home, 'starts')
    writeFileSync(file, '')
    const job = [
      `echo "%ECF_NAME% %ECF_DATE% %ECF_TIME%" >> ${file}`,
      'export ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO% ECF_RID=1 ECF_HOST=localhost ECF_PORT=%ECF_PORT%',
      '(ecflow_client --init=1 && ecflow_client --complete) > /dev/null 2>&1 &',
    ].join('; ')
    const edits = [` edit ECF_HOME '${real.home}'`, ' edit ECF_NO_SCRIPT 1', ` edit ECF_JOB_CMD '${job}'`]
    const loaded = real.load([lines[0], ...edits, ...lines.slice(1), ''].join('\n'))
    expect(loaded.ok, loaded.text).toBe(true)
    real.run('--begin=y')
    await new Promise(resolve => setTimeout(resolve, (minutes + 0.6) * intervalSeconds * 1000))
    real.run('--shutdown=yes')
    await new Promise(resolve => setTimeout(resolve, 2000))
    const ends: Record<string, string> = {}
    const read = (node: Node) => {
      const { ok, text } = real.run('--query', 'state', node.path)
      if (ok) ends[node.path] = text.trim()
    }
    visitAll(parseDefinition(lines.join('\n')).nodes[0]!, read)
    const starts = readFileSync(file, 'utf8').trim().split('\n')
    return { starts: starts.filter(counts).map(shown).sort(), ends }
  } finally {
    real.stop()
  }
}

const missing = missingRealEcflow()

describe.skipIf(missing !== undefined)(
  `schedules from ${begun} on${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    test('each job starts in the minute in which the real server starts it', async () => {
      const ours = runOurs()
      let theirs = await runTheirs(intervals[0]!)
      for (const interval of intervals.slice(1)) {
        if (isDeepStrictEqual(theirs, ours)) break
        theirs = await runTheirs(interval)
      }
      expect(theirs.starts.length).toBeGreaterThan(50)
      expect(ours.starts).toEqual(theirs.starts)
      expect(ours.ends).toEqual(theirs.ends)
    })
  },
)
