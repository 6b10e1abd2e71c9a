// Reading as a handler may: what it shows is durable, and what it wrote before is there, because it waits for the commit
// first. Live flows come as memory knows them, since their progress is not in the store.

import type { Flow } from '../core/flow.ts'
import type { History, Records } from '../store/store.ts'

export interface ReadParts {
  /** Resolves when everything done so far is durable; rejects as `unavailable` when it will not be. */
  readonly committed: () => Promise<void>
  /** Whether a change of this collection of records is not durable yet. */
  readonly touches: (collection: string) => boolean
  /** A flow that has not ended, as memory knows it. */
  readonly liveFlow: (n: number) => Flow | undefined
}

/** Records that wait only when their own collection was just written. */
export function committedRecords(parts: ReadParts, records: Records): Records {
  const after = async <T>(collection: string, read: () => Promise<T>): Promise<T> => {
    if (parts.touches(collection)) await parts.committed()
    return read()
  }
  return {
    get: (collection, id) => after(collection, () => records.get(collection, id)),
    getMany: (collection, ids) => after(collection, () => records.getMany(collection, ids)),
    list: query => after(query.collection, () => records.list(query)),
    count: query => after(query.collection, () => records.count(query)),
  }
}

/** History after the open batch. */
export function committedHistory(parts: ReadParts, history: History): History {
  const after = async <T>(read: () => Promise<T>): Promise<T> => {
    await parts.committed()
    return read()
  }
  const live = (flow: Flow): Flow => parts.liveFlow(flow.n) ?? flow
  return {
    job: key => after(() => history.job(key)),
    jobs: query => after(() => history.jobs(query)),
    specs: (places, bounds) => after(() => history.specs(places, bounds)),
    attempts: job => after(() => history.attempts(job)),
    outputs: job => after(() => history.outputs(job)),
    flow: async key => {
      const flow = await after(() => history.flow(key))
      return flow === undefined ? undefined : live(flow)
    },
    flows: async query => {
      const page = await after(() => history.flows(query))
      return { ...page, items: page.items.map(live) }
    },
    nodes: (flow, from) => after(() => history.nodes(flow, from)),
    events: (from, limit) => after(() => history.events(from, limit)),
    chain: (seq, limit) => after(() => history.chain(seq, limit)),
  }
}
