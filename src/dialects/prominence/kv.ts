// The key-value store: private to each user, keys are paths, values are text. They count against their user's quota of
// stored bytes, where there is one.

import type { FastifyInstance } from 'fastify'
import type { Json } from '../../core/json.ts'
import { refuse } from '../../core/refusal.ts'
import { type Call, readBody, send, sendText, serve } from './call.ts'
import { everyRecord } from './every-record.ts'
import { keyPlace, keysBelow } from './kv-drop.ts'
import type { Parts } from './parts.ts'
import { sendList } from './send-list.ts'
import { countedFor, countedOf, keys, type StoredChange } from './stored.ts'

/** What the original's storage needs of each value's room. */
const reservedBytes = 33
/** Keys with this in them are the system's own: readable, never listed. */
const hiddenMark = '_internal_'

/** Serves /kv. */
export function kvRoutes(app: FastifyInstance, parts: Parts): void {
  serve(app, parts, '/kv', {
    GET: call =>
      call.query.has('list') ? list(call, parts, '/') : refuse('bad-request', 'Key not specified'),
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

function list(call: Call, parts: Parts, prefix: string): Promise<unknown> {
  return sendList(call, entriesOf(call, parts, prefix))
}

async function* entriesOf(
  { who, query }: Call,
  { kit, droppings }: Parts,
  prefix: string,
): AsyncGenerator<Json> {
  const isWithValues = query.has('values')
  for await (const { body } of everyRecord(kit.records, keysBelow(who.name, prefix))) {
    const { key, value } = body as { key: string; value: string }
    if (key.includes(hiddenMark) || droppings.covers(who.name, key)) continue
    yield isWithValues ? { [key]: value } : key
  }
}

async function get(call: Call, { kit, droppings }: Parts): Promise<unknown> {
  const key = keyOf(call)
  const found = await kit.records.get(keys, keyPlace(call.who.name, key))
  if (found === undefined || droppings.covers(call.who.name, key)) refuse('not-found', 'No such key')
  return sendText(call, Buffer.from((found.body as { value: string }).value))
}

async function put(call: Call, parts: Parts): Promise<unknown> {
  const { kit, settings } = parts
  const valueBytesMax = settings.kvBytesMax - reservedBytes
  const body = await readBody(call.request, valueBytesMax, () =>
    refuse('bad-field', 'Content of value too large'),
  )
  if (body.length === 0) refuse('bad-field', 'No value provided')
  const [owner, key, value] = [call.who.name, keyOf(call), readText(body)]
  const id = keyPlace(owner, key)
  const prev = call.query.get('prev')
  await parts.droppings.settled(owner, key)
  await change(parts, owner, id, async () => {
    const old = await kit.records.get(keys, id)
    if (prev !== null && (old?.body as { value?: string } | undefined)?.value !== prev)
      refuse('conflict', 'Atomic replacement not successful')
    return {
      more: countedFor(id, body.length) - countedOf(old),
      write: tx =>
        tx.record({
          put: { collection: keys, id, parent: owner, body: { key, value }, index: [['place', id]] },
        }),
    }
  })
  return send(call, {}, 201)
}

/** Looks, then writes one key. Where there is no quota, other keys of the same user are written at the same time. */
async function change(
  { kit, serial, stored }: Parts,
  owner: string,
  id: string,
  look: () => Promise<StoredChange>,
): Promise<void> {
  await serial.run(`kv ${id}`, async () => {
    if (stored.isLimited) await stored.change(owner, look)
    else await kit.engine.write((await look()).write)
  })
}

function readText(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return refuse('bad-field', 'The value must be UTF-8 text')
  }
}

async function drop(call: Call, parts: Parts): Promise<unknown> {
  const [owner, key] = [call.who.name, keyOf(call)]
  if (call.query.has('prefix')) await parts.droppings.drop(owner, key)
  else {
    const id = keyPlace(owner, key)
    await parts.droppings.settled(owner, key)
    await change(parts, owner, id, async () => ({
      more: -countedOf(await parts.kit.records.get(keys, id)),
      write: tx => tx.record({ drop: { collection: keys, id } }),
    }))
  }
  return send(call, {})
}
