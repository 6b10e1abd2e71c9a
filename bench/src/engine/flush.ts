// How long one flush of this disk takes: 4 KiB written and synced, as SQLite's log does. The unit of our latencies.

import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { freshDir } from '../processes.ts'
import { quantile } from '../suite.ts'

/** The median of 200 flushes, in ms. */
export function flushMs(): number {
  const file = openSync(join(freshDir('flush'), 'log'), 'w')
  const page = Buffer.alloc(4096, 1)
  const times = Array.from({ length: 200 }, () => {
    const startedAt = performance.now()
    writeSync(file, page)
    fdatasyncSync(file)
    return performance.now() - startedAt
  })
  return quantile(times, 0.5)
}
