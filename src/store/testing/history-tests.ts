// Conformance: looking up one thing and what belongs to it.

import { expect, test } from 'vitest'
import { aBatch, aFlow, aJob, aNode, anAttempt, anEvent, anOutput, idOf, specOf } from './samples.ts'
import { inWorld, type MakeWorld } from './store-world.ts'

export function historyTests(makeWorld: MakeWorld): void {
  test('a job and a flow are found by place, by id and by dialect and ref, and not by those of others', () =>
    inWorld(makeWorld, async bench => {
      const job = aJob({ n: 1, ref: '17', dialect: 'scale' })
      const flow = aFlow({ n: 2, ref: '17', dialect: 'scale' })
      await bench.store.commit(
        aBatch({ newJobs: [job, aJob({ n: 3, ref: '17', dialect: 'prominence' })], newFlows: [flow] }),
      )
      const { history } = bench.store
      expect(await history.job({ n: 1 })).toEqual(job)
      expect(await history.job({ id: idOf(1) })).toEqual(job)
      expect(await history.job({ dialect: 'scale', ref: '17' })).toEqual(job)
      expect(await history.flow({ n: 2 })).toEqual(flow)
      expect(await history.flow({ id: idOf(2) })).toEqual(flow)
      expect(await history.flow({ dialect: 'scale', ref: '17' })).toEqual(flow)
      for (const missing of [
        { n: 2 },
        { n: 99 },
        { id: idOf(2) },
        { id: '' },
        { dialect: 'native', ref: '17' },
      ]) {
        expect(await history.job(missing)).toBeUndefined()
      }
      for (const missing of [{ n: 1 }, { id: idOf(1) }, { dialect: 'prominence', ref: '17' }]) {
        expect(await history.flow(missing)).toBeUndefined()
      }
    }))

  test('a job without a spec is stored like any other, and its spec is absent', () =>
    inWorld(makeWorld, async bench => {
      const job = aJob({ n: 2 })
      const batch = aBatch({ newJobs: [aJob({ n: 3 })] })
      await bench.store.commit({ ...batch, newJobs: [{ job, spec: null }, ...batch.newJobs] })
      expect(await bench.store.history.job({ n: 2 })).toEqual(job)
      expect([...(await bench.store.history.specs([2, 3])).keys()]).toEqual([3])
    }))

  test('specs are given for jobs and flows alike, as they were, and missing ones are absent', () =>
    inWorld(makeWorld, async bench => {
      await bench.store.commit(
        aBatch({ newJobs: [aJob({ n: 1 }), aJob({ n: 3 })], newFlows: [aFlow({ n: 2 })] }),
      )
      expect(await bench.store.history.specs([3, 99, 2])).toEqual(
        new Map([
          [3, specOf(3)],
          [2, specOf(2)],
        ]),
      )
      expect(await bench.store.history.specs([])).toEqual(new Map())
    }))

  test('specs end with the one that makes them as long as is wanted, however long it is', () =>
    inWorld(makeWorld, async bench => {
      await bench.store.commit(aBatch({ newJobs: [1, 2, 3, 4].map(n => aJob({ n })) }))
      const long = specOf(1).length
      const read = async (places: number[], charsMax: number) => [
        ...(await bench.store.history.specs(places, { charsMax })).keys(),
      ]
      expect(await read([4, 99, 2, 3, 1], long + 1)).toEqual([4, 2])
      expect(await read([4, 99, 2, 3, 1], long)).toEqual([4])
      expect(await read([4, 3], 1)).toEqual([4])
      expect(await read([99, 3], 10 * long)).toEqual([3])
    }))

  test('attempts come in order of their number, with all they say', () =>
    inWorld(makeWorld, async bench => {
      const full = anAttempt({
        job: 1,
        number: 2,
        startedAt: null,
        result: 'lost',
        reason: 'lost',
        message: 'gone',
        exitCode: null,
        usage: { wallMs: 1.5, cpuMs: 2, maxRssBytes: 3 },
      })
      await bench.store.commit(aBatch({ newJobs: [aJob({ n: 1 }), aJob({ n: 2 })] }))
      await bench.store.commit(aBatch({ attempts: [full, anAttempt({ job: 2, number: 1 })] }))
      await bench.store.commit(
        aBatch({ attempts: [anAttempt({ job: 1, number: 10 }), anAttempt({ job: 1, number: 1 })] }),
      )
      expect(await bench.store.history.attempts(1)).toEqual([
        anAttempt({ job: 1, number: 1 }),
        full,
        anAttempt({ job: 1, number: 10 }),
      ])
      expect(await bench.store.history.attempts(99)).toEqual([])
    }))

  test('outputs come in order of name; one of the same name replaces the one before; dropped ones are gone', () =>
    inWorld(makeWorld, async bench => {
      const blob = { hash: 'c'.repeat(64), sizeBytes: 7, mediaType: 'application/zip' }
      const outputs = [
        anOutput({ job: 1, name: 'b', blob }),
        anOutput({ job: 1, name: 'a', value: null }),
        anOutput({ job: 1, name: 'c', value: [1, { x: 'y' }], blob: { hash: 'd'.repeat(64), sizeBytes: 0 } }),
        anOutput({ job: 1, name: 'gone', value: 1 }),
      ]
      await bench.store.commit(aBatch({ newJobs: [aJob({ n: 1 }), aJob({ n: 2 })], outputs }))
      await bench.store.commit(
        aBatch({
          outputs: [anOutput({ job: 1, name: 'b', value: 'new', createdAt: 31 })],
          outputsDropped: [
            { job: 1, name: 'gone' },
            { job: 2, name: 'never was' },
          ],
        }),
      )
      expect(await bench.store.history.outputs(1)).toEqual([
        outputs[1],
        anOutput({ job: 1, name: 'b', value: 'new', createdAt: 31 }),
        outputs[2],
      ])
      expect(await bench.store.history.outputs(2)).toEqual([])
    }))

  test('nodes come in order of step and index, from a position on', () =>
    inWorld(makeWorld, async bench => {
      const at = (step: number, index: number) => aNode({ flow: 1, step, index })
      await bench.store.commit(
        aBatch({
          newFlows: [aFlow({ n: 1 }), aFlow({ n: 2 })],
          nodes: [at(2, 0), at(0, 10), at(1, 0), at(0, 9), aNode({ flow: 2, step: 0, index: 0 })],
        }),
      )
      const nodes = (step: number, index: number, limit: number) =>
        bench.store.history.nodes(1, { step, index, limit })
      expect(await nodes(0, 0, 9)).toEqual([at(0, 9), at(0, 10), at(1, 0), at(2, 0)])
      expect(await nodes(0, 10, 2)).toEqual([at(0, 10), at(1, 0)])
      expect(await nodes(0, 11, 9)).toEqual([at(1, 0), at(2, 0)])
      expect(await nodes(3, 0, 9)).toEqual([])
      expect(await nodes(0, 0, 0)).toEqual([])
      expect(await bench.store.history.nodes(99, { step: 0, index: 0, limit: 9 })).toEqual([])
    }))

  test('events are a feed after a cursor and a chain per subject', () =>
    inWorld(makeWorld, async bench => {
      const events = [
        anEvent({ seq: 1, n: 1 }),
        anEvent({ seq: 2, n: 2, subject: 'flow' }),
        anEvent({ seq: 3, n: 1, prev: 1, type: 'claimed', body: { pool: 'default', tries: [1] } }),
        anEvent({ seq: 4, n: 0, subject: 'server', type: 'started' }),
        anEvent({ seq: 5, n: 1, prev: 3, type: 'succeeded' }),
      ]
      await bench.store.commit(aBatch({ events: events.slice(0, 3) }))
      await bench.store.commit(aBatch({ events: events.slice(3) }))
      const { history } = bench.store
      expect(await history.events(0, 99)).toEqual(events)
      expect(await history.events(2, 2)).toEqual(events.slice(2, 4))
      expect(await history.events(5, 99)).toEqual([])
      expect(await history.events(0, 0)).toEqual([])
      expect(await history.chain(5, 99)).toEqual([events[4], events[2], events[0]])
      expect(await history.chain(5, 2)).toEqual([events[4], events[2]])
      expect(await history.chain(0, 99)).toEqual([])
      expect(await history.chain(77, 99)).toEqual([])
    }))

  test('events are taken out up to one, but never the newest, and a chain ends where they are gone', () =>
    inWorld(makeWorld, async bench => {
      const events = [1, 2, 3, 4].map(seq => anEvent({ seq, n: 1, prev: seq - 1 }))
      await bench.store.commit(aBatch({ events }))
      await bench.store.commit(aBatch({ eventsForgottenTo: 2 }))
      expect(await bench.store.history.events(0, 99)).toEqual(events.slice(2))
      expect(await bench.store.history.events(1, 1)).toEqual([events[2]])
      expect(await bench.store.history.chain(4, 99)).toEqual([events[3], events[2]])
      await bench.store.commit(aBatch({ eventsForgottenTo: 99 }))
      expect(await bench.store.history.events(0, 99)).toEqual(events.slice(3))
      expect((await bench.reopen()).lastEvent).toBe(4)
    }))

  test('forgotten jobs and flows take everything with them but their events', () =>
    inWorld(makeWorld, async bench => {
      const hash = 'e'.repeat(64)
      await bench.store.commit(
        aBatch({
          newJobs: [aJob({ n: 1, ref: 'r' }), aJob({ n: 2 })],
          newFlows: [aFlow({ n: 3, ref: 'r' })],
          nodes: [aNode({ flow: 3, step: 0, index: 0 })],
          attempts: [anAttempt({ job: 1, number: 1 })],
          outputs: [anOutput({ job: 1, name: 'o', blob: { hash, sizeBytes: 1 } })],
          events: [anEvent({ seq: 1 })],
        }),
      )
      // The batch that ends a job may be the one that forgets it.
      const end = { state: 'succeeded', endedAt: 5 } as const
      await bench.store.commit(
        aBatch({
          jobs: [aJob({ n: 1, ref: 'r', ...end })],
          newJobs: [aJob({ n: 4, ...end })],
          forgottenJobs: [1, 4, 99],
          forgottenFlows: [3, 98],
        }),
      )
      const { history } = bench.store
      for (const key of [{ n: 1 }, { id: idOf(1) }, { dialect: 'native', ref: 'r' }, { n: 4 }]) {
        expect(await history.job(key)).toBeUndefined()
      }
      expect(await history.flow({ n: 3 })).toBeUndefined()
      expect((await history.specs([1, 3, 4])).size).toBe(0)
      expect(await history.attempts(1)).toEqual([])
      expect(await history.outputs(1)).toEqual([])
      expect(await history.nodes(3, { step: 0, index: 0, limit: 9 })).toEqual([])
      expect(await history.events(0, 9)).toHaveLength(1)
      expect((await history.jobs({ order: 'ended', limit: 9 })).items).toEqual([])
      expect(await history.job({ n: 2 })).toEqual(aJob({ n: 2 }))
      // The names are free again.
      await bench.store.commit(
        aBatch({ newJobs: [aJob({ n: 5, ref: 'r' })], newFlows: [aFlow({ n: 6, ref: 'r' })] }),
      )
      expect((await history.job({ dialect: 'native', ref: 'r' }))!.n).toBe(5)
      expect((await history.flow({ dialect: 'native', ref: 'r' }))!.n).toBe(6)
    }))
}
