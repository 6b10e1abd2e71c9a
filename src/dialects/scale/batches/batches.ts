// Batches: one request that starts many recipes of one type, over again or anew (contracts/scale.md §4.8). What belongs
// to a batch carries its number; the batch itself is a record, kept in memory like the types.

import type { Json, JsonObject } from '../../../core/json.ts'
import type { RecordChange, Records } from '../../../store/store.ts'

/** A batch. */
export interface Batch {
  readonly id: number
  readonly title: string
  readonly description: string | null
  readonly recipeTypeId: number
  readonly revision: number
  readonly user: string
  readonly eventId: number
  readonly eventAt: number
  readonly definition: JsonObject
  readonly configuration: JsonObject
  readonly rootId: number
  readonly supersededId: number | null
  readonly recipesEstimated: number
  readonly recipes: number
  readonly isCreationDone: boolean
  readonly isSuperseded: boolean
  readonly createdAt: number
  readonly supersededAt: number | null
  readonly modifiedAt: number
}

const collection = 'scale.batch'

export class Batches {
  readonly #all = new Map<number, Batch>()

  async load(records: Records): Promise<void> {
    let after: string | undefined
    do {
      const page = await records.list({ collection, limit: 1000, ...(after && { after }) })
      for (const record of page.items) this.keep(record.body as unknown as Batch)
      after = page.next
    } while (after)
  }

  keep(batch: Batch): void {
    this.#all.set(batch.id, batch)
  }

  drop(id: number): void {
    this.#all.delete(id)
  }

  get(id: number): Batch | undefined {
    return this.#all.get(id)
  }

  all(): Batch[] {
    return [...this.#all.values()]
  }

  /** The newest batch of a chain. */
  newestOf(rootId: number): Batch | undefined {
    return this.all()
      .filter(batch => batch.rootId === rootId)
      .at(-1)
  }
}

/** The change that takes a batch out. */
export function dropBatch(id: number): RecordChange {
  return { drop: { collection, id: String(id) } }
}

/** The change that writes a batch down. */
export function putBatch(batch: Batch): RecordChange {
  return { put: { collection, id: String(batch.id), body: { ...batch } as unknown as Json } }
}
