// Conformance: lists of jobs and of flows. Every filter is tried alone and with others, in every order, in pages of
// several sizes, against a plain filter and sort over the same samples.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Flow } from '../../core/flow.ts'
import { flowStates } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import { jobStates } from '../../core/job-state.ts'
import type { FlowQuery, JobQuery, Store } from '../store.ts'
import { aBatch, aFlow, aJob } from './samples.ts'
import { allPages, inWorld, type MakeWorld, placesOf } from './store-world.ts'

type Filters = Omit<JobQuery, 'order' | 'after' | 'limit'>

const from = 1_700_000_000_000

export function listTests(makeWorld: MakeWorld): void {
  const jobs = Array.from({ length: 240 }, (_, at) => sampleJob(at + 1))
  const flows = Array.from({ length: 160 }, (_, at) => sampleFlow(at + 1))
  const filled = (check: (store: Store) => Promise<void>) =>
    inWorld(makeWorld, async ({ store }) => {
      for (let at = 0; at < jobs.length; at += 50)
        await store.commit(aBatch({ newJobs: jobs.slice(at, at + 50) }))
      await store.commit(aBatch({ newFlows: flows.map(flow => ({ ...flow, n: flow.n + 1000 })) }))
      await check(store)
    })
  const shiftedFlows = flows.map(flow => ({ ...flow, n: flow.n + 1000 }))

  const alone: readonly [what: string, filters: Filters][] = [
    ['dialect', { dialect: 'scale' }],
    ['owner', { owner: 'bob' }],
    ['kind', { kind: 'special' }],
    ['name', { name: 'x' }],
    ['one final state', { states: ['failed'] }],
    ['one live state', { states: ['running'] }],
    ['final and live states', { states: ['ready', 'succeeded', 'cancelled', 'running'] }],
    ['no state at all', { states: [] }],
    ['every state', { states: jobStates }],
    ['flow', { flow: 3 }],
    ['an unknown flow', { flow: 77 }],
    ['label', { labels: [['site', 'A']] }],
    [
      'several labels',
      {
        labels: [
          ['site', 'A'],
          ['Run', '1'],
        ],
      },
    ],
    ['label key in another case', { labels: [['SITE', 'A']] }],
    [
      'label key in another case, folded',
      {
        labels: [
          ['SITE', 'A'],
          ['run', '1'],
        ],
        foldKeys: true,
      },
    ],
    ['label value in another case, folded', { labels: [['site', 'a']], foldKeys: true }],
    ['a label that objects inherit', { labels: [['constructor', 'x']] }],
    ['created from', { createdFrom: from + 200 }],
    ['created to', { createdTo: from + 40 }],
    ['created between', { createdFrom: from + 40, createdTo: from + 41 }],
  ]
  for (const [what, filters] of alone) {
    test(`jobs filtered by ${what}`, () =>
      filled(async store => {
        for (const order of ['newest', 'oldest', 'ended'] as const) {
          await expectList(
            limit => pagesOfJobs(store, { ...filters, order, limit }),
            expected(jobs, filters, order),
          )
        }
      }))
  }

  test('jobs filtered by any facts together, in any order and size of page', () =>
    filled(async store => {
      await fc.assert(
        fc.asyncProperty(
          anyFilters(),
          anyOrder(),
          fc.integer({ min: 1, max: 30 }),
          async (filters, order, limit) => {
            const found = await pagesOfJobs(store, { ...filters, order, limit })
            expect(placesOf(found)).toEqual(placesOf(expected(jobs, filters, order)))
          },
        ),
        { seed: 20261122, numRuns: 150 },
      )
    }))

  test('flows filtered by any facts together, in any order and size of page', () =>
    filled(async store => {
      await fc.assert(
        fc.asyncProperty(
          anyFilters(),
          anyOrder(),
          fc.integer({ min: 1, max: 30 }),
          async (filters, order, limit) => {
            const { flow: _, states, ...rest } = filters
            const wanted: Omit<FlowQuery, 'order' | 'limit'> = {
              ...rest,
              ...(states
                ? { states: flowStates.filter(state => (states as readonly string[]).includes(state)) }
                : {}),
            }
            const found = await allPages(limit, after =>
              store.history.flows({ ...wanted, order, limit, ...(after !== undefined ? { after } : {}) }),
            )
            expect(found).toEqual(expected(shiftedFlows, wanted as Filters, order))
          },
        ),
        { seed: 20261123, numRuns: 60 },
      )
    }))

  test('jobs of a list are whole', () =>
    filled(async store => {
      const found = await pagesOfJobs(store, { order: 'oldest', limit: 500 })
      expect(found).toEqual(jobs)
    }))

  test('equal ends are told apart by place, newest first', () =>
    inWorld(makeWorld, async ({ store }) => {
      const ends = [5, 3, 5, 5, 9, 3]
      const ended = ends.map((endedAt, at) =>
        aJob({
          n: at + 1,
          state: 'succeeded',
          endedAt,
          owner: at % 2 ? 'b' : 'a',
          dialect: at % 3 ? 'x' : 'y',
        }),
      )
      await store.commit(aBatch({ newJobs: ended }))
      for (const limit of [1, 2, 3, 10]) {
        expect(placesOf(await pagesOfJobs(store, { order: 'ended', limit }))).toEqual([5, 4, 3, 1, 6, 2])
      }
    }))

  test('a list by end follows the many owners it is merged from', () =>
    inWorld(makeWorld, async ({ store }) => {
      const ended = Array.from({ length: 600 }, (_, at) =>
        aJob({
          n: at + 1,
          state: 'failed',
          endedAt: (at * 7919) % 600,
          owner: `o${at % 37}`,
          dialect: `d${at % 3}`,
        }),
      )
      await store.commit(aBatch({ newJobs: ended }))
      for (const filters of [{}, { dialect: 'd1' }, { owner: 'o5' }, { dialect: 'd1', owner: 'o5' }]) {
        const found = await pagesOfJobs(store, { ...filters, order: 'ended', limit: 70 })
        expect(placesOf(found)).toEqual(placesOf(expected(ended, filters, 'ended')))
      }
    }))

  test('paging neither repeats nor misses what was there, while new jobs come and old ones change', () =>
    inWorld(makeWorld, async ({ store }) => {
      const old = Array.from({ length: 50 }, (_, at) =>
        aJob({ n: at + 1, state: at % 2 ? 'running' : 'succeeded' }),
      )
      await store.commit(aBatch({ newJobs: old }))
      let next = 51
      const found = await allPages(7, async after => {
        const page = await store.history.jobs({
          order: 'newest',
          limit: 7,
          ...(after !== undefined ? { after } : {}),
        })
        const first = page.items.at(-1)!
        await store.commit(
          aBatch({
            newJobs: [aJob({ n: next++ })],
            jobs: first.endedAt === null ? [{ ...first, state: 'failed', endedAt: 1 }] : [],
          }),
        )
        return page
      })
      expect(placesOf(found)).toEqual(placesOf(old).reverse())
    }))

  test('a cursor of another list, or of none, is refused by the name of its field', () =>
    filled(async store => {
      const ask = (query: Partial<JobQuery>) => store.history.jobs({ order: 'newest', limit: 5, ...query })
      const { next } = await ask({})
      for (const query of [
        { after: next!, order: 'ended' },
        { after: next!, order: 'oldest' },
        { after: 'x' },
        { after: '' },
        { after: '%00' },
        { after: Buffer.from('["newest","1"]').toString('base64url') },
        { after: Buffer.from('["newest"]').toString('base64url') },
      ] as const) {
        await expect(ask(query)).rejects.toMatchObject({ refusal: { kind: 'bad-field', field: 'after' } })
      }
    }))

  test('a page of none is empty and the last one', () =>
    filled(async store => {
      for (const order of ['newest', 'oldest', 'ended'] as const) {
        expect(await store.history.jobs({ order, limit: 0 })).toEqual({ items: [] })
      }
    }))
}

function pagesOfJobs(store: Store, query: JobQuery): Promise<Job[]> {
  return allPages(query.limit, after =>
    store.history.jobs({ ...query, ...(after !== undefined ? { after } : {}) }),
  )
}

async function expectList<T extends Job | Flow>(
  ask: (limit: number) => Promise<T[]>,
  wanted: T[],
): Promise<void> {
  for (const limit of [1, 7, 1000]) expect(placesOf(await ask(limit))).toEqual(placesOf(wanted))
}

// Facts vary with different periods, so that no two of them always go together.
function sampleJob(n: number): Job {
  const state = jobStates[(n * 5) % jobStates.length]!
  return aJob({
    n,
    state,
    dialect: ['native', 'scale', 'prominence'][n % 3]!,
    owner: ['ada', 'bob', ''][(n >> 2) % 3]!,
    kind: n % 11 === 0 ? 'special' : 'process',
    name: ['', 'x', 'y', 'X'][(n >> 1) % 4]!,
    flow: n % 4 === 0 ? n % 5 : null,
    labels: sampleLabels(n),
    // Not in order of place, and the same for several.
    createdAt: from + ((n * 7) % 240),
    endedAt: ['succeeded', 'failed', 'cancelled'].includes(state) ? from + 1000 + ((n * 13) % 40) : null,
  })
}

function sampleFlow(n: number): Flow {
  const { dialect, owner, kind, name, labels, createdAt } = sampleJob(n)
  const state = flowStates[(n * 3) % flowStates.length]!
  const endedAt = state === 'running' ? null : from + 1000 + ((n * 13) % 40)
  return aFlow({ n, state, dialect, owner, kind, name, labels, createdAt, endedAt })
}

function sampleLabels(n: number): Record<string, string> | null {
  if (n % 2 === 0) return null
  const site = ['A', 'a', 'B'][n % 3]!
  return n % 7 === 0 ? { site, Run: '1', other: site } : { [n % 5 === 0 ? 'Site' : 'site']: site }
}

// A few filters at a time: more of them leave nothing to see.
function anyFilters(): fc.Arbitrary<Filters> {
  const all = fc.record({
    dialect: fc.constantFrom('native', 'scale', 'prominence', 'none'),
    owner: fc.constantFrom('ada', 'bob', ''),
    kind: fc.constantFrom('special', 'process'),
    name: fc.constantFrom('', 'x', 'X'),
    states: fc.subarray([...jobStates]),
    flow: fc.integer({ min: 0, max: 5 }),
    labels: fc.array(
      fc.tuple(fc.constantFrom('site', 'Site', 'SITE', 'run'), fc.constantFrom('A', 'a', '1')),
      {
        maxLength: 2,
      },
    ),
    foldKeys: fc.boolean(),
    createdFrom: fc.integer({ min: from, max: from + 240 }),
    createdTo: fc.integer({ min: from, max: from + 240 }),
  })
  const names = [
    'dialect',
    'owner',
    'kind',
    'name',
    'states',
    'flow',
    'labels',
    'createdFrom',
    'createdTo',
  ] as const
  return fc.tuple(all, fc.subarray([...names], { maxLength: 3 })).map(([filters, used]) => ({
    foldKeys: filters.foldKeys,
    ...Object.fromEntries(used.map(name => [name, filters[name]])),
  }))
}

function anyOrder(): fc.Arbitrary<JobQuery['order']> {
  return fc.constantFrom('newest', 'oldest', 'ended')
}

// What the words of the port mean, said once more and as plainly as possible.
function expected<T extends Job | Flow>(all: readonly T[], filters: Filters, order: JobQuery['order']): T[] {
  const { dialect, owner, kind, name, states, flow, labels = [], foldKeys, createdFrom, createdTo } = filters
  const fold = (key: string) => (foldKeys ? key.toLowerCase() : key)
  return all
    .filter(thing => order !== 'ended' || thing.endedAt !== null)
    .filter(thing => dialect === undefined || thing.dialect === dialect)
    .filter(thing => owner === undefined || thing.owner === owner)
    .filter(thing => kind === undefined || thing.kind === kind)
    .filter(thing => name === undefined || thing.name === name)
    .filter(thing => states === undefined || (states as readonly string[]).includes(thing.state))
    .filter(thing => flow === undefined || ('flow' in thing && thing.flow === flow))
    .filter(thing =>
      labels.every(([key, value]) =>
        Object.entries(thing.labels ?? {}).some(([own, is]) => fold(own) === fold(key) && is === value),
      ),
    )
    .filter(thing => createdFrom === undefined || thing.createdAt >= createdFrom)
    .filter(thing => createdTo === undefined || thing.createdAt <= createdTo)
    .sort((a, b) => {
      if (order === 'oldest') return a.n - b.n
      return order === 'newest' ? b.n - a.n : b.endedAt! - a.endedAt! || b.n - a.n
    })
}
