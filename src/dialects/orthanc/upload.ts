// Instances on their way in: bytes to a blob, facts from the file's headers, then into the archive.

import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Refused, refuse } from '../../core/refusal.ts'
import { readDataSetAsync, refuseNotDicom } from '../../domains/dicom/reading/reader.ts'
import { fileSource, memorySource } from '../../domains/dicom/reading/source.ts'
import type { Arrival, Stored } from '../../domains/dicom/store/archive.ts'
import { metadataNumbers } from '../../domains/dicom/store/bodies.ts'
import { type Summary, summarise } from '../../domains/dicom/summary.ts'
import { isZip, zipMembers } from '../../domains/dicom/zip/zip-reader.ts'
import type { BlobRef } from '../../store/blobs.ts'
import { defaultTerm, type House } from './house.ts'

/** Who brings an instance, for its metadata. */
export interface Origin {
  readonly remoteIp: string
  readonly user: string
}

/** An instance that came over the DICOM network. `check` may refuse it by what its file says. */
export interface NetworkOrigin {
  readonly remoteIp: string
  readonly remoteAet: string
  readonly calledAet: string
  readonly check: (summary: Summary) => void
}

type AnyOrigin = Origin | NetworkOrigin

/** Bodies up to this size stay in memory until they are a blob. */
const memoryBytesMax = 1024 * 1024
const fileBytesMax = 16 * 1024 ** 3
const zipLimits = { membersMax: 1_000_000, memberBytesMax: fileBytesMax, totalBytesMax: 64 * 1024 ** 3 }

/** Takes a body in: one DICOM file, or a ZIP file of them. */
export async function receive(
  house: House,
  body: AsyncIterable<Uint8Array>,
  origin: Origin,
): Promise<{ type: 'file'; stored: Stored } | { type: 'zip'; stored: Stored[] }> {
  const head = await readHead(body, memoryBytesMax)
  if (isZip(head.bytes)) return { type: 'zip', stored: await receiveZip(house, joined(head), origin) }
  return { type: 'file', stored: await receiveHead(house, head, origin) }
}

/** Takes one DICOM file in, however long it is. */
export async function receiveFile(
  house: House,
  body: AsyncIterable<Uint8Array>,
  origin: AnyOrigin,
): Promise<Stored> {
  return receiveHead(house, await readHead(body, memoryBytesMax), origin)
}

/** Takes in one DICOM file that is in memory. */
export async function receiveBytes(
  house: House,
  bytes: Uint8Array,
  origin: AnyOrigin,
  more: Partial<Pick<Arrival, 'origin' | 'ancestry'>> = {},
): Promise<Stored> {
  if (bytes.length === 0) refuse('bad-request', 'Received an empty DICOM file', { facts: { fault: 'empty' } })
  const set = await readDataSetAsync(memorySource(bytes), { dictionary: house.dictionary, keep: 'top' })
  const summary = summarise(set, defaultTerm(house))
  if ('check' in origin) origin.check(summary)
  const md5 = createHash('md5').update(bytes).digest('hex')
  const placed = await place(house, bytes)
  return keep(house, {
    summary,
    ...placed,
    md5,
    remoteAet: remoteAetOf(origin),
    ...more,
    origin: { ...originMeta(origin), ...more.origin },
  })
}

/** Small content comes with the batch that names it, so that an upload waits for one flush; other is written first. */
export async function place(house: House, bytes: Uint8Array): Promise<Pick<Arrival, 'blob' | 'bytes'>> {
  const { blobs } = house.kit
  if (bytes.length <= blobs.smallBytesMax) {
    const hash = createHash('sha256').update(bytes).digest('hex')
    return { blob: { hash, sizeBytes: bytes.length }, bytes }
  }
  const created = house.meters.time('orthanc_storage_create_duration_ms')
  const blob = await blobs.write(once(bytes))
  created()
  return { blob }
}

/** A body that may be long: its beginning, and the rest as it comes. */
interface Head {
  readonly bytes: Uint8Array
  /** Absent when `bytes` is everything. */
  readonly rest?: AsyncIterator<Uint8Array>
}

async function readHead(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Head> {
  const chunks: Uint8Array[] = []
  let length = 0
  const rest = body[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = await rest.next()
    if (done) return { bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) }
    chunks.push(value)
    length += value.length
    if (length > bytesMax) return { bytes: Buffer.concat(chunks), rest }
  }
}

async function* joined(head: Head): AsyncGenerator<Uint8Array> {
  yield head.bytes
  if (!head.rest) return
  try {
    for (;;) {
      const { done, value } = await head.rest.next()
      if (done) return
      yield value
    }
  } finally {
    await head.rest.return?.()
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function receiveHead(house: House, head: Head, origin: AnyOrigin): Promise<Stored> {
  if (!head.rest) return receiveBytes(house, head.bytes, origin)
  // What does not even begin like a DICOM file is not written to the disk first.
  if (!mayBeDicom(head.bytes)) {
    let sizeBytes = 0
    for await (const chunk of joined(head)) sizeBytes += chunk.length
    refuseNotDicom(sizeBytes, 'there is no header')
  }
  const md5 = createHash('md5')
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of joined(head)) {
      md5.update(chunk)
      yield chunk
    }
  }
  const created = house.meters.time('orthanc_storage_create_duration_ms')
  const blob = await house.kit.blobs.write(hashed(), { limitBytes: fileBytesMax })
  created()
  const source = fileSource(house.kit.blobs.path(blob.hash))
  let summary: Arrival['summary']
  try {
    const set = await readDataSetAsync(source, { dictionary: house.dictionary, keep: 'top' })
    summary = summarise(set, defaultTerm(house))
    if ('check' in origin) origin.check(summary)
  } finally {
    source.close()
  }
  return keep(house, {
    summary,
    blob,
    md5: md5.digest('hex'),
    remoteAet: remoteAetOf(origin),
    origin: originMeta(origin),
  })
}

function mayBeDicom(bytes: Uint8Array): boolean {
  const hasPreamble = Buffer.from(bytes.subarray(128, 132)).toString('latin1') === 'DICM'
  return hasPreamble || bytes[0] === 2 || bytes[0] === 8 || bytes[1] === 8
}

/** Takes in an instance whose bytes are a blob already. */
export async function keep(house: House, arrival: Arrival): Promise<Stored> {
  const letGo = house.kit.blobs.keep(arrival.blob.hash)
  const done = house.meters.time('orthanc_store_dicom_duration_ms')
  try {
    return await house.archive.store(arrival)
  } finally {
    letGo()
    done()
  }
}

function remoteAetOf(origin: AnyOrigin): string {
  return 'remoteAet' in origin ? origin.remoteAet : ''
}

/** The metadata that say where an instance came from, by their numbers. */
export function originMeta(origin: AnyOrigin): Record<number, string> {
  const { remoteIp } = origin
  if ('remoteAet' in origin) {
    return {
      [metadataNumbers.RemoteAET]: origin.remoteAet,
      [metadataNumbers.CalledAET]: origin.calledAet,
      [metadataNumbers.Origin]: 'DicomProtocol',
      [metadataNumbers.RemoteIP]: remoteIp,
    }
  }
  const { user } = origin
  return {
    [metadataNumbers.RemoteAET]: '',
    [metadataNumbers.Origin]: 'RestApi',
    [metadataNumbers.RemoteIP]: remoteIp,
    [metadataNumbers.HttpUsername]: user,
  }
}

/** Takes in the members of a ZIP file that are DICOM files; others are passed over. */
async function receiveZip(house: House, body: AsyncIterable<Uint8Array>, origin: Origin): Promise<Stored[]> {
  const path = await house.kit.blobs.scratchFile()
  const storing: Promise<Stored | undefined>[] = []
  try {
    await pipeline(body, createWriteStream(path, { mode: 0o600 }))
    for await (const member of zipMembers(path, zipLimits)) {
      const head = await readHead(member.read(), memoryBytesMax)
      const stored = receiveHead(house, head, origin).catch(passOver)
      storing.push(stored)
      // Small ones are stored side by side and share commits; a large one is read to its end before the next.
      if (head.rest || storing.length % 16 === 0) await stored
    }
    return (await Promise.all(storing)).filter(stored => stored !== undefined)
  } finally {
    await Promise.allSettled(storing)
    await rm(path, { force: true })
  }
}

/** What makes bytes no instance, whoever sends them. */
export const unstorable: ReadonlySet<unknown> = new Set([
  'not-dicom',
  'empty',
  'no-identifiers',
  'empty-identifier',
])

function passOver(error: unknown): undefined {
  if (error instanceof Refused && unstorable.has(error.refusal.facts?.['fault'])) return undefined
  throw error
}

/** The bytes of a gzipped body, with a bound on what they unfold to. */
export function gunzipped(body: Readable): AsyncIterable<Uint8Array> {
  let length = 0
  const bound = new Transform({
    transform(chunk: Uint8Array, _encoding, next) {
      length += chunk.length
      if (length <= fileBytesMax) next(null, chunk)
      else next(new Refused({ kind: 'too-large', text: 'The body unfolds to more than is allowed' }))
    },
  })
  const gunzip = createGunzip()
  body.once('error', error => gunzip.destroy(error))
  gunzip.once('error', error =>
    bound.destroy(
      new Refused({
        kind: 'bad-request',
        text: `The body is not gzip: ${error.message}`,
        facts: { fault: 'bad-content' },
      }),
    ),
  )
  return body.pipe(gunzip).pipe(bound)
}

/** Writes a body to a blob, with its MD5. */
export async function receiveBlob(
  house: House,
  body: AsyncIterable<Uint8Array>,
): Promise<{ blob: BlobRef; md5: string }> {
  const md5 = createHash('md5')
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      md5.update(chunk)
      yield chunk
    }
  }
  const blob = await house.kit.blobs.write(hashed(), { limitBytes: fileBytesMax })
  return { blob, md5: md5.digest('hex') }
}
