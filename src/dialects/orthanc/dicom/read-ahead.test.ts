import assert from 'node:assert/strict'
import { test } from 'vitest'
import { ReadAhead } from './read-ahead.ts'

test('the next one is looked up while one is being sent, and no further', async () => {
  const log: string[] = []
  const ahead = new ReadAhead(['a', 'b', 'c'], 0, async id => {
    log.push(`look ${id}`)
    return id
  })
  for (let turn = 0; turn < 3; turn++) {
    await ahead.use(async id => {
      log.push(`send ${id}`)
      await Promise.resolve()
      log.push(`sent ${id}`)
    })
  }
  assert.deepEqual(log.join(', '), 'look a, send a, look b, sent a, send b, look c, sent b, send c, sent c')
})

test('one that cannot be looked up, or sent, fails alone', async () => {
  const ahead = new ReadAhead(['-', 'a', 'b', 'c', 'd'], 1, async id => {
    if (id === 'b') throw new Error('it cannot be read')
    return id === 'c' ? undefined : id
  })
  const use = async (): Promise<string> => {
    let got = 'nothing'
    await ahead.use(async id => {
      if (id === 'a') throw new Error('it is refused')
      got = String(id)
    })
    return got
  }
  await assert.rejects(use, /it is refused/)
  await assert.rejects(use, /it cannot be read/)
  assert.equal(await use(), 'undefined')
  assert.equal(await use(), 'd')
})
