// What every executor must answer about attempts: whether they run, what they wrote, and nothing more of what it may forget.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from './eventually.ts'
import type { ConformanceSubject } from './executor-subject.ts'
import { orderOf, worldOf } from './executor-world.ts'

/** Tests of looks, streams and forgetting. */
export function lookingTests(subject: ConformanceSubject): void {
  test('an attempt that nobody knows can be stopped, forgotten, read and looked for', async context => {
    const { open } = await worldOf(subject, context)
    const yard = await open()
    const ids = [orderOf(null).id, '../../etc/passwd', '', 'a b']
    for (const id of ids) {
      yard.executor.stop(id, 'ask', 'cancel')
      yard.executor.stop(id, 'kill', 'kill')
      yard.executor.forget([id], { streams: true })
      expect(await yard.executor.read(id, 'out', 0, 10)).toBeUndefined()
    }
    expect(await yard.executor.look(ids)).toEqual(ids.map(id => ({ id, type: 'unknown' })))
    await yard.quiet()
    expect(yard.reports).toEqual([])
  })

  test('a look tells of each attempt in the order of asking: one that runs, one that ended, one unknown', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const [runs, ended, unknown] = [orderOf(samples.runsLong), orderOf(samples.fails.spec), orderOf(null)]
    yard.executor.start([runs, ended])
    await yard.begin(runs.id)
    const outcome = await yard.end(ended.id)
    const seen = await yard.executor.look([unknown.id, ended.id, runs.id])
    expect(seen).toEqual([
      { id: unknown.id, type: 'unknown' },
      { id: ended.id, type: 'ended', outcome },
      { id: runs.id, type: 'began', at: expect.any(Number) },
    ])
    expect(yard.endsOf(ended.id)).toHaveLength(1)
    yard.executor.stop(runs.id, 'kill', 'kill')
    await yard.end(runs.id)
  })

  test('streams are read by offset while it runs and after its end', async context => {
    const { open, samples, folder } = await worldOf(subject, context)
    const yard = await open()
    const { spec, stream, text, until } = samples.prints
    const size = Buffer.byteLength(text)
    const order = orderOf(spec)
    yard.executor.start([order])
    const whole = async () => {
      const chunk = await yard.executor.read(order.id, stream, 0, 1_000_000)
      return Buffer.from(chunk?.bytes ?? []).toString()
    }
    await eventually(async () => expect(await whole()).toBe(text))
    expect(yard.endsOf(order.id)).toHaveLength(0)
    await writeFile(join(folder, until), '')
    expect((await yard.end(order.id)).result).toBe('succeeded')
    expect(await whole()).toBe(text)
    const read = async (from: number, maxBytes: number) => {
      const chunk = (await yard.executor.read(order.id, stream, from, maxBytes))!
      return { text: Buffer.from(chunk.bytes).toString(), sizeBytes: chunk.sizeBytes }
    }
    expect(await read(2, 3)).toEqual({ text: text.slice(2, 5), sizeBytes: size })
    expect(await read(size - 1, 100)).toEqual({ text: text.slice(-1), sizeBytes: size })
    expect(await read(size, 100)).toEqual({ text: '', sizeBytes: size })
    expect(await read(size + 100, 100)).toEqual({ text: '', sizeBytes: size })
    expect(await yard.executor.read(order.id, 'no-such-stream', 0, 10)).toBeUndefined()
    expect(await yard.executor.read(order.id, '../out', 0, 10)).toBeUndefined()
  })

  test('what is forgotten is unknown; its streams stay until they are forgotten, too', async context => {
    const { open, samples, folder } = await worldOf(subject, context)
    const yard = await open()
    const { spec, stream, text, until } = samples.prints
    await writeFile(join(folder, until), '')
    const order = orderOf(spec)
    yard.executor.start([order])
    await yard.end(order.id)
    yard.executor.forget([order.id], { streams: false })
    expect(await yard.executor.look([order.id])).toEqual([{ id: order.id, type: 'unknown' }])
    expect((await yard.executor.read(order.id, stream, 0, 1000))?.sizeBytes).toBe(Buffer.byteLength(text))
    yard.executor.forget([order.id], { streams: true })
    yard.executor.forget([order.id], { streams: true })
    await eventually(async () => expect(await yard.executor.read(order.id, stream, 0, 1000)).toBeUndefined())
  })

  test('forgetting an attempt that runs does not lose it', async context => {
    const { open, samples } = await worldOf(subject, context)
    const yard = await open()
    const order = await yard.begun(samples.runsLong)
    yard.executor.forget([order.id], { streams: true })
    yard.executor.stop(order.id, 'ask', 'cancel')
    expect((await yard.end(order.id)).result).toBe('stopped')
  })
}
