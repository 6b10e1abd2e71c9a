import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup } from '../../test/support/yard.ts'
import { isFinal } from '../core/job-state.ts'
import type { Refused } from '../core/refusal.ts'

/** What commits do on a disk that may be full. */
const onDisk =
  (disk: { isFull: boolean }) =>
  (apply: () => void): void => {
    if (disk.isFull) throw new Error('disk full')
    apply()
  }

describe('a store that fails', () => {
  test('a commit that fails answers unavailable, nothing of it is there, and the engine heals', async () => {
    const disk = { isFull: false }
    const yard = await setup({ onCommit: onDisk(disk) })
    const [kept] = await yard.submit(aJob())
    disk.isFull = true
    await assert.rejects(
      yard.submit(aJob({ name: 'lost' })),
      (error: Refused) => error.refusal.kind === 'unavailable',
    )
    await assert.rejects(yard.submit(aJob()), (error: Refused) => error.refusal.kind === 'unavailable')
    assert.equal(yard.engine.up, false)
    yard.executor.end(`${kept!.id}.1`, { result: 'succeeded' })
    await yard.advance(500)
    assert.equal(yard.engine.up, false)
    disk.isFull = false
    await yard.advance(500)
    await yard.settle()
    assert.equal(yard.engine.up, true)
    // Its end was reported while nothing could be stored: it was looked up again.
    assert.equal((await yard.see(kept!)).state, 'succeeded')
    assert.equal(yard.disk.jobs.size, 1)
  })

  test('a store that fails for long is tried again at the same pace, once each time', async () => {
    const disk = { isFull: false }
    const yard = await setup({ onCommit: onDisk(disk) })
    disk.isFull = true
    await assert.rejects(yard.submit(aJob()))
    let opened = 0
    const open = yard.store.open.bind(yard.store)
    yard.store.open = () => {
      opened++
      return open()
    }
    for (let turn = 0; turn < 12; turn++) await yard.advance(500)
    assert.equal(opened, 12)
    disk.isFull = false
    await yard.advance(500)
    assert.deepEqual([yard.engine.up, opened], [true, 13])
    await yard.advance(5_000)
    assert.equal(opened, 13)
    assert.equal((await yard.submit(aJob()))[0]!.state, 'starting')
  })

  test('a store that fails again while the engine asks its executors is tried again', async () => {
    const disk = { isFull: false }
    const before = await setup()
    const [job] = await before.submit(aJob())
    await before.begin(job!)
    const yard = await setup({
      ...before.crash(),
      onCommit: onDisk(disk),
    })
    const look = yard.executor.look.bind(yard.executor)
    yard.executor.look = async ids => {
      // Something is heard, and cannot be stored, while the engine still waits for this answer.
      disk.isFull = true
      yard.executor.begin(ids[0]!)
      yard.executor.say([{ id: 'nobody.1', type: 'ended', outcome: { result: 'lost' } }])
      await yard.settle()
      disk.isFull = false
      return look(ids)
    }
    disk.isFull = true
    await assert.rejects(yard.submit(aJob()))
    disk.isFull = false
    await yard.advance(500)
    await yard.settle()
    yard.executor.look = look
    await yard.advance(500)
    assert.equal(yard.engine.up, true)
    assert.equal((await yard.submit(aJob()))[0]!.state, 'starting')
  })
})

describe('after a crash', () => {
  test('what came due while no server ran is done by the next one: retries, waits that are over, walltimes', async () => {
    const pools = { default: {}, full: { slots: 0 } }
    const before = await setup({ pools })
    const [retried, walled, expired, held] = await before.submit(
      aJob({ triesMax: 2, backoffMs: 1_000 }),
      aJob({ runMsMax: 2_000 }),
      aJob({ queueMsMax: 3_000, pool: 'full' }),
      aJob({ queueMsMax: 3_000, held: true }),
    )
    const [late] = await before.submit(aJob({ dueAt: before.clock.now() + 4_000 }))
    await before.begin(walled!)
    await before.fail(retried!)
    const image = before.crash()
    image.clock.advance(60_000)
    const after = await setup({ ...image, pools })
    assert.equal((await after.see(retried!)).attempts, 2)
    assert.equal((await after.see(late!)).attempts, 1)
    assert.deepEqual(after.world.stops, [{ id: `${walled!.id}.1`, how: 'ask', why: 'expire' }])
    assert.equal((await after.see(expired!)).reason, 'expired')
    // Whoever held it back did not mean it to end: its time in the queue begins when it is let go.
    assert.equal((await after.see(held!)).state, 'ready')
  })

  test('starting: what the executor has is adopted, what it has not is started again as the same attempt', async () => {
    const before = await setup()
    const [known, unknown] = await before.submit(aJob(), aJob())
    before.world.attempts.delete(`${unknown!.id}.1`)
    const yard = await setup(before.crash())
    assert.equal((await yard.see(known!)).state, 'running')
    assert.equal(yard.world.attempts.get(`${known!.id}.1`)?.starts, 1)
    assert.equal((await yard.see(unknown!)).state, 'starting')
    assert.equal(yard.world.attempts.get(`${unknown!.id}.1`)?.starts, 1)
  })

  test('running in our own process: back to ready without a try counted', async () => {
    const before = await setup({ can: { survivesRestart: false } })
    const [job] = await before.submit(aJob())
    await before.begin(job!)
    const yard = await setup({ ...before.crash(), can: { survivesRestart: false } })
    const again = await yard.see(job!)
    assert.deepEqual([again.state, again.attempts, again.tries], ['starting', 2, 0])
  })

  test('running outside and lost there: a failed try', async () => {
    const before = await setup()
    const [job] = await before.submit(aJob())
    await before.begin(job!)
    before.world.attempts.clear()
    const yard = await setup(before.crash())
    const ended = await yard.see(job!)
    assert.deepEqual([ended.state, ended.reason], ['failed', 'lost'])
  })

  test('cancelled and gone with the server: cancelled, and its attempt is in its history', async () => {
    const before = await setup({ can: { survivesRestart: false } })
    const [job] = await before.submit(aJob())
    await before.begin(job!)
    await before.tell(tx => tx.cancel(job!.n))
    const image = before.crash()
    image.world.attempts.clear()
    const yard = await setup({ ...image, can: { survivesRestart: false } })
    assert.equal((await yard.see(job!)).state, 'cancelled')
    const attempts = await yard.engine.history.attempts(job!.n)
    assert.deepEqual(
      attempts.map(({ number, result, reason }) => [number, result, reason]),
      [[1, 'stopped', 'user']],
    )
  })

  test('ended but unreported: the end is collected, once', async () => {
    const before = await setup()
    const [job] = await before.submit(aJob())
    const image = before.crash()
    image.world.attempts.get(`${job!.id}.1`)!.outcome = { result: 'failed', reason: 'exit', exitCode: 4 }
    const yard = await setup(image)
    assert.equal((await yard.see(job!)).exitCode, 4)
    const types = (await yard.engine.history.chain((await yard.see(job!)).lastEvent, 20)).map(
      event => event.type,
    )
    assert.equal(types.filter(type => type === 'failed').length, 1)
  })

  test('stop asked: asked again', async () => {
    const before = await setup()
    const [job] = await before.submit(aJob())
    await before.begin(job!)
    await before.tell(tx => tx.cancel(job!.n))
    const image = before.crash()
    image.world.stops.length = 0
    const yard = await setup(image)
    assert.deepEqual(yard.world.stops, [{ id: `${job!.id}.1`, how: 'ask', why: 'cancel' }])
  })

  test('pause asked: held, also where nothing is left of the attempt', async () => {
    const before = await setup({ can: { survivesRestart: false } })
    const [begun, starting] = await before.submit(aJob(), aJob())
    await before.begin(begun!)
    await before.tell(tx => [begun!, starting!].map(job => tx.pause(job.n)))
    const yard = await setup({ ...before.crash(), can: { survivesRestart: false } })
    for (const job of [begun!, starting!]) {
      const { state, held, stop } = await yard.see(job)
      assert.deepEqual([state, held, stop], ['ready', true, 'none'])
    }
    assert.deepEqual(yard.executor.running, [])
  })

  test('waiting, delayed and held jobs are as they were, and timers ring', async () => {
    const before = await setup({ slots: 0 })
    const [waiting, delayed, held] = await before.submit(
      aJob({ queueMsMax: 10_000 }),
      aJob({ dueAt: before.clock.now() + 5_000 }),
      aJob({ held: true }),
    )
    const yard = await setup({ ...before.crash(), slots: 0 })
    assert.deepEqual(
      [...yard.engine.liveJobs()].map(job => job.state),
      ['ready', 'delayed', 'ready'],
    )
    await yard.advance(5_000)
    assert.equal((await yard.see(delayed!)).state, 'ready')
    await yard.advance(5_000)
    assert.equal((await yard.see(waiting!)).reason, 'expired')
    assert.equal((await yard.see(held!)).held, true)
    assert.equal(isFinal((await yard.see(held!)).state), false)
  })
})
