// The object store: what users upload, by name, below their own name or a group's. Bytes are blobs.

import type { Principal } from '../../core/principal.ts'
import type { Rec } from '../../store/store.ts'
import { everyRecord } from './every-record.ts'
import type { Parts } from './parts.ts'
import { countedFor, countedOf, objects } from './stored.ts'

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

/** The name of the object that lives there, as it was given: a `%` in it is a character like any other. */
function nameOf(id: string): string {
  return id.startsWith('u/') ? id.slice(id.lastIndexOf('/') + 1) : id.slice('g/'.length)
}

/** What the caller may list below a path: own objects for an empty one. Undefined where the caller may not go. */
export function objectFolder(who: Principal, path: string): string | undefined {
  const plain = path.replace(/\/+$/, '')
  if (plain === '') return `u/${encodeURIComponent(who.name)}/`
  return isPlain(plain) && isInGroup(who, plain) ? `g/${plain}/` : undefined
}

/** The object at a place. */
export async function findObject(parts: Parts, id: string): Promise<StoredObject | undefined> {
  return readObject(await parts.kit.records.get(objects, id))
}

/** All objects below a folder, by name. */
export async function* listObjects(parts: Parts, folder: string): AsyncGenerator<StoredObject> {
  const query = {
    collection: objects,
    where: [{ name: 'place', prefix: folder }],
    order: { index: 'place' },
  } as const
  for await (const record of everyRecord(parts.kit.records, query)) yield readObject(record)!
}

/** Streams bytes into an object, within the owner's quota; the old content, if any, is replaced. */
export async function putObject(
  parts: Parts,
  at: { id: string; owner: string; sha256?: string },
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { kit, settings, stored } = parts
  const { id, owner } = at
  const blob = await kit.blobs.write(source, {
    limitBytes: Math.min(settings.uploadBytesMax, await roomOf(parts, at)),
    ...(at.sha256 === undefined ? {} : { expectHash: at.sha256.toLowerCase() }),
  })
  const release = kit.blobs.keep(blob.hash)
  try {
    // Another member of the group may be writing the same object, whose changes of what they stored are not ours.
    await parts.serial.run(`object ${id}`, () =>
      stored.change(owner, async () => {
        const record = await kit.records.get(objects, id)
        const old = readObject(record)
        const object: StoredObject = { name: nameOf(id), ...blob, modifiedAt: kit.clock.now(), owner }
        const isOwn = old?.owner === owner
        return {
          more: countedFor(id, blob.sizeBytes) - (isOwn ? countedOf(record) : 0),
          write(tx) {
            if (old !== undefined) tx.blob({ hash: old.hash, sizeBytes: old.sizeBytes, delta: -1 })
            tx.blob({ hash: blob.hash, sizeBytes: blob.sizeBytes, delta: 1 })
            tx.record({
              put: { collection: objects, id, parent: owner, body: { ...object }, index: [['place', id]] },
            })
          },
          ...(old === undefined || isOwn ? {} : { gaveBack: { owner: old.owner, bytes: countedOf(record) } }),
        }
      }),
    )
  } finally {
    release()
  }
}

/** Removes an object; nothing happens where there is none. */
export async function dropObject({ kit, serial, stored }: Parts, id: string): Promise<void> {
  await serial.run(`object ${id}`, async () => {
    const record = await kit.records.get(objects, id)
    const old = readObject(record)
    if (record !== undefined && old !== undefined) await stored.drop([record], old.owner)
  })
}

/** How many bytes may still be stored there: what is replaced there counts as room. */
async function roomOf({ kit, stored }: Parts, { id, owner }: { id: string; owner: string }): Promise<number> {
  if (!stored.isLimited) return Number.MAX_SAFE_INTEGER
  const record = await kit.records.get(objects, id)
  return stored.room(owner, id, readObject(record)?.owner === owner ? countedOf(record) : 0)
}

function readObject(record: Rec | undefined): StoredObject | undefined {
  return record?.body as unknown as StoredObject | undefined
}

function isPlain(name: string): boolean {
  return name.split('/').every(part => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'))
}

/** Whole path parts are compared: the group `vo` is not a part of `vorn/x`. */
function isInGroup(who: Pick<Principal, 'groups'>, path: string): boolean {
  return who.groups.some(group => path === group || path.startsWith(`${group}/`))
}
