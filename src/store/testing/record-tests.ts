// Conformance: records and their index entries, as they are put, replaced and dropped.

import { expect, test } from 'vitest'
import type { Entry } from './record-samples.ts'
import { aBatch, aPut } from './samples.ts'
import { idsOf, inWorld, type MakeWorld } from './store-world.ts'

/** What becomes of records in commits. */
export function recordTests(makeWorld: MakeWorld): void {
  test('a put is found by id, and put again keeps its place in the order of arrival', () =>
    inWorld(makeWorld, async ({ store }) => {
      await store.commit(aBatch({ records: [aPut('c', 'b', { body: [1] }), aPut('c', 'a'), aPut('d', 'b')] }))
      await store.commit(aBatch({ records: [aPut('c', 'b', { body: { now: 'this' }, parent: 'p' })] }))
      expect(await store.records.get('c', 'b')).toEqual({
        collection: 'c',
        id: 'b',
        parent: 'p',
        seq: 1,
        body: { now: 'this' },
      })
      expect(await store.records.get('c', 'd')).toBeUndefined()
      expect(await store.records.get('none', 'b')).toBeUndefined()
      const many = await store.records.getMany('c', ['a', 'none', 'b', 'a'])
      expect([...many].map(([id, record]) => [id, record.seq])).toEqual([
        ['a', 2],
        ['b', 1],
      ])
      expect(await idsOf(store, { collection: 'c' })).toEqual(['b', 'a'])
    }))

  test('changes of one batch take effect in their order', () =>
    inWorld(makeWorld, async ({ store }) => {
      const drop = { drop: { collection: 'c', id: 'x' } }
      await store.commit(aBatch({ records: [aPut('c', 'x', { body: 1, index: [['k', 1]] }), drop] }))
      expect(await store.records.count({ collection: 'c' })).toBe(0)
      await store.commit(
        aBatch({
          records: [
            aPut('c', 'x', { body: 2 }),
            drop,
            drop,
            aPut('c', 'x', { body: 3 }),
            aPut('c', 'x', { body: 4 }),
          ],
        }),
      )
      expect((await store.records.get('c', 'x'))!.body).toBe(4)
      expect(await store.records.count({ collection: 'c' })).toBe(1)
      expect(await store.records.count({ collection: 'c', where: [{ name: 'k', is: 1 }] })).toBe(0)
    }))

  test('of several puts of a record in one batch the last one holds, in the place of the first', () =>
    inWorld(makeWorld, async ({ store }) => {
      const put = (id: string, value: number, parent?: string) =>
        aPut('c', id, { body: value, index: [['k', value]], ...(parent === undefined ? {} : { parent }) })
      await store.commit(aBatch({ records: [put('old', 0)] }))
      const drop = { drop: { collection: 'c', id: 'again' } }
      const records = [
        ...[put('x', 1, 'p'), put('again', 2), put('old', 3), put('y', 4), put('x', 5), drop],
        ...[put('again', 6), put('x', 7, 'q'), put('old', 8), put('again', 9)],
      ]
      await store.commit(aBatch({ records }))
      const all = await store.records.list({ collection: 'c', limit: 10 })
      expect(all.items.map(({ id, parent, body }) => [id, parent, body])).toEqual([
        ['old', null, 8],
        ['x', 'q', 7],
        ['y', null, 4],
        ['again', null, 9],
      ])
      expect(await idsOf(store, { collection: 'c', order: { index: 'k' } })).toEqual([
        'y',
        'x',
        'old',
        'again',
      ])
      expect(await store.records.count({ collection: 'c' })).toBe(4)
      for (const value of [1, 2, 3, 5, 6])
        expect(await idsOf(store, { collection: 'c', where: [{ name: 'k', is: value }] })).toEqual([])
    }))

  test('a put replaces all index entries, whatever stays, goes and comes', () =>
    inWorld(makeWorld, async ({ store }) => {
      const steps: Entry[][] = [
        [],
        [['a', 1]],
        [
          ['a', 1],
          ['a', 2],
          ['b', 'x'],
        ],
        [
          ['a', 2],
          ['b', 'y'],
        ],
        [
          ['a', 2],
          ['a', 2],
          ['a', '2'],
        ],
        [
          ['b', ''],
          ['b', 'x'],
        ],
        [],
      ]
      const asked: Entry[] = [
        ['a', 1],
        ['a', 2],
        ['a', '2'],
        ['b', 'x'],
        ['b', 'y'],
        ['b', ''],
      ]
      await store.commit(aBatch({ records: [aPut('c', 'other', { index: asked })] }))
      for (const index of steps) {
        await store.commit(aBatch({ records: [aPut('c', 'x', { index })] }))
        for (const [name, is] of asked) {
          const holds = index.some(([own, value]) => own === name && value === is)
          const wanted = holds ? ['other', 'x'] : ['other']
          expect(await idsOf(store, { collection: 'c', where: [{ name, is }] })).toEqual(wanted)
          expect(await store.records.count({ collection: 'c', where: [{ name, is }] })).toBe(wanted.length)
        }
        const byName = await idsOf(store, { collection: 'c', order: { index: 'b' } })
        expect(byName.includes('x')).toBe(index.some(([name]) => name === 'b'))
      }
      await store.commit(aBatch({ records: [{ drop: { collection: 'c', id: 'other' } }] }))
      expect(await idsOf(store, { collection: 'c', where: [{ name: 'a', is: 1 }] })).toEqual([])
    }))
}
