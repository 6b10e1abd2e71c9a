import { expect, test } from 'vitest'
import { aJob, setup } from '../../../test/support/yard.ts'
import { Serial } from '../../core/serial.ts'
import type { Parts } from './parts.ts'
import { readSettings } from './settings.ts'
import { Stored } from './stored.ts'
import { Sweeper, sweepRecords } from './sweep.ts'

test('what belongs to forgotten jobs, or is over, is let go, and nothing else', async () => {
  const yard = await setup()
  const [job] = await yard.submit(aJob())
  const now = yard.clock.now()
  const put = (collection: string, id: string, parent: string | null, body: object) =>
    yard.tell(tx => {
      const { hash, sizeBytes } = body as { hash?: string; sizeBytes?: number }
      if (hash !== undefined) tx.blob({ hash, sizeBytes: sizeBytes!, delta: 1 })
      tx.record({ put: { collection, id, parent, body: { ...body } } })
    })
  await put('prominence.output', 'kept', job!.id, { name: 'a', hash: 'a'.repeat(64), sizeBytes: 1 })
  const gone = { name: 'b', owner: 'ann', hash: 'b'.repeat(64), sizeBytes: 2 }
  await yard.tell(tx => {
    tx.blob({ hash: gone.hash, sizeBytes: 2, delta: 1 })
    const put = { collection: 'prominence.output', id: 'gone', parent: 'no-such-job', body: gone }
    tx.record({ put: { ...put, index: [['owner', 'ann']] } })
  })
  await put('prominence.snapshot', 'kept', 'ann', { n: job!.n, at: 0 })
  await put('prominence.snapshot', 'gone', 'ann', { n: 999, at: 0, owner: 'ann' })
  await put('prominence.left', 'job/999', 'job/ann', { n: 999, at: 0 })
  await put('prominence.approval', 'kept', null, { until: now + 1 })
  await put('prominence.approval', 'gone', null, { until: now - 1 })
  await put('prominence.renewal', 'gone', 'ann', { until: now - 1 })
  const { engine, clock } = yard
  const kit = { engine, records: engine.records, clock }
  const asked = { kit, serial: new Serial(), settings: readSettings({ quota: { storedBytes: 1_000 } }) }
  const stored = new Stored(asked as unknown as Parts)
  const room = await stored.room('ann', '', 0)
  const sweeping = sweepRecords({ ...asked, stored } as unknown as Parts)
  for (let turn = 0; turn < 20; turn++) await yard.settle()
  expect(await sweeping).toBe(5)
  const left = []
  for (const collection of ['output', 'snapshot', 'left', 'approval', 'renewal']) {
    const { items } = await engine.records.list({ collection: `prominence.${collection}`, limit: 10 })
    left.push(...items.map(({ id }) => `${collection} ${id}`))
  }
  expect(left).toEqual(['output kept', 'snapshot kept', 'approval kept'])
  // What counted against its owner's quota is given back.
  expect(await stored.room('ann', '', 0)).toBeGreaterThan(room)
  expect(await stored.room('ann', '', 0)).toBe(await new Stored(asked as unknown as Parts).room('ann', '', 0))
})

test('a day after the last time, the next job is an occasion to sweep', async () => {
  const yard = await setup()
  const { engine, clock } = yard
  const kit = {
    engine,
    records: engine.records,
    clock,
    log: { warn: (...words: unknown[]) => expect(words).toEqual([]) },
  }
  const parts = { kit, serial: new Serial(), settings: readSettings({}) } as unknown as Parts
  const sweeper = new Sweeper({ ...parts, stored: new Stored(parts) })
  const sweep = async () => {
    const sweeping = sweeper.occasion()
    for (let turn = 0; turn < 20; turn++) await yard.settle()
    await sweeping
    return (await engine.records.list({ collection: 'prominence.snapshot', limit: 10 })).items.length
  }
  expect(await sweep()).toBe(0)
  const body = { n: 999, at: 0 }
  await yard.tell(tx => {
    tx.record({ put: { collection: 'prominence.snapshot', id: 'gone', parent: 'ann', body } })
  })
  expect(await sweep()).toBe(1)
  clock.advance(86_400_000)
  expect(await sweep()).toBe(0)
})
