import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup } from '../../test/support/yard.ts'
import type { Refused } from '../core/refusal.ts'

describe('submitting', () => {
  test('a job is started after it was stored, and its end is durable before anybody hears of it', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob())
    assert.equal(job!.state, 'starting')
    assert.deepEqual(yard.executor.running, [`${job!.id}.1`])
    await yard.begin(job!)
    assert.equal((await yard.see(job!)).state, 'running')
    const ended = yard.engine.settled(job!.n)
    await yard.end(job!)
    assert.equal((await ended)?.state, 'succeeded')
    assert.deepEqual(yard.executor.forgotten, [`${job!.id}.1`])
    const history = await yard.engine.history.chain((await yard.see(job!)).lastEvent, 10)
    assert.deepEqual(
      history.map(event => event.type),
      ['succeeded', 'began', 'claimed', 'submitted'],
    )
  })

  test('a draft that its executor can never run is refused, and nothing is stored', async () => {
    const yard = await setup()
    await assert.rejects(
      yard.submit(aJob({ spec: { impossible: true } })),
      (error: Refused) => error.refusal.kind === 'bad-field',
    )
    assert.equal(yard.disk.jobs.size, 0)
  })

  test('what can never fit its pool is refused, or fails at once when the draft wants that', async () => {
    const yard = await setup({ pools: { default: { resources: { cpus: 2 } } } })
    await assert.rejects(
      yard.submit(aJob({ needs: { cpus: 3 } })),
      (error: Refused) => error.refusal.kind === 'cannot-fit',
    )
    const [job] = await yard.submit(aJob({ needs: { cpus: 3 }, unfit: 'fail' }))
    assert.deepEqual([job!.state, job!.reason], ['failed', 'no-resources'])
  })
})
