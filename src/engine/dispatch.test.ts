import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup } from '../../test/support/yard.ts'
import type { Json } from '../core/json.ts'
import { Unprepared } from './engine.ts'

describe('preparing', () => {
  test('a job that is cancelled while its spec is being completed never starts', async () => {
    const yard = await setup()
    let ready = () => {}
    yard.engine.preparer('native', 'slow', async ({ spec }) => {
      await new Promise<void>(resolve => {
        ready = resolve
      })
      return spec
    })
    const [job] = await yard.submit(aJob({ kind: 'slow' }))
    await yard.tell(tx => tx.cancel(job!.n))
    ready()
    await yard.settle()
    assert.equal((await yard.see(job!)).state, 'cancelled')
    assert.equal(yard.world.attempts.size, 0)
  })

  test('a preparer can say why an attempt cannot start, with a number for whoever reads the end', async () => {
    const yard = await setup()
    yard.engine.preparer('native', 'broken', () => {
      throw new Unprepared('stage-in', 'a file is gone', 41)
    })
    const [job] = await yard.submit(aJob({ kind: 'broken' }))
    const ended = await yard.see(job!)
    assert.deepEqual(
      [ended.state, ended.reason, ended.exitCode, ended.message],
      ['failed', 'stage-in', 41, 'a file is gone'],
    )
  })

  test.each(['completes its spec', 'cannot'])(
    'a preparer that %s after the store failed has no word any more: the attempt was asked for anew',
    async what => {
      let fails = false
      const yard = await setup({
        onCommit: apply => {
          if (fails) throw new Error('no space in this test')
          apply()
        },
      })
      const asked: PromiseWithResolvers<void>[] = []
      yard.engine.preparer('native', 'slow', async ({ spec }) => {
        const gate = Promise.withResolvers<void>()
        asked.push(gate)
        await gate.promise
        return spec
      })
      const [job] = await yard.submit(aJob({ kind: 'slow' }))
      fails = true
      await yard.submit(aJob({})).catch(() => {})
      await yard.settle()
      fails = false
      await yard.advance(10_000)
      assert.equal(asked.length, 2)
      if (what === 'cannot') asked[0]!.reject(new Error('the store was away'))
      else asked[0]!.resolve()
      await yard.settle()
      assert.equal((await yard.see(job!)).state, 'starting')
      assert.equal(yard.world.attempts.size, 0)
      asked[1]!.resolve()
      await yard.settle()
      assert.equal(yard.world.attempts.size, 1)
    },
  )

  test('a spec that cannot be completed fails the attempt as a failed launch', async () => {
    const yard = await setup()
    yard.engine.preparer('native', 'broken', () => {
      throw new Error('no secret')
    })
    const [job] = await yard.submit(aJob({ kind: 'broken' }))
    const ended = await yard.see(job!)
    assert.deepEqual([ended.state, ended.reason, ended.message], ['failed', 'launch', 'no secret'])
  })
})

test('what a dialect brought for a kind is not for another dialect’s jobs that are called the same', async () => {
  const yard = await setup()
  const secrets: Json[] = []
  yard.engine.preparer('other', 'test', ({ spec }) => {
    secrets.push(spec)
    return { secret: 'of the other' }
  })
  yard.engine.completer('other', 'test', () => ({
    records: [{ put: { collection: 'result', id: 'forged', body: 1 } }],
  }))
  const [ours] = await yard.submit(aJob())
  await yard.end(ours!)
  assert.deepEqual(secrets, [])
  assert.equal(await yard.engine.records.get('result', 'forged'), undefined)
  const [theirs] = await yard.submit(aJob({ dialect: 'other' }))
  await yard.end(theirs!)
  assert.equal(secrets.length, 1)
  assert.equal((await yard.engine.records.get('result', 'forged'))?.body, 1)
})
