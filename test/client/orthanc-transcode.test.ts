// Transfer syntaxes beside the real Orthanc and DCMTK: what each makes of a file says the same.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { makeDictionary } from '../../src/domains/dicom/dictionary/dictionary.ts'
import type { Element } from '../../src/domains/dicom/reading/data-set.ts'
import { readDataSet } from '../../src/domains/dicom/reading/reader.ts'
import { memorySource } from '../../src/domains/dicom/reading/source.ts'
import { readLittleEndian, showValue, type Values, valuesOf } from '../../src/domains/dicom/reading/value.ts'
import { transcodeBytes } from '../../src/domains/dicom/transcoding/transcode.ts'
import { type OrthancServer, startOrthanc } from '../contract/orthanc-server.ts'
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

function dcmtk(program: string, bytes: Uint8Array): Buffer {
  const place = mkdtempSync(join(tmpdir(), 'switchyard-transcode-'))
  try {
    writeFileSync(join(place, 'in'), bytes)
    execFileSync(program, [join(place, 'in'), join(place, 'out')], { stdio: 'pipe' })
    return readFileSync(join(place, 'out'))
  } finally {
    rmSync(place, { recursive: true })
  }
}

describe.skipIf(!isReady)(
  'transfer syntaxes (skipped unless Orthanc, DCMTK and the recordings are there)',
  () => {
    let real: RealOrthanc
    let ours: OrthancServer
    beforeAll(async () => {
      real = await startRealOrthanc({})
      ours = await startOrthanc({})
      for (const [, bytes] of files()) {
        for (const { url } of [real, ours])
          await fetch(`${url}/instances`, { method: 'POST', body: Uint8Array.from(bytes) })
      }
    }, 120_000)
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
            const syntax = (meaning(wanted) as { syntax: string }).syntax
            // What neither can turn stays as it is; JPEG is theirs alone.
            if (syntax === target && (meaning(came) as { syntax: string }).syntax !== target) {
              assert.match((meaning(came) as { syntax: string }).syntax, /1\.2\.4\./, name)
            } else assert.deepEqual(meaning(came), meaning(wanted), name)
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
