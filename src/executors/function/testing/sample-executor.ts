// The function executor as its tests and their killed servers make it.

import { join } from 'node:path'
import type { FunctionModule } from '../../../core/work.ts'
import { builtinFunctions } from '../builtin.ts'
import { FunctionExecutor, type FunctionExecutorOptions } from '../function-executor.ts'

const works = new URL('./sample-works.ts', import.meta.url).href
const names = [
  ...[
    'mark',
    'print',
    'ignore',
    'busyAsking',
    'askAround',
    'eatMemory',
    'exitThread',
    'throwLater',
    'throwOddly',
  ],
  ...['unsendable', 'scratch', 'manySteps', 'finishAnyway', 'notAFunction', 'absent'],
]

/** The functions of sample-works.ts by name, and some that cannot be loaded. */
export const sampleFunctions: Readonly<Record<string, FunctionModule>> = {
  ...builtinFunctions,
  ...Object.fromEntries(names.map(name => [name, { url: works, export: name }])),
  broken: { url: new URL('./broken-module.ts', import.meta.url).href },
  missing: { url: new URL('./no-such-module.ts', import.meta.url).href },
}

export function makeExecutor(
  folder: string,
  options: Partial<FunctionExecutorOptions> = {},
): FunctionExecutor {
  return new FunctionExecutor({
    functions: sampleFunctions,
    folder,
    blobsDir: join(folder, 'blobs'),
    threadsMax: 3,
    graceMs: 300,
    progressMs: 20,
    ...options,
  })
}
