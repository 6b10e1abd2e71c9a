// What the conformance suite needs from an adapter: a place for data that outlives any one store.

import type { Job } from '../../core/job.ts'
import type { HotSet, Page, RecordQuery, Store } from '../store.ts'

/** One test's own world. */
export interface StoreWorld {
  /** A store over the world's data, not opened yet. Each call gives another one. */
  make(): Store
  /** A store over what `backup` wrote to `target`, not opened yet. */
  restore(target: string): Promise<Store>
  /** A folder for the test's own files, on disk. */
  readonly folder: string
  remove(): Promise<void>
}

export type MakeWorld = () => Promise<StoreWorld>

/** Runs a test in a fresh world with an open store; everything is closed and removed afterwards. */
export async function inWorld(makeWorld: MakeWorld, test: (bench: Bench) => Promise<void>): Promise<void> {
  const world = await makeWorld()
  const bench = new Bench(world)
  try {
    await bench.reopen()
    await test(bench)
  } finally {
    await bench.store.close()
    await world.remove()
  }
}

/** The open store of a test, which can be closed and opened again. */
export class Bench {
  readonly world: StoreWorld
  store: Store
  hot!: HotSet

  constructor(world: StoreWorld) {
    this.world = world
    this.store = world.make()
  }

  /** Closes the store and opens another one over the same data. */
  async reopen(): Promise<HotSet> {
    await this.store.close()
    this.store = this.world.make()
    this.hot = await this.store.open()
    return this.hot
  }
}

/** Everything a list has, asked for in pages of `limit`; fails on a page that is too long or never ends. */
export async function allPages<T>(
  limit: number,
  ask: (after: string | undefined) => Promise<Page<T>>,
): Promise<T[]> {
  const all: T[] = []
  let after: string | undefined
  for (let pages = 0; pages < 100_000; pages++) {
    const page = await ask(after)
    if (page.items.length > limit) throw new Error(`a page of ${limit} has ${page.items.length} items`)
    all.push(...page.items)
    if (page.next === undefined) return all
    after = page.next
  }
  throw new Error('the pages never end')
}

/** The places of jobs or flows. */
export function placesOf(things: readonly Pick<Job, 'n'>[]): number[] {
  return things.map(thing => thing.n)
}

/** The ids that a query finds, over all of its pages of `limit` records. */
export async function idsOf(store: Store, query: Omit<RecordQuery, 'limit'>, limit = 50): Promise<string[]> {
  const found = await allPages(limit, after =>
    store.records.list({ ...query, limit, ...(after !== undefined ? { after } : {}) }),
  )
  return found.map(record => record.id)
}
