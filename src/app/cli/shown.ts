// What the native API shows, as far as the commands read it, and how people like to see it.

import type { Client } from './client.ts'

export interface ShownJob {
  readonly id: string
  readonly n: number
  readonly dialect: string
  readonly ref: string | null
  readonly kind: string
  readonly name: string
  readonly owner: string
  readonly pool: string
  readonly state: string
  readonly held: boolean
  readonly stop: string
  readonly reason: string | null
  readonly message: string | null
  readonly exitCode: number | null
  readonly attempts: number
  readonly progress: number | null
  readonly createdAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
}

export interface ShownFlow {
  readonly id: string
  readonly n: number
  readonly dialect: string
  readonly name: string
  readonly owner: string
  readonly state: string
  readonly progress: {
    readonly total: number
    readonly done: number
    readonly failed: number
    readonly live: number
  }
  readonly createdAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
}

export interface Page<T> {
  readonly items: T[]
  readonly next?: string
}

/** Up to `enough` items of a list: a page may be short, or have a bound, while there are more. */
export async function listAll<T>(
  client: Client,
  path: string,
  query: URLSearchParams,
  enough = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const items: T[] = []
  for (let after: string | undefined; items.length < enough; ) {
    query.set('limit', String(Math.min(1_000, enough - items.length)))
    if (after !== undefined) query.set('after', after)
    const page = await client.json<Page<T>>('GET', `${path}?${query}`)
    items.push(...page.items)
    after = page.next
    if (after === undefined) break
  }
  return items
}

/** Names are anybody's to choose, and a terminal obeys some characters: those are shown as escapes. */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, char => {
    const code = char.codePointAt(0)!.toString(16)
    return code.length <= 4 ? `\\u${code.padStart(4, '0')}` : `\\u{${code}}`
  })
}

/** The path of a job by whatever people have at hand: its id, its place, or dialect:ref. */
export function jobPath(key: string): string {
  return `/yard/v1/jobs/${encodeURIComponent(key)}`
}

/** Where the native API has a flow. */
export function flowPath(key: string): string {
  return `/yard/v1/flows/${encodeURIComponent(key)}`
}

/** One JSON document on stdout, for scripts. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** `running`, `running, asked to cancel`, `failed (exit 3)`, `ready, held` … */
export function stateOf(job: ShownJob): string {
  if (job.state === 'failed')
    return job.reason === 'exit' ? `failed (exit ${job.exitCode ?? '?'})` : `failed (${job.reason ?? '?'})`
  if (job.stop !== 'none') return `${job.state}, asked to ${job.stop}`
  if (job.state === 'running' && job.progress !== null) return `running ${Math.round(job.progress * 100)} %`
  return job.held ? `${job.state}, held` : job.state
}

/** An instant as local time without its date when it is today's. */
export function timeOf(at: number | null, now: number): string {
  if (at === null) return '-'
  const text = new Date(at).toLocaleString('sv-SE')
  return now - at < 86_400_000 && new Date(now).toDateString() === new Date(at).toDateString()
    ? text.slice(11)
    : text
}

/** How long it ran, or has run so far. */
export function ranFor(job: { startedAt: number | null; endedAt: number | null }, now: number): string {
  if (job.startedAt === null) return '-'
  const ms = (job.endedAt ?? now) - job.startedAt
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`
}

/** Waits for the end of a job or flow, in turns that no proxy cuts; tells each time how it stands. */
export async function waitFor<T extends { state: string }>(
  client: Client,
  path: string,
  told: (value: T) => void = () => {},
): Promise<T> {
  for (;;) {
    const value = await client.json<T>('GET', `${path}?wait=1000`)
    told(value)
    if (['succeeded', 'failed', 'cancelled'].includes(value.state)) return value
  }
}
