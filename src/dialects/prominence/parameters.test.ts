// biome-ignore-all lint/suspicious/noTemplateCurlyInString: dollars and braces are the subject here

import { expect, test } from 'vitest'
import { printValue, showValue, substitute, substituteForLater } from './parameters.ts'

test('known names are put in, with and without braces', () => {
  const values = new Map([
    ['x', '1.5'],
    ['PROMINENCE_JOB_ID', '79'],
  ])
  expect(substitute('v=$x e=${x}y $PROMINENCE_JOB_ID', values)).toBe('v=1.5 e=1.5y 79')
})

test('two dollars become one, and what names nothing known stays', () => {
  expect(substitute('$$x $unknown ${unknown} $ 5$ $1 ${x', new Map([['x', 'no']]))).toBe(
    '$x $unknown ${unknown} $ 5$ $1 ${x',
  )
})

test('a value with a dollar in it is not looked at again', () => {
  expect(substitute('$a', new Map([['a', '$a$$']]))).toBe('$a$$')
})

test('numbers print as Python prints them, whole ones without a point', () => {
  const printed = [1, 1.5, -2, 0.1 + 2 * 0.1, 1e16, 1e22, 0.0001, 0.00001, 1.25e-7, 1e-300].map(printValue)
  expect(printed).toEqual([
    '1',
    '1.5',
    '-2',
    '0.30000000000000004',
    '10000000000000000',
    '10000000000000000000000',
    '0.0001',
    '1e-05',
    '1.25e-07',
    '1e-300',
  ])
})

test('numeric text is shown as a number, other text as it is', () => {
  expect(['2', '-1.5', '1e-05', 'x/y', '1.2.3', ''].map(showValue)).toEqual([
    2,
    -1.5,
    0.00001,
    'x/y',
    '1.2.3',
    '',
  ])
})

test('what is put in before a further substitution comes out of that one as if there had been only the last', () => {
  const values = new Map([
    ['x', 'a$b$$c'],
    ['y', '$x'],
  ])
  for (const text of ['$x $y', '$$x $$$x $$$$ $', '${x}$', '$z ${z} $$z', '$$$', 'plain'])
    expect(substitute(substituteForLater(text, values), new Map()), text).toBe(substitute(text, values))
})
