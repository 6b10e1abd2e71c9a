import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup } from '../../test/support/yard.ts'

describe('stopping', () => {
  test('a waiting job is cancelled at once', async () => {
    const yard = await setup({ slots: 1 })
    const [, waiting] = await yard.submit(aJob(), aJob())
    await yard.tell(tx => tx.cancel(waiting!.n))
    assert.deepEqual([waiting!.state, waiting!.reason], ['cancelled', 'user'])
  })

  test('a cancel that arrives while the job is running waits for the executor to stop it', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob())
    await yard.begin(job!)
    await yard.tell(tx => tx.cancel(job!.n))
    assert.deepEqual([job!.state, job!.stop], ['running', 'cancel'])
    assert.deepEqual(yard.world.stops, [{ id: `${job!.id}.1`, how: 'ask', why: 'cancel' }])
    await yard.end(job!, { result: 'stopped' })
    assert.equal((await yard.see(job!)).state, 'cancelled')
  })

  test('a cancel that loses the race against success ends as succeeded', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob())
    await yard.tell(tx => tx.cancel(job!.n))
    await yard.end(job!)
    assert.equal((await yard.see(job!)).state, 'succeeded')
  })

  test('a cancelled job that fails while it is stopping is not tried again', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob({ triesMax: 5 }))
    await yard.tell(tx => tx.cancel(job!.n))
    await yard.fail(job!)
    assert.equal((await yard.see(job!)).state, 'cancelled')
  })

  test('a paused job waits, and runs in its old place once released', async () => {
    const yard = await setup({ slots: 1 })
    const [first, second] = await yard.submit(aJob(), aJob())
    await yard.tell(tx => tx.pause(first!.n))
    await yard.end(first!, { result: 'stopped' })
    assert.deepEqual([first!.state, first!.held, second!.state], ['ready', true, 'starting'])
    await yard.tell(tx => tx.release(first!.n))
    await yard.end(second!)
    assert.equal(first!.state, 'starting')
    assert.equal(first!.tries, 0)
  })

  test('a pause that is taken back before the job has stopped does not hold it', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob())
    await yard.tell(tx => tx.pause(job!.n))
    await yard.tell(tx => tx.release(job!.n))
    await yard.end(job!, { result: 'stopped' })
    assert.deepEqual([job!.state, job!.held, job!.attempts], ['starting', false, 2])
  })

  test('a job that fails while it is pausing is held before its next try', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob({ triesMax: 2, backoffMs: 1_000 }))
    await yard.tell(tx => tx.pause(job!.n))
    await yard.fail(job!)
    await yard.advance(1_000)
    assert.deepEqual([job!.state, job!.held], ['ready', true])
  })

  test('a held job does not start, and the end of the hold lets it', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob({ held: true }))
    assert.equal((await yard.engine.why(job!.n))?.waitsFor, 'held')
    await yard.tell(tx => tx.release(job!.n))
    assert.equal(job!.state, 'starting')
  })
})
