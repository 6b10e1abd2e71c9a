// The process executor as its tests and their killed servers make it.

import { ProcessExecutor, type ProcessExecutorOptions } from '../process-executor.ts'

export function makeExecutor(folder: string, options: Partial<ProcessExecutorOptions> = {}): ProcessExecutor {
  return new ProcessExecutor({ folder, ...options })
}
