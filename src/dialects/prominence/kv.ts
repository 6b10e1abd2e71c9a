// The key-value store: private to each user, keys are paths, values are text.

import type { FastifyInstance } from 'fastify'
import { refuse } from '../../core/refusal.ts'
import type { RecordChange } from '../../store/store.ts'
import { type Call, readBody, send, sendText, serve } from './call.ts'
import { everyRecord } from './every-record.ts'
import type { Parts } from './parts.ts'

const collection = 'prominence.kv'
/** What the original's storage needs of each value's room. */
const reservedBytes = 33
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

async function list(call: Call, { kit }: Parts, prefix: string): Promise<unknown> {
  const entries: unknown[] = []
  for await (const { body } of everyRecord(kit.records, keysOf(call, prefix))) {
    const { key, value } = body as { key: string; value: string }
    if (!key.includes(hiddenMark)) entries.push(call.query.has('values') ? { [key]: value } : key)
  }
  return send(call, entries)
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

async function put(call: Call, { kit, settings, serial }: Parts): Promise<unknown> {
  const valueBytesMax = settings.kvBytesMax - reservedBytes
  const body = await readBody(call.request, settings.bodyBytesMax)
  if (body.length === 0) refuse('bad-field', 'No value provided')
  if (body.length > valueBytesMax) refuse('bad-field', 'Content of value too large')
  const value = readText(body)
  const key = keyOf(call)
  const id = idOf(call.who.name, key)
  await serial.run(`kv ${id}`, async () => {
    const prev = call.query.get('prev')
    if (prev !== null) {
      const found = await kit.records.get(collection, id)
      if ((found?.body as { value?: string } | undefined)?.value !== prev)
        refuse('conflict', 'Atomic replacement not successful')
    }
    const change: RecordChange = {
      put: { collection, id, parent: call.who.name, body: { key, value }, index: [['key', key]] },
    }
    await kit.engine.write(tx => tx.record(change))
  })
  return send(call, {}, 201)
}

function readText(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return refuse('bad-field', 'The value must be UTF-8 text')
  }
}

async function drop(call: Call, { kit }: Parts): Promise<unknown> {
  const ids: string[] = []
  if (call.query.has('prefix'))
    for await (const { id } of everyRecord(kit.records, keysOf(call, keyOf(call)))) ids.push(id)
  else ids.push(idOf(call.who.name, keyOf(call)))
  await kit.engine.write(tx => {
    for (const id of ids) tx.record({ drop: { collection, id } })
  })
  return send(call, {})
}
