// The job OrthancPeerStore: instances one after another by HTTP. How many the peer has is noted as it goes, so that a
// restart, a pause or another try goes on with those still to send.

import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { createGzip, gzip } from 'node:zlib'
import type { Job } from '../../../core/job.ts'
import type { JsonObject } from '../../../core/json.ts'
import type { Talk, TalkTools } from '../../../core/talk.ts'
import { fileOf } from '../../../domains/dicom/store/browse.ts'
import { transcodeBytesAside } from '../../../domains/dicom/transcoding/transcode.ts'
import { Unpacker } from '../../../domains/dicom/transcoding/unpack-aside.ts'
import { leftOff, makeNotes, Passage } from '../dicom/store-job.ts'
import { codes, OrthancError } from '../errors.ts'
import { defaultTerm, type House } from '../house.ts'
import { showSize } from '../shapes.ts'
import type { PeerClient } from './peer-client.ts'

export const peerStoreKind = 'dicom.peer-store'

/** The order of a job; the peer's secrets stay where peers are kept. */
export type PeerStoreOrder = {
  readonly peer: string
  readonly instances: readonly string[]
  readonly isPermissive: boolean
  readonly isCompressed: boolean
  /** The syntax in which instances are sent that can be turned into it. */
  readonly transcode?: string
}

/** Larger files are sent as a stream. */
const heldBytesMax = 16 * 1024 * 1024

/** The talk behind the job. */
export function peerStoreTalk(house: House): Talk {
  return async (input, tools) => {
    const order = input as unknown as PeerStoreOrder
    const job = await house.kit.engine.job({ id: tools.job })
    const passage = new Passage(job)
    const sent = { bytes: sentBefore(job, passage) }
    const show = (): JsonObject => ({
      ...passage.show(order.instances.length),
      content: { ...(job?.detail?.['content'] as JsonObject), ...showSize('Size', sent.bytes) },
    })
    let client: PeerClient | undefined
    const unpacker = new Unpacker()
    try {
      client = house.peers.client(order.peer)
      const notes = makeNotes(house, job)
      await sendAll(house, { order, client, unpacker, passage, tools, sent, notes, show })
      return { detail: show() }
    } catch (error) {
      const failure = leftOff(error, passage, { total: order.instances.length, tools })
      Object.assign(failure.detail, { content: show()['content'] })
      throw failure
    } finally {
      client?.close()
      await unpacker.close()
    }
  }
}

function sentBefore(job: Job | undefined, passage: Passage): number {
  const content = job?.detail?.['content'] as JsonObject | undefined
  return passage.at === 0 ? 0 : Number(content?.['Size'] ?? 0)
}

async function sendAll(
  house: House,
  parts: {
    order: PeerStoreOrder
    client: PeerClient
    unpacker: Unpacker
    passage: Passage
    tools: TalkTools
    sent: { bytes: number }
    notes: ReturnType<typeof makeNotes>
    show: () => JsonObject
  },
): Promise<void> {
  const { order, client, unpacker, passage, tools, sent, notes, show } = parts
  const { instances, isPermissive } = order
  while (passage.at < instances.length) {
    tools.signal.throwIfAborted()
    const id = instances[passage.at]!
    try {
      sent.bytes += await sendOne(house, client, { id, order, tools, unpacker })
    } catch (error) {
      if (!isPermissive || tools.signal.aborted) throw error
      passage.fail(id, error instanceof Error ? error.message : String(error))
    }
    passage.at++
    tools.progress(passage.at / instances.length)
    notes.put(show)
  }
}

/** Sends one instance; how many bytes went over. */
async function sendOne(
  house: House,
  client: PeerClient,
  { id, order, tools, unpacker }: { id: string; order: PeerStoreOrder; tools: TalkTools; unpacker: Unpacker },
): Promise<number> {
  const { isCompressed, transcode } = order
  const instance = await house.archive.browse.get('instance', id)
  if (!instance) throw new OrthancError(codes.unknownResource, `The instance ${id} was deleted meanwhile`)
  const { hash, sizeBytes } = fileOf(instance)
  const place = house.kit.blobs.find(hash)
  let sentBytes = 0
  let body: Uint8Array | (() => Readable)
  if ('bytes' in place || sizeBytes <= heldBytesMax || transcode !== undefined) {
    const stored = 'bytes' in place ? place.bytes : await readFile(place.path)
    const { dictionary } = house
    const how = { dictionary, defaultTerm: defaultTerm(house), unpacker }
    const bytes = await transcodeBytesAside(stored, transcode, how)
    body = isCompressed ? await promisify(gzip)(bytes) : bytes
    sentBytes = body.length
  } else {
    body = () => {
      const file = createReadStream(place.path, { highWaterMark: 1024 * 1024 })
      const stream = isCompressed ? file.pipe(createGzip()) : file
      file.once('error', error => stream.destroy(error))
      sentBytes = 0
      stream.on('data', (chunk: Uint8Array) => (sentBytes += chunk.length))
      return stream
    }
  }
  const answer = await client.ask({
    method: 'POST',
    path: 'instances',
    headers: {
      'content-type': 'application/dicom',
      ...(isCompressed ? { 'content-encoding': 'gzip' } : {}),
      ...(typeof body === 'function' && !isCompressed ? { 'content-length': String(sizeBytes) } : {}),
    },
    body,
    // One that is being killed breaks off; others stop between two instances.
    ...(tools.stopReason() === 'kill' ? { signal: tools.signal } : {}),
  })
  if (answer.status !== 200) {
    throw new OrthancError(
      codes.network,
      `The peer ${client.name} refused the instance ${id} with HTTP status ${answer.status}`,
    )
  }
  return sentBytes
}
