// The change log: what happened to which resource, numbered from 1 for ever. Arrivals of instances, which are most of it,
// are no records of their own: the instance keeps the number, and is found by it.

import type { Page, Rec, Records } from '../../../store/store.ts'
import type { Level } from '../levels.ts'
import { arrivalIndex, collectionOf, metaText, readResource } from './bodies.ts'
import type { WriteBatch } from './parts.ts'
import { instantOf } from './time.ts'

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
/** Up to this number the changes were forgotten, those that instances keep included. */
const cleared = 'dicom.change.cleared'

/** Writes a change into a batch. It is found again by the resource it is about (`changesAbout`). */
export function logChange(batch: WriteBatch, type: ChangeType, level: Level, id: string): void {
  const seq = nextNumber(batch)
  const body = { type, level, id, at: batch.now }
  const index: [string, string | number][] = [
    ['seq', seq],
    ['about', id],
  ]
  batch.record({ put: { collection, id: String(seq), body, index } })
}

/**
 * Gives the number of an instance's arrival, for the instance to keep. A record of its own would cost every upload
 * three entries of indexes and most of a page of the log.
 */
export function logArrival(batch: WriteBatch): number {
  return nextNumber(batch)
}

function nextNumber(batch: WriteBatch): number {
  const seq = batch.next(counter)
  batch.record({ put: { collection: newest, id: newest, body: seq } })
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

/** A change is told no more. */
export function dropChange(batch: WriteBatch, id: string): void {
  batch.record({ drop: { collection, id } })
}

/** Changes after a number, oldest first, and whether these are the last. */
export async function listChanges(
  records: Records,
  query: { since: number; limit: number },
): Promise<{ changes: Change[]; isDone: boolean }> {
  const limit = query.limit + 1
  const from = Math.max(query.since, await clearedTo(records)) + 1
  const others = await records.list({
    collection,
    where: [{ name: 'seq', from }],
    order: { index: 'seq' },
    limit,
  })
  const arrivals = await records.list({
    collection: collectionOf('instance'),
    where: [{ name: arrivalIndex, from }],
    order: { index: arrivalIndex },
    limit,
  })
  const changes = inOrder(others, arrivals)
  return { changes: changes.slice(0, query.limit), isDone: changes.length <= query.limit }
}

/** Both kinds by number. Stores of older versions may have one change in both forms. */
function inOrder(others: Page<Rec>, arrivals: Page<Rec>): Change[] {
  const found = new Map<number, Change>()
  for (const record of arrivals.items) {
    const change = readArrival(record)
    found.set(change.seq, change)
  }
  for (const record of others.items) {
    const change = readChange(record.id, record.body)
    found.set(change.seq, change)
  }
  return [...found.values()].sort((a, b) => a.seq - b.seq)
}

async function clearedTo(records: Records): Promise<number> {
  return Number((await records.get(cleared, cleared))?.body ?? 0)
}

/** The number of the newest change, also when that was dropped; 0 before the first. */
export async function newestSeq(records: Records): Promise<number> {
  return Number((await records.get(newest, newest))?.body ?? 0)
}

/** The newest change. */
export async function lastChange(records: Records): Promise<Change | undefined> {
  const from = (await clearedTo(records)) + 1
  const last = (of: string, index: string) =>
    records.list({
      ...{ collection: of, where: [{ name: index, from }] },
      ...{ order: { index, down: true }, limit: 1 },
    })
  const [others, arrivals] = [
    await last(collection, 'seq'),
    await last(collectionOf('instance'), arrivalIndex),
  ]
  return inOrder(others, arrivals).at(-1)
}

/** Forgets all changes, in portions; the numbers go on. */
export async function clearChanges(
  records: Records,
  write: <T>(change: (batch: WriteBatch) => T) => Promise<T>,
): Promise<void> {
  const to = await newestSeq(records)
  await write(batch => batch.record({ put: { collection: cleared, id: cleared, body: to } }))
  for (;;) {
    const page = await records.list({ collection, limit: 1000 })
    if (page.items.length === 0) return
    await write(batch => {
      for (const { id } of page.items) batch.record({ drop: { collection, id } })
    })
  }
}

function readArrival(record: Rec): Change {
  const { id, body } = readResource('instance', record)
  const at = instantOf(metaText(body, 'ReceptionDate') ?? '')
  return { seq: body.change ?? 0, type: 'NewInstance', level: 'instance', id, at }
}

function readChange(id: string, body: unknown): Change {
  return { seq: Number(id), ...(body as Omit<Change, 'seq'>) }
}
