import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { PlaceMap } from './place-map.ts'

const place = fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 2 ** 40 }))
const step = fc.oneof(
  fc.record({ do: fc.constant('set'), n: place }),
  fc.record({ do: fc.constant('delete'), n: place }),
)

test('it holds what a map would hold, in the order of places', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), steps => {
      const places = new PlaceMap<{ at: number }>()
      const map = new Map<number, { at: number }>()
      for (const [at, { do: what, n }] of steps.entries()) {
        if (what === 'set') {
          const value = { at }
          places.set(n, value)
          map.set(n, value)
        } else {
          places.delete(n)
          map.delete(n)
        }
        assert.equal(places.size, map.size)
        assert.equal(places.get(n), map.get(n))
        assert.equal(places.has(n + 1), map.has(n + 1))
      }
      const inOrder = [...map].sort(([a], [b]) => a - b).map(([, value]) => value)
      assert.deepEqual([...places.values()], inOrder)
    }),
    { seed: 20261122, numRuns: 200 },
  )
})

test('places that nobody was given have nothing', () => {
  const places = new PlaceMap<{ n: number }>()
  places.set(1, { n: 1 })
  for (const odd of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 257])
    assert.equal(places.get(odd), undefined)
})

test('places may be taken away while they are walked', () => {
  const places = new PlaceMap<{ n: number }>()
  for (let n = 1; n <= 1_000; n++) places.set(n, { n })
  const seen: number[] = []
  for (const { n } of places.values()) {
    seen.push(n)
    places.delete(n)
  }
  assert.equal(seen.length, 1_000)
  assert.equal(places.size, 0)
})
