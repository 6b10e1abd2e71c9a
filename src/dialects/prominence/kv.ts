// The key-value store: private to each user, keys are paths, values are text. They count against their user's quota of
// stored bytes, where there is one.

import type { FastifyInstance } from 'fastify'
import type { Json } from '../../core/json.ts'
import { refuse } from '../../core/refusal.ts'
import type { Rec, RecordChange } from '../../store/store.ts'
import { type Call, readBody, send, sendText, serve } from './call.ts'
import { everyRecord } from './every-record.ts'
import { refuseOverQuota, roomFor, storedBytes, storedRecord } from './objects.ts'
import type { Parts } from './parts.ts'
import { sendList } from './send-list.ts'

const collection = 'prominence.kv'
/** What the original's storage needs of each value's room. */
const reservedBytes = 33
/** So many keys are dropped in one commit: others are served in between. */
const keysPerCommit = 500
/** Keys with this in them are the system's own: readable, never listed. */
const hiddenMark = '_internal_'

/** Serves /kv. */
export function kvRoutes(app: FastifyInstance, parts: Parts): void {
  serve(app, parts, '/kv', {
    GET: call =>
      call.query.has('list') ? list(call, parts, '') : refuse('bad-request', 'Key not specified'),
  })
  serve(app, parts, '/kv/*', {
    GET: call => (call.query.has('list') ? list(call, parts, keyOf(call)) : get(call, parts)),
    POST: call => put(call, parts),
    DELETE: call => drop(call, parts),
  })
}

/** The key in a path. Doubled slashes count once: the client writes `/kv//a/b` for the key `/a/b`. */
function keyOf({ params }: Call): string {
  return `/${params['*'] ?? ''}`.replace(/\/+/g, '/')
}

function idOf(owner: string, key: string): string {
  return encodeURIComponent(owner) + key
}

function list(call: Call, parts: Parts, prefix: string): Promise<unknown> {
  return sendList(call, entriesOf(call, parts, prefix))
}

async function* entriesOf(call: Call, { kit }: Parts, prefix: string): AsyncGenerator<Json> {
  const isWithValues = call.query.has('values')
  for await (const { body } of everyRecord(kit.records, keysOf(call, prefix))) {
    const { key, value } = body as { key: string; value: string }
    if (!key.includes(hiddenMark)) yield isWithValues ? { [key]: value } : key
  }
}

function keysOf({ who }: Call, prefix: string) {
  return {
    collection,
    parent: who.name,
    where: prefix === '' ? [] : [{ name: 'key', prefix }],
    order: { index: 'key' },
  } as const
}

async function get(call: Call, { kit }: Parts): Promise<unknown> {
  const found = await kit.records.get(collection, idOf(call.who.name, keyOf(call)))
  if (found === undefined) refuse('not-found', 'No such key')
  return sendText(call, Buffer.from((found.body as { value: string }).value))
}

async function put(call: Call, parts: Parts): Promise<unknown> {
  const { settings } = parts
  const valueBytesMax = settings.kvBytesMax - reservedBytes
  const body = await readBody(call.request, settings.bodyBytesMax)
  if (body.length === 0) refuse('bad-field', 'No value provided')
  if (body.length > valueBytesMax) refuse('bad-field', 'Content of value too large')
  const value = readText(body)
  const key = keyOf(call)
  const counted =
    settings.quota.storedBytes === undefined ? 0 : Buffer.byteLength(key) + body.length + reservedBytes
  const prev = call.query.get('prev')
  const id = idOf(call.who.name, key)
  const kept = counted === 0 ? { key, value } : { key, value, counted }
  await change(call, parts, {
    id,
    counted,
    to: { put: { collection, id, parent: call.who.name, body: kept, index: [['key', key]] } },
    check: old => {
      if (prev !== null && (old?.body as { value?: string } | undefined)?.value !== prev)
        refuse('conflict', 'Atomic replacement not successful')
    },
  })
  return send(call, {}, 201)
}

/** Changes one key, after all earlier changes of it, and the sum of its user's stored bytes with it. */
async function change(
  { who }: Call,
  parts: Parts,
  {
    id,
    counted,
    to,
    check,
  }: {
    readonly id: string
    /** What it then counts for. */
    readonly counted: number
    readonly to: RecordChange
    /** Refuses, by what is there. */
    readonly check?: (old: Rec | undefined) => void
  },
): Promise<void> {
  const { kit, serial } = parts
  await serial.run(`kv ${id}`, async () => {
    const old = await kit.records.get(collection, id)
    check?.(old)
    // Where there is no sum to keep, other keys of the same user are written at the same time.
    if (counted === 0 && countedOf(old) === 0) return kit.engine.write(tx => tx.record(to))
    return serial.run(`stored ${who.name}`, async () => {
      const now = await kit.records.get(collection, id)
      check?.(now)
      const more = counted - countedOf(now)
      if (more > (await roomFor(parts, who.name, 0))) refuseOverQuota(parts)
      const stored = Math.max(0, (await storedBytes(parts, who.name)) + more)
      await kit.engine.write(tx => {
        tx.record(to)
        tx.record(storedRecord(who.name, stored))
      })
    })
  })
}

/** What of a user's stored bytes a key stands for: nothing, where it was set while there was no quota. */
function countedOf(record: Rec | undefined): number {
  return (record?.body as { counted?: number } | undefined)?.counted ?? 0
}

function readText(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return refuse('bad-field', 'The value must be UTF-8 text')
  }
}

async function drop(call: Call, parts: Parts): Promise<unknown> {
  if (call.query.has('prefix')) await dropBelow(call, parts, keyOf(call))
  else {
    const id = idOf(call.who.name, keyOf(call))
    await change(call, parts, { id, counted: 0, to: { drop: { collection, id } } })
  }
  return send(call, {})
}

/** Drops all keys that begin so, by some hundreds at a time, and gives back what they took of the quota. */
async function dropBelow(call: Call, parts: Parts, prefix: string): Promise<void> {
  const { kit, serial } = parts
  const owner = call.who.name
  const dropSome = () =>
    serial.run(`stored ${owner}`, async () => {
      const { items } = await kit.records.list({ ...keysOf(call, prefix), limit: keysPerCommit })
      if (items.length === 0) return false
      const freed = items.reduce((sum, record) => sum + countedOf(record), 0)
      const stored = Math.max(0, (await storedBytes(parts, owner)) - freed)
      await kit.engine.write(tx => {
        for (const { id } of items) tx.record({ drop: { collection, id } })
        if (freed > 0) tx.record(storedRecord(owner, stored))
      })
      return items.length === keysPerCommit
    })
  while (await dropSome());
}
