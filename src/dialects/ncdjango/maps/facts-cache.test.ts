import assert from 'node:assert/strict'
import { test } from 'vitest'
import { FactsCache } from './facts-cache.ts'

test('a question is looked into once, also while it is being asked, and again when it failed', async () => {
  const cache = new FactsCache()
  let count = 0
  const find = async () => {
    count++
    if (count === 1) throw new Error('not yet')
    return { min: count }
  }
  await assert.rejects(cache.get('a', find))
  const answers = await Promise.all([cache.get('a', find), cache.get('a', find)])
  assert.deepEqual([...answers, await cache.get('a', find)], [{ min: 2 }, { min: 2 }, { min: 2 }])
  assert.deepEqual(await cache.get('b', find), { min: 3 })
})

test('answers that are long are not kept, and of the others the least used go first', async () => {
  const cache = new FactsCache()
  const asked: string[] = []
  const ask = (key: string, size = 1) =>
    cache.get(key, async () => {
      asked.push(key)
      return { text: 'x'.repeat(size) }
    })
  await ask('long', 30_000)
  await ask('long', 30_000)
  assert.deepEqual(asked.splice(0), ['long', 'long'])
  await ask('first')
  for (let at = 0; at < 1999; at++) await ask(`${at}`)
  await ask('first')
  await ask('one more')
  asked.splice(0)
  await ask('first')
  await ask('0')
  assert.deepEqual(asked, ['0'])
})
