// What of the pool could be had at the moment: ranges of cpus are decided by it.

import type { Kit } from '../dialect.ts'
import type { Free } from './resources.ts'
import type { Settings } from './settings.ts'

/** What of our pool nobody holds; nothing of it while others wait for it. */
export function freeIn({ engine }: Pick<Kit, 'engine'>, settings: Settings): Free {
  const pool = engine.poolState().find(({ name }) => name === settings.pool)
  const { cpus, memoryBytes } = pool?.resources ?? {}
  if (pool === undefined) return {}
  const left = (limit: number | undefined, used: number | undefined = 0) =>
    limit === undefined ? undefined : pool.ready > 0 ? 0 : Math.max(0, limit - used)
  return { cpus: left(cpus, pool.used.cpus), memoryBytes: left(memoryBytes, pool.used.memoryBytes) }
}
