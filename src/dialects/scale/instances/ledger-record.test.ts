import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '../../../core/json.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { Records } from '../../../store/store.ts'
import type { LedgerRow } from './ledger.ts'
import { LedgerTail } from './ledger-record.ts'
import { RowWriter, readRows } from './ledger-rows.ts'
import { Ledgers } from './ledgers.ts'
import { noCounts } from './rows.ts'

const largest = 2 ** 52
const width = { ints: 3, times: 2 }
const anyRow = fc.record({
  id: fc.integer({ min: 1, max: largest }),
  at: fc.integer({ min: 0, max: largest }),
  class: fc.integer({ min: 0, max: 3 }),
  ints: fc.tuple(fc.nat(largest), fc.nat(largest), fc.integer({ min: 0, max: 2 })),
  times: fc.tuple(
    fc.option(fc.integer({ min: 0, max: largest })),
    fc.option(fc.integer({ min: 0, max: largest })),
  ),
})

test('rows come back as they were written, whatever their numbers', () => {
  const [classes, sources] = [
    [7, 5, 9, 1],
    [0, 4, 2],
  ]
  const numbering = {
    sourceAt: 2,
    classNumber: (cls: number) => cls,
    sourceNumber: (source: number) => source,
  }
  const writer = new RowWriter()
  fc.assert(
    fc.property(fc.array(anyRow, { maxLength: 200 }), rows => {
      const { text, count } = writer.write(rows, width, numbering)
      expect(count).toBe(rows.length)
      const expected = rows.map(row => ({
        ...row,
        class: classes[row.class]!,
        ints: [row.ints[0], row.ints[1], sources[row.ints[2]]!],
      }))
      expect([...readRows(text, width, { sourceAt: 2, classes, sources })]).toEqual(expected)
    }),
    { seed: 8, numRuns: 200 },
  )
})

describe('what is written down of the ledgers', () => {
  const completed = {
    typeId: 2,
    status: 'COMPLETED',
    isSuperseded: false,
    isVisible: true,
    errorId: 0,
  } as const
  const whole = { typeId: 1, isCompleted: true, isSuperseded: false, isVisible: true }

  test('is there again after a start, small or packed, and so are the counts of batches', async () => {
    const store = new Map<string, Json>()
    const ledgers = new Ledgers(() => 0)
    const tail = new LedgerTail(ledgers)
    const job = ledgers.jobClasses.numberOf(completed)
    const recipe = ledgers.recipeClasses.numberOf(whole)
    const jobs: LedgerRow[] = []
    for (let id = 1; id <= 700; id++) {
      const at = 1_700_000_000_000 + id
      const row = { id, at, class: job, ints: [3, id, 10 * id, 0, 0], times: [at - 5, at, null, null] }
      const whole = { id, at, class: recipe, ints: [3, id, 0], times: [at, null, null] }
      const counts = { PENDING: 0, BLOCKED: 0, QUEUED: 0, RUNNING: 0, FAILED: 0, COMPLETED: 1, CANCELED: 0 }
      jobs.push(row)
      tail.write(txOver(store), {
        jobs: [row],
        recipes: [whole],
        batches: [{ batch: 3, recipes: 1, completed: 1, jobs: counts }],
      })
    }
    expect(store.size).toBe(2 + (700 % 256))
    const again = new Ledgers(() => 0)
    await new LedgerTail(again).load(recordsOver(store))
    again.jobs.settle()
    for (const row of jobs) expect(again.jobs.rowOf(row.id)).toEqual(row)
    expect(again.jobClassOf(700)).toEqual(completed)
    expect(again.recipes.size).toBe(700)
    expect([again.batches.get(3)?.recipes, again.batches.get(3)?.jobs.COMPLETED]).toEqual([700, 700])
  })

  test('is rid of what is gone, wherever it stands, and keeps the rest and the counts of batches', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ id: fc.integer({ min: 1, max: 900 }), batch: fc.integer({ min: 1, max: 3 }) }), {
          minLength: 300,
          maxLength: 700,
        }),
        fc.array(fc.uniqueArray(fc.integer({ min: 1, max: 900 }), { maxLength: 300 }), { maxLength: 4 }),
        async (written, takings) => {
          const store = new Map<string, Json>()
          const ledgers = new Ledgers(() => 0)
          const tail = new LedgerTail(ledgers)
          const job = ledgers.jobClasses.numberOf(completed)
          const recipe = ledgers.recipeClasses.numberOf(whole)
          const left = { jobs: new Set<number>(), recipes: new Set<number>() }
          let batchRecipes = 0
          const writeAll = (): void => {
            for (const [at, { id, batch }] of written.entries()) {
              const line = {
                id,
                at: 1000 + at,
                class: job,
                ints: [batch, id, 1, 0, 0],
                times: [5, 6, null, null],
              }
              const above = { id, at: 1000 + at, class: recipe, ints: [batch, id, 0], times: [7, null, null] }
              tail.write(txOver(store), {
                jobs: [line],
                recipes: [above],
                batches: [{ batch, recipes: 1, completed: 1, jobs: noCounts() }],
              })
              left.jobs.add(id)
              left.recipes.add(id)
              if (batch !== 2) batchRecipes++
            }
          }
          writeAll()
          for (const ids of takings) {
            const gone = { jobs: new Set(ids), recipes: new Set(ids.slice(1)), batches: new Set([2]) }
            const cut = await tail.findCut(recordsOver(store), gone)
            expect(tail.cut(txOver(store), cut, gone)).toBe(true)
            for (const id of gone.jobs) left.jobs.delete(id)
            for (const id of gone.recipes) left.recipes.delete(id)
          }
          const again = new Ledgers(() => 0)
          await new LedgerTail(again).load(recordsOver(store))
          again.jobs.settle()
          const ids = Array.from({ length: 900 }, (_, at) => at + 1)
          expect(ids.filter(id => again.jobs.has(id))).toEqual(ids.filter(id => left.jobs.has(id)))
          expect(ids.filter(id => again.recipes.has(id))).toEqual(ids.filter(id => left.recipes.has(id)))
          const counted = [1, 3].reduce((sum, batch) => sum + (again.batches.get(batch)?.recipes ?? 0), 0)
          expect(counted).toBe(batchRecipes)
          if (takings.length > 0) expect(again.batches.has(2)).toBe(false)
        },
      ),
      { seed: 8, numRuns: 15 },
    )
  })

  test('is not cut when records were packed since it was looked at, and leaves nothing behind in the end', async () => {
    const store = new Map<string, Json>()
    const ledgers = new Ledgers(() => 0)
    const tail = new LedgerTail(ledgers)
    const job = ledgers.jobClasses.numberOf(completed)
    const line = (id: number) => ({
      id,
      at: id,
      class: job,
      ints: [0, 0, 1, 0, 0],
      times: [null, null, null, null],
    })
    const rest = (id: number) => ({ jobs: [line(id)], recipes: [], batches: [] })
    tail.write(txOver(store), rest(1))
    const gone = { jobs: new Set([1]), recipes: new Set<number>(), batches: new Set<number>() }
    const early = await tail.findCut(recordsOver(store), gone)
    for (let id = 2; id <= 256; id++) tail.write(txOver(store), rest(id))
    expect(tail.cut(txOver(store), early, gone)).toBe(false)
    const all = { ...gone, jobs: new Set(Array.from({ length: 256 }, (_, at) => at + 1)) }
    expect(tail.cut(txOver(store), await tail.findCut(recordsOver(store), all), all)).toBe(true)
    expect(store.size).toBe(0)
  })

  test('is read as earlier versions wrote it: lists of numbers, and floats', async () => {
    const lists = [
      [5, 1000, 0, 3, 8, 80, 0, 0, -7, 0, null, null],
      [6, 1001, 0, 3, 8, 81, 0, 0, null, 0, null, null],
    ]
    const floats = new Float64Array(lists.flat().map(value => value ?? Number.NaN))
    const facts = { recipes: [], jobClasses: [completed], recipeClasses: [], sources: [{}], batches: [] }
    const store = new Map<string, Json>([
      ['000000000001', { ...facts, jobs: Buffer.from(floats.buffer).toString('base64'), recipes: '' }],
      ['000000000002', { ...facts, jobs: [[7, 1002, 0, 0, 9, 90, 0, 0, -1, 0, null, null]] }],
    ] as unknown as [string, Json][])
    const ledgers = new Ledgers(() => 0)
    await new LedgerTail(ledgers).load(recordsOver(store))
    ledgers.jobs.settle()
    const row = { id: 5, at: 1000, class: 0, ints: [3, 8, 80, 0, 0], times: [993, 1000, null, null] }
    expect(ledgers.jobs.rowOf(5)).toEqual(row)
    expect(ledgers.jobs.rowOf(6)).toEqual({
      ...row,
      id: 6,
      at: 1001,
      ints: [3, 8, 81, 0, 0],
      times: [null, 1001, null, null],
    })
    expect(ledgers.jobs.rowOf(7)).toMatchObject({ at: 1002, times: [1001, 1002, null, null] })
  })
})

function txOver(store: Map<string, Json>): Tx {
  const tx: Pick<Tx, 'next' | 'record'> = {
    next: () => Math.max(0, ...[...store.keys()].map(Number)) + 1,
    record: change => {
      if ('put' in change) store.set(change.put.id, JSON.parse(JSON.stringify(change.put.body)) as Json)
      else store.delete(change.drop.id)
    },
  }
  return tx as Tx
}

function recordsOver(store: ReadonlyMap<string, Json>): Records {
  const items = [...store].sort().map(([id, body]) => ({ id, body: body as JsonObject }))
  const list = async (): Promise<unknown> => ({ items })
  const getMany = async (_: string, ids: readonly string[]): Promise<unknown> =>
    new Map(items.filter(({ id }) => ids.includes(id)).map(item => [item.id, item]))
  return { list, getMany } as unknown as Records
}
