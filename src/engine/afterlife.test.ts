import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup } from '../../test/support/yard.ts'

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
    'is either put back or forgotten, however close both are asked for: %s first',
    async first => {
      for (let apart = 0; apart < 12; apart++) {
        const yard = await setup()
        const [job] = await yard.submit(aJob())
        await yard.fail(job!)
        const forget = (): Promise<unknown> => yard.engine.forget({ jobs: [job!.n] })
        const resubmit = (): Promise<unknown> => yard.engine.resubmit(job!.n)
        const [one, other] = first === 'forget' ? [forget, resubmit] : [resubmit, forget]
        const asked = [one()]
        for (let turn = 0; turn < apart; turn++) await Promise.resolve()
        await Promise.all([...asked, other()])
        await yard.settle()
        assert.equal(yard.engine.up, true)
        const state = (await yard.engine.job({ n: job!.n }))?.state
        assert.equal(state, first === 'forget' ? undefined : 'starting', `${apart} turns apart`)
        assert.equal(yard.disk.jobs.has(job!.n), state !== undefined)
      }
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
