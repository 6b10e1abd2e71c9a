import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup } from '../../test/support/yard.ts'
import { MemoryDisk } from '../store/memory/disk.ts'
import type { Completer } from './engine.ts'

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
