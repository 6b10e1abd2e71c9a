// The real Orthanc and DCMTK beside us: the same files get the same identifiers and tags, what we write is what they
// can read, and archives of one can be uploaded to the other.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type OrthancServer, startOrthanc } from '../contract/orthanc-server.ts'
import { hasShared, sharedPath } from '../support/shared.ts'
import { listZip, readZipMember } from '../support/zip-listing.ts'
import { hasOrthanc, type RealOrthanc, startRealOrthanc } from './real-orthanc.ts'

const hasDcmtk = existsSync('/usr/bin/dcmdump')
const options = {
  Dictionary: {
    '0405,1001': ['ST', 'XML', 1, 1, 'RawDataStore'],
    '0011,1001': ['LO', 'Secret', 1, 1, 'SWY TEST 1.0'],
  },
}
const isReady = hasOrthanc && hasDcmtk && hasShared('recordings', 'orthanc')

async function post(url: string, body: Uint8Array | object): Promise<unknown> {
  const sent = body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body)
  const answer = await fetch(url, { method: 'POST', body: sent })
  assert.equal(answer.status, 200, await answer.clone().text())
  return answer.json()
}

async function get(url: string): Promise<unknown> {
  const answer = await fetch(url)
  assert.equal(answer.status, 200, url)
  return answer.json()
}

async function bytesOf(url: string): Promise<Buffer> {
  return Buffer.from(await (await fetch(url)).arrayBuffer())
}

/** Runs a program of DCMTK over bytes in a file; its output, errors included. */
function dcmtk(program: string, bytes: Uint8Array, args: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-dcmtk-'))
  try {
    writeFileSync(join(folder, 'file'), bytes)
    return execFileSync(program, [...args, join(folder, 'file')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe.skipIf(!isReady)(
  'beside the real Orthanc (skipped unless Orthanc, DCMTK and the recordings are there)',
  () => {
    let real: RealOrthanc
    let ours: OrthancServer
    beforeAll(async () => {
      real = await startRealOrthanc(options)
      ours = await startOrthanc(options)
    })
    afterAll(async () => {
      await ours?.close()
      await real?.close()
    })

    /** The values that depend on the moment and on the server. */
    function steady(value: unknown): unknown {
      if (Array.isArray(value)) return value.map(steady)
      if (typeof value !== 'object' || value === null) return value
      const left = Object.entries(value).filter(
        ([name]) => !/^(LastUpdate|IsStable|FileUuid|ReceptionDate)$/.test(name),
      )
      return Object.fromEntries(left.map(([name, item]) => [name, steady(item)]))
    }

    test('the same files get the same identifiers, tags and metadata', async () => {
      const folder = sharedPath('recordings', 'orthanc', 'files')
      for (const name of readdirSync(folder).filter(file => file.endsWith('.dcm'))) {
        const bytes = readFileSync(join(folder, name))
        const [theirs, mine] = [
          await post(`${real.url}/instances`, bytes),
          await post(`${ours.url}/instances`, bytes),
        ]
        assert.deepEqual(mine, theirs, name)
        const {
          ID: id,
          ParentSeries: series,
          ParentStudy: study,
          ParentPatient: patient,
        } = mine as Record<string, string>
        for (const path of [
          `/instances/${id}/tags`,
          `/instances/${id}/simplified-tags`,
          `/instances/${id}/tags?short`,
          `/instances/${id}/header`,
          `/instances/${id}/metadata?expand`,
          `/instances/${id}`,
          `/series/${series}`,
          `/studies/${study}`,
          `/patients/${patient}`,
        ]) {
          assert.deepEqual(
            steady(await get(ours.url + path)),
            steady(await get(real.url + path)),
            `${name} ${path}`,
          )
        }
      }
    })

    test('archives have the same members, and each server takes the other one’s', async () => {
      for (const patient of (await get(`${real.url}/patients`)) as string[]) {
        const [theirs, mine] = [
          await bytesOf(`${real.url}/patients/${patient}/archive`),
          await bytesOf(`${ours.url}/patients/${patient}/archive`),
        ]
        const named = (zip: Buffer): string[] => listZip(zip).map(({ name, size }) => `${name} ${size}`)
        assert.deepEqual(named(mine), named(theirs))
        const statuses = (answer: unknown): string[] =>
          (answer as { Status: string }[]).map(({ Status }) => Status)
        assert.deepEqual(
          statuses(await post(`${real.url}/instances`, mine)),
          statuses(await post(`${ours.url}/instances`, theirs)),
        )
      }
    })

    test('instances that we make are accepted, and have the same tags there', async () => {
      const pdf = `data:application/pdf;base64,${readFileSync(sharedPath('recordings', 'orthanc', 'files', 'hello.pdf')).toString('base64')}`
      const image = (name: string, type: string): string =>
        `data:image/${type};base64,${readFileSync(sharedPath('recordings', 'orthanc', 'files', name)).toString('base64')}`
      const bodies = [
        { Tags: { PatientName: 'Ünïcode^Ŵ', PatientID: 'C1', SpecificCharacterSet: 'ISO_IR 192' } },
        { Tags: { PatientID: 'C2', PatientName: 'Müller' }, Content: pdf },
        { Tags: { PatientID: 'C3' }, Content: image('gray16.png', 'png') },
        { Tags: { PatientID: 'C4' }, Content: image('rgba.png', 'png') },
        { Tags: { PatientID: 'C5' }, Content: image('gray8.jpg', 'jpeg') },
        { Tags: { PatientID: 'C6', '0405,1001': '<xml/>' }, PrivateCreator: 'RawDataStore' },
        {
          Tags: {
            PatientID: 'C7',
            RequestAttributesSequence: [
              { ScheduledProcedureStepID: '9', RequestedProcedureCodeSequence: [{ CodeValue: 'x' }] },
            ],
            Rows: '5',
            FrameIncrementPointer: '0018,1063',
            SliceThickness: '1.25',
          },
        },
      ]
      for (const body of bodies) {
        const { ID: id } = (await post(`${ours.url}/tools/create-dicom`, body)) as { ID: string }
        const file = await bytesOf(`${ours.url}/instances/${id}/file`)
        const { ID: theirId } = (await post(`${real.url}/instances`, file)) as { ID: string }
        assert.equal(theirId, id)
        const path = `/instances/${id}/tags`
        assert.deepEqual(await get(ours.url + path), await get(real.url + path))
        assert.doesNotMatch(dcmtk('dcmdump', file), /^E:/m)
      }
    })

    test('DCMTK reads our DICOMDIR, and every record leads to the next', async () => {
      const [patient] = (await get(`${ours.url}/patients`)) as string[]
      const media = await bytesOf(`${ours.url}/patients/${patient}/media?extended`)
      const directory = readZipMember(media, 'DICOMDIR')
      const dump = dcmtk('dcmdump', directory)
      // dcmdump gives the offset of each record; those that records name must be among them.
      const at = new Set([...dump.matchAll(/offset=\$(\d+)/g)].map(match => match[1]))
      const named = [...dump.matchAll(/\(0004,(?:1200|1202|1400|1420)\) up (\d+)/g)].map(match => match[1]!)
      for (const offset of named)
        assert.ok(offset === '0' || at.has(offset), `offset ${offset} leads nowhere`)
      assert.ok(at.size > 3)
    })

    test('files in every uncompressed syntax that DCMTK writes are shown as the real one shows them', async () => {
      const source = sharedPath('recordings', 'orthanc', 'files', 'rtstruct.dcm')
      const folder = mkdtempSync(join(tmpdir(), 'switchyard-syntaxes-'))
      try {
        for (const syntax of ['+ti', '+te', '+tb', '+td']) {
          for (const lengths of ['+e', '-e']) {
            const file = join(folder, `${syntax}${lengths}.dcm`)
            execFileSync('dcmconv', [syntax, lengths, source, file])
            const bytes = readFileSync(file)
            for (const { url } of [real, ours]) {
              const { ID: id } = (await post(`${url}/instances`, bytes)) as { ID: string }
              await fetch(`${url}/instances/${id}`, { method: 'DELETE' })
            }
            const [theirs, mine] = [
              await post(`${real.url}/instances`, bytes),
              await post(`${ours.url}/instances`, bytes),
            ]
            const { ID: id } = theirs as { ID: string }
            assert.deepEqual(mine, theirs)
            const path = `/instances/${id}/tags`
            assert.deepEqual(await get(ours.url + path), await get(real.url + path), `${syntax} ${lengths}`)
            for (const { url } of [real, ours]) await fetch(`${url}/instances/${id}`, { method: 'DELETE' })
          }
        }
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  },
)
