// All records of a query, page by page: nothing is held but one page.

import type { Rec, RecordQuery, Records } from '../../store/store.ts'

/** Walks through all records that a query finds. */
export async function* everyRecord(
  records: Records,
  query: Omit<RecordQuery, 'after' | 'limit'>,
): AsyncGenerator<Rec> {
  let after: string | undefined
  do {
    const page = await records.list({ ...query, limit: 500, ...(after === undefined ? {} : { after }) })
    yield* page.items
    after = page.next
  } while (after !== undefined)
}
