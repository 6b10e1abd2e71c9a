// Which store and which executors a server has: the only place that knows every adapter. They are loaded when they
// are asked for, so that a server does not carry what it does not use.

import type { Executor } from '../executors/executor.ts'
import type { Store } from '../store/store.ts'
import type { AdapterFacts } from './server.ts'

/** Makes the store and the executors that the settings ask for. */
export async function makeAdapters(facts: AdapterFacts): Promise<{ store: Store; executors: Executor[] }> {
  return { store: await makeStore(facts), executors: await makeExecutors(facts) }
}

async function makeStore({ settings }: AdapterFacts): Promise<Store> {
  const { MemoryStore } = await import('../store/memory/memory-store.ts')
  if (settings.store === 'memory') return new MemoryStore()
  throw new Error('no sqlite')
}

async function makeExecutors(_facts: AdapterFacts): Promise<Executor[]> {
  return []
}
