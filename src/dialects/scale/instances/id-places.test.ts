import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IdPlaces } from './id-places.ts'

test('places are found by id, and ids come in their order, as in a plain map', () => {
  const step = fc.record({ id: fc.integer({ min: 1, max: 5000 }), place: fc.option(fc.nat(1000)) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), steps => {
      const [places, model] = [new IdPlaces(), new Map<number, number>()]
      for (const { id, place } of steps) {
        if (place === null) {
          places.delete(id)
          model.delete(id)
        } else {
          places.set(id, place)
          model.set(id, place)
        }
      }
      const sorted = [...model].toSorted(([a], [b]) => a - b)
      expect([...places.entries(false)]).toEqual(sorted)
      expect([...places.entries(true)]).toEqual(sorted.toReversed())
      for (const { id } of steps) expect(places.get(id)).toBe(model.get(id))
    }),
    { seed: 8 },
  )
})
