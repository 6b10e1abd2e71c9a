// The transfers accelerator: jobs that fetch from a peer or push to it in buckets, and what its other end asks of us.

import { Readable } from 'node:stream'
import { isObject, type JsonObject } from '../../../core/json.ts'
import { type Level, levelNames, levels } from '../../../domains/dicom/levels.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { type Answer, type Call, emptyText, json, nothingToSay } from '../call.ts'
import { logExports } from '../dicom/exports.ts'
import { runTalk } from '../dicom/run-talk.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import { integer, texts } from '../read-json.ts'
import { showSize } from '../shapes.ts'
import {
  itemOf,
  type Manifest,
  readBucketBytes,
  readItems,
  showItems,
  type TransferItem,
  totalBytes,
} from '../transfers/manifest.ts'
import { type Compression, pack, readStretch } from '../transfers/send-bytes.ts'
import {
  askPullKind,
  newSenderId,
  pullKind,
  pushKind,
  type TransferOrder,
} from '../transfers/transfer-jobs.ts'
import { originOf } from './instances.ts'
import { retryPolicy } from './modalities.ts'
import type { Routes } from './route.ts'

type Body = Readonly<Record<string, unknown>>

/** The most bytes of one answer to another server. */
const stretchBytesMax = 64 * 1024 * 1024

export const transferRoutes: Routes = (add, house) => {
  add('POST', '/transfers/send', call => send(house, call))
  add('POST', '/transfers/pull', call => pull(house, call))
  add('GET', '/transfers/peers', () => listPeers(house))

  // What two servers say to each other.
  add('GET', '/transfers/version', () => json({ Version: 1 }))
  add('POST', '/transfers/lookup', async call => {
    const items = await itemsOf(house, readResources(await call.object()))
    return json({
      Instances: showItems(items),
      CountInstances: items.length,
      TotalSize: totalBytes({ items }),
    })
  })
  add('POST', '/transfers/chunks', call => sendChunks(house, call))
  add('POST', '/transfers/push', call => openPush(house, call))
  add('PUT', '/transfers/push/{id}/{bucket}', async call => {
    const bucket = call.param('bucket')
    if (!/^\d{1,9}$/.test(bucket)) fail(codes.outOfRange, `There is no bucket ${bucket}`)
    const packing = call.request.headers['content-encoding'] === 'gzip' ? 'gzip' : 'none'
    await house.transfers.putBucket(call.param('id'), Number(bucket), await call.bytes(), packing)
    return emptyText
  })
  add('POST', '/transfers/push/{id}/commit', async call => {
    await house.transfers.commit(house, call.param('id'), originOf(call))
    return nothingToSay
  })
  add('DELETE', '/transfers/push/{id}', async call => {
    await house.transfers.discard(call.param('id'))
    return emptyText
  })
}

// ---- jobs ----

interface Wish {
  readonly resources: readonly WantedResource[]
  readonly peer: string
  readonly compression: Compression
  readonly priority: number
  readonly senderId: string
}

interface WantedResource {
  readonly Level: string
  readonly ID: string
}

function readWish(house: House, body: Body): Wish {
  const peer = body['Peer']
  if (typeof peer !== 'string') fail(codes.badFormat, 'String value expected in field: Peer')
  house.peers.need(peer, codes.unknownResource)
  const compression = body['Compression'] ?? 'none'
  if (compression !== 'gzip' && compression !== 'none') {
    fail(codes.badFormat, 'Compression must be "gzip" or "none"')
  }
  const senderId = body['SenderTransferID'] ?? newSenderId()
  if (typeof senderId !== 'string' || !/^[\x20-\x7e]{1,256}$/.test(senderId)) {
    fail(codes.badFormat, 'String value expected in field: SenderTransferID')
  }
  return {
    resources: readResources(body),
    peer,
    compression,
    priority: integer(body, 'Priority') ?? 0,
    senderId,
  }
}

function readResources(body: Body): WantedResource[] {
  const list = body['Resources']
  if (!Array.isArray(list)) fail(codes.badFormat, 'List expected in field: Resources')
  return list.map(item => {
    const { Level: level, ID: id } = isObject(item) ? item : ({} as Record<string, unknown>)
    const isLevel = levels.some(each => levelNames[each] === level)
    if (!isLevel || typeof id !== 'string') {
      fail(codes.badFormat, 'Resources must have a Level (Patient, Study, Series or Instance) and an ID')
    }
    return { Level: level as string, ID: id }
  })
}

async function send(house: House, call: Call): Promise<Answer> {
  const wish = readWish(house, await call.object())
  const items = await itemsOf(house, wish.resources)
  const { remoteSelf } = house.peers.need(wish.peer)
  await logExports(
    house,
    wish.resources.map(({ ID: id }) => id),
    wish.peer,
  )
  const content = { InstancesCount: items.length, ...showSize('Size', totalBytes({ items })) }
  if (remoteSelf !== '')
    return submit(house, call, wish, { kind: askPullKind, content, more: { remoteSelf } })
  const { bucketBytes } = house.settings.transfers
  return submit(house, call, wish, { kind: pushKind, content, more: { items, bucketBytes } })
}

async function pull(house: House, call: Call): Promise<Answer> {
  return submit(house, call, readWish(house, await call.object()), { kind: pullKind, content: {}, more: {} })
}

async function submit(
  house: House,
  call: Call,
  wish: Wish,
  { kind, content, more }: { kind: string; content: JsonObject; more: Partial<TransferOrder> },
): Promise<Answer> {
  const { peer, resources, compression, priority, senderId } = wish
  const order: TransferOrder = {
    peer,
    resources,
    compression,
    senderId,
    priority,
    ...more,
    ...originOf(call),
  }
  const options = { isAsynchronous: true, isPermissive: false, priority }
  const shown = { Peer: peer, Compression: compression, Resources: resources, ...content }
  const answer = await runTalk(house, call, options, {
    kind,
    input: order as unknown as JsonObject,
    detail: { content: shown as unknown as JsonObject },
    ...retryPolicy(`peer ${peer}`, house.peers.need(peer)),
  })
  const handle = answer as { json: JsonObject }
  return json({ ...handle.json, Peer: peer })
}

/** Which peers can take part, and whether they can fetch from us. */
async function listPeers(house: House): Promise<Answer> {
  const { connectMs } = house.settings.transfers
  const shown = await Promise.all(
    house.peers.book.all().map(async ([name, peer]) => {
      const client = house.peers.client(name)
      try {
        const { status } = await client.ask({
          method: 'GET',
          path: 'transfers/version',
          silenceMsMax: connectMs,
        })
        return [name, status !== 200 ? 'disabled' : peer.remoteSelf === '' ? 'installed' : 'bidirectional']
      } catch {
        return [name, 'disabled'] // Whatever the reason is: nothing can be transferred there now.
      } finally {
        client.close()
      }
    }),
  )
  return json(Object.fromEntries(shown) as JsonObject)
}

// ---- the other end ----

/** The instances of resources, each once. */
async function itemsOf(house: House, wanted: readonly WantedResource[]): Promise<TransferItem[]> {
  const found = new Map<string, TransferItem>()
  const { browse } = house.archive
  for (const { Level: name, ID: id } of wanted) {
    const level = levels.find(each => levelNames[each] === name) as Level
    const resource: Resource | undefined = await browse.get(level, id)
    if (!resource) fail(codes.unknownResource, `There is no ${level} ${id}`)
    for await (const instance of browse.descendants(resource, 'instance')) {
      found.set(instance.id, itemOf(instance))
    }
  }
  return [...found.values()]
}

async function sendChunks(house: House, call: Call): Promise<Answer> {
  const body = await call.object()
  const offset = body['Offset']
  const size = body['Size']
  const isCount = (value: unknown, max: number): value is number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max
  if (!isCount(offset, Number.MAX_SAFE_INTEGER)) fail(codes.badFormat, 'Offset must be a number of bytes')
  if (!isCount(size, stretchBytesMax)) fail(codes.badFormat, `Size must be at most ${stretchBytesMax} bytes`)
  const bytes = await readStretch(house, { ids: texts(body, 'Instances'), offset, size })
  const compression = body['Compression'] === 'gzip' ? 'gzip' : 'none'
  const packed = await pack(bytes, compression)
  return {
    stream: Readable.from([packed]),
    type: 'application/octet-stream',
    sizeBytes: packed.length,
    ...(compression === 'gzip' ? { headers: { 'content-encoding': 'gzip' } } : {}),
  }
}

async function openPush(house: House, call: Call): Promise<Answer> {
  const body = await call.object()
  const sender = call.request.headers['sender-transfer-id']
  if (typeof sender !== 'string') fail(codes.badFormat, 'The header sender-transfer-id is missing')
  const manifest: Manifest = {
    items: readItems(body['Instances']),
    bucketBytes: readBucketBytes(body['BucketSize']),
  }
  const { id, folder } = await house.transfers.openPush(house, `${call.principal.name} ${sender}`, manifest)
  const isCommitted = await folder.isCommitted()
  return json({ ID: id, Received: folder.received(), Committed: isCommitted })
}
