// The change log: what happened to which resource, numbered from 1 for ever.

import type { Records } from '../../../store/store.ts'
import type { Level } from '../levels.ts'
import type { WriteBatch } from './parts.ts'

export const changeTypes = [
  'CompletedSeries',
  'NewInstance',
  'NewPatient',
  'NewSeries',
  'NewStudy',
  'StablePatient',
  'StableStudy',
  'StableSeries',
  'UpdatedAttachment',
  'UpdatedMetadata',
  'AnonymizedStudy',
  'AnonymizedSeries',
  'AnonymizedPatient',
  'ModifiedStudy',
  'ModifiedSeries',
  'ModifiedPatient',
] as const
export type ChangeType = (typeof changeTypes)[number]

export interface Change {
  readonly seq: number
  readonly type: ChangeType
  readonly level: Level
  readonly id: string
  readonly at: number
}

const collection = 'dicom.change'
const counter = 'dicom.change'
/** The number of the newest change is kept apart: it outlives the change. */
const newest = 'dicom.change.newest'

/** Writes a change into a batch. It is found again by the resource it is about (`changesAbout`). */
export function logChange(batch: WriteBatch, type: ChangeType, level: Level, id: string): void {
  putChange(batch, { type, level, id }, [['about', id]])
}

/**
 * Writes the first change about an instance, and gives its number for the instance to keep: an index entry under a
 * random id would cost every upload a page of the log.
 */
export function logArrival(batch: WriteBatch, id: string): number {
  return putChange(batch, { type: 'NewInstance', level: 'instance', id }, [])
}

function putChange(
  batch: WriteBatch,
  { type, level, id }: { type: ChangeType; level: Level; id: string },
  found: readonly (readonly [string, string])[],
): number {
  const seq = batch.next(counter)
  batch.record({ put: { collection: newest, id: newest, body: seq } })
  const body = { type, level, id, at: batch.now }
  batch.record({
    put: {
      collection,
      id: String(seq),
      body,
      index: [['seq', seq], ...found],
    },
  })
  return seq
}

/** The changes about a resource, to be dropped with it. */
export async function changesAbout(records: Records, resource: string): Promise<string[]> {
  const found: string[] = []
  let after: string | undefined
  do {
    const page = await records.list({
      collection,
      where: [{ name: 'about', is: resource }],
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    })
    found.push(...page.items.map(record => record.id))
    after = page.next
  } while (after !== undefined)
  return found
}

export function dropChange(batch: WriteBatch, id: string): void {
  batch.record({ drop: { collection, id } })
}

/** Changes after a number, oldest first, and whether these are the last. */
export async function listChanges(
  records: Records,
  query: { since: number; limit: number },
): Promise<{ changes: Change[]; isDone: boolean }> {
  const page = await records.list({
    collection,
    where: [{ name: 'seq', from: query.since + 1 }],
    order: { index: 'seq' },
    limit: query.limit + 1,
  })
  const found = page.items.slice(0, query.limit).map(record => readChange(record.id, record.body))
  return { changes: found, isDone: page.items.length <= query.limit && page.next === undefined }
}

/** The number of the newest change, also when that was dropped; 0 before the first. */
export async function newestSeq(records: Records): Promise<number> {
  return Number((await records.get(newest, newest))?.body ?? 0)
}

/** The newest change. */
export async function lastChange(records: Records): Promise<Change | undefined> {
  const page = await records.list({ collection, order: { index: 'seq', down: true }, limit: 1 })
  const record = page.items[0]
  return record && readChange(record.id, record.body)
}

/** Forgets all changes, in portions; the numbers go on. */
export async function clearChanges(
  records: Records,
  write: <T>(change: (batch: WriteBatch) => T) => Promise<T>,
): Promise<void> {
  for (;;) {
    const page = await records.list({ collection, limit: 1000 })
    if (page.items.length === 0) return
    await write(batch => {
      for (const { id } of page.items) batch.record({ drop: { collection, id } })
    })
  }
}

function readChange(id: string, body: unknown): Change {
  return { seq: Number(id), ...(body as Omit<Change, 'seq'>) }
}
