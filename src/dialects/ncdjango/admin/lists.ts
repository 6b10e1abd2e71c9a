// Lists of the admin API: filters, and pages with their addresses.

import { ApiRefusal } from '../jobs/read-submission.ts'

const limitUsual = 20
const limitMax = 1000

export interface Listing {
  readonly path: string
  readonly query: URLSearchParams
}

/** What a resource can be filtered by: fields with the lookups that they allow; all others are only fields. */
export interface Filters {
  readonly fields: ReadonlySet<string>
  readonly allowed: Readonly<Record<string, readonly string[]>>
  /** Fields that stand for other resources. */
  readonly relations: ReadonlySet<string>
}

/** The filters of a query: `name`, or `name__in` as a list. Unknown names are none, as with the original. */
export function readFilters(query: URLSearchParams, filters: Filters): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>()
  for (const [key, value] of query) {
    const [name = '', lookup = 'exact', more] = key.split('__')
    if (!filters.fields.has(name)) continue
    const allowed = Object.hasOwn(filters.allowed, name) ? filters.allowed[name]! : []
    const shown = `&#x27;${name}&#x27;`
    if (allowed.length === 0) refuseFilter(`The ${shown} field does not allow filtering.`)
    if (!allowed.includes(lookup) || more !== undefined) {
      if (filters.relations.has(name))
        refuseFilter(`Lookups are not allowed more than one level deep on the ${shown} field.`)
      refuseFilter(
        `&#x27;${lookup.replace(/[^\w]/g, '')}&#x27; is not an allowed filter on the ${shown} field.`,
      )
    }
    found.set(name, lookup === 'in' ? value.split(',') : [value])
  }
  return found
}

function refuseFilter(error: string): never {
  throw new ApiRefusal(400, { error })
}

/** One page of a list, with the way to its neighbours. */
export function showPage<T>({ path, query }: Listing, all: readonly T[], show: (item: T) => object): object {
  const limit = readNumber(query, 'limit', limitUsual)
  const size = limit === 0 ? limitMax : Math.min(limit, limitMax)
  const offset = readNumber(query, 'offset', 0)
  const address = (at: number): string => {
    const own = new URLSearchParams(query)
    own.set('limit', String(limit))
    own.set('offset', String(at))
    return `${path}?${own}`
  }
  return {
    meta: {
      limit: size,
      next: offset + size < all.length ? address(offset + size) : null,
      offset,
      previous: offset - size >= 0 ? address(offset - size) : null,
      total_count: all.length,
    },
    objects: all.slice(offset, offset + size).map(show),
  }
}

function readNumber(query: URLSearchParams, name: string, usual: number): number {
  const text = query.get(name)
  if (text === null) return usual
  if (!/^\d{1,9}$/.test(text)) refuseFilter(`Invalid ${name} provided. Please provide a positive integer.`)
  return Number(text)
}
