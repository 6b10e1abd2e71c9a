// Modification and anonymization beside the real Orthanc: the same request to both removes, keeps and replaces the same
// elements of every sample; new UIDs differ, but stand for the same ones everywhere.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { makeDictionary } from '../../src/domains/dicom/dictionary/dictionary.ts'
import type { Element } from '../../src/domains/dicom/reading/data-set.ts'
import { readDataSet } from '../../src/domains/dicom/reading/reader.ts'
import { memorySource } from '../../src/domains/dicom/reading/source.ts'
import { readBytes, showValue, type Values, valuesOf } from '../../src/domains/dicom/reading/value.ts'
import { tagText } from '../../src/domains/dicom/tag.ts'
import { type OrthancServer, startOrthanc } from '../contract/orthanc-server.ts'
import { hasShared, sharedPath } from '../support/shared.ts'
import { hasOrthanc, type RealOrthanc, startRealOrthanc } from './real-orthanc.ts'

const options = {
  Dictionary: {
    '0405,1001': ['ST', 'XML', 1, 1, 'RawDataStore'],
    '0011,1001': ['LO', 'Secret', 1, 1, 'SWY TEST 1.0'],
  },
}
const dictionary = makeDictionary()
const isReady = hasOrthanc && hasShared('recordings', 'orthanc')

/** What is asked of every sample, by the call. */
const requests: readonly (readonly [call: 'modify' | 'anonymize', body: object])[] = [
  ['modify', {}],
  ['modify', { Replace: { PatientName: 'Müller^Jörg', StudyDescription: 'A', InstitutionName: '' } }],
  ['modify', { Replace: { SpecificCharacterSet: 'ISO_IR 192', PatientComments: 'żółw' } }],
  ['modify', { Remove: ['PatientName', 'StudyDate', '0011,1001'], RemovePrivateTags: true }],
  ['modify', { Replace: { PatientID: 'X' }, Keep: ['SOPInstanceUID'], Force: true }],
  ['modify', { Replace: { '0011,1001': 'new', '0011-1009': 'unknown' }, PrivateCreator: 'SWY TEST 1.0' }],
  [
    'modify',
    { Replace: { RequestAttributesSequence: [{ ScheduledProcedureStepID: '9' }, { PatientName: 'X' }] } },
  ],
  ['modify', { Remove: ['ContentSequence[0].TextValue', 'ROIContourSequence[*].ROIDisplayColor'] }],
  ['modify', { Replace: { 'StructureSetROISequence[*].ROIName': 'N', 'ContentSequence[1].TextValue': 'T' } }],
  ['modify', { Replace: { Rows: '7', SmallestImagePixelValue: '3', PixelSpacing: '1\\2' } }],
  ['anonymize', {}],
  ['anonymize', { DicomVersion: '2017c' }],
  ['anonymize', { DicomVersion: '2008' }],
  ['anonymize', { KeepPrivateTags: true }],
  ['anonymize', { Keep: ['StudyDescription', 'ContentSequence', '0011,1001'], Replace: { PatientSex: 'O' } }],
  ['anonymize', { Keep: ['Modality'] }],
  ['anonymize', { Remove: ['Modality', 'ROIName'], DicomVersion: '2008' }],
  ['anonymize', { Keep: ['StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'], Force: true }],
  ['anonymize', { Keep: ['ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID'] }],
]

/** Where ours is otherwise on purpose: what differs, by request and sample, with the reason. */
const differences: readonly {
  readonly request: RegExp
  readonly sample: RegExp
  readonly what: RegExp
  readonly reason: string
}[] = [
  {
    request: /Müller/,
    sample: /japanese/,
    what: /0010,0010/,
    reason:
      'the file announces no character set that has these letters, so nothing that is written can be right',
  },
  {
    request: /SpecificCharacterSet/,
    sample: /latin1|japanese/,
    what: /0010,0010|0008,1030/,
    reason: 'the text is converted to the new character set: contracts/orthanc.md §3.5',
  },
  {
    request: /0011,1001/,
    sample: /./,
    what: /0011,0010: theirs nothing/,
    reason: 'a private element is never without its creator: contracts/orthanc.md §3.6',
  },
  {
    request: /^anonymize/,
    sample: /no-patient-id/,
    what: /0010,0020: theirs nothing/,
    reason: 'an anonymized patient is never the one that all files without an identifier belong to',
  },
  {
    request: /"Keep":\["StudyInstanceUID"/,
    sample: /rtstruct|sr/,
    what: /\]\.(0008,1155|0020,000[de]): /,
    reason: 'references to what keeps its identifier stay true',
  },
]

type Shown = { readonly [tag: string]: string | readonly Shown[] }

function show(bytes: Uint8Array): { readonly syntax: string; readonly tags: Shown } {
  const set = readDataSet(memorySource(bytes), { dictionary })
  const { values } = valuesOf(set, 'ISO_IR 100')
  return { syntax: set.transferSyntax, tags: showElements(set.elements, values) }
}

function showElements(elements: readonly Element[], values: Values): Shown {
  return Object.fromEntries(
    elements.map(element => {
      const { items, fragments } = element
      if (items) return [tagText(element.tag), items.map(item => showElements(item.elements, values))]
      const text = fragments ? `${fragments.length} fragments` : showValue(element, values)
      const bytes = text === null ? Buffer.from(readBytes(element, values)).toString('base64') : text
      return [tagText(element.tag), bytes]
    }),
  )
}

/** Differences between what they made and what we made; new identifiers must stand for each other one to one. */
function compare(theirs: Shown, ours: Shown, twins: Map<string, string>, path = ''): string[] {
  const found: string[] = []
  for (const tag of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
    const [a, b] = [theirs[tag], ours[tag]]
    const at = `${path}${tag}`
    if (typeof a === 'string' && typeof b === 'string') {
      if (a !== b && !isTwin(a, b, twins)) found.push(`${at}: theirs ${short(a)}, ours ${short(b)}`)
    } else if (typeof a === 'object' && typeof b === 'object') {
      if (a.length !== b.length) found.push(`${at}: theirs ${a.length} items, ours ${b.length}`)
      for (const [index, item] of a.entries()) {
        if (b[index]) found.push(...compare(item, b[index], twins, `${at}[${index}].`))
      }
    } else found.push(`${at}: theirs ${short(a)}, ours ${short(b)}`)
  }
  return found
}

const made = /^2\.25\.\d+$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function isTwin(theirs: string, ours: string, twins: Map<string, string>): boolean {
  if (/ - PS 3\.15-/.test(theirs)) return theirs.replace('Orthanc 1.10.1', 'Switchyard') === ours
  if (!made.test(ours)) return false
  const known = twins.get(theirs)
  twins.set(theirs, known ?? ours)
  return known === undefined || known === ours
}

function short(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 120)
}

describe.skipIf(!isReady)(
  'modification beside the real Orthanc (skipped without it or the recordings)',
  () => {
    let real: RealOrthanc
    let ours: OrthancServer
    const ids = new Map<string, string>()
    beforeAll(async () => {
      real = await startRealOrthanc(options)
      ours = await startOrthanc(options)
      const folder = sharedPath('recordings', 'orthanc', 'files')
      for (const name of readdirSync(folder).filter(file => file.endsWith('.dcm'))) {
        for (const server of [real, ours]) {
          const answer = await fetch(`${server.url}/instances`, {
            method: 'POST',
            body: Uint8Array.from(readFileSync(join(folder, name))),
          })
          ids.set(name, ((await answer.json()) as { ID: string }).ID)
        }
      }
    })
    afterAll(async () => {
      await ours?.close()
      await real?.close()
    })

    async function ask(server: { url: string }, path: string, body: object): Promise<Uint8Array | number> {
      const answer = await fetch(server.url + path, { method: 'POST', body: JSON.stringify(body) })
      const bytes = new Uint8Array(await answer.arrayBuffer())
      return answer.status === 200 ? bytes : answer.status
    }

    for (const [call, body] of requests) {
      test(`${call} ${JSON.stringify(body)}: every sample comes out alike`, async () => {
        const wrong: string[] = []
        for (const [name, id] of ids) {
          const path = `/instances/${id}/${call}`
          const [theirs, mine] = [await ask(real, path, body), await ask(ours, path, body)]
          if (typeof theirs === 'number' || typeof mine === 'number') {
            if (theirs !== mine) wrong.push(`${name}: theirs ${short(theirs)}, ours ${short(mine)}`)
            continue
          }
          const [a, b] = [show(theirs), show(mine)]
          if (a.syntax !== b.syntax) wrong.push(`${name}: theirs ${a.syntax}, ours ${b.syntax}`)
          const isMeant = (text: string): boolean =>
            differences.some(
              ({ request, sample, what }) =>
                request.test(`${call} ${JSON.stringify(body)}`) && sample.test(name) && what.test(text),
            )
          const found = compare(a.tags, b.tags, new Map()).filter(text => !isMeant(text))
          wrong.push(...found.map(text => `${name}: ${text}`))
        }
        assert.deepEqual(wrong, [])
      })
    }
  },
)
