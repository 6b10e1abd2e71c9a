import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup, type TestYard } from '../../test/support/yard.ts'
import type { FlowDraft } from '../core/flow.ts'
import type { Job } from '../core/job.ts'

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
