// What every executor must do with what it is told to start: run it once, and tell of it once.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Json } from '../../core/json.ts'
import type { ConformanceSubject } from './executor-subject.ts'
import { linesOf, orderOf, worldOf } from './executor-world.ts'

/** Tests of starting: once each, reported once, refused with a sentence where it cannot be. */
export function runningTests(subject: ConformanceSubject): void {
  test('an attempt that ends well is reported as succeeded, once', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = orderOf(samples.succeeds)
    yard.executor.start([order])
    const outcome = await yard.end(order.id)
    expect(outcome.result).toBe('succeeded')
    expect(outcome.endedAt).toBeGreaterThanOrEqual(outcome.startedAt!)
    expect(outcome.usage?.wallMs).toBeGreaterThanOrEqual(0)
    await yard.quiet()
    expect(yard.endsOf(order.id)).toHaveLength(1)
  })

  test('an attempt that fails is reported with its exit code', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = orderOf(samples.fails.spec)
    yard.executor.start([order])
    const outcome = await yard.end(order.id)
    expect(outcome).toMatchObject({ result: 'failed', reason: 'exit', exitCode: samples.fails.exitCode })
    expect(outcome.message).toBeTruthy()
  })

  test('an attempt that runs is reported to have begun, before its end', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = await yard.begun(samples.runsLong)
    yard.executor.stop(order.id, 'kill', 'kill')
    await yard.end(order.id)
    expect(
      yard
        .reportsOf(order.id)
        .map(({ type }) => type)
        .filter(type => type !== 'progress'),
    ).toEqual(['began', 'ended'])
  })

  test('starting the same attempt again starts nothing: together, while it runs, and after its end', async context => {
    const { open, samples, folder } = await worldOf(subject, context)
    const yard = await open()
    const path = join(folder, 'marks')
    const order = orderOf(samples.marks(path))
    yard.executor.start([order, order])
    yard.executor.start([order])
    await yard.end(order.id)
    yard.executor.start([order])
    await yard.quiet()
    expect(linesOf(path)).toBe(1)
    expect(yard.endsOf(order.id)).toHaveLength(1)
  })

  test('no orders, no looks and nothing to forget are no work', async context => {
    const { open } = await worldOf(subject, context)
    const yard = await open()
    yard.executor.start([])
    yard.executor.forget([], { streams: true })
    expect(await yard.executor.look([])).toEqual([])
    await yard.quiet()
    expect(yard.reports).toEqual([])
  })

  test('a spec that can never run is refused with a sentence; started all the same, it fails to launch', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    expect(yard.executor.check(samples.impossible, 'test')).toMatch(/\w+ \w+/)
    for (const good of [samples.succeeds, samples.runsLong, samples.prints.spec, samples.fails.spec])
      expect(yard.executor.check(good, 'test')).toBeUndefined()
    const order = orderOf(samples.impossible)
    yard.executor.start([order])
    expect(await yard.end(order.id)).toMatchObject({ result: 'failed', reason: 'launch' })
  })

  test('checking survives whatever is not a spec at all', async context => {
    const { open } = await worldOf(subject, context)
    const yard = await open()
    for (const spec of [null, true, 0, '', [], {}, [[]], { argv: null }, { function: {} }] satisfies Json[])
      expect(yard.executor.check(spec, 'test')).toMatch(/\w+ \w+/)
  })

  test('of a crowd, each is run once and told once', async context => {
    const { open, samples, folder } = await worldOf(subject, context)
    const yard = await open()
    const path = join(folder, 'crowd')
    const crowd = Array.from({ length: subject.crowdCount ?? 1000 }, () => orderOf(samples.marks(path)))
    const atOnce = 50
    let next = atOnce
    yard.onEnd = () => {
      const order = crowd[next++]
      if (order) yard.executor.start([order])
    }
    yard.executor.start(crowd.slice(0, atOnce))
    for (const { id } of crowd) expect((await yard.end(id)).result).toBe('succeeded')
    await yard.quiet()
    expect(linesOf(path)).toBe(crowd.length)
    expect(crowd.every(({ id }) => yard.endsOf(id).length === 1)).toBe(true)
  }, 120_000)
}
