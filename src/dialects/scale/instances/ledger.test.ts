import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { classesOf, Ledger, type LedgerQuery, type LedgerRow } from './ledger.ts'

interface Step {
  readonly does: 'put' | 'drop' | 'amend'
  readonly row: {
    readonly id: number
    readonly class: number
    readonly step: number
    readonly int: number
    readonly time: number | null
  }
}

interface Model {
  readonly rows: LedgerRow[]
}

const row = fc.record({
  id: fc.integer({ min: 1, max: 40 }),
  class: fc.integer({ min: 0, max: 3 }),
  step: fc.integer({ min: 0, max: 5 }),
  int: fc.integer({ min: 0, max: 3 }),
  time: fc.option(fc.integer({ min: 0, max: 1000 }), { nil: null }),
})
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ does: fc.constant('put' as const), row }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('drop' as const), row }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('amend' as const), row }) },
)

function apply(ledger: Ledger, model: Model, steps: readonly Step[]): void {
  let at = 1000
  for (const { does, row } of steps) {
    at += row.step
    const entry = { id: row.id, at, class: row.class, ints: [row.int], times: [row.time] }
    const known = model.rows.findIndex(({ id }) => id === row.id)
    if (does === 'amend') {
      ledger.amend(entry)
      if (known >= 0) model.rows[known] = { ...entry, at: model.rows[known]!.at }
      continue
    }
    if (known >= 0) model.rows.splice(known, 1)
    if (does === 'put') {
      ledger.put(entry)
      model.rows.push(entry)
    } else ledger.drop(row.id)
  }
}

function expected({ rows }: Model, query: LedgerQuery): LedgerRow[] {
  return rows.filter(
    ({ at, class: cls }) => query.fits[cls] === true && at >= (query.from ?? at) && at <= (query.to ?? at),
  )
}

const query = fc.record(
  {
    fits: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    from: fc.integer({ min: 990, max: 9000 }),
    to: fc.integer({ min: 990, max: 9000 }),
  },
  { requiredKeys: ['fits'] },
)

describe('a ledger', () => {
  test('says of any history what a plain list would say', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 4000, size: 'max' }),
        query,
        fc.boolean(),
        fc.nat(60),
        fc.integer({ min: 1, max: 20 }),
        (steps, wanted, isDown, offset, size) => {
          const [ledger, model] = [new Ledger(1, 1), { rows: [] as LedgerRow[] }]
          apply(ledger, model, steps)
          const found = expected(model, wanted)
          expect(ledger.size).toBe(model.rows.length)
          expect(ledger.count(wanted)).toBe(found.length)
          const order = isDown ? found.toReversed() : found
          expect(ledger.slice(wanted, { offset, size, isDown })).toEqual(
            order.slice(offset, offset + size).map(({ id }) => id),
          )
          const also = { ...wanted, also: (place: number) => ledger.intAt(0, place) === 1 }
          const ofOne = found.filter(({ ints }) => ints[0] === 1)
          expect(ledger.count(also)).toBe(ofOne.length)
          expect([...ledger.places(also)].map(place => ledger.idAt(place))).toEqual(ofOne.map(({ id }) => id))
          for (const entry of model.rows) expect(ledger.rowOf(entry.id)).toEqual(entry)
          const tally = new Map<number, number>()
          for (const { class: cls } of expected(model, { ...wanted, fits: [true, true, true, true] }))
            tally.set(cls, (tally.get(cls) ?? 0) + 1)
          expect(new Map([...ledger.tally(wanted)].filter(([, count]) => count > 0))).toEqual(tally)
        },
      ),
      { numRuns: 25, seed: 8 },
    )
  })

  test('passes over whole blocks by their counts, from either end', () => {
    const ledger = new Ledger(1, 1)
    for (let id = 1; id <= 10_000; id++) ledger.put({ id, at: id, class: id % 3, ints: [0], times: [null] })
    for (let id = 1; id <= 10_000; id += 7)
      ledger.put({ id, at: 20_000 + id, class: 1, ints: [0], times: [id] })
    const fits = [false, true, false]
    const all = ledger.slice({ fits }, { offset: 0, size: 20_000, isDown: false })
    expect(all).toHaveLength(ledger.count({ fits }))
    for (const offset of [0, 1, 1023, 1024, 1025, 2500, all.length - 3]) {
      expect(ledger.slice({ fits }, { offset, size: 3, isDown: false })).toEqual(
        all.slice(offset, offset + 3),
      )
      expect(ledger.slice({ fits }, { offset, size: 3, isDown: true })).toEqual(
        all.toReversed().slice(offset, offset + 3),
      )
    }
  })

  test('puts rows that were taken in no order into the order of their changes, equals as they came', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 3000, size: 'max' }), ats => {
        const ledger = new Ledger(0, 0)
        for (const [at, value] of ats.entries())
          ledger.take({ id: at + 1, at: value, class: 0, ints: [], times: [] })
        ledger.settle()
        const order = ats.map((at, index) => ({ at, id: index + 1 })).toSorted((a, b) => a.at - b.at)
        expect(ledger.slice({ fits: [true] }, { offset: 0, size: 5000, isDown: false })).toEqual(
          order.map(({ id }) => id),
        )
      }),
      { numRuns: 30, seed: 8 },
    )
  })

  test('keeps its order when the clock goes back', () => {
    const ledger = new Ledger(0, 0)
    ledger.put({ id: 1, at: 100, class: 0, ints: [], times: [] })
    ledger.put({ id: 2, at: 50, class: 0, ints: [], times: [] })
    expect(ledger.count({ fits: [true], from: 100 })).toBe(2)
    expect(ledger.slice({ fits: [true] }, { offset: 0, size: 5, isDown: false })).toEqual([1, 2])
  })
})

test('equal facts are one class, different ones are told apart', () => {
  const classes = classesOf<{ a: number }>(({ a }) => String(a))
  expect([classes.numberOf({ a: 1 }), classes.numberOf({ a: 2 }), classes.numberOf({ a: 1 })]).toEqual([
    0, 1, 0,
  ])
  expect(classes.all).toEqual([{ a: 1 }, { a: 2 }])
})
