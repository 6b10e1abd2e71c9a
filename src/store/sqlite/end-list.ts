// Lists of what has ended, newest end first. The index has one run of ends per dialect and owner; a list over several
// of them merges their heads, so no second index is needed for those who look at everything.

import type { Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import { type Filter, queryHolds } from '../conditions.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { Page } from '../store.ts'
import type { Statement } from './binding.ts'
import type { Row } from './rows.ts'
import type { EndStatements } from './sql.ts'

/** How many ended rows one request looks at: each is read whole to see whether it fits. */
const walkMax = 3000
/** How many ends are taken from one run at a time. */
const headSize = 50

interface EndQuery extends Filter {
  readonly flow?: number
  readonly after?: string
  readonly limit: number
}

type End = readonly [endedAt: number, n: number]

/** What is left of one dialect's and owner's ends. */
interface Run {
  readonly dialect: string
  readonly owner: string
  heads: End[]
  at: number
}

export class EndList<T extends Job | Flow> {
  readonly #ends: Statement
  readonly #nextDialect: Statement
  readonly #firstOwner: Statement
  readonly #nextOwner: Statement
  readonly #get: (n: number) => T | undefined

  constructor(
    prepare: (text: string) => Statement,
    statements: EndStatements,
    get: (n: number) => T | undefined,
  ) {
    this.#ends = prepare(statements.ends)
    this.#nextDialect = prepare(statements.nextDialect)
    this.#firstOwner = prepare(statements.firstOwner)
    this.#nextOwner = prepare(statements.nextOwner)
    this.#get = get
  }

  page(query: EndQuery): Page<T> {
    const after = readCursor(query.after, 'ended', ['number', 'number']) as End | undefined
    const limit = Math.max(0, Math.floor(query.limit))
    const items: T[] = []
    if (limit === 0) return { items }
    let last: End | undefined
    let looked = 0
    for (const end of this.#merged(query, after ?? [Infinity, 0])) {
      if (items.length === limit || looked === walkMax) return { items, next: writeCursor('ended', last!) }
      looked++
      const item = this.#get(end[1])!
      if (queryHolds(item, query) && (query.flow === undefined || (item as Job).flow === query.flow)) {
        items.push(item)
      }
      last = end
    }
    return { items }
  }

  *#merged(query: EndQuery, after: End): Generator<End> {
    const heap: Run[] = []
    for (const [dialect, owner] of this.#owners(query)) {
      const run: Run = { dialect, owner, heads: [], at: 0 }
      if (this.#fill(run, after)) heap.push(run)
    }
    for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(heap, at)
    while (heap.length > 0) {
      const run = heap[0]!
      const end = run.heads[run.at++]!
      yield end
      if (run.at === run.heads.length && !this.#fill(run, end)) {
        const moved = heap.pop()!
        if (heap.length > 0) heap[0] = moved
      }
      sink(heap, 0)
    }
  }

  #fill(run: Run, after: End): boolean {
    run.heads = this.#ends.all(run.dialect, run.owner, after[0], after[1], headSize) as unknown as End[]
    run.at = 0
    return run.heads.length > 0
  }

  // Jumps from one owner to the next instead of reading all ends to see whose they are.
  *#owners({ dialect, owner }: EndQuery): Generator<[string, string]> {
    for (const each of dialect !== undefined ? [dialect] : this.#dialects()) {
      if (owner !== undefined) {
        yield [each, owner]
        continue
      }
      let row = this.#firstOwner.get(each) as Row | undefined
      while (row !== undefined) {
        yield [each, row[0]]
        row = this.#nextOwner.get(each, row[0]) as Row | undefined
      }
    }
  }

  #dialects(): string[] {
    const dialects: string[] = []
    let row = this.#nextDialect.get('') as Row | undefined
    while (row !== undefined) {
      dialects.push(row[0])
      row = this.#nextDialect.get(row[0]) as Row | undefined
    }
    return dialects
  }
}

// A heap with the newest end on top.
function sink(heap: Run[], from: number): void {
  for (let at = from; ; ) {
    let first = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && isNewer(heap[child]!, heap[first]!)) first = child
    }
    if (first === at) return
    ;[heap[at], heap[first]] = [heap[first]!, heap[at]!]
    at = first
  }
}

function isNewer(a: Run, b: Run): boolean {
  const [aAt, aN] = a.heads[a.at]!
  const [bAt, bN] = b.heads[b.at]!
  return aAt !== bAt ? aAt > bAt : aN > bN
}
