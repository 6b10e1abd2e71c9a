// Hostile files for the Orthanc dialect, on the real program: each is refused with a 4xx (or taken for what it is), in
// bounded memory, and the server goes on.

import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { crc32, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { syntaxes } from '../../src/domains/dicom/reading/syntax.ts'
import { tags } from '../../src/domains/dicom/tag.ts'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { writeOpening } from '../../src/domains/dicom/writing/writer.ts'
import { makeZipWriter } from '../../src/domains/dicom/zip/zip-writer.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'

let server: RealServer
const dataDir = freshDataDir('orthanc-hostile')

beforeAll(async () => {
  server = await startServer({ dataDir, config: '[dialects.orthanc]\naccess = "open"\n' })
})
afterAll(async () => {
  await server.stop()
  for (const path of [dataDir, `${dataDir}.toml`]) rmSync(path, { recursive: true, force: true })
})

const rss = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024

async function send(path: string, body: Uint8Array | string, headers: Record<string, string> = {}) {
  const sent = typeof body === 'string' ? body : Uint8Array.from(body)
  const answer = await fetch(server.url + path, { method: 'POST', body: sent, headers })
  return { status: answer.status, text: await answer.text() }
}

const file = Buffer.from(aDicomFile({ pixelBytes: 2048 }))

/** A file whose data set is these bytes. */
function fileOf(dataSet: Uint8Array, transferSyntax: string = syntaxes.explicitLittle): Buffer {
  const opening = writeOpening({ sopClassUid: '1.2', sopInstanceUid: '1.2.3', transferSyntax })
  return Buffer.concat([opening, dataSet])
}

/** The header of an element in explicit little endian. */
function element(tag: number, vr: string, length: number): Buffer {
  const isLong = ['OB', 'OW', 'SQ', 'UN', 'UT'].includes(vr)
  const head = Buffer.alloc(isLong ? 12 : 8)
  head.writeUInt16LE(tag >>> 16, 0)
  head.writeUInt16LE(tag & 0xffff, 2)
  head.write(vr, 4, 'latin1')
  if (isLong) head.writeUInt32LE(length, 8)
  else head.writeUInt16LE(length, 6)
  return head
}

const item = (length: number): Buffer => {
  const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0])
  head.writeUInt32LE(length, 4)
  return head
}

/** A sequence within a sequence, and so on, none of which ends. */
const nested = (depth: number): Buffer =>
  Buffer.concat(
    Array.from({ length: depth }, () => [element(0x00081140, 'SQ', 0xffffffff), item(0xffffffff)]).flat(),
  )

async function zipOf(members: Record<string, Uint8Array>, level = 6): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const zip = makeZipWriter({ sink: bytes => void chunks.push(Uint8Array.from(bytes)), now: 0, level })
  for (const [name, bytes] of Object.entries(members)) await zip.addBytes({ name }, bytes)
  await zip.finish()
  return Buffer.concat(chunks)
}

/** A PNG that says it has so many pixels. */
function png(width: number, height: number, data: Uint8Array): Buffer {
  const chunk = (type: string, body: Uint8Array): Buffer => {
    const all = Buffer.concat([Buffer.alloc(4), Buffer.from(type), body, Buffer.alloc(4)])
    all.writeUInt32BE(body.length, 0)
    all.writeUInt32BE(crc32(all.subarray(4, -4)), all.length - 4)
    return all
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 0, 0, 0, 0], 8)
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))])
}

const bomb = deflateRawSync(Buffer.alloc(200 * 1024 * 1024))

const corpus: Readonly<Record<string, () => Buffer | Promise<Buffer>>> = {
  'an element of two gigabytes': () => fileOf(element(tags.PixelData, 'OW', 0x7ffffffe)),
  'an element of four gigabytes less two': () => fileOf(element(tags.PixelData, 'OB', 0xfffffffe)),
  'a text of two gigabytes': () => fileOf(element(0x00204000, 'UT', 0x80000000)),
  'an item longer than its sequence': () =>
    fileOf(Buffer.concat([element(0x00081140, 'SQ', 16), item(0x7fffffff), Buffer.alloc(8)])),
  'a sequence longer than its file': () =>
    fileOf(Buffer.concat([element(0x00081140, 'SQ', 1 << 30), item(8)])),
  'sequences within sequences without end': () => fileOf(nested(200_000)),
  'an open value without a sequence': () => fileOf(element(0x00100010, 'UT', 0xffffffff)),
  'fragments that never end': () =>
    fileOf(Buffer.concat([element(tags.PixelData, 'OB', 0xffffffff), item(0), item(0x7fffffff)])),
  'a delimiter at the top': () => fileOf(Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])),
  'a million empty elements': () =>
    fileOf(Buffer.concat(Array.from({ length: 1_000_000 }, () => element(0x00081030, 'LO', 0)))),
  'a deflated data set that unfolds to 200 MB': () => fileOf(bomb, syntaxes.deflated),
  'a deflated data set that is noise': () => fileOf(Buffer.alloc(3000, 0xa7), syntaxes.deflated),
  'a transfer syntax that nobody knows': () => fileOf(Buffer.alloc(300, 1), '9.9.9.9'),
  'a header and nothing else': () => file.subarray(0, 132),
  'VRs that are no letters': () => fileOf(Buffer.alloc(5000, 0xff)),
  'no UIDs': () => fileOf(Buffer.concat([element(0x00100020, 'LO', 2), Buffer.from('P1')])),
  'a ZIP file cut in the middle': async () => {
    const whole = await zipOf({ a: file, b: file })
    return whole.subarray(0, whole.length / 2)
  },
  'a ZIP file of which every byte after the head is noise': async () =>
    Buffer.concat([(await zipOf({ a: file })).subarray(0, 40), Buffer.alloc(4000, 0x5a)]),
}

describe('hostile files', () => {
  for (const [what, make] of Object.entries(corpus)) {
    test(`${what}: refused with a 4xx and a sentence`, async () => {
      const { status, text } = await send('/instances', await make())
      assert.ok(status >= 400 && status < 500, `${status} ${text.slice(0, 200)}`)
      assert.equal(typeof JSON.parse(text).Message, 'string')
    })
  }

  test('a ZIP of bombs and other files is passed over member by member, in bounded memory', async () => {
    const before = rss()
    const zip = await zipOf({
      ...Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`zeros${at}`, Buffer.alloc(40_000_000)])),
      'nested.zip': await zipOf({ a: file }),
      good: file,
    })
    const { status, text } = await send('/instances', zip)
    assert.equal(status, 200, text.slice(0, 300))
    assert.equal(JSON.parse(text).length, 1)
    assert.ok(rss() - before < 200, `${rss() - before} MB more`)
  })

  test('a gzipped body that unfolds to gigabytes is refused without being held', async () => {
    const before = rss()
    const part = gzipSync(Buffer.alloc(256 * 1024 * 1024))
    // Members of gzip follow each other: 2 GB of zeros.
    const body = Buffer.concat(Array.from({ length: 8 }, () => part))
    const { status } = await send('/instances', body, { 'content-encoding': 'gzip' })
    assert.ok(status >= 400 && status < 500, String(status))
    assert.ok(rss() - before < 200, `${rss() - before} MB more`)
  })

  test('files cut off anywhere, and files with any bytes changed, are answered without a 5xx', async () => {
    const answered = async (body: Uint8Array): Promise<void> => {
      const { status, text } = await send('/instances', body)
      assert.ok(status < 500, `${status} ${text}`)
    }
    for (let length = 0; length < file.length; length += 37) await answered(file.subarray(0, length))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
        fc.constantFrom(...Object.values(syntaxes)),
        async (changes, transferSyntax) => {
          const broken = Buffer.from(aDicomFile({ pixelBytes: 512, transferSyntax }))
          for (const [at, value] of changes) broken[at % broken.length] = value
          await answered(broken)
        },
      ),
      { seed: 6, numRuns: 300 },
    )
    // Whatever of it was taken can be shown.
    const ids = JSON.parse((await server.ask('/instances')).text) as string[]
    for (const id of ids) {
      for (const path of ['tags', 'content', 'frames', 'frames/0/raw', 'attachments/dicom/info'])
        assert.ok((await server.ask(`/instances/${id}/${path}`)).status < 500, `${id} ${path}`)
    }
  })

  test('images that claim to be enormous, and documents that are none, make no instance', async () => {
    const before = rss()
    const uri = (type: string, bytes: Uint8Array): string =>
      `data:${type};base64,${Buffer.from(bytes).toString('base64')}`
    const contents = [
      uri('image/png', png(60_000, 60_000, deflateSync(Buffer.alloc(1_000_000)))),
      uri('image/png', png(100, 100, Buffer.alloc(50, 7))),
      uri('image/png', Buffer.alloc(100, 7)),
      uri('image/jpeg', Buffer.from([0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0xff, 0xff, 0xff, 0xff, 3])),
      uri('application/pdf', Buffer.from('no PDF')),
      'data:image/png;base64,@@@@',
      'data:',
    ]
    for (const Content of contents) {
      const { status, text } = await send('/tools/create-dicom', JSON.stringify({ Tags: {}, Content }))
      assert.ok(status >= 400 && status < 500, `${Content.slice(0, 40)}: ${status} ${text.slice(0, 200)}`)
    }
    // Written as text: a client's own JSON.stringify would run out of stack before the server sees it.
    const deep = `${'{"RequestAttributesSequence":['.repeat(3000)}{}${']}'.repeat(3000)}`
    const { status } = await send('/tools/create-dicom', `{"Tags":${deep}}`)
    assert.ok(status >= 400 && status < 500, String(status))
    assert.ok(rss() - before < 300, `${rss() - before} MB more`)
  })

  test('after all of it the server still stores and shows', async () => {
    const { status, text } = await send('/instances', aDicomFile({ tags: { SOPInstanceUID: '1.2.99' } }))
    assert.equal(status, 200)
    const { ID: id } = JSON.parse(text) as { ID: string }
    assert.equal((await server.ask(`/instances/${id}/simplified-tags`)).json.SOPInstanceUID, '1.2.99')
  })
})
