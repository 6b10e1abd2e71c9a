// A store as the engine wants it: its reading sides can be held before it is open, and opening it again after a
// failed commit starts from what is on the disk.

import type { Store } from '../store/store.ts'

/** Wraps a store whose reading sides exist only while it is open. */
export function steadyStore(store: Store): Store {
  let isOpen = false
  return {
    async open() {
      if (isOpen) await store.close()
      isOpen = false
      const hot = await store.open()
      isOpen = true
      return hot
    },
    commit: changes => store.commit(changes),
    history: {
      job: key => store.history.job(key),
      jobs: query => store.history.jobs(query),
      specs: places => store.history.specs(places),
      attempts: job => store.history.attempts(job),
      outputs: job => store.history.outputs(job),
      flow: key => store.history.flow(key),
      flows: query => store.history.flows(query),
      nodes: (flow, from) => store.history.nodes(flow, from),
      events: (after, limit) => store.history.events(after, limit),
      chain: (seq, limit) => store.history.chain(seq, limit),
    },
    records: {
      get: (collection, id) => store.records.get(collection, id),
      getMany: (collection, ids) => store.records.getMany(collection, ids),
      list: query => store.records.list(query),
      count: query => store.records.count(query),
    },
    blobs: store.blobs,
    blobCount: hash => store.blobCount(hash),
    backup: target => store.backup(target),
    close: () => store.close(),
  }
}
