// What each user has stored, for the quota of stored bytes: counted from what is there, when it is first asked for after
// a start, and kept up to date from then on. Nothing else remembers it, so whatever was stored before there was a quota
// counts like the rest.

import { refuse } from '../../core/refusal.ts'
import type { Serial } from '../../core/serial.ts'
import type { Tx } from '../../engine/engine.ts'
import type { Rec, RecordQuery } from '../../store/store.ts'
import type { Kit } from '../dialect.ts'
import { everyRecord } from './every-record.ts'
import type { Settings } from './settings.ts'

/** Keys with their values. */
export const keys = 'prominence.kv'
/** Uploads, below their users' names or a group's; each with a blob. */
export const objects = 'prominence.object'
/** What jobs put by themselves; each a record below its job, with a blob. */
export const putOutputs = 'prominence.output'
/** The newest snapshot of each job, with a blob. */
export const snapshots = 'prominence.snapshot'
/** One record for each job with collected outputs: whose they are, and how many bytes. */
export const collectedOutputs = 'prominence.collected'

const counted: ReadonlySet<string> = new Set([keys, objects, putOutputs, snapshots, collectedOutputs])

/** What every stored thing takes besides its name and its bytes: many empty ones are not free. */
const entryBytes = 33

/** What a record counts for: its bytes, its name, and the room that every entry takes. Other collections are free. */
export function countedOf(record: Pick<Rec, 'collection' | 'id' | 'body'> | undefined): number {
  if (record === undefined || !counted.has(record.collection)) return 0
  const { value, sizeBytes = 0 } = record.body as { value?: string; sizeBytes?: number }
  return countedFor(record.id, value === undefined ? sizeBytes : Buffer.byteLength(value))
}

/** What something of this name and size counts for. */
export function countedFor(id: string, sizeBytes: number): number {
  return Buffer.byteLength(id) + sizeBytes + entryBytes
}

/** A change of what a user has stored: how many bytes more it makes, and what is to be written. */
export interface StoredChange {
  readonly more: number
  readonly write: (tx: Tx) => void
  /** What another user stored, and the write replaces. */
  readonly gaveBack?: { readonly owner: string; readonly bytes: number }
}

export class Stored {
  readonly #kit: Kit
  readonly #quota: number | undefined
  readonly #serial: Serial
  /** Of those who were asked for since the start. */
  readonly #sums = new Map<string, number>()
  /** Changes of users whose sum is not known: whoever is counting meanwhile has to count again. */
  #unseen = 0

  constructor({ kit, settings, serial }: { kit: Kit; settings: Settings; serial: Serial }) {
    this.#kit = kit
    this.#quota = settings.quota.storedBytes
    this.#serial = serial
  }

  /** Whether there is a quota at all: without one nothing is counted. */
  get isLimited(): boolean {
    return this.#quota !== undefined
  }

  /** How many bytes a user may still store at a place, where something counts for `freedBytes` that will be replaced. */
  async room(owner: string, id: string, freedBytes: number): Promise<number> {
    if (this.#quota === undefined) return Number.MAX_SAFE_INTEGER
    return Math.max(0, this.#quota - (await this.#sumOf(owner)) + freedBytes - countedFor(id, 0))
  }

  /** Looks, then writes, after all earlier changes of what this user has stored; refuses what takes too much. */
  async change(owner: string, look: () => Promise<StoredChange | undefined>): Promise<void> {
    await this.#changed(owner, look, this.#quota)
  }

  /** The same, and nothing is refused: for what is there already. */
  async note(owner: string, look: () => Promise<StoredChange | undefined>): Promise<void> {
    await this.#changed(owner, look, undefined)
  }

  /** Drops records, with the blobs that they name. */
  async drop(records: readonly Rec[], owner: string | undefined): Promise<void> {
    if (owner === undefined) await this.#kit.engine.write(tx => dropRecords(tx, records))
    else await this.dropFound(owner, async () => records)
  }

  /** Looks for records, then drops them, after all earlier changes of what this user has stored. */
  async dropFound(owner: string, find: () => Promise<readonly Rec[]>): Promise<void> {
    await this.note(owner, async () => {
      const found = await find()
      if (found.length === 0) return undefined
      const more = -found.reduce((sum, record) => sum + countedOf(record), 0)
      return { more, write: tx => dropRecords(tx, found) }
    })
  }

  refuse(): never {
    refuse('quota-exceeded', `the quota of ${this.#quota} stored bytes is used up`)
  }

  #changed(
    owner: string,
    look: () => Promise<StoredChange | undefined>,
    quota: number | undefined,
  ): Promise<void> {
    return this.#serial.run(`stored ${owner}`, async () => {
      const change = await look()
      if (change === undefined) return
      const { more, write, gaveBack } = change
      // Less may always be stored, also by who has too much because the quota was lowered.
      if (quota !== undefined && more > 0 && (await this.#sumOf(owner)) + more > quota) this.refuse()
      await this.#kit.engine.write(write)
      this.#add(owner, more)
      if (gaveBack !== undefined) this.#add(gaveBack.owner, -gaveBack.bytes)
    })
  }

  #add(owner: string, more: number): void {
    const sum = this.#sums.get(owner)
    if (sum === undefined) this.#unseen++
    else this.#sums.set(owner, sum + more)
  }

  async #sumOf(owner: string): Promise<number> {
    for (;;) {
      const known = this.#sums.get(owner)
      if (known !== undefined) return known
      const unseen = this.#unseen
      const counted = await this.#count(owner)
      if (unseen === this.#unseen && !this.#sums.has(owner)) this.#sums.set(owner, counted)
    }
  }

  /** Reads what belongs to the user, and nothing else. */
  async #count(owner: string): Promise<number> {
    const queries: Omit<RecordQuery, 'after' | 'limit'>[] = [
      ...[keys, objects, snapshots, collectedOutputs].map(collection => ({ collection, parent: owner })),
      // Their parents are their jobs.
      { collection: putOutputs, where: [{ name: 'owner', is: owner }], order: { index: 'owner' } },
    ]
    let sum = 0
    for (const query of queries)
      for await (const record of everyRecord(this.#kit.records, query)) sum += countedOf(record)
    return sum
  }
}

function dropRecords(tx: Tx, records: readonly Rec[]): void {
  for (const { collection, id, body } of records) {
    const { hash, sizeBytes = 0 } = body as { hash?: string; sizeBytes?: number }
    if (hash !== undefined) tx.blob({ hash, sizeBytes, delta: -1 })
    tx.record({ drop: { collection, id } })
  }
}
