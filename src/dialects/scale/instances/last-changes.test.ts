// What changed is told once, in the order of the last changes.

import { expect, test } from 'vitest'
import { LastChanges } from './last-changes.ts'

const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]

function taken(changes: LastChanges<{ name: string }>): string[] {
  const told: string[] = []
  changes.take((row, at) => told.push(`${row.name} ${at}`))
  return told
}

test('a row that changes again is told once, at the place of its last change', () => {
  const changes = new LastChanges<{ name: string }>()
  for (const [row, at] of [
    [a, 1],
    [b, 1],
    [a, 2],
    [c, 2],
    [c, 3],
  ] as const)
    changes.add(row, at)
  expect(taken(changes)).toEqual(['b 1', 'a 2', 'c 3'])
})

test('what was told is not told again, and what is added while it is told comes next time', () => {
  const changes = new LastChanges<{ name: string }>()
  changes.add(a, 1)
  changes.take(() => changes.add(b, 2))
  expect(taken(changes)).toEqual(['b 2'])
  expect(taken(changes)).toEqual([])
})
