// Submit to start inside the engine: the product's engine, store and function executor in one process, without HTTP.
// Each round also times one bare flush, so that both saw the same disk. Prints milliseconds as JSON.

import { join } from 'node:path'
import type { Json } from '../../../src/core/json.ts'
import { freshDir } from '../processes.ts'
import { openFlushFile } from './flush.ts'

const [source, rounds, warmUp] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])]
const ending = source.endsWith('dist') ? 'js' : 'ts'
const load = (path: string) => import(join(source, `${path}.${ending}`))
const [{ YardEngine }, { SqliteStore }, { FunctionExecutor }, { builtinFunctions }, clocks] =
  await Promise.all([
    load('engine/yard-engine') as Promise<typeof import('../../../src/engine/yard-engine.ts')>,
    load('store/sqlite/sqlite-store') as Promise<typeof import('../../../src/store/sqlite/sqlite-store.ts')>,
    load('executors/function/function-executor') as Promise<
      typeof import('../../../src/executors/function/function-executor.ts')
    >,
    load('executors/function/builtin') as Promise<
      typeof import('../../../src/executors/function/builtin.ts')
    >,
    load('app/clocks') as Promise<typeof import('../../../src/app/clocks.ts')>,
  ])

const directory = freshDir('engine')
const engine = new YardEngine({
  store: new SqliteStore({ directory }),
  executors: [
    new FunctionExecutor({
      functions: builtinFunctions,
      folder: join(directory, 'function'),
      blobsDir: join(directory, 'blobs'),
    }),
  ],
  clock: clocks.systemClock(),
  random: clocks.systemRandom,
  pools: { default: { slots: 8 } },
  defer: setImmediate,
  steady: () => performance.now(),
})
await engine.start()
const flushOnce = openFlushFile()

const [durableMs, startMs, flushMs]: [number[], number[], number[]] = [[], [], []]
for (let round = -warmUp; round < rounds; round++) {
  const flushed = flushOnce()
  await new Promise(resolve => setTimeout(resolve, 1))
  const submittedAt = performance.timeOrigin + performance.now()
  const job = await engine.write(tx =>
    tx.submit({
      dialect: 'native',
      executor: 'function',
      kind: 'function',
      owner: 'bench',
      name: 'stamp',
      spec: { function: 'stamp' } as Json,
    }),
  )
  const durableAt = performance.timeOrigin + performance.now()
  await engine.settled(job.n)
  const [output] = await engine.history.outputs(job.n)
  if (round < 0) continue
  flushMs.push(flushed)
  durableMs.push(durableAt - submittedAt)
  startMs.push((output!.value as number) - submittedAt)
}
await engine.close()
console.log(JSON.stringify({ durableMs, startMs, flushMs }))
