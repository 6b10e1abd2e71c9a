import { expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import { findNode } from '../tree/find.ts'
import { deleteNode, loadSuites } from './edit-tree.ts'
import { Living } from './living.ts'
import { runPass } from './pass.ts'
import { tickMinute } from './tick.ts'
import { beginSuite } from './user-commands.ts'
import { holdersAbove } from './why.ts'

const definition = ['bad', 'good']
  .map(name => `suite ${name}\n task t\n  time +00:02\n task u\n  trigger t == complete\n`)
  .join('')

test('a suite in which an error of ours comes up is left alone and says so; the others go on', () => {
  const living = new Living({ password: () => 'p' })
  loadSuites(living, parseDefinition(definition), { allowMissing: false, localMinute: 0 })
  for (const suite of ['/bad', '/good']) beginSuite(living, suite, 600)
  runPass(living)
  const broken = findNode(living.root, '/bad/t')!
  const { attributes } = broken
  // What a bug would look like: a node that cannot be looked at.
  Object.defineProperty(broken, 'attributes', {
    get() {
      throw new Error('a bug of ours')
    },
  })
  const minute = () => {
    tickMinute(living)
    runPass(living)
  }
  let error: unknown
  for (let left = 5; left > 0 && !error; left--) {
    try {
      minute()
    } catch (thrown) {
      error = thrown
    }
  }
  expect(living.blame(error)).toBe(true)
  expect([...living.failed]).toEqual([['bad', 'a bug of ours']])
  Object.defineProperty(broken, 'attributes', { value: attributes })
  for (let count = 0; count < 5; count++) minute()
  expect([findNode(living.root, '/good/t')!.state, broken.state]).toEqual(['submitted', 'queued'])
  const [first] = holdersAbove(living, broken)
  expect([first!.kind, first!.text]).toEqual(['failed', expect.stringContaining('a bug of ours')])
  deleteNode(living, '/bad', { force: true })
  expect(living.failed.size).toBe(0)
})

test('an error outside of every turn is nobody’s', () => {
  expect(new Living({ password: () => 'p' }).blame(new Error('x'))).toBe(false)
})
