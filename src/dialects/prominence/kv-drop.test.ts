import { expect, test } from 'vitest'
import { type SetupOptions, setup } from '../../../test/support/yard.ts'
import { Serial } from '../../core/serial.ts'
import { KeyDroppings, keyPlace, keysBelow } from './kv-drop.ts'
import type { Parts } from './parts.ts'
import { readSettings } from './settings.ts'
import { Stored } from './stored.ts'

async function setupKeys(options: SetupOptions = {}) {
  const yard = await setup(options)
  const { engine } = yard
  const kit = { engine, records: engine.records, log: { warn: () => {} } }
  const serial = new Serial()
  const parts = {
    kit,
    serial,
    settings: readSettings({ quota: { storedBytes: 1_000_000 } }),
  } as unknown as Parts
  const stored = new Stored(parts)
  const droppings = new KeyDroppings({ ...parts, stored })
  const set = (owner: string, ...names: string[]) =>
    yard.tell(tx => {
      for (const key of names) {
        const id = keyPlace(owner, key)
        const body = { key, value: 'v' }
        tx.record({ put: { collection: 'prominence.kv', id, parent: owner, body, index: [['place', id]] } })
      }
    })
  const count = (owner: string, prefix: string) =>
    engine.records
      .list({ ...keysBelow(owner, prefix), limit: 10_000 })
      .then(
        ({ items }) =>
          items.filter(({ body }) => !droppings.covers(owner, (body as { key: string }).key)).length,
      )
  return { ...yard, droppings, stored, set, count }
}

const many = Array.from({ length: 1_200 }, (_, at) => `/k/${at}`)

test('many keys that begin alike are gone at once for whoever looks, and nobody else loses any', async () => {
  const seen: Promise<number>[] = []
  let isDropping = false
  const yard = await setupKeys({
    onCommit: apply => {
      apply()
      if (isDropping) seen.push(yard.count('ann', '/k'))
    },
  })
  await yard.set('ann', ...many, '/other')
  await yard.set('anna', '/k/1')
  const room = await yard.stored.room('ann', '', 0)
  isDropping = true
  const dropping = yard.droppings.drop('ann', '/k')
  for (let turn = 0; turn < 50; turn++) await yard.settle()
  await dropping
  expect(seen.length).toBeGreaterThan(3)
  for (const number of await Promise.all(seen)) expect([1_200, 0]).toContain(number)
  expect(await yard.count('ann', '/')).toBe(1)
  expect(await yard.count('anna', '/')).toBe(1)
  expect(await yard.stored.room('ann', '', 0)).toBeGreaterThan(room + 1_200 * 33)
  expect(yard.droppings.covers('ann', '/k/1')).toBe(false)
})

test('a server that is killed while it drops keys goes on when it is back: none of them is there any more', async () => {
  for (const commits of [1, 2, 3, 4]) {
    let left = Number.POSITIVE_INFINITY
    const first = await setupKeys({
      onCommit: apply => {
        if (--left < 0) return new Promise<never>(() => {})
        apply()
      },
    })
    await first.set('ann', ...many, '/other')
    left = commits
    void first.droppings.drop('ann', '/k')
    for (let turn = 0; turn < 50; turn++) await first.settle()
    const second = await setupKeys(first.crash())
    await second.droppings.start()
    expect(await second.count('ann', '/k')).toBe(0)
    // A key that is set now stays, though older ones of that name are still being cleared away.
    const settled = second.droppings.settled('ann', '/k/7')
    for (let turn = 0; turn < 50; turn++) await second.settle()
    await settled
    await second.set('ann', '/k/7')
    for (let turn = 0; turn < 50; turn++) await second.settle()
    expect(await second.count('ann', '/')).toBe(2)
    const { items } = await second.engine.records.list({ collection: 'prominence.kv-drop', limit: 10 })
    expect(items).toEqual([])
  }
})

test('a commit that fails in the middle is told, and the next who needs one of the keys goes on', async () => {
  let fails = false
  let commits = 0
  const yard = await setupKeys({
    onCommit: apply => {
      if (fails && ++commits === 2)
        throw Object.assign(new Error('full'), { name: 'StoreFailed', code: 'full' })
      apply()
    },
  })
  await yard.set('ann', ...many)
  fails = true
  const dropping = yard.droppings.drop('ann', '/k')
  dropping.catch(() => {})
  for (let turn = 0; turn < 50; turn++) await yard.settle()
  await expect(dropping).rejects.toThrow()
  expect(await yard.count('ann', '/k')).toBe(0)
  await yard.advance(10_000)
  const settled = yard.droppings.settled('ann', '/k/7')
  for (let turn = 0; turn < 50; turn++) await yard.settle()
  await settled
  expect(yard.droppings.covers('ann', '/k/7')).toBe(false)
  expect((await yard.engine.records.list({ ...keysBelow('ann', '/'), limit: 10 })).items).toEqual([])
})
