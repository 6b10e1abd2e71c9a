// Records as earlier servers wrote them, made such that they are found by their users: once, before the first request.

import { isObject, type Json, type JsonObject } from '../../core/json.ts'
import type { RecordChange } from '../../store/store.ts'
import type { Kit } from '../dialect.ts'
import { everyRecord } from './every-record.ts'
import { collectedOutputs, keys, objects, putOutputs, snapshots } from './stored.ts'

const marker = { collection: 'prominence.shape', id: 'records' }
const shape = 1
/** Sums that earlier servers kept; they are counted now. */
const sums = 'prominence.stored'
const perCommit = 500

type Put = Extract<RecordChange, { put: unknown }>['put']

/** How records of each collection are found now. */
const found: Readonly<Record<string, (record: Put, owner: string) => Put>> = {
  [keys]: record => ({ ...record, index: [['place', record.id]] }),
  [objects]: (record, owner) => ({ ...record, parent: owner, index: [['place', record.id]] }),
  [putOutputs]: (record, owner) => ({ ...record, index: [['owner', owner]] }),
  [snapshots]: (record, owner) => ({ ...record, parent: owner, body: { ...asObject(record.body), owner } }),
  [collectedOutputs]: (record, owner) => ({ ...record, parent: owner }),
}

/** Brings the records of a data directory into shape; nothing happens where they are. */
export async function reshapeRecords({ engine, records }: Pick<Kit, 'engine' | 'records'>): Promise<void> {
  const seen = await records.get(marker.collection, marker.id)
  if ((seen?.body as { shape?: number } | undefined)?.shape === shape) return
  let changes: RecordChange[] = []
  const write = async () => {
    const some = changes
    changes = []
    await engine.write(tx => {
      for (const change of some) tx.record(change)
    })
  }
  for (const [collection, shaped] of Object.entries(found))
    for await (const { id, parent, body } of everyRecord(records, { collection })) {
      const { owner = parent ?? '' } = body as { owner?: string }
      changes.push({ put: shaped({ collection, id, parent, body }, owner) })
      if (changes.length >= perCommit) await write()
    }
  for await (const { collection, id } of everyRecord(records, { collection: sums })) {
    changes.push({ drop: { collection, id } })
    if (changes.length >= perCommit) await write()
  }
  changes.push({ put: { ...marker, body: { shape } } })
  await write()
}

function asObject(body: Json): JsonObject {
  return isObject(body) ? (body as JsonObject) : {}
}
