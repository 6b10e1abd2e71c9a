// Transfer syntaxes beside the real Orthanc and DCMTK: what each makes of a file says the same.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { makeDictionary } from '../../src/domains/dicom/dictionary/dictionary.ts'
import { type Element, find } from '../../src/domains/dicom/reading/data-set.ts'
import { readDataSet } from '../../src/domains/dicom/reading/reader.ts'
import { memorySource } from '../../src/domains/dicom/reading/source.ts'
import { readLittleEndian, showValue, type Values, valuesOf } from '../../src/domains/dicom/reading/value.ts'
import { tags } from '../../src/domains/dicom/tag.ts'
import { aPicture } from '../../src/domains/dicom/testing/picture.ts'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { transcodeBytes } from '../../src/domains/dicom/transcoding/transcode.ts'
import { padded } from '../../src/domains/dicom/writing/encode-value.ts'
import { type OrthancServer, startOrthanc } from '../contract/orthanc-server.ts'
import { run, start } from '../support/dcmtk.ts'
import { freePort } from '../support/free-port.ts'
import { hasShared, sharedPath } from '../support/shared.ts'
import { listZip, readZipMember } from '../support/zip-listing.ts'
import { hasOrthanc, type RealOrthanc, startRealOrthanc } from './real-orthanc.ts'

const isReady = hasOrthanc && existsSync('/usr/bin/dcmdrle') && hasShared('recordings', 'orthanc')
const how = { dictionary: makeDictionary(), defaultTerm: 'ISO_IR 100' }
const rle = '1.2.840.10008.1.2.5'
const plain = ['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2', '1.2.840.10008.1.2.1.99']

const folder = sharedPath('recordings', 'orthanc', 'files')
const files = (): [name: string, bytes: Buffer][] =>
  readdirSync(folder)
    .filter(file => file.endsWith('.dcm'))
    .map(name => [name, readFileSync(join(folder, name))])

/** What a file says, whatever its layout: values in little endian, hashed where they are long. */
function meaning(bytes: Uint8Array): unknown {
  const set = readDataSet(memorySource(bytes), { dictionary: how.dictionary })
  const { values } = valuesOf(set, how.defaultTerm)
  return { syntax: set.transferSyntax, elements: showAll(set.elements, values) }
}

function showAll(elements: readonly Element[], values: Values): unknown[] {
  // Lengths of groups are about the layout; nobody has to keep them.
  return elements
    .filter(({ tag }) => tag % 0x10000 !== 0)
    .map(element => {
      if (element.items) return [element.tag, element.items.map(item => showAll(item.elements, values))]
      const shown =
        showValue(element, values) ??
        createHash('sha1').update(readLittleEndian(element, values)).digest('hex')
      return [element.tag, shown]
    })
}

function dcmtk(program: string, bytes: Uint8Array, ...options: string[]): Buffer {
  const place = mkdtempSync(join(tmpdir(), 'switchyard-transcode-'))
  try {
    writeFileSync(join(place, 'in'), bytes)
    execFileSync(program, [...options, join(place, 'in'), join(place, 'out')], { stdio: 'pipe' })
    return readFileSync(join(place, 'out'))
  } finally {
    rmSync(place, { recursive: true })
  }
}

/** Each process that DCMTK can write, with what it unpacks it with. */
const compressions = [
  { pack: ['dcmcjpeg', '+eb'], unpack: 'dcmdjpeg' },
  { pack: ['dcmcjpeg', '+ee'], unpack: 'dcmdjpeg' },
  { pack: ['dcmcjpeg', '+es'], unpack: 'dcmdjpeg' },
  { pack: ['dcmcjpeg', '+ep'], unpack: 'dcmdjpeg' },
  { pack: ['dcmcjpeg', '+el', '+sv', '6'], unpack: 'dcmdjpeg' },
  { pack: ['dcmcjpeg', '+e1'], unpack: 'dcmdjpeg' },
  { pack: ['dcmcjpls', '+is'], unpack: 'dcmdjpls' },
  { pack: ['dcmcjpls', '+en', '+md', '2'], unpack: 'dcmdjpls' },
  { pack: ['dcmcrle'], unpack: 'dcmdrle' },
] as const satisfies readonly { pack: readonly [string, ...string[]]; unpack: string }[]

const pictures = [
  { rows: 61, columns: 83, samples: 1, bits: 8 },
  { rows: 61, columns: 83, samples: 3, bits: 8 },
  { rows: 40, columns: 41, samples: 1, bits: 12 },
  { rows: 40, columns: 41, samples: 1, bits: 16 },
]

function aFile(shape: (typeof pictures)[number]): Uint8Array {
  const { rows, columns, samples, bits } = shape
  const picture = aPicture(shape)
  return aDicomFile({
    tags: {
      ...{ Rows: String(rows), Columns: String(columns), SamplesPerPixel: String(samples) },
      ...{ BitsAllocated: bits > 8 ? '16' : '8', BitsStored: String(bits), HighBit: String(bits - 1) },
      PhotometricInterpretation: samples === 1 ? 'MONOCHROME2' : 'RGB',
      PixelRepresentation: '0',
      ...(samples === 1 ? {} : { PlanarConfiguration: '0' }),
      SOPClassUID: '1.2.840.10008.5.1.4.1.1.7',
    },
    pieces: [{ tag: tags.PixelData, vr: bits > 8 ? 'OW' : 'OB', bytes: padded(picture, 0) }],
  })
}

function pixelsOf(bytes: Uint8Array): string {
  const set = readDataSet(memorySource(bytes), { dictionary: how.dictionary })
  const { values } = valuesOf(set, how.defaultTerm)
  return createHash('sha1')
    .update(readLittleEndian(find(set.elements, tags.PixelData)!, values))
    .digest('hex')
}

describe.skipIf(!isReady)(
  'transfer syntaxes (skipped unless Orthanc, DCMTK and the recordings are there)',
  () => {
    let real: RealOrthanc
    let ours: OrthancServer
    let dicomPort = 0
    beforeAll(async () => {
      real = await startRealOrthanc({})
      dicomPort = await freePort()
      ours = await startOrthanc({ DicomPort: dicomPort, DicomAlwaysAllowGet: true })
      for (const [, bytes] of files()) {
        for (const { url } of [real, ours])
          await fetch(`${url}/instances`, { method: 'POST', body: Uint8Array.from(bytes) })
      }
    })
    afterAll(async () => {
      await ours?.close()
      await real?.close()
    })

    async function archiveOf(base: string, patient: string, target: string): Promise<Buffer> {
      const body = JSON.stringify({ Resources: [patient], Transcode: target })
      const answer = await fetch(`${base}/tools/create-archive`, { method: 'POST', body })
      assert.equal(answer.status, 200)
      return Buffer.from(await answer.arrayBuffer())
    }

    for (const target of plain) {
      test(`an archive in ${target} holds what the real one holds`, async () => {
        for (const patient of (await (await fetch(`${real.url}/patients`)).json()) as string[]) {
          const [theirs, mine] = [
            await archiveOf(real.url, patient, target),
            await archiveOf(ours.url, patient, target),
          ]
          const names = listZip(theirs).map(({ name }) => name)
          assert.deepEqual(
            listZip(mine).map(({ name }) => name),
            names,
          )
          for (const name of names) {
            const [wanted, came] = [readZipMember(theirs, name), readZipMember(mine, name)]
            assert.deepEqual(meaning(came), meaning(wanted), name)
          }
        }
      })
    }

    test('DCMTK unpacks what we pack with RLE, and we unpack what it packs', () => {
      let count = 0
      for (const [name, bytes] of files()) {
        const native = transcodeBytes(bytes, plain[1], how)
        const packed = transcodeBytes(native, rle, how)
        if (packed === native) continue
        count++
        assert.deepEqual(meaning(dcmtk('dcmdrle', packed)), meaning(native), name)
        const theirs = dcmtk('dcmcrle', native)
        assert.equal((meaning(theirs) as { syntax: string }).syntax, rle)
        assert.deepEqual(meaning(transcodeBytes(theirs, plain[1], how)), meaning(native), name)
      }
      assert.ok(count > 10)
    })

    for (const shape of pictures) {
      for (const { unpack, pack } of compressions) {
        const name = `${pack.join(' ')} of ${shape.samples} × ${shape.bits} bits`
        test(`we make of ${name} what DCMTK makes of it`, () => {
          const theirs = dcmtk(pack[0], aFile(shape), ...pack.slice(1))
          const mine = transcodeBytes(theirs, plain[1], how)
          assert.notEqual(mine, theirs)
          assert.deepEqual(meaning(mine), meaning(dcmtk(unpack, theirs)))
        })
      }
    }

    test('a peer that takes nothing compressed gets compressed instances unpacked, and says so', async () => {
      const place = mkdtempSync(join(tmpdir(), 'switchyard-transcode-'))
      const port = await freePort()
      const scp = await start('storescp', port, '+xi', '-od', place, String(port))
      try {
        const large = { rows: 400, columns: 300, samples: 3, bits: 8 }
        const packed = compressions.map(({ pack }) => dcmtk(pack[0], aFile(large), ...pack.slice(1)))
        for (const bytes of packed) {
          const answer = await fetch(`${ours.url}/instances`, {
            method: 'POST',
            body: Uint8Array.from(bytes),
          })
          const { ID } = (await answer.json()) as { ID: string }
          const modality = JSON.stringify({ AET: 'SCP', Host: '127.0.0.1', Port: port })
          await fetch(`${ours.url}/modalities/plain`, { method: 'PUT', body: modality })
          const store = await fetch(`${ours.url}/modalities/plain/store`, { method: 'POST', body: ID })
          assert.equal(store.status, 200, await store.text())
          const [file] = readdirSync(place)
          const came = readFileSync(join(place, file!))
          assert.equal((meaning(came) as { syntax: string }).syntax, plain[0])
          assert.deepEqual(pixelsOf(came), pixelsOf(transcodeBytes(bytes, plain[0], how)))
          rmSync(join(place, file!))
          await fetch(`${ours.url}/instances/${ID}`, { method: 'DELETE' })
        }
      } finally {
        await scp.kill()
        rmSync(place, { recursive: true })
      }
    })

    test('who fetches a compressed instance and takes only uncompressed ones gets it unpacked', async () => {
      const place = mkdtempSync(join(tmpdir(), 'switchyard-transcode-'))
      try {
        const packed = dcmtk('dcmcjpls', aFile({ rows: 300, columns: 400, samples: 1, bits: 12 }))
        await fetch(`${ours.url}/instances`, { method: 'POST', body: Uint8Array.from(packed) })
        const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', 'StudyInstanceUID=1.2.3.4.5.2']
        await run('getscu', '-S', ...keys, '-od', place, '127.0.0.1', String(dicomPort))
        const files = readdirSync(place).map(name => readFileSync(join(place, name)))
        assert.equal(files.length, 1)
        assert.ok(plain.includes((meaning(files[0]!) as { syntax: string }).syntax))
        assert.equal(pixelsOf(files[0]!), pixelsOf(transcodeBytes(packed, plain[1], how)))
      } finally {
        rmSync(place, { recursive: true })
      }
    })

    test('a modified instance has the syntax that was asked for', async () => {
      const [instance] = (await (await fetch(`${ours.url}/instances`)).json()) as string[]
      const body = JSON.stringify({ Replace: { PatientName: 'x' }, Transcode: plain[0] })
      for (const { url } of [real, ours]) {
        const answer = await fetch(`${url}/instances/${instance}/modify`, { method: 'POST', body })
        const { syntax } = meaning(new Uint8Array(await answer.arrayBuffer())) as { syntax: string }
        assert.equal(syntax, plain[0])
      }
    })
  },
)
