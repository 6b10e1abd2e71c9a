// Which store and which executors a server has: the only place that knows every adapter. They are loaded when they
// are asked for, so that a server does not carry what it does not use.

import { join } from 'node:path'
import { workAt } from '../core/work.ts'
import type { Executor } from '../executors/executor.ts'
import type { Store } from '../store/store.ts'
import { holdStore } from './held-store.ts'
import type { AdapterFacts } from './server.ts'

/** Makes the store and the executors that the settings ask for. */
export async function makeAdapters(facts: AdapterFacts): Promise<{ store: Store; executors: Executor[] }> {
  const store = await makeStore(facts)
  return { store, executors: await makeExecutors(facts, store) }
}

async function makeStore({ settings, dir }: AdapterFacts): Promise<Store> {
  if (settings.store === 'sqlite') {
    const { SqliteStore } = await import('../store/sqlite/sqlite-store.ts')
    return holdStore(new SqliteStore({ directory: dir.path }))
  }
  const [{ MemoryStore }, { BlobFiles }, { DirectoryLock }] = await Promise.all([
    import('../store/memory/memory-store.ts'),
    import('../store/blob-files/blob-files.ts'),
    import('../store/sqlite/directory-lock.ts'),
  ])
  // Jobs are in memory, but what they print and leave is in the data directory all the same.
  const lock = DirectoryLock.take(dir.path)
  const blobs = new BlobFiles(dir.blobs)
  return holdStore(new MemoryStore({ blobs }), {
    alsoClose() {
      blobs.close()
      lock.release()
    },
  })
}

async function makeExecutors(facts: AdapterFacts, store: Store): Promise<Executor[]> {
  const { process, container } = facts.settings.executors
  const executors = [await makeFunctionExecutor(facts), await makeTalkExecutor(facts)]
  if (process.allow) {
    const { ProcessExecutor } = await import('../executors/process/process-executor.ts')
    const folder = join(facts.dir.executors, 'process')
    executors.push(new ProcessExecutor({ folder, ...streamBound(process.streamLimit) }))
  }
  if (container.drivers.length > 0) executors.push(await makeContainerExecutor(facts, store))
  return executors
}

/** Small blobs of the embedded store are rows, which work threads read by a connection of their own. */
const sqliteBlobs = workAt(import.meta.url, '../store/sqlite/blob-finder.ts', 'openBlobFinder')

async function makeFunctionExecutor({ settings, dir, work, answer }: AdapterFacts): Promise<Executor> {
  const { threads, heap, grace } = settings.executors.function
  const [{ FunctionExecutor }, { builtinFunctions }] = await Promise.all([
    import('../executors/function/function-executor.ts'),
    import('../executors/function/builtin.ts'),
  ])
  return new FunctionExecutor({
    functions: { ...builtinFunctions, ...work },
    folder: join(dir.executors, 'function'),
    blobsDir: dir.blobs,
    answer,
    ...(settings.store === 'sqlite' ? { blobFinder: { ...sqliteBlobs, folder: dir.path } } : {}),
    ...(threads !== undefined ? { threadsMax: threads } : {}),
    ...(heap !== undefined ? { heapMbMax: Math.max(16, Math.round(heap / 2 ** 20)) } : {}),
    ...(grace !== undefined ? { graceMs: grace } : {}),
  })
}

async function makeTalkExecutor({ dir, talks }: AdapterFacts): Promise<Executor> {
  const { TalkExecutor } = await import('../executors/talk/talk-executor.ts')
  return new TalkExecutor({ talks, folder: join(dir.executors, 'talk') })
}

async function makeContainerExecutor(
  { settings, dir, clock }: AdapterFacts,
  store: Store,
): Promise<Executor> {
  const { drivers, pull, fetchAllow, volumes, network, streamLimit } = settings.executors.container
  const [{ ContainerExecutor }, { openImageStore }, { openUrl }, { addressRules }] = await Promise.all([
    import('../executors/container/container-executor.ts'),
    import('../executors/container/images/index.ts'),
    import('../http/outgoing/open-url.ts'),
    import('../http/outgoing/address-rules.ts'),
  ])
  const rules = addressRules(fetchAllow)
  return new ContainerExecutor({
    folder: join(dir.executors, 'container'),
    images: await openImageStore({ dataDir: dir.path, now: clock.now }),
    drivers,
    pull,
    volumes,
    network,
    stage: { blobs: store.blobs, openUrl: url => openUrl(url, { rules }) },
    ...streamBound(streamLimit),
  })
}

function streamBound(streamLimit: number | undefined): { streamBytesMax?: number } {
  return streamLimit === undefined ? {} : { streamBytesMax: streamLimit }
}
