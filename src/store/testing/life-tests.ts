// Conformance: opening, closing, opening again, backups, and who may.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { StoreFailed } from '../store.ts'
import { aBatch, aFlow, aJob, aNode, anEvent, aPut } from './samples.ts'
import { inWorld, type MakeWorld, placesOf } from './store-world.ts'

export function lifeTests(makeWorld: MakeWorld): void {
  test('a new store has nothing in it', () =>
    inWorld(makeWorld, async ({ hot }) => {
      expect(hot).toEqual({ jobs: [], flows: [], nodes: [], lastN: 0, lastEvent: 0, counters: new Map() })
    }))

  test('what was live is there again after opening, fact for fact and in order of place', () =>
    inWorld(makeWorld, async bench => {
      const waiting = aJob({
        n: 3,
        held: true,
        rank: -2.5,
        labels: { a: '1' },
        needs: { cpus: 2 },
        ref: 'r3',
      })
      const running = aJob({
        n: 2,
        state: 'running',
        startedAt: 9,
        attempts: 2,
        stop: 'cancel',
        detail: { x: [1, null] },
      })
      const flow = aFlow({ n: 1, detail: { y: 'z' }, labels: { b: '2' }, parentFlow: 9, parentNode: 'p' })
      const nodes = [
        aNode({ flow: 1, step: 0, index: 0, state: 'live', job: 2, runs: 1 }),
        aNode({ flow: 1, step: 1, index: 0 }),
        aNode({ flow: 1, step: 1, index: 1 }),
      ]
      await bench.store.commit(
        aBatch({
          newJobs: [waiting, running],
          newFlows: [flow],
          nodes: [nodes[2]!, nodes[0]!, nodes[1]!],
          events: [anEvent({ seq: 1 }), anEvent({ seq: 2 })],
          counters: new Map([['scale', 41]]),
        }),
      )
      expect(await bench.reopen()).toEqual({
        jobs: [running, waiting],
        flows: [flow],
        nodes,
        lastN: 3,
        lastEvent: 2,
        counters: new Map([['scale', 41]]),
      })
    }))

  test('what has ended is not live, and is again once it is resubmitted', () =>
    inWorld(makeWorld, async bench => {
      const job = aJob({ n: 1, state: 'failed' })
      const flow = aFlow({ n: 2, state: 'succeeded' })
      const node = aNode({ flow: 2, step: 0, index: 0 })
      await bench.store.commit(aBatch({ newJobs: [job], newFlows: [flow], nodes: [node] }))
      expect(await bench.reopen()).toMatchObject({ jobs: [], flows: [], nodes: [], lastN: 2 })

      const again = { ...job, state: 'ready', endedAt: null } as const
      await bench.store.commit(
        aBatch({ jobs: [again], flows: [{ ...flow, state: 'running', endedAt: null }] }),
      )
      const hot = await bench.reopen()
      expect(hot.jobs).toEqual([again])
      expect(placesOf(hot.flows)).toEqual([2])
      expect(hot.nodes).toEqual([node])

      await bench.store.commit(aBatch({ jobs: [{ ...again, state: 'cancelled', endedAt: 7 }] }))
      expect((await bench.reopen()).jobs).toEqual([])
    }))

  test('places, event numbers and record numbers are not given twice, even when their owners are forgotten', () =>
    inWorld(makeWorld, async bench => {
      await bench.store.commit(
        aBatch({ newJobs: [aJob({ n: 1 }), aJob({ n: 5 })], newFlows: [aFlow({ n: 7 })] }),
      )
      await bench.store.commit(aBatch({ forgottenJobs: [5], forgottenFlows: [7] }))
      await bench.store.commit(aBatch({ records: [aPut('c', 'a'), aPut('c', 'b')] }))
      await bench.store.commit(aBatch({ records: [{ drop: { collection: 'c', id: 'b' } }] }))
      expect((await bench.reopen()).lastN).toBe(7)
      await bench.store.commit(aBatch({ records: [aPut('c', 'd')] }))
      expect((await bench.store.records.get('c', 'd'))!.seq).toBe(3)
    }))

  test('a store may be opened again while it is open, and gives what is committed by then', () =>
    inWorld(makeWorld, async ({ store }) => {
      await store.commit(aBatch({ newJobs: [aJob({ n: 1 })] }))
      await expect(store.commit(aBatch({ newJobs: [aJob({ n: 1 })] }))).rejects.toThrow(StoreFailed)
      expect(placesOf((await store.open()).jobs)).toEqual([1])
      await store.commit(aBatch({ newJobs: [aJob({ n: 2 })] }))
      expect(placesOf((await store.open()).jobs)).toEqual([1, 2])
    }))

  test('its reading sides can be held before it is open, and answer once it is', () =>
    inWorld(makeWorld, async bench => {
      await bench.store.commit(aBatch({ newJobs: [aJob({ n: 1 })], records: [aPut('c', 'x')] }))
      await bench.store.close()
      bench.store = bench.world.make()
      const { history, records } = bench.store
      await expect(history.job({ n: 1 })).rejects.toThrow(StoreFailed)
      await expect(records.get('c', 'x')).rejects.toThrow(StoreFailed)
      await bench.store.open()
      await bench.store.open()
      expect(await history.job({ n: 1 })).toBeDefined()
      expect(await records.get('c', 'x')).toBeDefined()
    }))

  test('a second store over the same data is refused while the first one is open', () =>
    inWorld(makeWorld, async bench => {
      const second = bench.world.make()
      await expect(second.open()).rejects.toMatchObject({ name: 'StoreFailed', code: 'locked' })
      await second.close()
      await bench.store.commit(aBatch({ newJobs: [aJob({ n: 1 })] }))
      expect(placesOf((await bench.reopen()).jobs)).toEqual([1])
    }))

  test('a store that is not open fails instead of doing half of something', () =>
    inWorld(makeWorld, async bench => {
      const closed = bench.store
      await bench.reopen()
      await expect(closed.commit(aBatch({}))).rejects.toThrow(StoreFailed)
      await expect(closed.history.job({ n: 1 })).rejects.toThrow(StoreFailed)
      await expect(closed.records.get('c', 'x')).rejects.toThrow(StoreFailed)
      await closed.close()
    }))

  test('a backup holds everything that was committed before it and nothing that came later', () =>
    inWorld(makeWorld, async bench => {
      const target = join(bench.world.folder, 'copies', 'first')
      await bench.store.commit(
        aBatch({
          newJobs: [aJob({ n: 1 }), aJob({ n: 2, state: 'succeeded' })],
          newFlows: [aFlow({ n: 3 })],
          nodes: [aNode({ flow: 3, step: 0, index: 0 })],
          events: [anEvent({ seq: 1 })],
          records: [aPut('c', 'x', { body: { deep: [1] }, index: [['k', 5]] })],
          blobs: [{ hash: 'b'.repeat(64), sizeBytes: 1, delta: 1 }],
          counters: new Map([['a', 1]]),
        }),
      )
      await bench.store.backup(target)
      await bench.store.commit(aBatch({ newJobs: [aJob({ n: 4 })] }))
      const restored = await bench.world.restore(target)
      try {
        const hot = await restored.open()
        expect(placesOf(hot.jobs)).toEqual([1])
        expect(hot).toMatchObject({ lastN: 3, lastEvent: 1, counters: new Map([['a', 1]]) })
        expect(hot.nodes).toHaveLength(1)
        expect(await restored.history.job({ n: 2 })).toEqual(aJob({ n: 2, state: 'succeeded' }))
        expect(await restored.blobCount('b'.repeat(64))).toBe(1)
        const found = await restored.records.list({
          collection: 'c',
          where: [{ name: 'k', is: 5 }],
          limit: 9,
        })
        expect(found.items.map(record => record.body)).toEqual([{ deep: [1] }])
      } finally {
        await restored.close()
      }
    }))

  test('a backup does not overwrite what is there', () =>
    inWorld(makeWorld, async bench => {
      const target = join(bench.world.folder, 'copy')
      await bench.store.backup(target)
      await expect(bench.store.backup(target)).rejects.toMatchObject({ refusal: { kind: 'conflict' } })
    }))
}
