import { expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import { flagNames } from '../tree/flag.ts'
import { loadSuites } from './edit-tree.ts'
import { Living } from './living.ts'
import { runPass } from './pass.ts'
import { beginSuite, demandNode, forceNode, requeueNode } from './user-commands.ts'

function setup() {
  const living = new Living({ password: () => 'p' })
  const text = 'suite s\n edit ECF_TRIES 3\n family f\n  task a\n   event e\n  task b\n   event e set'
  loadSuites(living, parseDefinition(text), { allowMissing: false, localMinute: 0 })
  beginSuite(living, '/s', 0)
  runPass(living)
  const show = (path: string) => {
    const node = demandNode(living, path)
    const flags = flagNames.filter(name => name !== 'zombie' && name !== 'message' && node.has(name))
    return [node.state, ...flags].join(' ')
  }
  const force = (path: string, state: 'aborted' | 'queued' | 'complete', recursive = false) => {
    forceNode(living, path, state, { recursive })
    runPass(living)
  }
  return { living, show, force }
}

test('an abort of all below is final, also when what is above is forced to something else and back', () => {
  const { living, show, force } = setup()
  force('/s', 'aborted', true)
  const paths = ['/s', '/s/f', '/s/f/a']
  expect(paths.map(show)).toEqual([
    'aborted force_aborted',
    'aborted force_aborted',
    'aborted force_aborted task_aborted',
  ])
  demandNode(living, '/s/f/a').attributes!.events![0]!.value = true
  // The container has been queued for a moment, and shows its children again; they start no more than before.
  force('/s', 'queued')
  expect(paths.map(show)).toEqual(['aborted', 'aborted force_aborted', 'aborted force_aborted task_aborted'])
  expect(demandNode(living, '/s/f/a').attributes!.events![0]!.value).toBe(false)
  living.mark(demandNode(living, '/s/f/a'))
  runPass(living)
  expect(show('/s/f/a')).toBe('aborted force_aborted task_aborted')
})

test('how a node came to be aborted is forgotten when it is so no more', () => {
  const { living, show, force } = setup()
  force('/s', 'aborted', true)
  force('/s/f/a', 'complete')
  expect([show('/s/f/a'), show('/s/f')]).toEqual(['complete', 'aborted force_aborted'])
  requeueNode(living, '/s/f/b')
  runPass(living)
  expect(['/s/f/b', '/s/f', '/s'].map(show)).toEqual(['submitted', 'submitted', 'submitted'])
})
