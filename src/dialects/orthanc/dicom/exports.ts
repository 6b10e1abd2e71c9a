// The log of what was sent to modalities and peers: one row for each resource that somebody gave, when it was given.

import type { JsonObject } from '../../../core/json.ts'
import { levelNames } from '../../../domains/dicom/levels.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { dicomTime } from '../../../domains/dicom/store/time.ts'
import type { House } from '../house.ts'
import { pathOfResource } from '../shapes.ts'

const collection = 'orthanc.export'
const counter = 'orthanc.export'
const newest = 'orthanc.export.newest'

/** Notes that resources go to a modality or peer; does nothing unless LogExportedResources is set. */
export async function logExports(house: House, ids: readonly string[], remote: string): Promise<void> {
  if (!house.settings.logsExports) return
  const rows: JsonObject[] = []
  for (const id of ids) {
    const resource = await house.archive.browse.any(id)
    if (resource) rows.push(await describe(house, resource, remote))
  }
  if (rows.length === 0) return
  await house.kit.engine.write(tx => {
    for (const row of rows) {
      const seq = tx.next(counter)
      const body = { ...row, Date: dicomTime(tx.now), Seq: seq }
      tx.record({ put: { collection, id: String(seq), body, index: [['seq', seq]] } })
      tx.record({ put: { collection: newest, id: newest, body: seq } })
    }
  })
}

async function describe(house: House, resource: Resource, remote: string): Promise<JsonObject> {
  const { browse } = house.archive
  const row: JsonObject = {
    ID: resource.id,
    Path: pathOfResource(resource.level, resource.id),
    RemoteModality: remote,
    ResourceType: levelNames[resource.level],
  }
  const names = [
    ['patient', 'PatientID', '0010,0020'],
    ['study', 'StudyInstanceUID', '0020,000d'],
    ['series', 'SeriesInstanceUID', '0020,000e'],
    ['instance', 'SOPInstanceUID', '0008,0018'],
  ] as const
  for (const [level, name, tag] of names) {
    const at = await browse.ancestor(resource, level)
    if (at) row[name] = at.body.main[tag] ?? ''
  }
  return row
}

/** Rows after a number, oldest first; `last`: the newest one alone. */
export async function listExports(
  house: House,
  query: { since: number; limit: number } | 'last',
): Promise<JsonObject> {
  const { records } = house.kit
  const lastSeq = Number((await records.get(newest, newest))?.body ?? 0)
  if (query === 'last') {
    const page = await records.list({ collection, order: { index: 'seq', down: true }, limit: 1 })
    return { Done: true, Exports: page.items.map(record => record.body), Last: lastSeq }
  }
  const page = await records.list({
    collection,
    where: [{ name: 'seq', from: query.since + 1 }],
    order: { index: 'seq' },
    limit: query.limit + 1,
  })
  const rows = page.items.slice(0, query.limit).map(record => record.body as JsonObject)
  return {
    Done: page.items.length <= query.limit && page.next === undefined,
    Exports: rows,
    Last: Number(rows.at(-1)?.['Seq'] ?? Math.max(lastSeq, query.since)),
  }
}

/** Forgets all rows, in portions; the numbers go on. */
export async function clearExports(house: House): Promise<void> {
  for (;;) {
    const page = await house.kit.records.list({ collection, limit: 1000 })
    if (page.items.length === 0) return
    await house.kit.engine.write(tx => {
      for (const { id } of page.items) tx.record({ drop: { collection, id } })
    })
  }
}
