import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import { findNode } from '../tree/find.ts'
import { Node } from '../tree/node.ts'
import { holds } from './evaluate.ts'
import { explain } from './explain.ts'
import type { Expression } from './expression.ts'
import { eachMention } from './mentions.ts'
import { parseExpression } from './parse-expression.ts'
import { printExpression } from './print-expression.ts'

const root = new Node('root', '')
const definition = `suite s
  edit LEVEL 5
  edit ODD 007
  repeat date YMD 20240229 20240302
  family f
    repeat enumerated E "10" "red"
    task a
      event ready set
      event 3
      meter done 0 100
    task b
    task t
    task 00
  endfamily
  family g
    task x
`
for (const node of parseDefinition(definition).nodes) root.add(node)
const on = findNode(root, '/s/f/t')!
findNode(root, '/s/f/a')!.state = 'complete'
findNode(root, '/s/f/b')!.state = 'queued'
findNode(root, '/s/f/a')!.attributes!.meters![0]!.value = 40

describe('what holds', () => {
  test.each<[string, boolean]>([
    ['a == complete', true],
    ['a eq aborted', false],
    ['a ne aborted', true],
    ['../g/x == unknown', true],
    ['../../s/f/b == queued', true],
    ['/s/f/a == complete and b == complete', false],
    ['b == complete and a == complete or a == complete', true],
    ['(b == complete) and a == complete or a == complete', false],
    ['(a == complete) or b == complete and b == complete', true],
    ['not b == complete', true],
    ['! (a == complete)', false],
    ['~ a:ready', false],
    ['a:ready', true],
    ['a:3', false],
    ['a:ready == set', true],
    ['a:3 == clear', true],
    ['a:done ge 40 and a:done < 41', true],
    ['1 + 2 * 3 == 9', true],
    ['10 - 4 - 3 == 3', true],
    ['7 / 2 == 3 and 7 % 2 == 1', true],
    [':LEVEL == 5 and :ODD == 7', true],
    [':LEVEL / (:LEVEL - 5) == 0', true],
    ['1 - 1', true],
    ['0', false],
    ['2', true],
    [':YMD + 1 == 20240301', true],
    ['/s:YMD - 1 == 20240228', true],
    ['../f:E == 10', true],
    ['cal::date_to_julian(20240229) == 2460370', true],
    ['cal::julian_to_date(2460370) == 20240229', true],
    ['cal::date_to_julian(:YMD) == 2460370', true],
    ['nosuch == unknown', true],
    ['nosuch:x == 0', true],
    ['a<flag>late', false],
    ['20240101T000000 > 20231231T235959', true],
    ['./00 == unknown and 00 == unknown', true],
    ['(a:done + 10) * 2 == 100', true],
    ['(a:done) and b == complete or a == complete', true],
    ['b == suspended', false],
  ])('%s: %s', (text, expected) => {
    expect(holds(parseExpression(text), on)).toBe(expected)
  })

  test('a suspended node is neither queued nor anything else', () => {
    const node = findNode(root, '/s/f/b')!
    node.suspended = true
    expect(holds(parseExpression('b == queued'), on)).toBe(false)
    expect(holds(parseExpression('b == suspended'), on)).toBe(true)
    node.suspended = false
  })
})

test.each([
  'a = = complete',
  'a',
  'a ==',
  'a == running',
  '== complete',
  'a == complete and',
  'a == complete b == complete',
  '(a == complete',
  'a == complete)',
  'not not a == complete',
  '- 3 == 1',
  'a == b',
  '(a == complete) == 1',
  '3 / 0 == 1',
  '2147483648 == 1',
  'a:',
  ':',
  'a == suspended and b == complete',
  'cal::date_to_julian(a == complete)',
  '20249901T000000 > 1',
  'a..b:',
  '',
])('%j is refused', text => {
  expect(() => parseExpression(text)).toThrow()
})

test('the explanation names the false parts and what the nodes are', () => {
  const shown = (text: string) => explain(parseExpression(text), on).map(part => part.shown)
  expect(shown('a == complete')).toEqual([])
  expect(shown('a == complete and b == complete')).toEqual(['b(queued) == complete'])
  expect(shown('b == complete or a:done ge 50')).toEqual(['b(queued) == complete', 'a:done(40) >= 50'])
  expect(shown('(b == complete) and a == aborted')).toEqual(['b(queued) == complete'])
  expect(shown('nosuch == complete')).toEqual(['nosuch(unknown: no such node) == complete'])
  expect(shown(':LEVEL > 9')).toEqual([':LEVEL(5) > 9'])
})

test('mentions are every node, attribute and inherited name', () => {
  const found: string[] = []
  eachMention(
    parseExpression('a == complete and (/s/f/b:ev or :YMD + 1 > cal::date_to_julian(x:d)) and /<flag>late'),
    it => found.push(`${it.of?.path ?? ''}:${it.attribute ?? ''}`),
  )
  expect(found).toEqual(['a:', '/s/f/b:ev', ':YMD', 'x:d', ':'])
})

describe('any expression', () => {
  const path = fc.constantFrom('a', './b', '../g/x', '/s/f/a', '../../s')
  const comparison = fc.constantFrom('==', '!=', '<', '>', '<=', '>=')
  const integer = fc.nat(1000).map((value): Expression => ({ kind: 'integer', value, text: String(value) }))
  const { condition } = fc.letrec<{ term: Expression; test: Expression; condition: Expression }>(tie => ({
    term: fc.oneof(
      integer,
      path.map((it): Expression => ({ kind: 'attribute', of: { path: it }, attribute: 'done' })),
      fc.constant<Expression>({ kind: 'variable', name: 'LEVEL' }),
    ),
    test: fc.oneof(
      { maxDepth: 3 },
      fc
        .tuple(path, fc.boolean(), fc.constantFrom('complete' as const, 'queued' as const))
        .map(([it, equal, state]): Expression => ({ kind: 'state', of: { path: it }, equal, state })),
      fc.tuple(tie('term'), comparison, tie('term')).map(
        ([left, operator, right]): Expression => ({
          kind: 'compare',
          terms: [left, right],
          operators: [operator as '=='],
        }),
      ),
      tie('condition').map((of): Expression => ({ kind: 'not', sign: '!', of: { kind: 'group', of } })),
    ),
    condition: fc
      .tuple(
        fc.array(tie('test'), { minLength: 2, maxLength: 4 }),
        fc.array(fc.constantFrom('and' as const, 'or' as const), { minLength: 3, maxLength: 3 }),
      )
      .map(
        ([operands, joins]): Expression => ({
          kind: 'chain',
          operands,
          joins: joins.slice(0, operands.length - 1),
        }),
      ),
  }))

  test('printed and parsed again is printed and evaluated the same', () => {
    fc.assert(
      fc.property(condition, tree => {
        const text = printExpression(tree)
        const again = parseExpression(text)
        expect(printExpression(again)).toBe(text)
        expect(holds(parseExpression(printExpression(again)), on)).toBe(holds(again, on))
        expect(explain(again, on).length === 0).toBe(holds(again, on))
      }),
      { numRuns: 300, seed: 7 },
    )
  })

  test('nonsense is refused or read, and never does anything else', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'ab(): =!~<>+-*/%0129._\tandort'), maxLength: 40 }),
        text => {
          try {
            holds(parseExpression(text), on)
          } catch (error) {
            expect((error as Error).name).toBe('ValueError')
          }
        },
      ),
      { numRuns: 3000, seed: 11 },
    )
  })
})

test.each([
  ['20240101T000000 == a:x', 'an instant may be compared with anything'],
  ['not a == complete and ./b:ev == set or ../c<flag>late', 'each kind of test in a chain'],
  ['3 + :YMD % 2 == 1 or (/s/f/t != aborted and 0/a:x)', 'arithmetic, groups and names of digits'],
])('%s is read and printed as it was: %s', text => {
  expect(printExpression(parseExpression(text))).toBe(text)
})
