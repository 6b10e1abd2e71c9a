import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup, type TestYard } from '../../test/support/yard.ts'
import type { FlowDraft } from '../core/flow.ts'
import type { Job } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { Json } from '../core/json.ts'
import type { Refused } from '../core/refusal.ts'
import { MemoryDisk } from '../store/memory/disk.ts'
import { type Completer, Unprepared } from './engine.ts'

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

describe('pools', () => {
  test('jobs start in order of rank, then of submission', async () => {
    const yard = await setup({ slots: 1 })
    const [first, late, urgent, alike] = await yard.submit(
      aJob(),
      aJob({ rank: 5 }),
      aJob({ rank: -5 }),
      aJob({ rank: 5 }),
    )
    const order: number[] = []
    for (const _ of [1, 2, 3, 4]) {
      const live = [...yard.engine.liveJobs()].find(job => job.state === 'starting')!
      order.push(live.n)
      await yard.end(live)
    }
    // The first three were submitted together: rank decides among all of them.
    assert.deepEqual(order, [urgent!.n, first!.n, late!.n, alike!.n])
  })

  test('a smaller job passes a large one that does not fit yet, but not for ever', async () => {
    const yard = await setup({ pools: { default: { resources: { cpus: 4 } } } })
    const [running] = await yard.submit(aJob({ needs: { cpus: 3 } }))
    const [large] = await yard.submit(aJob({ needs: { cpus: 4 } }))
    const [small] = await yard.submit(aJob({ needs: { cpus: 1 } }))
    assert.deepEqual([large!.state, small!.state], ['ready', 'starting'])
    await yard.end(small!)
    await yard.advance(61_000)
    const [later] = await yard.submit(aJob({ needs: { cpus: 1 } }))
    assert.equal(later!.state, 'ready')
    await yard.end(running!)
    assert.deepEqual([large!.state, later!.state], ['starting', 'ready'])
  })

  test('in a fair pool owners take turns', async () => {
    const yard = await setup({ pools: { default: { slots: 2, fair: true } } })
    const jobs = await yard.submit(
      aJob({ owner: 'ann' }),
      aJob({ owner: 'ann' }),
      aJob({ owner: 'ann' }),
      aJob({ owner: 'ben' }),
    )
    assert.deepEqual(
      jobs.map(job => job.state),
      ['starting', 'ready', 'ready', 'starting'],
    )
  })

  test('a large job is not passed for ever by those of other owners either, nor by other large ones', async () => {
    const pools = { default: { resources: { cpus: 4 }, fair: true } }
    const yard = await setup({ pools })
    const one = (owner: string) => aJob({ owner, needs: { cpus: 1 } })
    const [running] = await yard.submit(one('eve'))
    const [large, largest] = await yard.submit(
      aJob({ owner: 'ann', needs: { cpus: 4 } }),
      aJob({ owner: 'ben', needs: { cpus: 4 } }),
    )
    const [small] = await yard.submit(one('eve'))
    assert.equal(small!.state, 'starting')
    await yard.advance(61_000)
    const [late] = await yard.submit(one('eve'))
    assert.equal(late!.state, 'ready')
    await yard.end(small!)
    await yard.end(running!)
    assert.deepEqual([large!.state, largest!.state, late!.state], ['starting', 'ready', 'ready'])
  })

  test('a job that fits no more since the pool became smaller says so, and holds nobody up', async () => {
    const before = await setup({ pools: { default: { slots: 0, resources: { cpus: 4 } } } })
    const [large] = await before.submit(aJob({ needs: { cpus: 4 } }))
    const yard = await setup({ ...before.crash(), pools: { default: { resources: { cpus: 2 } } } })
    await yard.advance(61_000)
    const [small] = await yard.submit(aJob({ needs: { cpus: 1 } }))
    assert.equal(small!.state, 'starting')
    assert.match((await yard.engine.why(large!.n))!.text, /has 2 cpus, and the job asks for 4/)
  })

  test('one owner has no more live jobs than ownerSlots, however much room there is', async () => {
    const yard = await setup({ pools: { default: { slots: 8, fair: true, ownerSlots: 2 } } })
    const [first, ...others] = await yard.submit(
      aJob({ owner: 'ann' }),
      aJob({ owner: 'ann' }),
      aJob({ owner: 'ann' }),
    )
    assert.deepEqual(
      [first!, ...others].map(job => job.state),
      ['starting', 'starting', 'ready'],
    )
    const [ben] = await yard.submit(aJob({ owner: 'ben' }))
    assert.equal(ben!.state, 'starting')
    const why = (await yard.engine.why(others[1]!.n))!
    assert.deepEqual([why.waitsFor, why.text], ['slots', 'ann has as many live jobs as one owner may have'])
    await yard.end(first!)
    assert.equal(others[1]!.state, 'starting')
  })

  test('jobs of one label have no more than its slots, and others pass those that wait for one', async () => {
    const yard = await setup({ pools: { default: { slots: 4, perLabel: { label: 'to', slots: 1 } } } })
    const to = (name: string) => aJob({ labels: { to: name } })
    const jobs = await yard.submit(to('near'), to('near'), to('far'), aJob(), aJob(), aJob())
    assert.deepEqual(
      jobs.map(job => job.state),
      ['starting', 'ready', 'starting', 'starting', 'starting', 'ready'],
    )
    await yard.end(jobs[0]!)
    assert.equal(jobs[1]!.state, 'starting')
    assert.equal((await yard.engine.why(jobs[5]!.n))?.waitsFor, 'slots')
  })

  test('a job that waits for a slot of its label says so', async () => {
    const yard = await setup({ pools: { default: { perLabel: { label: 'to', slots: 1 } } } })
    const [, second] = await yard.submit(aJob({ labels: { to: 'a' } }), aJob({ labels: { to: 'a' } }))
    assert.match((await yard.engine.why(second!.n))!.text, /to a/)
  })

  test('a change of rank moves a waiting job, also back and forth', async () => {
    const yard = await setup({ slots: 1 })
    const [busy, a, b] = await yard.submit(aJob({ rank: -1 }), aJob(), aJob())
    await yard.tell(tx => tx.rerank(b!.n, -1))
    await yard.tell(tx => tx.rerank(b!.n, 3))
    await yard.tell(tx => tx.rerank(b!.n, -1))
    assert.deepEqual((await yard.engine.why(a!.n))?.place, 2)
    await yard.end(busy!)
    assert.deepEqual([a!.state, b!.state], ['ready', 'starting'])
    await yard.end(b!)
    await yard.end(a!)
    assert.equal(yard.engine.poolState()[0]?.slotsUsed, 0)
  })
})

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

describe('resubmitting', () => {
  test('a failed job can be put back, a succeeded one cannot', async () => {
    const yard = await setup()
    const [bad, good] = await yard.submit(aJob(), aJob())
    await yard.fail(bad!)
    await yard.end(good!)
    assert.equal((await yard.engine.resubmit(good!.n)).ok, false)
    const verdict = await yard.engine.resubmit(bad!.n)
    assert.equal(verdict.ok, true)
    await yard.settle()
    const again = await yard.see(bad!)
    assert.deepEqual([again.state, again.attempts], ['starting', 2])
    await yard.end(again)
    assert.equal((await yard.see(bad!)).state, 'succeeded')
  })

  test('what the dialect knows of it may change with it', async () => {
    const yard = await setup()
    const [bad] = await yard.submit(aJob({ detail: { done: 3, kept: 'yes' } }))
    await yard.fail(bad!)
    await yard.engine.resubmit(bad!.n, { detail: { done: null, tries: 'again' } })
    assert.deepEqual((await yard.see(bad!)).detail, { kept: 'yes', tries: 'again' })
  })
})

describe('forgetting', () => {
  test('a job that is put back and forgotten at once is either there or not, in memory as on the disk', async () => {
    for (const order of ['forget first', 'resubmit first']) {
      for (let apart = 0; apart < 12; apart++) {
        const yard = await setup()
        const [job] = await yard.submit(aJob())
        await yard.fail(job!)
        const forget = () => yard.engine.forget({ jobs: [job!.n] })
        const resubmit = () => yard.engine.resubmit(job!.n)
        const [first, second] = order === 'forget first' ? [forget, resubmit] : [resubmit, forget]
        const done = [first() as Promise<unknown>]
        for (let turn = 0; turn < apart; turn++) await Promise.resolve()
        done.push(second())
        await Promise.all(done)
        await yard.settle()
        const isLive = [...yard.engine.liveJobs()].length > 0
        assert.equal(yard.disk.jobs.has(job!.n), isLive, `${order}, ${apart} turns apart`)
      }
    }
  })
})

describe('stale reports', () => {
  test('a report of an attempt that is not the current one changes nothing', async () => {
    const yard = await setup()
    const [job] = await yard.submit(aJob({ triesMax: 2, backoffMs: 0 }))
    const first = `${job!.id}.1`
    await yard.fail(job!)
    assert.equal(job!.attempts, 2)
    yard.executor.say([{ id: first, type: 'ended', outcome: { result: 'succeeded' } }])
    await yard.settle()
    assert.equal(job!.state, 'starting')
    assert.ok(yard.executor.forgotten.filter(id => id === first).length >= 1)
  })
})

describe('a store that fails', () => {
  test('a commit that fails answers unavailable, nothing of it is there, and the engine heals', async () => {
    let failing = false
    const yard = await setup({
      onCommit: apply => {
        if (failing) throw new Error('disk full')
        apply()
      },
    })
    const [kept] = await yard.submit(aJob())
    failing = true
    await assert.rejects(
      yard.submit(aJob({ name: 'lost' })),
      (error: Refused) => error.refusal.kind === 'unavailable',
    )
    await assert.rejects(yard.submit(aJob()), (error: Refused) => error.refusal.kind === 'unavailable')
    assert.equal(yard.engine.up, false)
    yard.executor.end(`${kept!.id}.1`, { result: 'succeeded' })
    await yard.advance(500)
    assert.equal(yard.engine.up, false)
    failing = false
    await yard.advance(500)
    await yard.settle()
    assert.equal(yard.engine.up, true)
    // Its end was reported while nothing could be stored: it was looked up again.
    assert.equal((await yard.see(kept!)).state, 'succeeded')
    assert.equal(yard.disk.jobs.size, 1)
  })

  test('a store that fails for long is tried again at the same pace, once each time', async () => {
    let failing = false
    const yard = await setup({
      onCommit: apply => {
        if (failing) throw new Error('disk full')
        apply()
      },
    })
    failing = true
    await assert.rejects(yard.submit(aJob()))
    let opened = 0
    const open = yard.store.open.bind(yard.store)
    yard.store.open = () => {
      opened++
      return open()
    }
    for (let turn = 0; turn < 12; turn++) await yard.advance(500)
    assert.equal(opened, 12)
    failing = false
    await yard.advance(500)
    assert.deepEqual([yard.engine.up, opened], [true, 13])
    await yard.advance(5_000)
    assert.equal(opened, 13)
    assert.equal((await yard.submit(aJob()))[0]!.state, 'starting')
  })

  test('a store that fails again while the engine asks its executors is tried again', async () => {
    let failing = false
    const before = await setup()
    const [job] = await before.submit(aJob())
    await before.begin(job!)
    const yard = await setup({
      ...before.crash(),
      onCommit: apply => {
        if (failing) throw new Error('disk full')
        apply()
      },
    })
    const look = yard.executor.look.bind(yard.executor)
    yard.executor.look = async ids => {
      // Something is heard, and cannot be stored, while the engine still waits for this answer.
      failing = true
      yard.executor.begin(ids[0]!)
      yard.executor.say([{ id: 'nobody.1', type: 'ended', outcome: { result: 'lost' } }])
      await yard.settle()
      failing = false
      return look(ids)
    }
    failing = true
    await assert.rejects(yard.submit(aJob()))
    failing = false
    await yard.advance(500)
    await yard.settle()
    yard.executor.look = look
    await yard.advance(500)
    assert.equal(yard.engine.up, true)
    assert.equal((await yard.submit(aJob()))[0]!.state, 'starting')
  })
})

describe('what has ended', () => {
  const blob = { hash: 'b'.repeat(64), sizeBytes: 3 }
  const aFlow = { dialect: 'native', kind: 'test.flow', spec: {}, owner: '' }
  const only = {
    key: 'a',
    does: 'job',
    count: 1,
    fansOut: false,
    needs: [],
    when: 'succeeded',
    retries: 0,
  } as const
  const plan = { failure: 'cut', steps: [only] } as const

  test('is forgotten once, however many ask for it: what it held is given back once', async () => {
    const yard = await setup()
    const [job, other] = await yard.submit(aJob(), aJob())
    for (const each of [job!, other!])
      await yard.end(each, { result: 'succeeded', exitCode: 0, outputs: [{ name: 'file', blob }] })
    const what = { jobs: [job!.n] }
    await Promise.all([yard.engine.forget(what), yard.engine.forget(what), yard.engine.forget(what)])
    assert.equal(await yard.store.blobCount(blob.hash), 1)
    assert.equal(await yard.engine.job({ n: job!.n }), undefined)
  })

  test.each(['forget', 'resubmit'])(
    'is either put back or forgotten, when both are asked at once: %s first',
    async first => {
      const yard = await setup()
      const [job] = await yard.submit(aJob())
      await yard.fail(job!)
      const forget = () => yard.engine.forget({ jobs: [job!.n] })
      const resubmit = () => yard.engine.resubmit(job!.n)
      const asked = first === 'forget' ? [forget(), resubmit()] : [resubmit(), forget()]
      await Promise.all(asked)
      await yard.settle()
      assert.equal(yard.engine.up, true)
      assert.equal((await yard.engine.job({ n: job!.n }))?.state, first === 'forget' ? undefined : 'starting')
      await yard.submit(aJob())
    },
  )

  test.each(['forget', 'rerun'])('and is a flow, runs again or is forgotten: %s first', async first => {
    const yard = await setup()
    const flow = await yard.tell(tx => tx.startFlow({ ...aFlow, plan }))
    for (const job of [...yard.engine.liveJobs()]) await yard.fail(job)
    assert.equal((await yard.engine.flow({ n: flow.n }))?.state, 'failed')
    const forget = () => yard.engine.forget({ flows: [flow.n] })
    const rerun = () => yard.engine.rerunFlow(flow.n)
    await Promise.all(first === 'forget' ? [forget(), rerun()] : [rerun(), forget()])
    await yard.settle()
    assert.equal(yard.engine.up, true)
    assert.equal((await yard.engine.flow({ n: flow.n }))?.state, first === 'forget' ? undefined : 'running')
    await yard.submit(aJob())
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

describe('retention', () => {
  test('jobs that ended longer ago than the limit are forgotten, with their streams; younger ones stay', async () => {
    const yard = await setup({ retainMs: 60_000 })
    const [old] = await yard.submit(aJob())
    await yard.end(old!)
    await yard.advance(50_000)
    const [young] = await yard.submit(aJob())
    await yard.end(young!)
    await yard.advance(20_000)
    await yard.advance(10_000)
    assert.equal(yard.disk.jobs.has(old!.n), false)
    assert.equal(yard.disk.jobs.has(young!.n), true)
    assert.equal(yard.executor.forgotten.filter(id => id === `${old!.id}.1`).length, 2)
  })

  test('events go when they are as old, oldest first, and the newest stays for the numbers to go on from', async () => {
    const yard = await setup({ retainMs: 60_000 })
    const [old] = await yard.submit(aJob())
    await yard.end(old!)
    await yard.advance(50_000)
    const [young] = await yard.submit(aJob())
    for (let turn = 0; turn < 3; turn++) await yard.advance(10_000)
    const about = [...yard.disk.events.values()].map(event => event.n)
    assert.equal(about.includes(old!.n), false)
    assert.equal(about.includes(young!.n), true)
    for (let turn = 0; turn < 12; turn++) await yard.advance(10_000)
    const last = await yard.engine.lastEvent()
    assert.deepEqual([...yard.disk.events.keys()], [last])
  })
  const flowOf = (dialect: string, keys: readonly string[]): FlowDraft => ({
    dialect,
    kind: 'test.flow',
    plan: {
      steps: keys.map(key => ({
        key,
        does: 'job',
        count: 1,
        fansOut: false,
        needs: [],
        when: 'succeeded',
        retries: 0,
      })),
      failure: 'cut',
    },
    spec: Object.fromEntries(keys.map(key => [key, { dialect }])),
    owner: 'somebody',
  })
  const jobsOf = (yard: TestYard): Job[] => [...yard.engine.liveJobs()]

  test('jobs of a flow that still runs stay with it, however old they are', async () => {
    const yard = await setup({ retainMs: 60_000 })
    const flow = await yard.tell(tx => tx.startFlow(flowOf('test', ['quick', 'slow'])))
    const [quick, slow] = jobsOf(yard)
    await yard.end(quick!)
    for (let turn = 0; turn < 5; turn++) await yard.advance(30_000)
    assert.equal(yard.disk.jobs.has(quick!.n), true)
    await yard.end(slow!)
    for (let turn = 0; turn < 5; turn++) await yard.advance(30_000)
    assert.deepEqual([yard.disk.jobs.size, yard.disk.flows.has(flow.n)], [0, false])
  })

  test('a dialect that forgets its own is asked for each flow and each job without one, and nothing else of it goes', async () => {
    const yard = await setup({ retainMs: 60_000 })
    const asked: number[][] = []
    let mayGo = false
    yard.engine.forgetter('keeper', async ({ flows, jobs }, before) => {
      assert.ok([...flows, ...jobs].every(({ endedAt }) => endedAt! < before))
      asked.push([...flows, ...jobs].map(({ n }) => n))
      const what = { flows: flows.map(({ n }) => n), jobs: jobs.map(({ n }) => n) }
      await yard.engine.forget(what, tx => {
        if (mayGo) tx.record({ put: { collection: 'gone', id: 'x', body: 1 } })
        return mayGo
      })
    })
    const flow = await yard.tell(tx => tx.startFlow(flowOf('keeper', ['a'])))
    const [inside] = jobsOf(yard)
    const [alone] = await yard.submit(aJob({ dialect: 'keeper' }))
    for (const job of [inside!, alone!]) await yard.end(job)
    for (let turn = 0; turn < 3; turn++) await yard.advance(30_000)
    assert.deepEqual(asked[0], [flow.n, alone!.n])
    assert.deepEqual([yard.disk.jobs.size, yard.disk.records.size], [2, 0])
    mayGo = true
    await yard.advance(30_000)
    assert.deepEqual([...yard.disk.jobs.keys()], [inside!.n])
    assert.equal(await yard.engine.flow({ n: flow.n }), undefined)
    assert.equal((await yard.engine.records.get('gone', 'x'))?.body, 1)
  })

  test('many that have to stay do not keep those behind them from going', async () => {
    const yard = await setup({ retainMs: 60_000 })
    const trouble: number[] = []
    yard.engine.forgetter('keeper', async ({ jobs }) => {
      trouble.push(jobs.length)
      throw new Error('not now')
    })
    const many = await yard.submit(...Array.from({ length: 700 }, () => aJob({ dialect: 'keeper' })))
    const [last] = await yard.submit(aJob())
    for (const job of [...many, last!]) yard.executor.end(`${job.id}.1`, { result: 'succeeded', exitCode: 0 })
    await yard.settle()
    for (let turn = 0; turn < 4; turn++) await yard.advance(30_000)
    assert.deepEqual([yard.disk.jobs.size, trouble.slice(0, 2)], [700, [500, 200]])
  })
})

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

describe('completing', () => {
  const complete: Completer = ({ job, outcome, next }) => {
    if (outcome.exitCode !== 0) throw new Error('no such success')
    return {
      outputs: [{ name: 'kept', value: 1 }],
      records: [{ put: { collection: 'result', id: job.id, body: next('result') } }],
      blobs: [{ hash: 'a'.repeat(64), sizeBytes: 5, delta: 1 }],
    }
  }
  const dropped = { name: 'dropped', value: 2 }

  test('what belongs to a success is committed with it, and the outputs are those that are kept', async () => {
    let seen: unknown
    const disk = new MemoryDisk()
    const yard = await setup({
      disk,
      completers: { test: complete },
      onCommit: apply => {
        apply()
        const [job] = [...disk.jobs.values()]
        seen ??= job?.state === 'succeeded' ? [...disk.records.get('result')!.keys()] : undefined
        return undefined
      },
    })
    const [job] = await yard.submit(aJob())
    await yard.end(job!, { result: 'succeeded', exitCode: 0, outputs: [dropped] })
    assert.deepEqual(seen, [job!.id])
    assert.equal((await yard.engine.records.get('result', job!.id))?.body, 1)
    const outputs = await yard.engine.history.outputs(job!.n)
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ['kept'],
    )
    assert.equal(await yard.store.blobCount('a'.repeat(64)), 1)
  })

  test('a success that cannot be completed is a failure that says why, and leaves no record', async () => {
    const yard = await setup({ completers: { test: complete } })
    const [job] = await yard.submit(aJob())
    await yard.end(job!, { result: 'succeeded', exitCode: 7 })
    const ended = await yard.see(job!)
    assert.deepEqual([ended.state, ended.reason, ended.message], ['failed', 'stage-out', 'no such success'])
    const [attempt] = await yard.engine.history.attempts(job!.n)
    assert.deepEqual([attempt!.result, attempt!.exitCode], ['failed', null])
    assert.equal(await yard.engine.records.get('result', job!.id), undefined)
  })

  test('a failure is not completed', async () => {
    const yard = await setup({ completers: { test: complete } })
    const [job] = await yard.submit(aJob())
    await yard.fail(job!)
    assert.equal(await yard.engine.records.get('result', job!.id), undefined)
  })

  test('an end whose commit failed is completed again after the store works, with the same number', async () => {
    let isFull = false
    const yard = await setup({
      completers: { test: complete },
      onCommit: apply => {
        if (isFull) throw new Error('no space')
        apply()
        return undefined
      },
    })
    const [job] = await yard.submit(aJob())
    isFull = true
    await yard.end(job!)
    assert.equal(yard.disk.records.get('result'), undefined)
    isFull = false
    await yard.advance(600)
    assert.equal((await yard.see(job!)).state, 'succeeded')
    assert.equal((await yard.engine.records.get('result', job!.id))?.body, 1)
  })
})
