// Lists of jobs or flows in order of their place (n), newest or oldest first. Each list walks one index, or merges
// a few (one per state); what no index knows is filtered on the way, and a walk that finds too little ends with a
// short page instead of reading on for ever.

import { isFinal, type JobState } from '../../core/job-state.ts'
import { type Filter, labelsHold } from '../conditions.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { Page } from '../store.ts'
import type { Statement } from './binding.ts'
import type { Row } from './rows.ts'
import type { ListStatements } from './sql.ts'

/**
 * How many rows one request looks at: some 10 ms on a slow machine, in either way of walking. Rows found through an
 * index lie scattered in the table and cost several times as much as their neighbours in order of place.
 */
const walkMax = { inPlace: 40_000, scattered: 15_000 }

interface Lists {
  readonly all: ListStatements
  readonly live: ListStatements
  readonly state: ListStatements
  readonly flow?: ListStatements
}

interface PlaceQuery extends Filter {
  readonly flow?: number
  readonly order: 'newest' | 'oldest' | 'ended'
  readonly after?: string
  readonly limit: number
}

/** One index to walk, with what it is asked for. */
interface Source {
  readonly list: keyof Lists
  readonly flow?: number
  readonly state?: string
}

interface WalkFrom {
  readonly after: number | undefined
  /** How many rows to look at. */
  readonly walk: number
  /** How many to find. */
  readonly limit: number
}

/** What a walk found, and the last place it can speak for: beyond it there may be more. */
interface Walked<T> {
  readonly items: T[]
  readonly reach: number | undefined
}

export class PlaceList<
  T extends { readonly n: number; readonly labels: Readonly<Record<string, string>> | null },
> {
  readonly #prepared = new Map<string, Statement>()
  readonly #prepare: (text: string) => Statement
  readonly #lists: Lists
  readonly #read: (row: Row) => T

  constructor(prepare: (text: string) => Statement, lists: Lists, read: (row: Row) => T) {
    this.#prepare = prepare
    this.#lists = lists
    this.#read = read
  }

  page(query: PlaceQuery): Page<T> {
    const [after] = (readCursor(query.after, query.order, ['number']) ?? []) as number[]
    const limit = Math.max(0, Math.floor(query.limit))
    if (limit === 0) return { items: [] }
    const down = query.order === 'newest'
    const sources = sourcesOf(query)
    const walks = sources.map(source => {
      const walk = source.list === 'all' ? walkMax.inPlace : Math.ceil(walkMax.scattered / sources.length)
      return this.#walk(source, query, { after, walk, limit: limit + 1 })
    })

    const nearer = (a: number, b: number) => (down ? b - a : a - b)
    // Where the first of the walks stopped: what others found beyond it may have gaps before it.
    const reach = walks
      .map(walk => walk.reach)
      .filter(n => n !== undefined)
      .sort(nearer)[0]
    const found = walks
      .flatMap(walk => walk.items)
      .filter(item => reach === undefined || nearer(item.n, reach) <= 0)
      .sort((a, b) => nearer(a.n, b.n))
    const items = found.slice(0, limit)
    const next = found.length > limit ? items.at(-1)!.n : reach
    return next === undefined ? { items } : { items, next: writeCursor(query.order, [next]) }
  }

  #walk(source: Source, query: PlaceQuery, from: WalkFrom): Walked<T> {
    const down = query.order === 'newest'
    const statements = this.#lists[source.list]![down ? 'down' : 'up']
    const { after, walk, limit } = from
    const keys = {
      ...(source.flow !== undefined ? { flow: source.flow } : {}),
      ...(source.state !== undefined ? { state: source.state } : {}),
    }
    let low = down || after === undefined ? 0 : after + 1
    let high = down && after !== undefined ? after - 1 : Number.MAX_SAFE_INTEGER
    let stop: number | undefined
    if (filtersBeyond(source, query)) {
      const end = this.#statement(statements.reach).get({ ...keys, low, high, walk }) as Row | undefined
      stop = end?.[0] as number | undefined
      if (stop !== undefined) {
        if (down) low = stop
        else high = stop
      }
    }
    const filters = filterValues(query)
    const items: T[] = []
    const page = this.#statement(statements.page)
    for (;;) {
      const rows = page.all({ ...keys, ...filters, low, high, limit }) as unknown as Row[]
      for (const row of rows) {
        const item = this.#read(row)
        if (labelsHold(item.labels, query.labels ?? [], query.foldKeys ?? false)) items.push(item)
      }
      const last = rows.at(-1)?.[0] as number | undefined
      if (items.length >= limit) return { items, reach: last }
      if (rows.length < limit || last === undefined) return { items, reach: stop }
      if (down) high = last - 1
      else low = last + 1
    }
  }

  #statement(text: string): Statement {
    const known = this.#prepared.get(text)
    if (known !== undefined) return known
    const made = this.#prepare(text)
    made.setAllowUnknownNamedParameters(true)
    this.#prepared.set(text, made)
    return made
  }
}

// The narrowest index, or several: ended jobs are indexed by state, the others are few enough for one index.
function sourcesOf(query: PlaceQuery): Source[] {
  if (query.flow !== undefined) return [{ list: 'flow', flow: query.flow }]
  if (query.states === undefined) return [{ list: 'all' }]
  const states = [...new Set(query.states)]
  const ended = states.filter(state => isEnd(state))
  const sources: Source[] = ended.map(state => ({ list: 'state', state }))
  if (ended.length < states.length) sources.push({ list: 'live' })
  return sources
}

function isEnd(state: string): boolean {
  return isFinal(state as JobState)
}

function filtersBeyond(source: Source, query: PlaceQuery): boolean {
  const { dialect, owner, kind, name, createdFrom, createdTo, labels = [], states } = query
  return (
    [dialect, owner, kind, name, createdFrom, createdTo].some(value => value !== undefined) ||
    labels.length > 0 ||
    (states !== undefined && source.list !== 'state')
  )
}

function filterValues(query: PlaceQuery): Record<string, string | number | null> {
  const { labels = [], foldKeys = false, states } = query
  return {
    dialect: query.dialect ?? null,
    owner: query.owner ?? null,
    kind: query.kind ?? null,
    name: query.name ?? null,
    states: states === undefined ? null : JSON.stringify(states),
    createdFrom: query.createdFrom ?? null,
    createdTo: query.createdTo ?? null,
    label: labels.length === 0 ? null : labelText(labels[0]!, foldKeys),
  }
}

// A piece of text that a JSON object with this label must contain: it spares most rows from being parsed.
function labelText([key, value]: readonly [string, string], foldKeys: boolean): string {
  return (foldKeys ? '' : JSON.stringify(key)) + ':' + JSON.stringify(value)
}
