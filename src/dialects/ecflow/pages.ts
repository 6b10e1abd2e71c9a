// Reading many records without holding others up.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RecordQuery, Records } from '../../store/store.ts'

/** All records of a query, page by page, giving others a turn between pages. */
export async function* every(records: Records, query: Omit<RecordQuery, 'limit' | 'after'>) {
  let after: string | undefined
  for (;;) {
    const page = await records.list({ ...query, limit: 200, ...(after === undefined ? {} : { after }) })
    yield* page.items
    if (page.next === undefined) return
    after = page.next
    await nextTurn()
  }
}
