// The object store: what users upload, by name, below their own name or a group's. Bytes are blobs.

import type { Principal } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import type { Tx } from '../../engine/engine.ts'
import type { Rec, RecordChange } from '../../store/store.ts'
import { everyRecord } from './every-record.ts'
import type { Parts } from './parts.ts'

const collection = 'prominence.object'
const storedCollection = 'prominence.stored'

/** A stored object. */
export interface StoredObject {
  /** Without the user's part: `in.txt`, or `vo/test/in.txt` of a group. */
  readonly name: string
  readonly hash: string
  readonly sizeBytes: number
  readonly modifiedAt: number
  /** Who uploaded it, and whose quota it counts against. */
  readonly owner: string
}

/** Where an object of this name lives for this caller; undefined where the caller may not go. */
export function objectId(who: Pick<Principal, 'name' | 'groups'>, name: string): string | undefined {
  if (!isPlain(name)) return undefined
  if (!name.includes('/')) return `u/${encodeURIComponent(who.name)}/${name}`
  return isInGroup(who, name) && !who.groups.includes(name) ? `g/${name}` : undefined
}

/** What the caller may list below a path: own objects for an empty one. Undefined where the caller may not go. */
export function objectFolder(who: Principal, path: string): string | undefined {
  const plain = path.replace(/\/+$/, '')
  if (plain === '') return `u/${encodeURIComponent(who.name)}/`
  return isPlain(plain) && isInGroup(who, plain) ? `g/${plain}/` : undefined
}

/** The object at a place. */
export async function findObject(parts: Parts, id: string): Promise<StoredObject | undefined> {
  return readObject(await parts.kit.records.get(collection, id))
}

/** All objects below a folder, by name. */
export async function* listObjects(parts: Parts, folder: string): AsyncGenerator<StoredObject> {
  const query = { collection, where: [{ name: 'place', prefix: folder }], order: { index: 'place' } } as const
  for await (const record of everyRecord(parts.kit.records, query)) yield readObject(record)!
}

/** Streams bytes into an object, within the owner's quota; the old content, if any, is replaced. */
export async function putObject(
  parts: Parts,
  at: { id: string; owner: string; sha256?: string },
  source: AsyncIterable<Uint8Array>,
): Promise<StoredObject> {
  const { kit, settings } = parts
  const room = await roomOf(parts, at)
  const blob = await kit.blobs.write(source, {
    limitBytes: Math.min(settings.uploadBytesMax, room),
    ...(at.sha256 === undefined ? {} : { expectHash: at.sha256.toLowerCase() }),
  })
  const release = kit.blobs.keep(blob.hash)
  try {
    return await parts.serial.run(`stored ${at.owner}`, async () => {
      if (blob.sizeBytes > (await roomOf(parts, at))) refuseOverQuota(parts)
      const name = decodeURIComponent(
        at.id.startsWith('u/') ? at.id.slice(at.id.lastIndexOf('/') + 1) : at.id.slice(2),
      )
      const object = { name, ...blob, modifiedAt: kit.clock.now(), owner: at.owner }
      const old = await findObject(parts, at.id)
      const stored = new Map([[at.owner, await storedBytes(parts, at.owner)]])
      if (old !== undefined && !stored.has(old.owner))
        stored.set(old.owner, await storedBytes(parts, old.owner))
      await kit.engine.write(tx => {
        if (old !== undefined) takeAway(tx, old, stored)
        tx.blob({ hash: blob.hash, sizeBytes: blob.sizeBytes, delta: 1 })
        stored.set(at.owner, stored.get(at.owner)! + blob.sizeBytes)
        tx.record(putRecord(at.id, object))
        for (const [owner, bytes] of stored) tx.record(storedRecord(owner, bytes))
      })
      return object
    })
  } finally {
    release()
  }
}

/** Removes an object; nothing happens where there is none. */
export async function dropObject(parts: Parts, id: string): Promise<void> {
  const owner = (await findObject(parts, id))?.owner
  if (owner === undefined) return
  await parts.serial.run(`stored ${owner}`, async () => {
    const old = await findObject(parts, id)
    if (old === undefined) return
    const stored = new Map([[old.owner, await storedBytes(parts, old.owner)]])
    await parts.kit.engine.write(tx => {
      takeAway(tx, old, stored)
      tx.record({ drop: { collection, id } })
      tx.record(storedRecord(old.owner, stored.get(old.owner)!))
    })
  })
}

/** How many bytes a user has stored. */
export async function storedBytes({ kit }: Parts, owner: string): Promise<number> {
  const found = await kit.records.get(storedCollection, owner)
  return (found?.body as { bytes?: number } | undefined)?.bytes ?? 0
}

/** How many bytes a user may still store, of `freedBytes` that what is replaced gives back. */
export async function roomFor(parts: Parts, owner: string, freedBytes: number): Promise<number> {
  const quota = parts.settings.quota.storedBytes
  if (quota === undefined) return Number.MAX_SAFE_INTEGER
  return Math.max(0, quota - (await storedBytes(parts, owner)) + freedBytes)
}

/** Refuses what does not fit the room that is left. */
export function refuseOverQuota({ settings }: Parts): never {
  refuse('quota-exceeded', `the quota of ${settings.quota.storedBytes} stored bytes is used up`)
}

/** How many bytes may still be stored there: what is replaced there counts as room. */
async function roomOf(parts: Parts, { id, owner }: { id: string; owner: string }): Promise<number> {
  if (parts.settings.quota.storedBytes === undefined) return Number.MAX_SAFE_INTEGER
  const old = await findObject(parts, id)
  return roomFor(parts, owner, old?.owner === owner ? old.sizeBytes : 0)
}

function takeAway(tx: Tx, { hash, sizeBytes, owner }: StoredObject, stored: Map<string, number>): void {
  tx.blob({ hash, sizeBytes, delta: -1 })
  stored.set(owner, Math.max(0, (stored.get(owner) ?? 0) - sizeBytes))
}

function putRecord(id: string, object: StoredObject): RecordChange {
  return { put: { collection, id, body: { ...object }, index: [['place', id]] } }
}

/** How many bytes a user has stored, as a change. */
export function storedRecord(owner: string, bytes: number): RecordChange {
  return { put: { collection: storedCollection, id: owner, body: { bytes } } }
}

/**
 * Drops records, and the blobs that they name. Those of an owner count against a quota: what they counted is given
 * back with them.
 */
export async function dropCounted(
  parts: Parts,
  records: readonly Rec[],
  owner: string | undefined,
): Promise<void> {
  await parts.serial.run(owner === undefined ? 'sweep' : `stored ${owner}`, async () => {
    const stored = owner === undefined ? 0 : await storedBytes(parts, owner)
    await parts.kit.engine.write(tx => {
      let bytes = 0
      for (const { collection, id, body } of records) {
        const { hash, sizeBytes = 0 } = body as { hash?: string; sizeBytes?: number }
        bytes += sizeBytes
        if (hash !== undefined) tx.blob({ hash, sizeBytes, delta: -1 })
        tx.record({ drop: { collection, id } })
      }
      if (owner !== undefined) tx.record(storedRecord(owner, Math.max(0, stored - bytes)))
    })
  })
}

function readObject(record: Rec | undefined): StoredObject | undefined {
  return record?.body as StoredObject | undefined
}

function isPlain(name: string): boolean {
  return name.split('/').every(part => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'))
}

/** Whole path parts are compared: the group `vo` is not a part of `vorn/x`. */
function isInGroup(who: Pick<Principal, 'groups'>, path: string): boolean {
  return who.groups.some(group => path === group || path.startsWith(`${group}/`))
}
