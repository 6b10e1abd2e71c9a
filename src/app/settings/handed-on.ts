// Settings in the form that the other rooms take them in.

import { availableParallelism } from 'node:os'
import type { Json } from '../../core/json.ts'
import type { Dialect } from '../../dialects/dialect.ts'
import type { PoolSettings } from '../../engine/engine.ts'
import type { HttpLimits } from '../../http/limits.ts'
import type { Settings } from './schema.ts'

/** A dialect's section, without what the server itself reads there. */
export function sectionOf(settings: Settings, dialect: string): Json {
  const { enabled: _, access: __, ...own } = settings.dialects[dialect] ?? {}
  return own as Json
}

/** Pools that dialects bring for their own jobs. */
export function dialectPools(settings: Settings, dialects: readonly Dialect[]): Record<string, PoolSettings> {
  return Object.assign(
    {},
    ...dialects.map(dialect => dialect.pools?.(sectionOf(settings, dialect.name)) ?? {}),
  )
}

/**
 * Pools as the engine takes them: those of the configuration, and those that dialects bring. Of a pool that both speak
 * of, the configuration says how much there is, and the dialect what an owner may have of it.
 */
export function poolsOf(
  settings: Settings,
  brought: Readonly<Record<string, PoolSettings>>,
): Record<string, PoolSettings> {
  // Jobs are programs more often than not: without a word from the operator, as many at a time as there are processors.
  const pools: Settings['pools'] = {
    ...settings.pools,
    default: settings.pools['default'] ?? { slots: availableParallelism() },
  }
  const configured = Object.entries(pools).map(([name, { slots, cpus, memory, disk, fair }]) => {
    const resources = withoutUndefined({ cpus, memoryBytes: memory, diskBytes: disk })
    const { ownerSlots, fair: dialectFair = false } = brought[name] ?? {}
    const pool: PoolSettings = {
      ...withoutUndefined({ slots, ownerSlots }),
      // A bound for each owner means something only where owners are told apart.
      fair: ownerSlots !== undefined || (fair ?? dialectFair),
      ...(Object.keys(resources).length > 0 ? { resources } : {}),
    }
    return [name, pool] as const
  })
  return { ...brought, ...Object.fromEntries(configured) }
}

/** Bounds as the HTTP room takes them. */
export function limitsOf({ server }: Settings): HttpLimits {
  return {
    bodyBytes: server.bodyLimit,
    headerBytes: server.headerLimit,
    connections: server.connections,
    headersMs: server.headersTimeout,
    requestMs: server.requestTimeout,
    silenceMs: server.silenceTimeout,
    keepAliveMs: server.keepAlive,
    drainMs: server.drain,
  }
}

/** The host name in a URL, if there is one. */
export function namesOf(url: string | undefined): string[] {
  return url === undefined ? [] : [new URL(url).hostname]
}

/** The origin of a URL, if there is one. */
export function originsOf(url: string | undefined): string[] {
  return url === undefined ? [] : [new URL(url).origin]
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** An object without the members that are undefined: absent and undefined are different things to our types. */
export function withoutUndefined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>
}
