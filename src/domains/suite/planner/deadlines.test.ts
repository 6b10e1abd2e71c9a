import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import type { Late } from '../tree/attribute.ts'
import { findNode } from '../tree/find.ts'
import { type Node, visitAll } from '../tree/node.ts'
import { addAttribute } from './add-attribute.ts'
import { changeAttribute } from './change-attribute.ts'
import { childCommand } from './child-commands.ts'
import { deleteAttribute } from './delete-attributes.ts'
import { loadSuites } from './edit-tree.ts'
import { Living } from './living.ts'
import { runPass } from './pass.ts'
import { followWall, tickMinute } from './tick.ts'
import { timeOfSuite } from './times.ts'
import {
  archiveNode,
  beginSuite,
  changeFlag,
  findRunning,
  forceNode,
  requeueNode,
  restoreNode,
  resumeNode,
  suspendNode,
} from './user-commands.ts'

const definition = `suite s
  clock real 5.2.2024 +23:50
  late -a 23:58
  family f
    late -s +00:02 -c +00:03
    task a
    task b
      late -c 23:59
      trigger a == complete
    family g
      autoarchive +00:02 -i
      task c
        defstatus suspended
      task d
        late -a 00:03
    endfamily
  endfamily
  family h
    autocancel 00:05
    task e
      autocancel +00:03
    task x
  endfamily
  family i
    autoarchive 23:57
    repeat integer N 1 4
    task y
  endfamily
endsuite
`

const paths = ['/s', '/s/f', '/s/f/a', '/s/f/b', '/s/f/g', '/s/f/g/c', '/s/f/g/d', '/s/h', '/s/h/e', '/s/h/x']
const all = [...paths, '/s/i', '/s/i/y']

/** The rule, by looking at every task: an option counts from the nearest level that gives it. */
function isLate(task: Node): boolean {
  const now = timeOfSuite(task.suiteNode!)
  const option = (name: 'submitted' | 'active' | 'complete'): Late | undefined => {
    for (let at: Node | undefined = task; at; at = at.parent) {
      const late = at.attributes?.rare?.late
      if (late && late[name] >= 0) return late
    }
    return undefined
  }
  const [submitted, active, complete] = [option('submitted'), option('active'), option('complete')]
  const busyFor = now.elapsed - task.since
  if (task.state === 'submitted' && submitted && busyFor >= submitted.submitted) return true
  if ((task.state === 'queued' || task.state === 'submitted') && active && now.minute >= active.active)
    return true
  if (task.state !== 'active' || !complete) return false
  return complete.completeRelative ? busyFor >= complete.complete : now.minute >= complete.complete
}

/** What has had its time and is still there. */
function isOverdue(node: Node): boolean {
  const now = timeOfSuite(node.suiteNode!)
  const rare = node.attributes?.rare
  const isDue = (expiry: { relative: boolean; minutes: number }) =>
    expiry.relative ? now.elapsed - node.since >= expiry.minutes : now.minute >= expiry.minutes
  if (findRunning(node)) return false
  if (rare?.autocancel && node.state === 'complete' && isDue(rare.autocancel)) return true
  const archive = rare?.autoarchive
  if (!archive || node.suspended || node.has('archived') || node.has('restored')) return false
  const isAtRest =
    node.state === 'complete' || (archive.idle && (node.state === 'queued' || node.state === 'aborted'))
  return isAtRest && isDue(archive)
}

test('after any commands, each minute finds what a look at every node would find, and nothing else', () => {
  let count = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(13), fc.nat(all.length - 1)), { minLength: 30, maxLength: 90 }),
      steps => {
        const living = new Living({ password: () => 'p' })
        loadSuites(living, parseDefinition(definition), { allowMissing: false, localMinute: 0 })
        beginSuite(living, '/s', 0)
        runPass(living)
        for (const [step, at] of steps) {
          living.asks.length = 0
          const path = all[at]!
          const node = findNode(living.root, path)
          if (step >= 7) {
            // A minute goes by: what was not late and is now, and only that.
            const before = new Map<Node, boolean>()
            visitAll(living.root, it => void before.set(it, it.has('late')))
            tickMinute(living)
            visitAll(living.root, it => {
              if (it.kind === 'root') return
              if (it.kind === 'task')
                expect([it.path, it.has('late')]).toEqual([it.path, before.get(it) || isLate(it)])
              expect([it.path, isOverdue(it)]).toEqual([it.path, false])
            })
            count++
          } else if (node) {
            const child = (command: 'init' | 'complete' | 'abort') => {
              if (node.kind !== 'task' || !node.run) return
              const identity = { path, password: 'p', remoteId: '1', tryNumber: node.run.tryNumber }
              childCommand(living, identity, command === 'abort' ? { command, why: '' } : { command })
            }
            const hasLate = node.attributes?.rare?.late !== undefined
            const act: (() => void)[] = [
              () => child('init'),
              () => child('complete'),
              () => child('abort'),
              () => requeueNode(living, path),
              () => forceNode(living, path, at % 2 === 0 ? 'complete' : 'queued', { recursive: true }),
              () => (node.suspended ? resumeNode(living, path) : suspendNode(living, path)),
              () => {
                if (node.has('archived')) restoreNode(living, path)
                else if (at % 4 === 0) archiveNode(living, path, { force: true })
                else if (at % 4 === 1) changeFlag(living, path, 'late', false)
                else if (!hasLate) addAttribute(living, node, { type: 'late', value: '-s +00:01 -c +00:01' })
                else if (at % 4 === 2) changeAttribute(living, node, { type: 'late', value: '-a 00:01' })
                else deleteAttribute(living, node, { type: 'late' })
              },
            ]
            act[step]!()
          }
          runPass(living)
        }
      },
    ),
    { numRuns: 300, seed: 311 },
  )
  expect(count).toBeGreaterThan(3000)
})

test('a minute in which nothing is due looks at nothing, however many wait', () => {
  const tasks = Array.from({ length: 2000 }, (_, index) => ` task t${index}\n  trigger 1 == 2`)
  const text = `suite s\n clock real 5.2.2024\n late -a 12:00 -s +00:10\n${tasks.join('\n')}`
  const living = new Living({ password: () => 'p' })
  loadSuites(living, parseDefinition(text), { allowMissing: false, localMinute: 0 })
  beginSuite(living, '/s', 0)
  runPass(living)
  const looked: number[] = []
  const take = living.deadlines.takeLate.bind(living.deadlines)
  living.deadlines.takeLate = (suite, now) => {
    const nodes = take(suite, now)
    looked.push(nodes.length)
    return nodes
  }
  for (let minute = 0; minute < 721; minute++) tickMinute(living)
  expect(looked.slice(0, 719)).toEqual(Array.from({ length: 719 }, () => 0))
  expect(looked[719]).toBe(2000)
  expect(living.root.child('s')!.children!.every(task => task.has('late'))).toBe(true)
})

test('an hour that local time leaves out is no hour that anything took', () => {
  // 2024-03-31: 02:00 becomes 03:00.
  const begin = 19813 * 1440 + 110
  const text =
    'suite s\n task t\n  late -s +00:30\n task r\n  time +00:40\n task late\n  late -a 02:30\n  trigger 1 == 2'
  const living = new Living({ password: () => 'p' })
  living.nowMs = begin * 60_000
  loadSuites(living, parseDefinition(text), { allowMissing: false, localMinute: begin })
  beginSuite(living, '/s', begin)
  runPass(living)
  const seen: Record<string, number> = {}
  for (let minute = 1; minute <= 60; minute++) {
    const utc = begin + minute
    followWall(living, { utcMinute: utc, localOf: at => (at >= begin + 10 ? at + 60 : at) })
    runPass(living)
    const suite = living.root.child('s')!
    if (suite.child('t')!.has('late')) seen['t'] ??= minute
    if (suite.child('late')!.has('late')) seen['late'] ??= minute
    if (suite.child('r')!.state === 'submitted') seen['r'] ??= minute
  }
  // The time of day is past 02:30 as soon as the hour is gone.
  expect(seen).toEqual({ late: 11, t: 30, r: 40 })
})
