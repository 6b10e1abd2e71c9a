// How long one flush of this disk takes: 4 KiB written and synced, as SQLite's log does. The unit of our latencies.

import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { freshDir } from '../processes.ts'

/** A function that flushes once and gives how long it took, in ms. */
export function openFlushFile(): () => number {
  const file = openSync(join(freshDir('flush'), 'log'), 'w')
  const page = Buffer.alloc(4096, 1)
  return () => {
    const startedAt = performance.now()
    writeSync(file, page)
    fdatasyncSync(file)
    return performance.now() - startedAt
  }
}
