// The process executor as its conformance tests and their killed servers make it.

import { ProcessExecutor } from '../process-executor.ts'

export function makeExecutor(folder: string): ProcessExecutor {
  return new ProcessExecutor({ folder })
}
