// The data directory is taken before anything in it is touched: a second server must be refused before its executors
// meet the first one's files. So the store is opened here, and the engine's own opening gets what was read.

import type { HotSet, Store } from '../store/store.ts'

/** Opens a store, which takes its lock; what it found is kept for the first one who opens it again. */
export async function holdStore(store: Store, options: { alsoClose?: () => void } = {}): Promise<Store> {
  let found: HotSet | undefined = await store.open()
  return {
    async open() {
      const first = found
      found = undefined
      return first ?? store.open()
    },
    commit: changes => store.commit(changes),
    history: store.history,
    records: store.records,
    blobs: store.blobs,
    blobCount: hash => store.blobCount(hash),
    backup: target => store.backup(target),
    async close() {
      await store.close()
      options.alsoClose?.()
    },
  }
}
