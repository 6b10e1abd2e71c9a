import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { aBatch, aPut } from '../testing/samples.ts'
import { SqliteStore } from './sqlite-store.ts'

async function setup() {
  const directory = await mkdtemp(join(tmpdir(), 'checkpointer-'))
  const make = () => new SqliteStore({ directory, checkpoints: { pagesMax: 100 } })
  const store = make()
  const other = new DatabaseSync(join(directory, 'yard.db'))
  onTestFinished(async () => {
    if (other.isOpen) other.close()
    await store.close()
    await rm(directory, { recursive: true })
  })
  await store.open()
  const measure = other.prepare('PRAGMA wal_checkpoint(NOOP)')
  /** Pages in the log, and how many of them are folded. */
  const log = () => measure.get() as { log: number; checkpointed: number }
  let count = 0
  const commit = async () => {
    count++
    await store.commit(aBatch({ records: [aPut('c', String(count), { body: 'x'.repeat(20_000) })] }))
    await turn()
  }
  /** Commits until the log is written from its beginning again. */
  const untilAnew = async () => {
    for (let before = log().log; ; ) {
      await commit()
      const now = log().log
      if (now < before) return
      before = now
    }
  }
  return { store, make, other, log, commit, untilAnew, count: () => count }
}

test('a long log is folded beside the commits, which write it from its beginning again', async () => {
  const { store, make, other, untilAnew, count } = await setup()
  for (let round = 0; round < 3; round++) await untilAnew()
  other.close()
  await store.close()
  const again = make()
  await again.open()
  expect(await again.records.count({ collection: 'c' })).toBe(count())
  await again.close()
})

test('while somebody reads an old moment commits go on, and the log is folded when he has left', async () => {
  const { store, other, log, commit, untilAnew } = await setup()
  await commit()
  other.exec('BEGIN')
  other.prepare('SELECT count(*) FROM records').get()
  for (let turns = 0; turns < 200; turns++) await commit()
  other.exec('COMMIT')
  expect(log().log).toBeGreaterThan(500)
  await untilAnew()
  expect(await store.records.get('c', '200')).toBeDefined()
})

test('a store that is closed while its log is folded lets go of its file', async () => {
  const { store, commit, log, make } = await setup()
  while (log().log < 110) await commit()
  await store.close()
  const again = make()
  await again.open()
  expect(await again.records.get('c', '1')).toBeDefined()
  await again.close()
})
