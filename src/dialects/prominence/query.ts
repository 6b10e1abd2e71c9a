// The query parameters of the lists, and the few numbers of other requests.

import { refuse } from '../../core/refusal.ts'

export interface ListQuery {
  /** Ended ones, at most `num` of them (undefined: all). */
  readonly ended: { readonly num: number | undefined } | undefined
  /** Active ones: pending, running, and those left in the queue. */
  readonly active: boolean
  /** Only pending or only running ones; then nothing but active ones is asked for. */
  readonly status: 'idle' | 'running' | undefined
  /** All of these labels; keys compare without case. */
  readonly labels: readonly (readonly [key: string, value: string])[]
  readonly name: string | undefined
  readonly detail: boolean
  readonly ids: readonly number[] | undefined
  /** Jobs of this workflow only. */
  readonly workflow: number | undefined
  /** Ours: only jobs of which a task ended with another exit code than 0. */
  readonly exitNonzero: boolean
}

/** Reads the query of GET /jobs and GET /workflows. */
export function readListQuery(query: URLSearchParams): ListQuery {
  const num = query.has('num') ? readInteger(query.get('num')!, 'num') : 1
  const ids = query.has('id') ? readIds(query.get('id')!) : undefined
  const ofWorkflow = ids !== undefined && query.get('workflow') === 'true'
  const status = readStatus(query.get('status'))
  const shared = {
    labels: query.getAll('constraint').map(readConstraint),
    name: query.get('name') ?? undefined,
    detail: query.has('detail'),
    ids: ofWorkflow ? undefined : ids,
    workflow: ofWorkflow ? ids[0] : undefined,
    exitNonzero: query.get('exit') === 'nonzero',
    status,
  }
  if (status !== undefined) return { ...shared, ended: undefined, active: true }
  const all = query.has('all') || (ids !== undefined && !ofWorkflow)
  if (all) return { ...shared, ended: { num: undefined }, active: true }
  if (query.get('completed') !== 'true') return { ...shared, ended: undefined, active: true }
  return { ...shared, ended: { num: ofWorkflow || num < 0 ? undefined : num }, active: false }
}

/** Ours: which stretch of a list. */
export interface StretchQuery {
  readonly limit: number
  /** Where the one before ended, as its answer said. */
  readonly after: string | undefined
}

const limitMax = 1_000

/** Reads which stretch is asked for; undefined for the list as a whole, or some ids. It takes the place of `num`. */
export function readStretch(query: URLSearchParams, { ids }: ListQuery): StretchQuery | undefined {
  const [limit, after] = [query.get('limit'), query.get('after') ?? undefined]
  if (ids !== undefined || (limit === null && after === undefined)) return undefined
  const count = limit === null ? 100 : readInteger(limit, 'limit')
  if (count < 1 || count > limitMax)
    refuse('bad-field', `limit must be between 1 and ${limitMax}`, { field: 'limit' })
  if (after !== undefined && !/^(a\d{1,15}|e.{1,500})$/.test(after))
    refuse('bad-field', 'after is not what an answer gave', { field: 'after' })
  return { limit: count, after }
}

function readStatus(text: string | null): ListQuery['status'] {
  if (text === null || text === 'idle' || text === 'running') return text ?? undefined
  refuse('bad-field', 'invalid status specified', { field: 'status' })
}

/** Ids joined with commas: the query of lists and deletions. */
export function readIds(text: string): number[] {
  const ids = text.split(',').map(part => (/^\d{1,15}$/.test(part) ? Number(part) : Number.NaN))
  if (ids.some(Number.isNaN)) refuse('bad-field', 'ids must be integers separated by commas', { field: 'id' })
  return [...new Set(ids)]
}

/** An integer of a query. */
export function readInteger(text: string, field: string): number {
  if (!/^[+-]?\d{1,15}$/.test(text)) refuse('bad-field', `${field} must be an integer`, { field })
  return Number(text)
}

function readConstraint(text: string): [string, string] {
  const parts = text.split('=')
  if (parts.length !== 2) refuse('bad-field', 'Invalid constraint', { field: 'constraint' })
  return [parts[0]!, parts[1]!]
}
