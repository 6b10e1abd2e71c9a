import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup } from '../../test/support/yard.ts'

describe('time', () => {
  test('a failed try is followed by another after a pause that doubles', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob({ triesMax: 3, backoffMs: 1_000 }))
    await yard.fail(job!)
    assert.equal(job!.state, 'delayed')
    await yard.advance(999)
    assert.equal(job!.state, 'delayed')
    await yard.advance(1)
    assert.equal(job!.state, 'starting')
    await yard.fail(job!)
    await yard.advance(1_999)
    assert.equal(job!.state, 'delayed')
    await yard.advance(1)
    await yard.fail(job!, 9)
    const ended = await yard.see(job!)
    assert.deepEqual(
      [ended.state, ended.reason, ended.exitCode, ended.tries, ended.attempts],
      ['failed', 'exit', 9, 3, 3],
    )
    assert.equal((await yard.engine.history.attempts(job!.n)).length, 3)
  })

  test('a job that ran too long is stopped and fails for that reason, whatever tries are left', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob({ runMsMax: 5_000, triesMax: 4 }))
    await yard.begin(job!)
    await yard.advance(5_000)
    assert.equal(yard.world.stops[0]?.why, 'expire')
    await yard.end(job!, { result: 'stopped', exitCode: 143 })
    const ended = await yard.see(job!)
    assert.deepEqual([ended.state, ended.reason], ['failed', 'timeout'])
  })

  test('a job that waited too long fails as expired', async () => {
    const yard = await setup({ slots: 1 })
    const [, waiting] = await yard.submit(aJob(), aJob({ queueMsMax: 60_000 }))
    await yard.advance(60_000)
    const ended = await yard.see(waiting!)
    assert.deepEqual([ended.state, ended.reason], ['failed', 'expired'])
  })

  test('a job with an instant of its own does not start before it', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob({ dueAt: yard.clock.now() + 1_000 }))
    assert.equal(job!.state, 'delayed')
    await yard.advance(1_000)
    assert.equal(job!.state, 'starting')
  })
})
