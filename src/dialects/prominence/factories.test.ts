import { expect, test } from 'vitest'
import type { FactoryDocument } from './document.ts'
import { openFactory } from './factories.ts'

const all = (document: FactoryDocument) => {
  const { count, at } = openFactory(document)
  return Array.from({ length: count }, (_, index) => [...at(index).values()].join(' '))
}
const sweep = (
  ...parameters: { name: string; start: number; end: number; step?: number; number?: number }[]
) => all({ name: 'f', type: 'parameterSweep', jobs: ['p'], parameters })

test('a sweep counts up from its start as long as it is not past its end', () => {
  expect(sweep({ name: 'x', start: 1, end: 2, step: 0.5 })).toEqual(['1', '1.5', '2'])
  expect(sweep({ name: 'x', start: 0.1, end: 0.3, step: 0.1 })).toEqual(['0.1', '0.2'])
  expect(sweep({ name: 'x', start: 0.1, end: 0.35, step: 0.1 })).toEqual([
    '0.1',
    '0.2',
    '0.30000000000000004',
  ])
})

test('the last parameter of a sweep varies fastest', () => {
  const values = sweep({ name: 'a', start: 1, end: 2, step: 1 }, { name: 'b', start: 10, end: 30, step: 10 })
  expect(values).toEqual(['1 10', '1 20', '1 30', '2 10', '2 20', '2 30'])
})

test('a number of points is spread evenly and has both ends', () => {
  expect(sweep({ name: 'x', start: -1, end: 1, number: 5 })).toEqual(['-1', '-0.5', '0', '0.5', '1'])
  expect(sweep({ name: 'x', start: 0.1, end: 0.7, number: 4 }).at(-1)).toBe('0.7')
  expect(sweep({ name: 'x', start: 3, end: 9, number: 1 })).toEqual(['3'])
})

test('a zip takes the values at the same place of every list', () => {
  const parameters = [
    { name: 's', values: [0, 1.5, 'two'] },
    { name: 'e', values: [8, 9, 'x/y'] },
  ]
  expect(all({ name: 'f', type: 'zip', jobs: ['p'], parameters })).toEqual(['0 8', '1.5 9', 'two x/y'])
})

test('a repeat has instances without parameters, also as the Python classes write it', () => {
  expect(all({ name: 'f', type: 'repeat', jobs: ['p'], number: 2 })).toEqual(['', ''])
  expect(all({ name: 'f', type: 'repeat', jobs: ['p'], num: 3 })).toHaveLength(3)
})
