import assert from 'node:assert/strict'
import { test } from 'vitest'
import { MemoryStore } from '../../../store/memory/memory-store.ts'
import type { RecordChange } from '../../../store/store.ts'
import { aBatch } from '../../../store/testing/samples.ts'
import { putResource, type ResourceBody } from './bodies.ts'
import {
  clearChanges,
  dropChange,
  lastChange,
  listChanges,
  logArrival,
  logChange,
  newestSeq,
} from './change-log.ts'
import type { WriteBatch } from './parts.ts'

async function setup() {
  const store = new MemoryStore()
  await store.open()
  let last = 0
  const write = async <T>(change: (batch: WriteBatch) => T): Promise<T> => {
    const records: RecordChange[] = []
    const batch: WriteBatch = {
      now: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
      record: one => void records.push(one),
      blob: () => {},
      next: () => ++last,
    }
    const result = change(batch)
    await store.commit(aBatch({ records }))
    return result
  }
  const arrive = (id: string): Promise<number> =>
    write(batch => {
      const seq = logArrival(batch)
      batch.record(putResource({ level: 'instance', id, parent: 'series', body: bodyOf(seq) }))
      return seq
    })
  const list = async (since = 0, limit = 100) => {
    const { changes, isDone } = await listChanges(store.records, { since, limit })
    return [changes.map(({ seq, type, id }) => `${seq} ${type} ${id}`), isDone]
  }
  return { records: store.records, write, arrive, list }
}

const bodyOf = (change: number): ResourceBody => ({
  main: {},
  meta: { 2: ['20260102T030405', 0] },
  change,
})

test('arrivals and other changes are listed by their numbers, some at a time', async () => {
  const { records, write, arrive, list } = await setup()
  await arrive('a')
  await write(batch => logChange(batch, 'NewSeries', 'series', 's'))
  await arrive('b')
  await write(batch => logChange(batch, 'StableSeries', 'series', 's'))
  assert.deepEqual(await list(0, 3), [['1 NewInstance a', '2 NewSeries s', '3 NewInstance b'], false])
  assert.deepEqual(await list(3, 3), [['4 StableSeries s'], true])
  assert.deepEqual(await list(0, 4), [
    ['1 NewInstance a', '2 NewSeries s', '3 NewInstance b', '4 StableSeries s'],
    true,
  ])
  assert.equal((await lastChange(records))!.type, 'StableSeries')
  await arrive('c')
  const last = (await lastChange(records))!
  assert.deepEqual(last, {
    ...{ seq: 5, type: 'NewInstance', level: 'instance', id: 'c' },
    at: Date.UTC(2026, 0, 2, 3, 4, 5),
  })
})

test('forgotten changes do not come back when an instance is written again, and the numbers go on', async () => {
  const { records, write, arrive, list } = await setup()
  await arrive('a')
  await write(batch => logChange(batch, 'NewSeries', 'series', 's'))
  await clearChanges(records, write)
  assert.deepEqual(await list(), [[], true])
  assert.equal(await lastChange(records), undefined)
  assert.equal(await newestSeq(records), 2)
  await write(batch =>
    batch.record(putResource({ level: 'instance', id: 'a', parent: 'series', body: bodyOf(1) })),
  )
  await arrive('b')
  assert.deepEqual(await list(), [['3 NewInstance b'], true])
})

test('the arrival of an instance is forgotten with it', async () => {
  const { records, write, arrive, list } = await setup()
  await arrive('a')
  await arrive('b')
  await write(batch => batch.record({ drop: { collection: 'dicom.instance', id: 'b' } }))
  assert.deepEqual(await list(), [['1 NewInstance a'], true])
  assert.equal(await newestSeq(records), 2)
})

test('an arrival that an older version wrote down apart is listed once, also when its instance is written again', async () => {
  const { write, arrive, list } = await setup()
  const put = {
    ...{ collection: 'dicom.change', id: '1', index: [['seq', 1] as const] },
    body: { type: 'NewInstance', level: 'instance', id: 'a', at: 5 },
  }
  await write(batch => {
    batch.next('dicom.change')
    batch.record({ put })
    batch.record({ put: { collection: 'dicom.instance', id: 'a', parent: 'series', body: bodyOf(1) } })
  })
  await arrive('b')
  const both = [['1 NewInstance a', '2 NewInstance b'], true]
  assert.deepEqual(await list(), both)
  await write(batch =>
    batch.record(putResource({ level: 'instance', id: 'a', parent: 'series', body: bodyOf(1) })),
  )
  assert.deepEqual(await list(), both)
  await write(batch => {
    batch.record({ drop: { collection: 'dicom.instance', id: 'a' } })
    dropChange(batch, '1')
  })
  assert.deepEqual(await list(), [['2 NewInstance b'], true])
})
