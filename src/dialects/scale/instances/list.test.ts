import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Ledger } from './ledger.ts'
import { listPage, type Order } from './list.ts'
import { RestKeys } from './rest-keys.ts'

interface Row {
  readonly id: number
  readonly weight: number | null
  readonly shade: number | null
  readonly isAtHand: boolean
}

const rows = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 1, max: 5000 }),
    weight: fc.option(fc.integer({ min: 0, max: 5 })),
    shade: fc.option(fc.integer({ min: 0, max: 3 })),
    isAtHand: fc.boolean(),
  }),
  { selector: ({ id }) => id, maxLength: 60 },
)
const orders = fc.uniqueArray(
  fc.record({ field: fc.constantFrom('weight', 'shade', 'id'), isDown: fc.boolean() }),
  { selector: ({ field }) => field, maxLength: 3 },
)

function world(all: readonly Row[]) {
  const ledger = new Ledger(1, 1)
  for (const [at, { id, shade }] of all.entries()) ledger.put({ id, at, class: 0, ints: [0], times: [shade] })
  const byId = new Map(all.map(row => [row.id, row]))
  const reads: number[] = []
  const keys: Record<string, Order<Row>['key']> = {
    weight: { ofRow: row => row.weight },
    shade: { ofPlace: place => ledger.timeAt(0, place) },
    id: { ofPlace: place => ledger.idAt(place) },
  }
  const restKeys = new RestKeys()
  const list = (asked: readonly { field: string; isDown: boolean }[], isNewestFirst: boolean) => ({
    ledger,
    query: { fits: [true] },
    orders: asked.map(order => ({ ...order, key: keys[order.field]! })),
    isNewestFirst,
    restKeys,
    atHand: (id: number) => (byId.get(id)!.isAtHand ? byId.get(id) : undefined),
    read: async (ids: readonly number[]) => {
      reads.push(...ids)
      return ids.map(id => byId.get(id)!)
    },
  })
  return { list, reads, ledger, restKeys }
}

test('a page by any orders is the one that sorting all rows gives, near the front and far behind', async () => {
  await fc.assert(
    fc.asyncProperty(rows, orders, fc.boolean(), fc.nat(70), async (all, asked, isNewestFirst, offset) => {
      const { list } = world(all)
      const value = (row: Row, field: string, isDown: boolean): number => {
        const known = row[field as 'weight' | 'shade' | 'id']
        return known === null ? Number.POSITIVE_INFINITY : isDown ? -known : known
      }
      const byChange = isNewestFirst ? all.toReversed() : all
      const expected = byChange.toSorted((a, b) => {
        for (const { field, isDown } of asked) {
          const [left, right] = [value(a, field, isDown), value(b, field, isDown)]
          if (left !== right) return left < right ? -1 : 1
        }
        return 0
      })
      const page = (size: number) => listPage(list(asked, isNewestFirst), { number: 1, offset, size })
      for (const size of [7, 5000]) {
        const { rows: shown, count } = await page(size)
        expect(shown.map(({ id }) => id)).toEqual(expected.slice(offset, offset + size).map(({ id }) => id))
        expect(count).toBe(all.length)
      }
    }),
    { seed: 8, numRuns: 300 },
  )
})

test('a row at rest is read for an order once, one at hand never, and no more than a page afterwards', async () => {
  const all = Array.from({ length: 100 }, (_, at) => ({
    id: at + 1,
    weight: (at * 7) % 100,
    shade: null,
    isAtHand: at >= 90,
  }))
  const { list, reads, restKeys } = world(all)
  const ask = () =>
    listPage(list([{ field: 'weight', isDown: true }], false), { number: 1, offset: 0, size: 10 })
  const answers = await Promise.all([ask(), ask()])
  expect(answers[0]!.rows.map(({ weight }) => weight)).toEqual([99, 98, 97, 96, 95, 94, 93, 92, 91, 90])
  expect(answers[1]).toEqual(answers[0])
  expect(reads.length).toBe(90 + 2 * 10)
  reads.length = 0
  await ask()
  expect(reads.length).toBe(10)
  // One that has left history is not known any more.
  restKeys.drop(1)
  reads.length = 0
  await ask()
  expect(reads).toContain(1)
})
