// Requests of the Orthanc dialect that the recordings don't hold: unusual forms of paths, numbers, forms and bodies,
// answered as the original does (each was asked of a real 1.10.1).

import assert from 'node:assert/strict'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { orthanc } from '../../src/dialects/orthanc/index.ts'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { type OrthancServer, startOrthanc } from './orthanc-server.ts'

interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly json: unknown
}

let server: OrthancServer

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answered> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const sent = body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }
  const answer = await fetch(server.url + path, { method, headers, ...sent })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, json: parse(text) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function upload(file: Uint8Array): Promise<Record<'ID' | 'ParentStudy' | 'ParentSeries', string>> {
  const { status, json } = await ask('POST', '/instances', file)
  assert.equal(status, 200, JSON.stringify(json))
  return json as Record<'ID' | 'ParentStudy' | 'ParentSeries', string>
}

async function tagsOf(id: string): Promise<Record<string, unknown>> {
  return (await ask('GET', `/instances/${id}/simplified-tags`)).json as Record<string, unknown>
}

const codeOf = ({ status, json }: Answered): unknown[] => [
  status,
  (json as Record<string, unknown>)['OrthancStatus'],
]

describe('requests', () => {
  beforeAll(async () => {
    server = await startOrthanc({ UserMetadata: { note: 1024 } })
  })
  afterAll(() => server.close())

  describe('uploads', () => {
    const part = (name: string, content: string | Uint8Array): Buffer =>
      Buffer.concat([
        Buffer.from(`--B\r\nContent-Disposition: form-data; name="f"${name}\r\n\r\n`),
        Buffer.from(content as string),
        Buffer.from('\r\n'),
      ])
    const form = (...parts: Buffer[]): Buffer => Buffer.concat([...parts, Buffer.from('--B--\r\n')])
    const type = { 'content-type': 'multipart/form-data; boundary=B' }

    test('a part of a form that is no DICOM file is refused, whether it has the name of a file or not', async () => {
      for (const name of ['', '; filename="a.dcm"'])
        assert.deepEqual(
          codeOf(await ask('POST', '/instances', form(part(name, 'not dicom')), type)),
          [400, 15],
        )
    })

    test('a part without the name of a file is taken in', async () => {
      const file = aDicomFile({ tags: { SOPInstanceUID: '1.2.3.700' } })
      const before = (await ask('GET', '/instances')).json as string[]
      assert.equal((await ask('POST', '/instances', form(part('', file)), type)).status, 200)
      assert.equal(((await ask('GET', '/instances')).json as string[]).length, before.length + 1)
    })

    test('a form that cannot be read is the mistake of the client', async () => {
      for (const [body, contentType] of [
        [form(part('', 'x')), 'multipart/form-data'],
        [part('; filename="a"', 'x'), 'multipart/form-data; boundary=B'],
      ] as const)
        assert.deepEqual(
          codeOf(await ask('POST', '/instances', body, { 'content-type': contentType })),
          [400, 15],
        )
    })

    for (const name of ['StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID']) {
      test(`a file whose ${name} is empty is refused`, async () => {
        assert.deepEqual(
          codeOf(await ask('POST', '/instances', aDicomFile({ tags: { [name]: '' } }))),
          [400, 15],
        )
      })
    }
  })

  describe('paths and numbers', () => {
    test('slashes at the beginning of a path do not count', async () => {
      for (const path of ['//system', '//tools/now', '//instances//'])
        assert.equal((await ask('GET', path)).status, 200, path)
      assert.equal((await ask('POST', '//tools/lookup', 'x')).status, 200)
    })

    test('a negative limit is none', async () => {
      await upload(aDicomFile({ tags: { SOPInstanceUID: '1.2.3.701' } }))
      const { json } = await ask('GET', '/instances?since=0&limit=-1')
      assert.deepEqual(json, (await ask('GET', '/instances')).json)
    })

    test('no changes are asked for with a limit of 0, and the last one is told', async () => {
      const { Last: last } = (await ask('GET', '/changes?last')).json as { Last: number }
      assert.deepEqual((await ask('GET', '/changes?limit=0')).json, { Changes: [], Done: false, Last: last })
      assert.deepEqual((await ask('GET', '/changes?limit=-1')).json, { Changes: [], Done: true, Last: last })
    })

    test('where no exports follow, the client keeps its place', async () => {
      assert.deepEqual((await ask('GET', '/exports?since=5')).json, { Done: true, Exports: [], Last: 5 })
    })

    test('levels may be written in any case, one or many', async () => {
      for (const Level of ['STUDY', 'Studies', 'study', 'Instances', 'SERIES'])
        assert.equal((await ask('POST', '/tools/find', { Level, Query: {} })).status, 200, Level)
    })

    test('encodings may be written in any case', async () => {
      assert.equal((await ask('PUT', '/tools/default-encoding', 'utf8')).json, 'Utf8')
      assert.equal((await ask('PUT', '/tools/default-encoding', 'LATIN1')).json, 'Latin1')
    })

    test('a comma behind the last member does not harm', async () => {
      const body = '{"Level":"Study","Query":{"PatientName":"a,]*",},}'
      assert.deepEqual((await ask('POST', '/tools/find', body)).json, [])
    })
  })

  test('metadata that a client has not seen is not changed, whatever the configuration says', async () => {
    const { ID } = await upload(aDicomFile({ tags: { SOPInstanceUID: '1.2.3.702' } }))
    const path = `/instances/${ID}/metadata/note`
    const first = await ask('PUT', path, 'one')
    const seen = { 'if-match': first.headers.get('etag')! }
    assert.equal((await ask('PUT', path, 'two', seen)).status, 200)
    assert.deepEqual(codeOf(await ask('PUT', path, 'three', seen)), [409, 43])
    assert.deepEqual(codeOf(await ask('DELETE', path, undefined, seen)), [409, 43])
    assert.equal((await ask('GET', path)).json, 'two')
    assert.equal((await ask('PUT', path, 'four')).status, 200)
  })

  test('a client that has seen metadata and files is told that they are the same', async () => {
    const { ID } = await upload(aDicomFile({ tags: { SOPInstanceUID: '1.2.3.708' } }))
    await ask('PUT', `/instances/${ID}/metadata/note`, 'text')
    for (const path of [`/instances/${ID}/metadata/note`, `/instances/${ID}/attachments/dicom/data`]) {
      const etag = (await ask('GET', path)).headers.get('etag')!
      const again = await ask('GET', path, undefined, { 'if-none-match': etag })
      assert.deepEqual([again.status, again.json, again.headers.get('etag')], [304, '', etag])
      assert.equal((await ask('GET', path, undefined, { 'if-none-match': '"9-x"' })).status, 200)
    }
  })

  test('only texts are shared tags', async () => {
    const file = aDicomFile({
      tags: { SOPInstanceUID: '1.2.3.703', SeriesInstanceUID: '1.2.3.70', PatientComments: 'x'.repeat(300) },
      pieces: [{ tag: 0x00081140, items: [], isOpen: false }],
    })
    const { ParentSeries: id } = await upload(file)
    const short = (await ask('GET', `/series/${id}/shared-tags?short`)).json as Record<string, unknown>
    assert.equal(short['0010,0020'], 'P1')
    for (const tag of ['0010,4000', '0008,1140', '7fe0,0010']) assert.equal(tag in short, false, tag)
    const named = (await ask('GET', `/series/${id}/shared-tags?simplify`)).json as Record<string, unknown>
    assert.equal(named['PatientID'], 'P1')
  })

  test('a series does not expect less than nothing', async () => {
    const tags = { SOPInstanceUID: '1.2.3.704', SeriesInstanceUID: '1.2.3.71' }
    const { ParentSeries: id } = await upload(
      aDicomFile({ tags: { ...tags, ImagesInAcquisition: '-2', NumberOfTemporalPositions: '1' } }),
    )
    const { json } = await ask('GET', `/series/${id}`)
    assert.equal((json as Record<string, unknown>)['ExpectedNumberOfInstances'], null)
  })

  test('the DICOM JSON and XML models have tags in ascending order, and empty sequences have no value', async () => {
    const inner = { tag: 0x00280030, vr: 'DS', bytes: Buffer.from('1\\2 ') }
    const { ID } = await upload(
      aDicomFile({
        tags: { SOPInstanceUID: '1.2.3.709' },
        pieces: [
          { tag: 0x52009229, items: [{ isOpen: false, pieces: [inner] }], isOpen: false },
          { tag: 0x00081140, items: [], isOpen: false },
        ],
      }),
    )
    const read = async (accept: string): Promise<string> =>
      (await fetch(`${server.url}/instances/${ID}/file`, { headers: { accept } })).text()
    const json = await read('application/dicom+json')
    const model = JSON.parse(json) as Record<string, { vr: string; Value?: Record<string, unknown>[] }>
    const tags = Object.keys(model).sort()
    assert.deepEqual(
      tags.map(tag => json.indexOf(`"${tag}":`)),
      tags.map(tag => json.indexOf(`"${tag}":`)).sort((a, b) => a - b),
    )
    assert.deepEqual(model['00081140'], { vr: 'SQ' })
    assert.deepEqual(model['52009229']?.Value, [{ '00280030': { Value: [1, 2], vr: 'DS' } }])
    const xml = [...(await read('application/dicom+xml')).matchAll(/^ {2}<DicomAttribute tag="(\w+)"/gm)]
    assert.deepEqual(
      xml.map(found => found[1]),
      tags,
    )
  })

  test('tags are listed in their order, once each', async () => {
    const { ID } = await upload(
      Buffer.concat([aDicomFile({ tags: { SOPInstanceUID: '1.2.3.705' } }), manufacturer]),
    )
    const { json } = await ask('GET', `/instances/${ID}/content`)
    assert.deepEqual(json, [...new Set(json as string[])].sort())
  })

  describe('create-dicom', () => {
    let study = ''
    beforeEach(async () => {
      const korean = aDicomFile({
        terms: ['', 'ISO 2022 IR 149'],
        tags: {
          StudyInstanceUID: '1.2.3.72',
          SOPInstanceUID: '1.2.3.706',
          PatientName: 'Hong^Gildong=洪^吉洞=홍^길동',
        },
        pieces: [{ tag: 0x00080020, vr: 'DA', bytes: new Uint8Array(0) }],
      })
      study = (await upload(korean)).ParentStudy
    })
    const create = async (body: unknown): Promise<string> => {
      const { status, json } = await ask('POST', '/tools/create-dicom', body)
      assert.equal(status, 200, JSON.stringify(json))
      return (json as { ID: string }).ID
    }

    test('a child has the name of its parent, in whatever characters it is written', async () => {
      const tags = await tagsOf(await create({ Parent: study, Tags: {} }))
      assert.equal(tags['PatientName'], 'Hong^Gildong=洪^吉洞=홍^길동')
    })

    test('a child is not given dates of today where its parent has none', async () => {
      const tags = await tagsOf(await create({ Parent: study, Tags: {} }))
      assert.equal('StudyTime' in tags, false)
      assert.equal('SeriesTime' in tags, true)
    })

    test('what the header of a file says is not the caller’s to say', async () => {
      const id = await create({
        Tags: { TransferSyntaxUID: '1.2.840.10008.1.2', MediaStorageSOPClassUID: '1.2', '0010,0000': '4' },
      })
      const tags = await tagsOf(id)
      for (const name of ['TransferSyntaxUID', 'MediaStorageSOPClassUID', 'GenericGroupLength'])
        assert.equal(name in tags, false, name)
      const { json } = await ask('GET', `/instances/${id}/header?simplify`)
      assert.equal((json as Record<string, unknown>)['TransferSyntaxUID'], '1.2.840.10008.1.2.1')
    })

    test('items are refused where the dictionary says that there is text', async () => {
      assert.deepEqual(
        codeOf(await ask('POST', '/tools/create-dicom', { Tags: { PatientName: [{}] } })),
        [400, 5],
      )
    })

    test('a name that was retired is known with and without saying so', async () => {
      for (const name of [
        'OtherPatientIDs',
        'RETIRED_OtherPatientIDs',
        'RETIRED_StudyIDIssuer',
        'StudyIDIssuer',
      ])
        await create({ Tags: { [name]: 'x' } })
    })
  })

  test('a modification does not put a transfer syntax into the data set', async () => {
    const { ID } = await upload(aDicomFile({ tags: { SOPInstanceUID: '1.2.3.707' } }))
    const body = { Replace: { TransferSyntaxUID: '1.2' } }
    const answer = await fetch(`${server.url}/instances/${ID}/modify`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    const made = Buffer.from(await answer.arrayBuffer())
    assert.equal(made.includes(Buffer.from([0x02, 0x00, 0x10, 0x00, 0x55, 0x49]), 400), false)
  })

  test('every claim has its path with two slashes, too', async () => {
    for (const path of orthanc.claims) assert.notEqual((await ask('GET', `/${path}`)).status, 500, path)
  })
})

test('a series that is complete is complete again when one of its instances is overwritten', async () => {
  server = await startOrthanc({ OverwriteInstances: true })
  try {
    const file = (number: number): Uint8Array =>
      aDicomFile({
        tags: {
          SOPInstanceUID: `1.2.7.${number}`,
          InstanceNumber: String(number),
          ...{ ImagesInAcquisition: '2', NumberOfTemporalPositions: '1' },
        },
      })
    const completions = async (): Promise<number> => {
      const { json } = await ask('GET', '/changes')
      const { Changes: changes } = json as { Changes: { ChangeType: string }[] }
      return changes.filter(change => change.ChangeType === 'CompletedSeries').length
    }
    await upload(file(1))
    await upload(file(1))
    assert.equal(await completions(), 0)
    await upload(file(2))
    assert.equal(await completions(), 1)
    await upload(file(1))
    assert.equal(await completions(), 2)
  } finally {
    await server.close()
  }
})

describe('limits', () => {
  afterEach(() => server.close())

  const instance = (patient: string, number: number, pixelBytes = 128): Uint8Array => {
    const study = `1.2.8.${patient.charCodeAt(0)}`
    const uids = { StudyInstanceUID: study, SeriesInstanceUID: `${study}.1` }
    return aDicomFile({
      tags: { PatientID: patient, ...uids, SOPInstanceUID: `${study}.1.${number}` },
      pixelBytes,
    })
  }
  const present = async (): Promise<string> => {
    const { json } = await ask('GET', '/patients?expand')
    const patients = json as { MainDicomTags: { PatientID: string } }[]
    return patients
      .map(patient => patient.MainDicomTags.PatientID)
      .sort()
      .join('')
  }
  const idOf = async (patient: string): Promise<string> =>
    ((await ask('POST', '/tools/lookup', patient)).json as { ID: string }[])[0]!.ID
  const protect = async (patient: string, how: 0 | 1): Promise<void> => {
    assert.equal((await ask('PUT', `/patients/${await idOf(patient)}/protected`, String(how))).status, 200)
  }

  test('the patient goes that received nothing for longest, and the last one to go is whose protection ended', async () => {
    server = await startOrthanc({ MaximumPatientCount: 3 })
    for (const [patient, number] of ['A1', 'B1', 'C1', 'A2'].map(([p, n]) => [p!, Number(n)] as const))
      await upload(instance(patient, number))
    await upload(instance('D', 1))
    assert.equal(await present(), 'ACD')
    await protect('C', 1)
    await protect('C', 0)
    await upload(instance('E', 1))
    assert.equal(await present(), 'CDE')
    // What is there already needs no room.
    await upload(instance('C', 1))
    assert.equal(await present(), 'CDE')
  })

  test('where every patient is protected, an instance of another one is refused and nothing goes', async () => {
    server = await startOrthanc({ MaximumPatientCount: 2 })
    for (const patient of ['A', 'B']) {
      await upload(instance(patient, 1))
      await protect(patient, 1)
    }
    assert.deepEqual(codeOf(await ask('POST', '/instances', instance('C', 1))), [500, 19])
    await upload(instance('B', 2))
    assert.equal(await present(), 'AB')
  })

  test('an instance that cannot fit is refused, and nothing goes for it', async () => {
    server = await startOrthanc({ MaximumStorageSize: 1 })
    for (const patient of ['A', 'B']) await upload(instance(patient, 1, 300_000))
    assert.deepEqual(codeOf(await ask('POST', '/instances', instance('C', 1, 1_200_000))), [500, 19])
    await protect('A', 1)
    assert.deepEqual(codeOf(await ask('POST', '/instances', instance('C', 2, 900_000))), [500, 19])
    assert.equal(await present(), 'AB')
    await upload(instance('C', 3, 600_000))
    assert.equal(await present(), 'AC')
  })

  test('names are found in any case, whatever the network may ask', async () => {
    server = await startOrthanc({ CaseSensitivePN: true })
    await upload(aDicomFile({ tags: { PatientName: 'Doe^Jane' } }))
    for (const [more, count] of [
      [{}, 1],
      [{ CaseSensitive: true }, 0],
    ] as const) {
      const query = { Level: 'Patient', Query: { PatientName: 'doe^*' }, ...more }
      assert.equal(((await ask('POST', '/tools/find', query)).json as unknown[]).length, count)
    }
  })
})

/** A Manufacturer, in explicit little endian: out of order behind pixel data. */
const manufacturer = Buffer.from([0x08, 0x00, 0x70, 0x00, 0x4c, 0x4f, 0x02, 0x00, 0x41, 0x42])
