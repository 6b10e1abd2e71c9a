// The reading sides of a store as it hands them out: they can be held before it is open and over a reopening, because
// each call asks for what is behind them at that moment.

import type { History, Records } from '../store.ts'

/** A history whose tables are found at each call; `get` throws while there are none. */
export function lateHistory(get: () => History): History {
  return {
    job: async key => get().job(key),
    jobs: async query => get().jobs(query),
    specs: async (places, bounds) => get().specs(places, bounds),
    attempts: async job => get().attempts(job),
    outputs: async job => get().outputs(job),
    flow: async key => get().flow(key),
    flows: async query => get().flows(query),
    nodes: async (flow, from) => get().nodes(flow, from),
    events: async (after, limit) => get().events(after, limit),
    chain: async (seq, limit) => get().chain(seq, limit),
  }
}

/** The same for records. */
export function lateRecords(get: () => Records): Records {
  return {
    get: async (collection, id) => get().get(collection, id),
    getMany: async (collection, ids) => get().getMany(collection, ids),
    list: async query => get().list(query),
    count: async query => get().count(query),
  }
}
