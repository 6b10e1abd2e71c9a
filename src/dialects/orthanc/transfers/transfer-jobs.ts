// The jobs of transfers: fetching from a peer, pushing to it, and asking it to fetch. All go on after a stop or a crash
// with the buckets that the receiving side does not have.

import { randomUUID } from 'node:crypto'
import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import type { Talk, TalkTools } from '../../../core/talk.ts'
import { TalkFailed } from '../../../core/talk.ts'
import { codes, OrthancError } from '../errors.ts'
import { addTalk, type House } from '../house.ts'
import type { PeerAnswer, PeerClient, PeerRequest } from '../peers/peer-client.ts'
import { parseLenient } from '../read-json.ts'
import { ArrivalsFolder } from './arrivals-folder.ts'
import {
  bucketCount,
  bucketRange,
  itemsWithin,
  type Manifest,
  readItems,
  showItems,
  type TransferItem,
} from './manifest.ts'
import { type Compression, pack, readStretch, unpack } from './send-bytes.ts'
import { takeIn } from './take-in.ts'

export const pullKind = 'dicom.transfer-pull'
export const pushKind = 'dicom.transfer-push'
export const askPullKind = 'dicom.transfer-ask'

/** What every kind of transfer job is told. */
export type TransferOrder = {
  readonly peer: string
  readonly compression: Compression
  /** Named in every request of the transfer. */
  readonly senderId: string
  /** As the caller gave them. */
  readonly resources: readonly { readonly Level: string; readonly ID: string }[]
  /** Pushes: the instances, and how they are cut. */
  readonly items?: readonly TransferItem[]
  readonly bucketBytes?: number
  /** Asking: the name under which the peer knows us. */
  readonly remoteSelf?: string
  readonly priority?: number
  readonly remoteIp: string
  readonly user: string
}

const pollMs = 300

/** Brings the kinds of jobs that transfer instances. */
export function registerTransfers(house: House): void {
  addTalk(house, pullKind, talkOf(house, pull))
  addTalk(house, pushKind, talkOf(house, push))
  addTalk(house, askPullKind, talkOf(house, askPull))
}

interface Transfer {
  readonly house: House
  readonly order: TransferOrder
  readonly client: PeerClient
  readonly tools: TalkTools
}

function talkOf(house: House, run: (transfer: Transfer) => Promise<JsonObject | undefined>): Talk {
  return async (input: Json, tools) => {
    const order = input as unknown as TransferOrder
    const { threads } = house.settings.transfers
    let client: PeerClient | undefined
    try {
      client = house.peers.client(order.peer, { connectionsMax: threads })
      const detail = await run({ house, order, client, tools })
      return detail ? { detail } : undefined
    } catch (error) {
      if (error instanceof OrthancError) {
        throw new TalkFailed(error.details ?? error.message, { errorCode: error.code })
      }
      throw error
    } finally {
      client?.close()
    }
  }
}

// ---- fetching ----

async function pull(transfer: Transfer): Promise<undefined> {
  const { house, order, tools } = transfer
  const path = house.transfers.pullPath(tools.job)
  const folder = (await ArrivalsFolder.find(path)) ?? (await beginPull(transfer, path))
  const { manifest } = folder
  await inParallel(transfer, folder.missing(), bucketCount(manifest), async bucket => {
    const range = bucketRange(manifest, bucket)
    const { items, offset } = itemsWithin(manifest, range)
    const size = range.to - range.from
    const answer = await insist(transfer, {
      method: 'POST',
      path: 'transfers/chunks',
      body: jsonBody({
        Instances: items.map(item => item.id),
        Offset: offset,
        Size: size,
        Compression: order.compression,
      }),
      bytesMax: size + 1024 * 1024,
    })
    const packing = answer.headers['content-encoding'] === 'gzip' ? 'gzip' : 'none'
    await folder.put(bucket, await unpack(answer.body, packing, size))
  })
  const origin = { remoteIp: order.remoteIp, user: order.user }
  await takeIn(house, folder, { origin, signal: tools.signal })
  await folder.remove()
}

async function beginPull(transfer: Transfer, path: string): Promise<ArrivalsFolder> {
  const { house, order, tools } = transfer
  const answer = await insist(transfer, {
    method: 'POST',
    path: 'transfers/lookup',
    body: jsonBody({ Resources: order.resources }),
    bytesMax: 512 * 1024 * 1024,
  })
  const items = readItems(objectOf(answer)['Instances'])
  const manifest: Manifest = { items, bucketBytes: house.settings.transfers.bucketBytes }
  await noteContent(house, tools, { InstancesCount: items.length })
  return ArrivalsFolder.make(path, manifest)
}

// ---- pushing ----

async function push(transfer: Transfer): Promise<undefined> {
  const { house, order } = transfer
  const manifest: Manifest = { items: order.items!, bucketBytes: order.bucketBytes! }
  const opened = objectOf(
    await insist(transfer, {
      method: 'POST',
      path: 'transfers/push',
      body: jsonBody({ Instances: showItems(manifest.items), BucketSize: manifest.bucketBytes }),
    }),
  )
  // The answer to the commit may have been lost with us.
  if (opened['Committed'] === true) return
  const { ID: id, Received: received } = opened
  if (typeof id !== 'string' || !/^[\w-]{1,100}$/.test(id) || !Array.isArray(received))
    throw badAnswer(transfer)
  const there = new Set(received)
  const count = bucketCount(manifest)
  const missing = Array.from({ length: count }, (_, bucket) => bucket).filter(bucket => !there.has(bucket))
  await inParallel(transfer, missing, count, async bucket => {
    const range = bucketRange(manifest, bucket)
    const { items, offset } = itemsWithin(manifest, range)
    const bytes = await readStretch(house, {
      ids: items.map(item => item.id),
      offset,
      size: range.to - range.from,
    })
    const { compression } = order
    await insist(transfer, {
      method: 'PUT',
      path: `transfers/push/${id}/${bucket}`,
      headers: compression === 'gzip' ? { 'content-encoding': 'gzip' } : {},
      body: await pack(bytes, compression),
    })
  })
  await insist(transfer, {
    method: 'POST',
    path: `transfers/push/${id}/commit`,
    body: jsonBody({}),
    silenceMsMax: house.settings.transfers.commitMs,
  })
}

// ---- asking the peer to fetch ----

async function askPull(transfer: Transfer): Promise<undefined> {
  const { house, order, client, tools } = transfer
  const job = await house.kit.engine.job({ id: tools.job })
  let remote = job?.detail?.['remoteJob']
  if (typeof remote === 'string') {
    // It may have been paused or cancelled with us, or may be at it still.
    const state = await remoteState(transfer, remote)
    if (state === 'Paused') await ask(transfer, { method: 'POST', path: `jobs/${remote}/resume` })
    else if (state === 'Failure') await ask(transfer, { method: 'POST', path: `jobs/${remote}/resubmit` })
    else if (state === undefined) remote = undefined
  }
  if (typeof remote !== 'string') {
    const answer = await insist(transfer, {
      method: 'POST',
      path: 'transfers/pull',
      body: jsonBody({
        Resources: order.resources,
        Compression: order.compression,
        Peer: order.remoteSelf,
        Priority: order.priority ?? 0,
        SenderTransferID: order.senderId,
      }),
    })
    remote = objectOf(answer)['ID']
    if (typeof remote !== 'string') throw badAnswer(transfer)
    const noted: JsonObject = { remoteJob: remote }
    if (job) await house.kit.engine.write(tx => tx.note(job.n, noted))
  }
  const id = remote as string
  try {
    await followRemote(transfer, id)
  } catch (error) {
    const reason = tools.stopReason()
    if (reason !== undefined) {
      const action = reason === 'pause' ? 'pause' : 'cancel'
      // The peer goes on by itself when it cannot be told; there is nobody left here who could wait for it.
      await client
        .ask({ method: 'POST', path: `jobs/${encodeURIComponent(id)}/${action}`, headers: headersOf(order) })
        .catch(failure => house.kit.log.warn({ err: failure }, 'a peer could not be told to stop a transfer'))
    }
    throw error
  }
}

async function followRemote(transfer: Transfer, id: string): Promise<void> {
  const { tools } = transfer
  for (;;) {
    tools.signal.throwIfAborted()
    const job = objectOf(await insist(transfer, { method: 'GET', path: `jobs/${encodeURIComponent(id)}` }))
    const { State: state, Progress: progress } = job
    if (typeof progress === 'number') tools.progress(progress / 100)
    if (state === 'Success') return
    if (state === 'Failure') {
      const why = String(job['ErrorDetails'] || job['ErrorDescription'] || 'no reason was given')
      throw new OrthancError(codes.network, `The peer ${transfer.client.name} could not fetch: ${why}`)
    }
    await pause(pollMs, tools.signal)
  }
}

async function remoteState(transfer: Transfer, id: string): Promise<unknown> {
  const answer = await ask(transfer, { method: 'GET', path: `jobs/${encodeURIComponent(id)}` })
  return answer.status === 200 ? objectOf(answer)['State'] : undefined
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal.addEventListener('abort', stop, { once: true })
  })
}

// ---- shared ----

/** Works on buckets, several at a time; the first failure stops the others between two buckets. */
async function inParallel(
  { house, tools }: Transfer,
  buckets: readonly number[],
  total: number,
  move: (bucket: number) => Promise<void>,
): Promise<void> {
  const queue = [...buckets].reverse()
  let failure: unknown
  let done = total - buckets.length
  const lane = async (): Promise<void> => {
    for (;;) {
      if (failure !== undefined) return
      tools.signal.throwIfAborted()
      const bucket = queue.pop()
      if (bucket === undefined) return
      await move(bucket)
      tools.progress(++done / (total + 1), { bucketsDone: done, bucketsCount: total })
    }
  }
  const { threads } = house.settings.transfers
  const lanes = Array.from({ length: threads }, () => lane().catch(error => void (failure ??= error)))
  await Promise.all(lanes)
  if (failure !== undefined) throw failure
}

function headersOf(order: TransferOrder): Record<string, string> {
  return { 'sender-transfer-id': order.senderId, 'content-type': 'application/json' }
}

function ask({ client, order, tools }: Transfer, request: PeerRequest): Promise<PeerAnswer> {
  const signal = tools.stopReason() === 'kill' ? { signal: tools.signal } : {}
  return client.ask({ ...request, ...signal, headers: { ...headersOf(order), ...request.headers } })
}

/** Asks as often as allowed; anything but a plain success is an error that says what the peer said. */
async function insist(transfer: Transfer, request: PeerRequest): Promise<PeerAnswer> {
  const { retriesMax } = transfer.house.settings.transfers
  for (let tried = 0; ; tried++) {
    try {
      const answer = await ask(transfer, request)
      if (answer.status === 200) return answer
      const said = parseLenient(answer.body.toString('utf8'))
      const why = isObject(said) ? (said['Details'] ?? said['Message']) : undefined
      const text = `The peer ${transfer.client.name} answered ${request.method} ${request.path} with HTTP status ${answer.status}`
      const error = new OrthancError(codes.network, why === undefined ? text : `${text}: ${String(why)}`)
      if (answer.status < 500 || tried >= retriesMax) throw error
    } catch (error) {
      if (tried >= retriesMax || transfer.tools.signal.aborted) throw error
    }
  }
}

function objectOf(answer: PeerAnswer): JsonObject {
  const value = parseLenient(answer.body.toString('utf8'))
  if (isObject(value)) return value as JsonObject
  throw new OrthancError(codes.network, 'The peer does not answer as the transfers accelerator does')
}

function badAnswer({ client }: Transfer): OrthancError {
  return new OrthancError(
    codes.network,
    `The peer ${client.name} does not answer as the transfers accelerator does`,
  )
}

function jsonBody(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8')
}

async function noteContent(house: House, tools: TalkTools, more: JsonObject): Promise<void> {
  const job = await house.kit.engine.job({ id: tools.job })
  if (!job) return
  const content = { ...(job.detail?.['content'] as JsonObject), ...more }
  await house.kit.engine.write(tx => tx.note(job.n, { content }))
}

/** A fresh name for a transfer whose caller gives none. */
export function newSenderId(): string {
  return randomUUID()
}
