import { expect, test } from 'vitest'
import { setup } from '../../../test/support/yard.ts'
import { Serial } from '../../core/serial.ts'
import { reshapeRecords } from './older-records.ts'
import type { Parts } from './parts.ts'
import { readSettings } from './settings.ts'
import { countedFor, Stored, type StoredChange } from './stored.ts'

const quota = 10_000

async function setupStored() {
  const yard = await setup()
  const { engine, clock } = yard
  const kit = { engine, records: engine.records, clock }
  const open = (storedBytes?: number) => {
    const settings = readSettings(storedBytes === undefined ? {} : { quota: { storedBytes } })
    return new Stored({ kit, settings, serial: new Serial() } as unknown as Parts)
  }
  const blob = (name: string, owner: string, sizeBytes: number) => ({
    name,
    owner,
    hash: 'a'.repeat(64),
    sizeBytes,
  })
  /** An object as it is stored. */
  const put = (id: string, owner: string, sizeBytes: number): StoredChange => ({
    more: countedFor(id, sizeBytes),
    write(tx) {
      const body = blob(id, owner, sizeBytes)
      tx.blob({ hash: body.hash, sizeBytes, delta: 1 })
      tx.record({ put: { collection: 'prominence.object', id, parent: owner, body, index: [['place', id]] } })
    },
  })
  /** Waits for something that the settling of the yard brings about. */
  const whenDone = async <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => {})
    for (let turn = 0; turn < 20; turn++) await yard.settle()
    return promise
  }
  return { ...yard, open, put, blob, whenDone, kit }
}

test('what was stored while there was no quota counts as soon as there is one', async () => {
  const { open, put, whenDone } = await setupStored()
  const before = open()
  await whenDone(before.change('ann', async () => put('u/ann/a', 'ann', 6_000)))
  await whenDone(before.change('bob', async () => put('u/bob/a', 'bob', 9_000)))
  const after = open(quota)
  expect(await after.room('ann', '', 0)).toBe(quota - countedFor('u/ann/a', 6_000) - countedFor('', 0))
  await expect(whenDone(after.change('ann', async () => put('u/ann/b', 'ann', 6_000)))).rejects.toThrow(
    'the quota of 10000 stored bytes is used up',
  )
  await whenDone(after.change('ann', async () => put('u/ann/b', 'ann', 3_000)))
})

test('empty things are not free: their names and places count', async () => {
  const { open, put, whenDone } = await setupStored()
  const stored = open(quota)
  let kept = 0
  for (let at = 0; at < 1_000; at++) {
    const change = whenDone(stored.change('ann', async () => put(`u/ann/${at}`, 'ann', 0)))
    if (
      (await change.then(
        () => true,
        () => false,
      )) === false
    )
      break
    kept++
  }
  expect(kept).toBeGreaterThan(100)
  expect(kept).toBeLessThan(quota / 33)
})

test('what replaces something of another user is given back to that user', async () => {
  const { open, put, whenDone } = await setupStored()
  const stored = open(quota)
  await whenDone(stored.change('ann', async () => put('g/vo/a', 'ann', 5_000)))
  const was = await stored.room('ann', '', 0)
  const replaces = {
    ...put('g/vo/a', 'bob', 100),
    gaveBack: { owner: 'ann', bytes: countedFor('g/vo/a', 5_000) },
  }
  await whenDone(stored.change('bob', async () => replaces))
  expect(await stored.room('ann', '', 0)).toBe(was + countedFor('g/vo/a', 5_000))
  expect(await open(quota).room('ann', '', 0)).toBe(await stored.room('ann', '', 0))
  expect(await open(quota).room('bob', '', 0)).toBe(await stored.room('bob', '', 0))
})

test('a change while a sum is being counted is not lost', async () => {
  const { open, put, whenDone } = await setupStored()
  const stored = open(quota)
  const counting = stored.room('ann', '', 0)
  // Nobody counted before: this change is made without knowing the sum.
  await whenDone(stored.note('ann', async () => put('u/ann/a', 'ann', 1_000)))
  await whenDone(counting)
  expect(await stored.room('ann', '', 0)).toBe(await open(quota).room('ann', '', 0))
})

test('records of earlier servers are found by their users after they were brought into shape, once', async () => {
  const { open, blob, kit, tell, whenDone, engine } = await setupStored()
  await tell(tx => {
    for (const name of ['a', 'b']) tx.blob({ hash: 'a'.repeat(64), sizeBytes: name.length, delta: 1 })
    const put = (collection: string, id: string, parent: string | null, body: object) =>
      tx.record({ put: { collection: `prominence.${collection}`, id, parent, body: { ...body } } })
    put('kv', 'ann/k', 'ann', { key: '/k', value: 'v'.repeat(100) })
    put('object', 'g/vo/a', null, blob('vo/a', 'ann', 1_000))
    put('output', 'job/a', 'job', blob('a', 'ann', 2_000))
    put('collected', 'job', null, { owner: 'ann', n: 1, sizeBytes: 3_000 })
    put('snapshot', 'job', 'ann', { n: 1, at: 0, hash: 'a'.repeat(64), sizeBytes: 500 })
    put('stored', 'ann', null, { bytes: 7 })
  })
  await whenDone(reshapeRecords(kit as unknown as Parts['kit']))
  const names = ['ann/k', 'g/vo/a', 'job/a', 'job', 'job', '']
  const counted = names.reduce((sum, name) => sum + countedFor(name, 0), 6_600)
  expect(await open(quota).room('ann', '', 0)).toBe(quota - counted)
  const { items } = await engine.records.list({
    collection: 'prominence.kv',
    where: [{ name: 'place', prefix: 'ann/' }],
    limit: 2,
  })
  expect(items).toMatchObject([{ id: 'ann/k', parent: 'ann', body: { key: '/k' } }])
  expect(await engine.records.get('prominence.stored', 'ann')).toBeUndefined()
  await whenDone(reshapeRecords(kit as unknown as Parts['kit']))
})
