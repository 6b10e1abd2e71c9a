// How much is stored: counts per level and bytes of files, kept in memory and written along with every change.

import type { Records } from '../../../store/store.ts'
import type { Level } from '../levels.ts'
import type { WriteBatch } from './parts.ts'

export type TotalsBody = Record<Level, number> & { bytes: number }

const collection = 'dicom.totals'
const id = 'all'

export class Totals {
  #now: TotalsBody = { patient: 0, study: 0, series: 0, instance: 0, bytes: 0 }

  /** Reads what was written last; also after a commit failed and memory is ahead of the store. */
  async load(records: Records): Promise<void> {
    const record = await records.get(collection, id)
    this.#now = {
      patient: 0,
      study: 0,
      series: 0,
      instance: 0,
      bytes: 0,
      ...(record?.body as object),
    }
  }

  get now(): Readonly<TotalsBody> {
    return this.#now
  }

  /** Adds to the totals, within the batch that makes it true. */
  add(batch: WriteBatch, more: Partial<Record<Level | 'bytes', number>>): void {
    for (const [name, count] of Object.entries(more)) this.#now[name as Level | 'bytes'] += count
    batch.record({ put: { collection, id, body: { ...this.#now } } })
  }
}
