// Conformance: every way of asking for records, one after the other, and any of them together against a plain model.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { IndexCondition, Rec, RecordQuery } from '../store.ts'
import { anyCondition, anyRecordOrder, expectedRecords, type Put, sampleRecord } from './record-samples.ts'
import { aBatch, aPut } from './samples.ts'
import { idsOf, inWorld, type MakeWorld } from './store-world.ts'

/** What is found of records, and in which order. */
export function recordQueryTests(makeWorld: MakeWorld): void {
  test('what is passed over is not counted for the page, and the next page goes on behind it', () =>
    inWorld(makeWorld, async ({ store }) => {
      const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
      const records = ids.map((id, at) =>
        aPut('c', id, {
          index: [
            ['k', 10 - at],
            ['even', at % 2],
          ],
        }),
      )
      await store.commit(aBatch({ records }))
      const order = { index: 'k' } as const
      const first = await store.records.list({ collection: 'c', order, skip: 2, limit: 2 })
      expect(first.items.map(({ id }) => id)).toEqual(['e', 'd'])
      const next = await store.records.list({ collection: 'c', order, limit: 9, after: first.next! })
      expect(next.items.map(({ id }) => id)).toEqual(['c', 'b', 'a'])
      const where = [{ name: 'even', is: 0 }]
      expect(await idsOf(store, { collection: 'c', where, order: '-seq', skip: 1 })).toEqual(['e', 'c', 'a'])
      expect((await store.records.list({ collection: 'c', skip: 7, limit: 5 })).items).toEqual([])
      expect((await store.records.list({ collection: 'c', skip: 5, limit: 2 })).next).toBeUndefined()
    }))

  test('numbers compare by value and come before text, which compares by code points', () =>
    inWorld(makeWorld, async ({ store }) => {
      const values = [
        10,
        9,
        -1,
        2.5,
        0,
        1e300,
        'b',
        '10',
        '9',
        '',
        'a',
        'B',
        'é',
        '\uffff',
        '😀',
        'a\0',
        'ab',
      ]
      await store.commit(
        aBatch({ records: values.map((value, at) => aPut('c', `${at}`, { index: [['k', value]] })) }),
      )
      const sorted = [
        -1,
        0,
        2.5,
        9,
        10,
        1e300,
        '',
        '10',
        '9',
        'B',
        'a',
        'a\0',
        'ab',
        'b',
        'é',
        '\uffff',
        '😀',
      ]
      const valueAt = (id: string) => values[Number(id)]
      const up = await idsOf(store, { collection: 'c', order: { index: 'k' } })
      expect(up.map(valueAt)).toEqual(sorted)
      const down = await idsOf(store, { collection: 'c', order: { index: 'k', down: true } })
      expect(down.map(valueAt)).toEqual(sorted.toReversed())

      const found = async (
        condition: Omit<Extract<IndexCondition, { from?: unknown }>, 'name'> | { prefix: string },
      ) => {
        const where = [{ name: 'k', ...condition }]
        expect(await store.records.count({ collection: 'c', where })).toBe(
          (await idsOf(store, { collection: 'c', where })).length,
        )
        return (await idsOf(store, { collection: 'c', where, order: { index: 'k' } })).map(valueAt)
      }
      // A bound lets only values of its own kind through.
      expect(await found({ from: 9 })).toEqual([9, 10, 1e300])
      expect(await found({ to: 9 })).toEqual([-1, 0, 2.5, 9])
      expect(await found({ from: 'a' })).toEqual(['a', 'a\0', 'ab', 'b', 'é', '\uffff', '😀'])
      expect(await found({ to: 'B' })).toEqual(['', '10', '9', 'B'])
      expect(await found({ from: 0, to: 9.5 })).toEqual([0, 2.5, 9])
      expect(await found({ from: 'a', to: 'ab' })).toEqual(['a', 'a\0', 'ab'])
      expect(await found({ from: 3, to: 'b' })).toEqual([])
      expect(await found({ from: 9, to: 3 })).toEqual([])
      expect(await found({})).toEqual(sorted)
      expect(await found({ prefix: 'a' })).toEqual(['a', 'a\0', 'ab'])
      expect(await found({ prefix: '' })).toEqual(sorted.slice(6))
      expect(await found({ prefix: '\uffff' })).toEqual(['\uffff'])
      expect(await found({ prefix: '\u{10ffff}' })).toEqual([])
    }))

  test('equal values are told apart by arrival; a record with several values has its place by one of them', () =>
    inWorld(makeWorld, async ({ store }) => {
      await store.commit(
        aBatch({
          records: [
            aPut('c', 'r1', { index: [['k', 5]] }),
            aPut('c', 'r2', {
              index: [
                ['k', 1],
                ['k', 9],
              ],
            }),
            aPut('c', 'r3', { index: [['k', 5]] }),
            aPut('c', 'r4'),
            aPut('c', 'r5', {
              index: [
                ['k', 7],
                ['k', 4],
              ],
            }),
          ],
        }),
      )
      for (const limit of [1, 2, 9]) {
        const ask = (query: Omit<RecordQuery, 'limit' | 'collection'>) =>
          idsOf(store, { collection: 'c', ...query }, limit)
        expect(await ask({ order: { index: 'k' } })).toEqual(['r2', 'r5', 'r1', 'r3'])
        expect(await ask({ order: { index: 'k', down: true } })).toEqual(['r2', 'r5', 'r3', 'r1'])
        // A condition does not change the place, even when the value that gives it does not fulfil it.
        expect(await ask({ order: { index: 'k' }, where: [{ name: 'k', from: 5 }] })).toEqual([
          'r2',
          'r5',
          'r1',
          'r3',
        ])
        expect(await ask({ order: { index: 'none' } })).toEqual([])
        expect(await store.records.count({ collection: 'c', where: [{ name: 'k', from: 1, to: 9 }] })).toBe(4)
        expect(await store.records.count({ collection: 'c', where: [{ name: 'k', in: [1, 4, 9, 5] }] })).toBe(
          4,
        )
        // Two conditions on one name may be fulfilled by two values.
        expect(
          await ask({
            where: [
              { name: 'k', is: 1 },
              { name: 'k', is: 9 },
            ],
          }),
        ).toEqual(['r2'])
        expect(
          await ask({
            where: [
              { name: 'k', to: 2 },
              { name: 'k', from: 8 },
            ],
          }),
        ).toEqual(['r2'])
      }
    }))

  test('a place by the lowest value holds in long lists too, where the condition is met by another value', () =>
    inWorld(makeWorld, async ({ store }) => {
      const count = 1500
      const puts = Array.from({ length: count }, (_, at) => {
        const value = (at * 7) % count
        return aPut('c', `${value}`, {
          index: [
            ['k', value],
            ['k', 10_000 + value],
          ],
        })
      })
      await store.commit(aBatch({ records: puts }))
      const ask = (where: IndexCondition[], down: boolean) =>
        idsOf(store, { collection: 'c', where, order: { index: 'k', down } }, 700)
      const up = Array.from({ length: count }, (_, at) => `${at}`)
      expect(await ask([{ name: 'k', from: 10_000 }], false)).toEqual(up)
      expect(await ask([{ name: 'k', to: 9999 }], true)).toEqual(up.toReversed())
      expect(await store.records.count({ collection: 'c', where: [{ name: 'k', from: 0 }] })).toBe(count)
    }))

  test('names and collections that were never used find nothing', () =>
    inWorld(makeWorld, async ({ store }) => {
      await store.commit(aBatch({ records: [aPut('c', 'x', { index: [['k', 1]] })] }))
      for (const where of [
        [{ name: 'none', is: 1 }],
        [{ name: 'k', in: [] }],
        [{ name: 'none' }],
      ] as IndexCondition[][]) {
        expect(await store.records.list({ collection: 'c', where, limit: 9 })).toEqual({ items: [] })
        expect(await store.records.count({ collection: 'c', where })).toBe(0)
      }
      expect(await store.records.list({ collection: 'none', limit: 9 })).toEqual({ items: [] })
      expect(await store.records.count({ collection: 'none' })).toBe(0)
      expect(await store.records.count({ collection: 'c', parent: 'none' })).toBe(0)
      expect(await store.records.list({ collection: 'c', limit: 0 })).toEqual({ items: [] })
    }))

  test('a cursor of another order is refused by the name of its field', () =>
    inWorld(makeWorld, async ({ store }) => {
      const puts = [1, 2, 3].map(n => aPut('c', `${n}`, { index: [['k', n]] }))
      await store.commit(aBatch({ records: puts }))
      const { next } = await store.records.list({ collection: 'c', order: { index: 'k' }, limit: 1 })
      for (const order of ['seq', '-seq', 'id', { index: 'k', down: true }, { index: 'j' }] as const) {
        await expect(
          store.records.list({ collection: 'c', order, after: next!, limit: 1 }),
        ).rejects.toMatchObject({
          refusal: { kind: 'bad-field', field: 'after' },
        })
      }
    }))

  test('any conditions together, in any order and size of page, over a few thousand records', () =>
    inWorld(makeWorld, async ({ store }) => {
      const all: (Put & { seq: number })[] = []
      const put = (put: Put) => {
        const before = all.findIndex(other => other.id === put.id)
        if (before === -1) all.push({ ...put, seq: all.length + 1 })
        else all[before] = { ...put, seq: all[before]!.seq }
        return { put }
      }
      await store.commit(aBatch({ records: Array.from({ length: 3000 }, (_, at) => put(sampleRecord(at))) }))
      await store.commit(
        aBatch({ records: Array.from({ length: 300 }, (_, at) => put(sampleRecord(at * 9, 5))) }),
      )
      // Another collection with the same names must not show.
      await store.commit(
        aBatch({
          records: Array.from({ length: 50 }, (_, at) => ({ put: { ...sampleRecord(at), collection: 'd' } })),
        }),
      )
      const stored = all.map(
        ({ collection, id, parent = null, seq, body }): Rec => ({ collection, id, parent, seq, body }),
      )

      await fc.assert(
        fc.asyncProperty(
          fc.option(fc.constantFrom('p0', 'p1', 'few', 'none'), { nil: undefined }),
          fc.array(anyCondition(), { maxLength: 3 }),
          anyRecordOrder(),
          fc.constantFrom(9, 100, 1000, 5000),
          async (parent, where, order, limit) => {
            const query = { collection: 'c', ...(parent !== undefined ? { parent } : {}), where }
            const wanted = expectedRecords(all, query, order).map(({ seq }) => stored[seq - 1]!)
            // Small pages of long lists only as far as there is something to see.
            const pages = limit < 100 && wanted.length > 300 ? 20 : 10_000
            const found: Rec[] = []
            let after: string | undefined
            for (let page = 0; page < pages; page++) {
              const got = await store.records.list({
                ...query,
                order,
                limit,
                ...(after !== undefined ? { after } : {}),
              })
              found.push(...got.items)
              after = got.next
              if (after === undefined) break
              expect(got.items).toHaveLength(limit)
            }
            expect(found.map(record => record.id)).toEqual(
              wanted.slice(0, after === undefined ? undefined : found.length).map(record => record.id),
            )
            expect(found).toEqual(wanted.slice(0, found.length))
            expect(await store.records.count(query)).toBe(expectedRecords(all, query, 'seq').length)
          },
        ),
        { seed: 20261124, numRuns: 120 },
      )
    }))
}
