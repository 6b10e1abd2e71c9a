// What every executor must do when an attempt is to stop: ask, wait for its grace time, end all of it, and tell of it once.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { eventually } from './eventually.ts'
import type { ConformanceSubject } from './executor-subject.ts'
import { linesOf, orderOf, worldOf } from './executor-world.ts'

/** Tests of stopping: by asking, by force, in time, and of everything that an attempt left behind. */
export function stoppingTests(subject: ConformanceSubject): void {
  test('an attempt that is asked to stop ends as stopped, by a user', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = await yard.begun(samples.runsLong)
    yard.executor.stop(order.id, 'ask', 'cancel')
    expect(await yard.end(order.id)).toMatchObject({ result: 'stopped', reason: 'user' })
  })

  test('an attempt whose time ran out ends as stopped, for its time-out', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = await yard.begun(samples.runsLong)
    yard.executor.stop(order.id, 'ask', 'expire')
    expect(await yard.end(order.id)).toMatchObject({ result: 'stopped', reason: 'timeout' })
  })

  test('an attempt that does not listen is ended after its grace time', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = await yard.begun(samples.ignoresAsking)
    await sleep(300) // until it has closed its ears
    yard.executor.stop(order.id, 'ask', 'cancel')
    expect(await yard.end(order.id)).toMatchObject({ result: 'stopped', reason: 'user' })
  })

  test('an attempt is killed at once when that is wanted', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = await yard.begun(samples.ignoresAsking)
    yard.executor.stop(order.id, 'kill', 'kill')
    expect(await yard.end(order.id)).toMatchObject({ result: 'stopped', reason: 'user' })
  })

  test('a stop right behind the start stops it, and the end is told', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const orders = Array.from({ length: 20 }, () => orderOf(samples.runsLong))
    yard.executor.start(orders)
    for (const { id } of orders) yard.executor.stop(id, 'ask', 'cancel')
    for (const { id } of orders) expect((await yard.end(id)).result).toBe('stopped')
    await yard.quiet()
    for (const { id } of orders) expect(yard.endsOf(id)).toHaveLength(1)
  })

  test('stopping twice, harder, and after the end, still ends once', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = await yard.begun(samples.runsLong)
    yard.executor.stop(order.id, 'ask', 'cancel')
    yard.executor.stop(order.id, 'ask', 'cancel')
    yard.executor.stop(order.id, 'kill', 'kill')
    await yard.end(order.id)
    yard.executor.stop(order.id, 'ask', 'cancel')
    yard.executor.stop(order.id, 'kill', 'kill')
    await yard.quiet()
    expect(yard.endsOf(order.id)).toHaveLength(1)
  })

  test('nothing of an attempt is left running after its end or its stop', async context => {
    const { open, samples, folder } = await worldOf(subject, context)
    if (!samples.leavesProcess) return context.skip('it runs no processes')
    const yard = await open()
    const path = join(folder, 'ticks')
    const order = orderOf(samples.leavesProcess(path))
    yard.executor.start([order])
    await eventually(() => expect(linesOf(path)).toBeGreaterThan(0))
    yard.executor.stop(order.id, 'ask', 'cancel')
    await yard.end(order.id)
    const count = linesOf(path)
    await sleep(400)
    expect(linesOf(path)).toBe(count)
  })
}
