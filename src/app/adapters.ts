// Which store and which executors a server has: the only place that knows every adapter. They are loaded when they
// are asked for, so that a server does not carry what it does not use.

import { join } from 'node:path'
import type { Executor } from '../executors/executor.ts'
import type { Store } from '../store/store.ts'
import type { AdapterFacts } from './server.ts'
import { steadyStore } from './steady-store.ts'

/** Makes the store and the executors that the settings ask for. */
export async function makeAdapters(facts: AdapterFacts): Promise<{ store: Store; executors: Executor[] }> {
  return { store: await makeStore(facts), executors: await makeExecutors(facts) }
}

async function makeStore({ settings, dir }: AdapterFacts): Promise<Store> {
  if (settings.store === 'memory') {
    const [{ MemoryStore }, { BlobFiles }] = await Promise.all([
      import('../store/memory/memory-store.ts'),
      import('../store/blob-files/blob-files.ts'),
    ])
    return new MemoryStore({ blobs: new BlobFiles(dir.blobs) })
  }
  const { SqliteStore } = await import('../store/sqlite/sqlite-store.ts')
  return steadyStore(new SqliteStore({ directory: dir.path }))
}

async function makeExecutors({ settings, dir, work }: AdapterFacts): Promise<Executor[]> {
  const { function: functions, process } = settings.executors
  const executors: Executor[] = []
  const [{ FunctionExecutor }, { builtinFunctions }] = await Promise.all([
    import('../executors/function/function-executor.ts'),
    import('../executors/function/builtin.ts'),
  ])
  executors.push(
    new FunctionExecutor({
      functions: { ...builtinFunctions, ...work },
      folder: join(dir.executors, 'function'),
      blobsDir: dir.blobs,
      ...(functions.threads !== undefined ? { threadsMax: functions.threads } : {}),
    }),
  )
  if (process.allow) {
    const { ProcessExecutor } = await import('../executors/process/process-executor.ts')
    executors.push(new ProcessExecutor({ folder: join(dir.executors, 'process') }))
  }
  return executors
}
