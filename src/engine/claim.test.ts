import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup } from '../../test/support/yard.ts'

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
