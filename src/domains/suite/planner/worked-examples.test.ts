import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { hasShared, sharedPath } from '../../../../test/support/shared.ts'
import { parseDefinition } from '../language/parse-definition.ts'
import { findNode } from '../tree/find.ts'
import { type ChildRequest, childCommand } from './child-commands.ts'
import { loadSuites } from './edit-tree.ts'
import { Living, type LogEntry } from './living.ts'
import { runPass } from './pass.ts'
import { tickMinute } from './tick.ts'
import { beginSuite, requeueNode } from './user-commands.ts'

/** 2024-02-05 09:00, a Monday. */
const localMinute = 19758 * 1440 + 540

interface Recorded {
  readonly definition: string
  readonly jobs: Record<string, string>
  readonly watched_s: number
  readonly log: (LogEntry & { t: number; child?: string })[]
}

/**
 * Runs a suite as the recording did: half a second a step, a suite minute every two seconds, jobs that do what the
 * recording says, in the order in which they were started.
 */
function run(recorded: Recorded, options: { requeueAt?: { second: number; path: string } } = {}): LogEntry[] {
  let secret = 0
  const living = new Living({ password: () => `p${++secret}` })
  loadSuites(living, parseDefinition(recorded.definition), { allowMissing: false, localMinute })
  beginSuite(living, living.root.children![0]!.path, localMinute)
  runPass(living)
  const queue: { at: number; path: string; password: string; request: ChildRequest }[] = []
  const log: LogEntry[] = []
  const collect = () => {
    log.push(...living.log.splice(0))
    for (const ask of living.asks.splice(0)) {
      if (ask.type !== 'start') continue
      plan(ask.path, ask.password)
    }
  }
  let now = 0
  const plan = (path: string, password: string) => {
    let at = now
    for (const word of (recorded.jobs[path] ?? 'init; complete').split('; ')) {
      const [command, name = '', value = ''] = word.split(' ')
      if (/^\d+$/.test(command!)) at += Number(command)
      else if (command === 'event')
        queue.push({ at, path, password, request: { command, name, on: value === 'set' } })
      else if (command === 'meter')
        queue.push({ at, path, password, request: { command, name, value: Number(value) } })
      else if (command === 'abort') queue.push({ at, path, password, request: { command, why: 'told to' } })
      else queue.push({ at, path, password, request: { command: command as 'init' | 'complete' } })
    }
  }
  collect()
  for (; now < recorded.watched_s; now += 0.5) {
    for (;;) {
      const index = queue.findIndex(it => it.at <= now)
      if (index < 0) break
      const [{ path, password, request }] = queue.splice(index, 1) as [(typeof queue)[number]]
      childCommand(living, { path, password, remoteId: '1', tryNumber: 1 }, request)
      runPass(living)
      collect()
    }
    if (options.requeueAt?.second === now) requeueNode(living, options.requeueAt.path)
    if (now > 0 && now % 2 === 0) tickMinute(living)
    runPass(living)
    collect()
  }
  return log
}

/** The moves of each node by itself: between nodes the recording's order depends on its one-second ticks. */
function movesByNode(log: readonly LogEntry[]): Record<string, string[]> {
  const moves: Record<string, string[]> = {}
  for (const entry of log) {
    const text =
      'state' in entry ? entry.state : 'deleted' in entry ? `deleted by ${entry.deleted}` : undefined
    if (text === undefined) continue
    ;(moves[entry.path] ??= []).push(text)
  }
  return moves
}

/** Only tasks: a container's passing states depend on how the recorded jobs overlapped. */
function tasksOf(moves: Record<string, string[]>, recorded: Recorded): Record<string, string[]> {
  const root = new Living({ password: () => '' }).root
  for (const node of parseDefinition(recorded.definition).nodes) root.add(node)
  return Object.fromEntries(
    Object.entries(moves).filter(([path]) => findNode(root, path)?.kind === 'task' || path === '/w7/f'),
  )
}

function read(name: string): Recorded {
  return JSON.parse(readFileSync(sharedPath('recordings', 'ecflow', 'worked', `${name}.json`), 'utf8'))
}

function compare(name: string, options: Parameters<typeof run>[1] = {}): void {
  const recorded = read(name)
  const ours = movesByNode(run(recorded, options))
  expect(tasksOf(ours, recorded)).toEqual(tasksOf(movesByNode(recorded.log), recorded))
}

describe.skipIf(!hasShared('recordings', 'ecflow', 'worked'))(
  'the worked examples go as on the real server',
  () => {
    test('W1: triggers, events and families', () => compare('w1'))
    test('W2: a repeat requeues its family until it is exhausted', () => compare('w2'))
    test('W3: a limit of two lets two tasks in, and -s gives back at active', () => compare('w3'))
    test('W4: an aborted task is tried again before anything that waits for its abort', () =>
      compare('w4', { requeueAt: { second: 9, path: '/w4/bad' } }))
    test('W5: times, series, crons, days and dates', () => compare('w5'))
    test('W6: under a hybrid clock what can never come true is complete at once', () => compare('w6'))
    test('W7: late, defstatus complete, and autocancel', () => compare('w7'))

    test('W2: the family is complete for a moment, advances, and is queued again', () => {
      const log = run(read('w2'))
      const at = log.findIndex(entry => 'repeat' in entry)
      expect(log.slice(at - 1, at + 5)).toEqual([
        { path: '/w2/loop', state: 'complete' },
        { path: '/w2/loop', repeat: 'N', value: '2' },
        { path: '/w2/loop', state: 'queued' },
        { path: '/w2/loop/x', state: 'queued' },
        { path: '/w2/loop/y', state: 'queued' },
        { path: '/w2', state: 'queued' },
      ])
    })

    test('W3: a place that becomes free is taken in the same moment, not a second later', () => {
      const values = run(read('w3')).flatMap(entry => ('limit' in entry ? [entry.value] : []))
      expect(values).toEqual([1, 2, 1, 2, 1, 0])
    })
  },
)
