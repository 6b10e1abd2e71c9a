import { expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import { findNode } from '../tree/find.ts'
import { changeAttribute } from './change-attribute.ts'
import { childCommand } from './child-commands.ts'
import { loadSuites } from './edit-tree.ts'
import { Living } from './living.ts'
import { runPass } from './pass.ts'
import { beginSuite, demandNode, executeNode, forceNode, resumeNode, suspendNode } from './user-commands.ts'

function setup(lines: readonly string[]) {
  const living = new Living({ password: () => 'p' })
  loadSuites(living, parseDefinition(`suite s\n${lines.join('\n')}`), { allowMissing: false, localMinute: 0 })
  beginSuite(living, '/s', 0)
  runPass(living)
  const say = (path: string, command: 'init' | 'complete') => {
    childCommand(living, { path, password: 'p', remoteId: '1', tryNumber: 1 }, { command })
    runPass(living)
  }
  const state = (path: string) => findNode(living.root, path)!.state
  const setMax = (max: string) => {
    changeAttribute(living, demandNode(living, '/s'), { type: 'limit', name: 'L', max })
    runPass(living)
  }
  return { living, say, state, setMax }
}

test('who asks for more than there is waits, and does not stand in the way of those behind', () => {
  const { say, state } = setup([
    ' limit L 2',
    ' task a',
    '  inlimit L',
    ' task b',
    '  inlimit L',
    ' task large',
    '  inlimit L 2',
    ' task c',
    '  inlimit L',
  ])
  expect(state('/s/c')).toBe('queued')
  say('/s/a', 'complete')
  expect([state('/s/large'), state('/s/c')]).toEqual(['queued', 'submitted'])
  say('/s/b', 'complete')
  expect(state('/s/large')).toBe('queued')
  say('/s/c', 'complete')
  expect(state('/s/large')).toBe('submitted')
})

test('a waiter that cannot be reached any more lets the next one go', () => {
  const { living, state, setMax } = setup([
    ' limit L 0',
    ' family f',
    '  family g',
    '   inlimit L',
    '   task t',
    ' endfamily',
    ' endfamily',
    ' task later',
    '  inlimit L',
  ])
  suspendNode(living, '/s/f')
  runPass(living)
  setMax('1')
  expect([state('/s/f/g/t'), state('/s/later')]).toEqual(['queued', 'submitted'])
  setMax('2')
  expect(state('/s/f/g/t')).toBe('queued')
  resumeNode(living, '/s/f')
  runPass(living)
  expect(state('/s/f/g/t')).toBe('submitted')
})

test('a family whose token for itself is taken by a task that was run by hand is open to its other tasks', () => {
  const { living, state } = setup([
    ' limit L 0',
    ' family f',
    '  inlimit -n L',
    '  task a',
    '   trigger 1 == 2',
    '  task b',
    ' endfamily',
  ])
  expect(state('/s/f/b')).toBe('queued')
  executeNode(living, '/s/f/a')
  runPass(living)
  expect(state('/s/f/b')).toBe('submitted')
})

test('the nearest inlimit says when tokens are given back', () => {
  const { living, say, state } = setup([
    ' limit L 1',
    ' inlimit -s L',
    ' task own',
    '  inlimit L',
    ' task other',
  ])
  const value = () => living.root.child('s')!.attributes!.limits![0]!.value
  say('/s/own', 'init')
  expect([value(), state('/s/other')]).toEqual([1, 'queued'])
  say('/s/own', 'complete')
  expect(state('/s/other')).toBe('submitted')
  say('/s/other', 'init')
  expect(value()).toBe(0)
})

test('a family that takes its token does not lose its turn to the families behind it', () => {
  const { state } = setup([
    ' limit M 3',
    ' family a',
    '  inlimit -n M',
    '  task one',
    '  task two',
    '   inlimit M',
    ' endfamily',
    ' task large',
    '  inlimit M 2',
  ])
  // One token for the family, one for its second task: what stands behind asks for more than is left.
  expect([state('/s/a/one'), state('/s/a/two'), state('/s/large')]).toEqual([
    'submitted',
    'submitted',
    'queued',
  ])
})

test('a token that a family kept is given back with the next move of a task that has none of its own', () => {
  const { living, say, state } = setup([
    ' limit M 3',
    ' family a',
    '  inlimit -n M',
    '  task one',
    '  task own',
    '   inlimit M',
    '  task two',
    '   trigger 1 == 0',
    ' endfamily',
  ])
  const held = () => demandNode(living, '/s').attributes!.limits![0]!.value
  for (const task of ['/s/a/one', '/s/a/own']) {
    say(task, 'init')
    say(task, 'complete')
  }
  // Its own token was the nearest on this limit: the family's stayed (observed).
  expect(held()).toBe(1)
  forceNode(living, '/s/a/own', 'aborted', { recursive: false })
  expect(held()).toBe(1)
  forceNode(living, '/s/a/two', 'aborted', { recursive: false })
  expect([state('/s/a/two'), held()]).toEqual(['aborted', 0])
})
