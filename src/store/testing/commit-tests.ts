// Conformance: a batch is taken whole or not at all, and means what it said when it was handed over.

import { expect, test } from 'vitest'
import type { Job } from '../../core/job.ts'
import { type Changes, StoreFailed } from '../store.ts'
import {
  aBatch,
  aFlow,
  aJob,
  aNode,
  anAttempt,
  anEvent,
  anOutput,
  aPut,
  hostileTexts,
  idOf,
} from './samples.ts'
import { inWorld, type MakeWorld, placesOf } from './store-world.ts'

const hash = 'a'.repeat(64)

/** Parts that no store may take, given job 1, flow 2 and event 1 are stored. */
const impossible: readonly [what: string, parts: Parameters<typeof aBatch>[0]][] = [
  ['a place that is taken', { newJobs: [aJob({ n: 1, id: idOf(99) })] }],
  ['an id that is taken', { newJobs: [aJob({ n: 99, id: idOf(1) })] }],
  ['a ref that is taken in its dialect', { newJobs: [aJob({ n: 99, ref: 'taken' })] }],
  ['a change of a job that is not stored', { jobs: [aJob({ n: 99 })] }],
  ['a change of a flow that is not stored', { flows: [aFlow({ n: 99 })] }],
  ['a node of a flow that is not stored', { nodes: [aNode({ flow: 99, step: 0, index: 0 })] }],
  ['an attempt of a job that is not stored', { attempts: [anAttempt({ job: 99, number: 1 })] }],
  ['an output of a job that is not stored', { outputs: [anOutput({ job: 99, name: 'o', value: 1 })] }],
  ['an attempt for the second time', { attempts: [anAttempt({ job: 1, number: 1 })] }],
  ['an event number that is taken', { events: [anEvent({ seq: 1 })] }],
  ['a job with an end that is not final', { jobs: [aJob({ n: 1, state: 'running', endedAt: 5 })] }],
  ['a final job without an end', { jobs: [aJob({ n: 1, state: 'failed', endedAt: null })] }],
  ['a final flow without an end', { flows: [aFlow({ n: 2, state: 'failed', endedAt: null })] }],
  ['a blob dropped more often than named', { blobs: [{ hash, sizeBytes: 1, delta: -1 }] }],
  ['an index value that is no number', { records: [aPut('c', 'x', { index: [['k', Number.NaN]] })] }],
]

export function commitTests(makeWorld: MakeWorld): void {
  test('an empty batch changes nothing', () =>
    inWorld(makeWorld, async bench => {
      await bench.store.commit(aBatch({}))
      expect(await bench.reopen()).toMatchObject({ jobs: [], lastN: 0, lastEvent: 0 })
    }))

  for (const [what, parts] of impossible) {
    test(`${what} fails the whole batch and leaves nothing of it behind`, () =>
      inWorld(makeWorld, async bench => {
        const before = aBatch({
          newJobs: [aJob({ n: 1, ref: 'taken' })],
          newFlows: [aFlow({ n: 2 })],
          attempts: [anAttempt({ job: 1, number: 1 })],
          events: [anEvent({ seq: 1 })],
          records: [aPut('c', 'old', { body: 1, index: [['k', 1]] })],
          counters: new Map([['c', 1]]),
        })
        await bench.store.commit(before)
        const batch = mixed(parts)
        const failure = await bench.store.commit(batch).catch(error => error)
        expect(failure).toBeInstanceOf(StoreFailed)
        expect(failure.code).toBe('broken')
        await expectUntouched(bench.store)
        const hot = await bench.reopen()
        expect(placesOf(hot.jobs)).toEqual([1])
        expect(hot).toMatchObject({ lastN: 2, lastEvent: 1, counters: new Map([['c', 1]]) })
        await expectUntouched(bench.store)

        // And the store goes on.
        await bench.store.commit(mixed({}))
        expect(placesOf((await bench.reopen()).jobs)).toEqual([1, 50])
        expect(await bench.store.records.count({ collection: 'c' })).toBe(2)
        const renewed = await bench.store.records.list({
          collection: 'c',
          where: [{ name: 'k', is: 2 }],
          limit: 5,
        })
        expect(renewed.items.map(record => record.id)).toEqual(['old'])
        for (const collection of ['c', 'fresh']) {
          const fresh = await bench.store.records.list({
            collection,
            where: [{ name: 'fresh', is: 1 }],
            limit: 5,
          })
          expect(fresh.items.map(record => record.id)).toEqual(['new'])
        }
      }))
  }

  test('what a failed batch brought for the first time can be brought again, and is there after opening', () =>
    inWorld(makeWorld, async bench => {
      const records = [aPut('c', 'x', { body: 1, index: [['k', 1]] }), aPut('d', 'y', { index: [['k', 2]] })]
      await expect(bench.store.commit(aBatch({ records, jobs: [aJob({ n: 99 })] }))).rejects.toThrow(
        StoreFailed,
      )
      const failing = [...records, aPut('c', 'z', { index: [['k', Number.NaN]] })]
      await expect(bench.store.commit(aBatch({ records: failing }))).rejects.toThrow(StoreFailed)
      // Other things take the places that were lost.
      await bench.store.commit(aBatch({ records: [aPut('e', 'z', { index: [['other', 3]] })] }))
      await bench.store.commit(aBatch({ records: records.toReversed() }))
      await bench.reopen()
      expect((await bench.store.records.get('d', 'y'))!.seq).toBe(2)
      expect((await bench.store.records.get('c', 'x'))!.seq).toBe(3)
      for (const [collection, is] of [
        ['c', 1],
        ['d', 2],
      ] as const) {
        expect(await bench.store.records.count({ collection })).toBe(1)
        expect(await bench.store.records.count({ collection, where: [{ name: 'k', is }] })).toBe(1)
      }
    }))

  test('what the caller changes after handing over a batch does not matter', () =>
    inWorld(makeWorld, async bench => {
      const job = aJob({ n: 1, detail: { steps: [1] } })
      const record = { collection: 'c', id: 'x', body: { list: [1] } }
      const done = bench.store.commit(aBatch({ newJobs: [job], records: [{ put: record }] }))
      job.state = 'running'
      ;(job.detail!['steps'] as number[]).push(2)
      record.body.list.push(2)
      await done
      expect(await bench.store.history.job({ n: 1 })).toMatchObject({
        state: 'ready',
        detail: { steps: [1] },
      })
      expect((await bench.store.records.get('c', 'x'))!.body).toEqual({ list: [1] })
    }))

  test('what the caller changes in an answer does not matter either', () =>
    inWorld(makeWorld, async bench => {
      await bench.store.commit(
        aBatch({
          newJobs: [aJob({ n: 1, detail: { a: 1 } })],
          records: [aPut('c', 'x', { body: { b: 1 } })],
        }),
      )
      const job = (await bench.store.history.job({ n: 1 }))!
      job.state = 'failed'
      job.detail!['a'] = 2
      ;((await bench.store.records.get('c', 'x'))!.body as { b: number }).b = 2
      expect(await bench.store.history.job({ n: 1 })).toEqual(aJob({ n: 1, detail: { a: 1 } }))
      expect((await bench.store.records.get('c', 'x'))!.body).toEqual({ b: 1 })
    }))

  test('iterables that can be walked only once are enough', () =>
    inWorld(makeWorld, async bench => {
      await bench.store.commit(
        aBatch({ newJobs: [aJob({ n: 1 }), aJob({ n: 2 })], newFlows: [aFlow({ n: 3 })] }),
      )
      const dirty = new Map([1, 2].map(n => [n, aJob({ n, state: 'running' })]))
      await bench.store.commit(
        aBatch({
          jobs: dirty.values(),
          flows: [aFlow({ n: 3, stop: 'cancel' })].values(),
          nodes: [aNode({ flow: 3, step: 0, index: 0 })].values(),
        }),
      )
      const hot = await bench.reopen()
      expect(hot.jobs.map(job => job.state)).toEqual(['running', 'running'])
      expect(hot.flows[0]!.stop).toBe('cancel')
      expect(hot.nodes).toHaveLength(1)
    }))

  test('every fact that may change does', () =>
    inWorld(makeWorld, async bench => {
      const before = aJob({ n: 1 })
      const after: Job = {
        ...before,
        rank: 3,
        state: 'failed',
        held: true,
        stop: 'kill',
        reason: 'memory',
        message: 'too much',
        exitCode: 137,
        attempts: 4,
        tries: 3,
        readyAt: 11,
        dueAt: 12,
        startedAt: 13,
        endedAt: 14.5,
        detail: { usage: { cpuMs: 1 } },
        lastEvent: 15,
      }
      await bench.store.commit(aBatch({ newJobs: [before] }))
      await bench.store.commit(aBatch({ jobs: [after] }))
      expect(await bench.store.history.job({ n: 1 })).toEqual(after)
      // The same again for a job that goes on, once from its end and once from being live.
      for (const shift of [1, 2]) {
        const live: Job = {
          ...after,
          rank: 3 + shift,
          state: shift === 1 ? 'running' : 'delayed',
          held: shift === 1,
          stop: shift === 1 ? 'pause' : 'none',
          reason: shift === 1 ? 'lost' : null,
          message: `message ${shift}`,
          exitCode: shift,
          attempts: 4 + shift,
          tries: 3 + shift,
          readyAt: 11 + 10 * shift,
          dueAt: 12 + 10 * shift,
          startedAt: 13 + 10 * shift,
          endedAt: null,
          detail: { shift },
          lastEvent: 15 + shift,
        }
        await bench.store.commit(aBatch({ jobs: [live] }))
        expect(await bench.store.history.job({ n: 1 })).toEqual(live)
      }

      const flow = aFlow({ n: 2 })
      const ended = {
        ...flow,
        state: 'failed',
        stop: 'cancel',
        startedAt: 1,
        endedAt: 2,
        progress: { total: 6, waiting: 1, live: 1, done: 1, failed: 1, skipped: 2 },
        detail: { a: null },
        lastEvent: 16,
      } as const
      await bench.store.commit(aBatch({ newFlows: [flow] }))
      await bench.store.commit(aBatch({ flows: [ended] }))
      expect(await bench.store.history.flow({ n: 2 })).toEqual(ended)

      const node = aNode({ flow: 2, step: 0, index: 0 })
      const live = { ...node, state: 'live', job: 1, child: 5, runs: 2 } as const
      await bench.store.commit(aBatch({ nodes: [node] }))
      await bench.store.commit(aBatch({ nodes: [live] }))
      expect(await bench.store.history.nodes(2, { step: 0, index: 0, limit: 9 })).toEqual([live])
    }))

  test('ten thousand of everything in one batch', () =>
    inWorld(makeWorld, async bench => {
      const places = Array.from({ length: 10_000 }, (_, at) => at + 1)
      await bench.store.commit(
        aBatch({
          newJobs: places.map(n => aJob({ n, state: n % 2 === 0 ? 'succeeded' : 'ready' })),
          newFlows: [aFlow({ n: 20_000 })],
          nodes: places.map(n => aNode({ flow: 20_000, step: 0, index: n })),
          attempts: places.filter(n => n % 2 === 0).map(n => anAttempt({ job: n, number: 1 })),
          events: places.map(n => anEvent({ seq: n, n })),
          records: places.map(n => aPut('c', `id${n}`, { parent: `p${n % 10}`, index: [['k', n]] })),
        }),
      )
      const hot = await bench.reopen()
      expect(hot.jobs).toHaveLength(5000)
      expect(hot.nodes).toHaveLength(10_000)
      expect(hot).toMatchObject({ lastN: 20_000, lastEvent: 10_000 })
      expect(await bench.store.records.count({ collection: 'c' })).toBe(10_000)
      expect(await bench.store.records.count({ collection: 'c', parent: 'p3' })).toBe(1000)
      expect(await bench.store.records.count({ collection: 'c', where: [{ name: 'k', from: 9001 }] })).toBe(
        1000,
      )
      expect(await bench.store.history.events(9990, 100)).toHaveLength(10)
      expect(await bench.store.history.attempts(10_000)).toHaveLength(1)
    }))

  test('texts of every kind come back as they were, lone surrogates as U+FFFD', () =>
    inWorld(makeWorld, async bench => {
      const jobs = hostileTexts.map((text, at) =>
        aJob({
          n: at + 1,
          owner: text,
          name: text,
          kind: text,
          ref: `${at}${text}`,
          node: text,
          message: text,
          labels: { [text]: text },
          detail: { [text]: text },
        }),
      )
      await bench.store.commit(
        aBatch({
          newJobs: jobs,
          outputs: jobs.map(job => anOutput({ job: job.n, name: job.name, value: job.name })),
          events: jobs.map(job => anEvent({ seq: job.n, type: job.name, body: { text: job.name } })),
          records: hostileTexts.map((text, at) =>
            aPut('c' + text, text, {
              body: text,
              parent: text,
              index: [
                [text, text],
                ['at', at],
              ],
            }),
          ),
          counters: new Map(hostileTexts.map((text, at) => [text, at])),
        }),
      )
      const hot = await bench.reopen()
      for (const [at, text] of hostileTexts.entries()) {
        const kept = text.toWellFormed()
        const job = (await bench.store.history.job({ dialect: 'native', ref: `${at}${text}` }))!
        expect(job).toEqual({
          ...jobs[at],
          owner: kept,
          name: kept,
          kind: kept,
          ref: `${at}${kept}`,
          node: kept,
          message: kept,
        })
        const named = await bench.store.history.jobs({
          name: text,
          owner: text,
          kind: text,
          order: 'oldest',
          limit: 5,
        })
        expect(placesOf(named.items)).toEqual([at + 1])
        const labelled = await bench.store.history.jobs({ labels: [[text, text]], order: 'oldest', limit: 5 })
        expect(placesOf(labelled.items)).toEqual([at + 1])
        expect(await bench.store.history.outputs(at + 1)).toEqual([
          anOutput({ job: at + 1, name: kept, value: text }),
        ])
        const record = {
          collection: ('c' + text).toWellFormed(),
          id: kept,
          parent: kept,
          seq: at + 1,
          body: text,
        }
        expect(await bench.store.records.get('c' + text, text)).toEqual(record)
        const queries = [
          { where: [{ name: text, is: text }] },
          { where: [{ name: text, prefix: text }] },
          { parent: text },
        ]
        for (const query of queries) {
          expect(
            (await bench.store.records.list({ collection: 'c' + text, ...query, limit: 5 })).items,
          ).toEqual([record])
        }
        expect(hot.counters.get(kept)).toBe(at)
      }
      const events = await bench.store.history.events(0, 100)
      expect(events.map(event => [event.type, event.body])).toEqual(
        hostileTexts.map(text => [text.toWellFormed(), { text }]),
      )
    }))

  test('counters keep their newest value', () =>
    inWorld(makeWorld, async bench => {
      await bench.store.commit(
        aBatch({
          counters: new Map([
            ['a', 1],
            ['b', 1],
          ]),
        }),
      )
      await bench.store.commit(aBatch({ counters: new Map([['a', 2 ** 50]]) }))
      expect((await bench.reopen()).counters).toEqual(
        new Map([
          ['a', 2 ** 50],
          ['b', 1],
        ]),
      )
    }))

  test('a blob is counted over batches, and gone at zero', () =>
    inWorld(makeWorld, async bench => {
      const named = { hash, sizeBytes: 5, delta: 1 } as const
      const dropped = { ...named, delta: -1 } as const
      expect(await bench.store.blobCount(hash)).toBe(0)
      await bench.store.commit(aBatch({ blobs: [named, named] }))
      expect(await bench.store.blobCount(hash)).toBe(2)
      await bench.store.commit(aBatch({ blobs: [dropped, named, dropped] }))
      await bench.reopen()
      expect(await bench.store.blobCount(hash)).toBe(1)
      // It may change hands in one batch, in any order.
      await bench.store.commit(aBatch({ blobs: [dropped, named] }))
      expect(await bench.store.blobCount(hash)).toBe(1)
      await bench.store.commit(aBatch({ blobs: [dropped] }))
      expect(await bench.store.blobCount(hash)).toBe(0)
      await bench.store.commit(aBatch({ blobs: [named] }))
      expect(await bench.store.blobCount(hash)).toBe(1)
    }))
}

// The parts among others of every kind, before and after them in the order of applying.
function mixed(parts: Parameters<typeof aBatch>[0]): Changes {
  return aBatch({
    ...parts,
    newJobs: [aJob({ n: 50 }), ...(parts.newJobs ?? [])],
    newFlows: [aFlow({ n: 51 }), ...(parts.newFlows ?? [])],
    nodes: [aNode({ flow: 51, step: 0, index: 0 }), ...(parts.nodes ?? [])],
    attempts: [anAttempt({ job: 50, number: 1 }), ...(parts.attempts ?? [])],
    outputs: [anOutput({ job: 50, name: 'o', value: 1 }), ...(parts.outputs ?? [])],
    events: [anEvent({ seq: 2 }), ...(parts.events ?? [])],
    records: [
      aPut('c', 'new', { index: [['fresh', 1]] }),
      aPut('fresh', 'new', { index: [['fresh', 1]] }),
      aPut('c', 'old', { body: 2, index: [['k', 2]] }),
      ...(parts.records ?? []),
    ],
    blobs: [{ hash: 'f'.repeat(64), sizeBytes: 1, delta: 1 }, ...(parts.blobs ?? [])],
    counters: new Map([['c', 2]]),
    forgottenJobs: [],
  })
}

async function expectUntouched(store: Parameters<Parameters<typeof inWorld>[1]>[0]['store']): Promise<void> {
  expect(await store.history.job({ n: 50 })).toBeUndefined()
  expect(await store.history.job({ n: 99 })).toBeUndefined()
  expect(await store.history.flow({ n: 51 })).toBeUndefined()
  expect(await store.history.job({ n: 1 })).toEqual(aJob({ n: 1, ref: 'taken' }))
  expect(await store.history.nodes(51, { step: 0, index: 0, limit: 9 })).toEqual([])
  expect((await store.history.specs([50, 51])).size).toBe(0)
  expect(await store.history.attempts(50)).toEqual([])
  expect(await store.history.outputs(50)).toEqual([])
  expect(await store.history.events(1, 9)).toEqual([])
  expect(await store.blobCount('f'.repeat(64))).toBe(0)
  const records = await store.records.list({ collection: 'c', where: [{ name: 'k', is: 1 }], limit: 9 })
  expect(records.items.map(record => [record.id, record.body])).toEqual([['old', 1]])
  expect(await store.records.count({ collection: 'c' })).toBe(1)
  expect(await store.records.count({ collection: 'fresh' })).toBe(0)
}
