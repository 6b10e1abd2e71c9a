// What must be found again after an executor's end, in order or by SIGKILL of its server and helpers, at any moment.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { AttemptId } from '../../core/ids.ts'
import type { StartOrder } from '../executor.ts'
import type { ConformanceSubject } from './executor-subject.ts'
import { linesOf, orderOf, worldOf } from './executor-world.ts'

/** Tests of closing and of kills; they need only unknown where an executor does not survive a restart. */
export function survivingTests(subject: ConformanceSubject): void {
  test('after close nothing is reported; what survives is found by the next, the rest is unknown to it', async context => {
    const { open, samples } = await worldOf(subject, context)
    const first = await open()
    const [runs, ended] = [orderOf(samples.runsLong), orderOf(samples.fails.spec)]
    first.executor.start([runs, ended])
    await first.begin(runs.id)
    await first.end(ended.id)
    const count = first.reports.length
    await first.close()
    const second = await open()
    await second.quiet()
    expect(first.reports).toHaveLength(count)
    expect(second.reports).toEqual([])
    const seen = await second.executor.look([runs.id, ended.id])
    if (!second.executor.can.survivesRestart) {
      expect(seen.map(({ type }) => type)).toEqual(['unknown', 'unknown'])
      return
    }
    expect(seen[0]).toMatchObject({ type: 'began' })
    expect(seen[1]).toMatchObject({
      type: 'ended',
      outcome: { result: 'failed', exitCode: samples.fails.exitCode },
    })
    second.executor.stop(runs.id, 'ask', 'cancel')
    expect((await second.end(runs.id)).result).toBe('stopped')
  })

  describe.each([{ helpers: false }, { helpers: true }])(
    'when the server is killed (its helpers too: $helpers)',
    how => {
      test('what ran is found running or ended, with its exit code, and is never run again', async context => {
        const { open, serve, samples, folder } = await worldOf(subject, context)
        const server = await serve()
        const path = join(folder, 'marks')
        const [runs, prints, fails, marks] = [
          orderOf(samples.runsLong),
          orderOf(samples.prints.spec),
          orderOf(samples.fails.spec),
          orderOf(samples.marks(path)),
        ]
        server.start([runs, prints, fails, marks])
        await server.saw(runs.id, 'began')
        await server.saw(prints.id, 'began')
        await server.saw(fails.id, 'ended')
        await server.saw(marks.id, 'ended')
        await server.kill(how)
        const yard = await open()
        if (!yard.executor.can.survivesRestart) {
          const seen = await yard.executor.look([runs.id, prints.id, fails.id])
          expect(seen.map(({ type }) => type)).toEqual(['unknown', 'unknown', 'unknown'])
          return
        }
        await writeFile(join(folder, samples.prints.until), '')
        const seen = await yard.executor.look([runs.id, fails.id, marks.id])
        expect(seen[0]).toMatchObject({ type: 'began' })
        expect(seen[1]).toMatchObject({ type: 'ended', outcome: { exitCode: samples.fails.exitCode } })
        expect(seen[2]).toMatchObject({ type: 'ended', outcome: { result: 'succeeded' } })
        yard.executor.start([runs, prints, marks])
        expect((await yard.end(prints.id)).result).toBe('succeeded')
        const chunk = await yard.executor.read(prints.id, samples.prints.stream, 0, 1_000_000)
        expect(Buffer.from(chunk!.bytes).toString()).toBe(samples.prints.text)
        expect(linesOf(path)).toBe(1)
        yard.executor.stop(runs.id, 'ask', 'cancel')
        expect((await yard.end(runs.id)).result).toBe('stopped')
      })

      test('at any instant, every attempt is run exactly once in the end', async context => {
        const { open, serve, samples, folder } = await worldOf(subject, context)
        const rounds = 4
        const orders: { order: StartOrder; path: string }[] = []
        const endsSeen = new Set<AttemptId>()
        for (let round = 0; round < rounds; round++) {
          const server = await serve()
          for (let i = 0; i < 25; i++) {
            const path = join(folder, `once-${round}-${i}`)
            orders.push({ order: orderOf(samples.marks(path)), path })
          }
          // As an engine does: everything whose end is not known is looked for by starting it again.
          server.start(orders.map(({ order }) => order).filter(({ id }) => !endsSeen.has(id)))
          await sleep([5, 60, 20, 120][round]!) // a kill before, while and after programs begin
          await server.kill(how)
          for (const id of server.ends()) endsSeen.add(id)
        }
        const yard = await open()
        if (!yard.executor.can.survivesRestart) return
        const left = orders.map(({ order }) => order).filter(({ id }) => !endsSeen.has(id))
        const seen = await yard.executor.look(left.map(({ id }) => id))
        yard.executor.start(left.filter((_, index) => seen[index]!.type === 'unknown'))
        for (const [index, { id }] of left.entries())
          if (seen[index]!.type !== 'ended') expect((await yard.end(id)).result).toBe('succeeded')
        for (const { path } of orders) expect(linesOf(path)).toBe(1)
      }, 120_000)
    },
  )
}
