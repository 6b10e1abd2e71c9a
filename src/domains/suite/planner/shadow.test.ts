import { expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import { loadSuites, putChild } from './edit-tree.ts'
import { Living } from './living.ts'
import { runPass } from './pass.ts'
import { beginSuite, forceNode } from './user-commands.ts'

test('a node that is added later and comes first in a relative path is looked at at once', () => {
  const living = new Living({ password: () => 'p' })
  const definition = 'suite s\n family f\n  trigger g/t == complete\n  task a\n  family g\n   task t\n'
  loadSuites(living, parseDefinition(definition), { allowMissing: false, localMinute: 0 })
  beginSuite(living, '/s', 0)
  runPass(living)
  expect(living.asks.splice(0)).toEqual([])
  const [added] = parseDefinition('family g\n task t\n  defstatus complete\n').nodes
  putChild(living, '/s', added!, { allowMissing: false, externs: [], force: false })
  runPass(living)
  expect(living.asks.splice(0).map(ask => ask.path)).toEqual(['/s/f/a', '/s/f/g/t'])
  // What changes there later is heard, too.
  forceNode(living, '/s/g/t', 'queued', { recursive: false })
  expect(living.root.child('s')!.child('f')!.isMarked).toBe(true)
})
