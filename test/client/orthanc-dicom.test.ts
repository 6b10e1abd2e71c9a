// The DICOM network against DCMTK's programs: every service in both directions.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, onTestFinished, test } from 'vitest'
import { makeDictionary } from '../../src/domains/dicom/dictionary/dictionary.ts'
import { readDataSet } from '../../src/domains/dicom/reading/reader.ts'
import { memorySource } from '../../src/domains/dicom/reading/source.ts'
import { showTags } from '../../src/domains/dicom/show-tags.ts'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { type OrthancServer, startOrthanc } from '../contract/orthanc-server.ts'
import { hasDcmtk, type Peer, run, start } from '../support/dcmtk.ts'
import { freePort } from '../support/free-port.ts'
import { hasShared, sharedPath } from '../support/shared.ts'

const storeSyntaxes = ['1.2.840.10008.1.2.1', '1.2.840.10008.1.2']

let server: OrthancServer
let dicomPort = ''

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const sent =
    body === undefined
      ? {}
      : { body: body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body) }
  return fetch(server.url + path, { method, ...sent })
}

async function see<T>(path: string): Promise<T> {
  return (await (await call('GET', path)).json()) as T
}

async function done<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await call(method, path, body)
  const text = await answer.text()
  assert.equal(answer.status, 200, text)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'switchyard-dicom-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function dataSetOf(bytes: Uint8Array): Buffer {
  const set = readDataSet(memorySource(bytes), { dictionary: makeDictionary() })
  return Buffer.from(bytes.subarray(set.fileDataSetAt))
}

function tagsOf(bytes: Uint8Array): unknown {
  const options = { dictionary: makeDictionary(), form: 'short', defaultTerm: 'ISO_IR 100' } as const
  return showTags(readDataSet(memorySource(bytes), options), options)
}

async function startFor(program: string, port: number, ...args: string[]): Promise<Peer> {
  const peer = await start(program, port, ...args)
  onTestFinished(() => peer.kill())
  return peer
}

/** A query/retrieve server of DCMTK that knows us. */
async function startQrScp(aet: string): Promise<{ port: number; store: string }> {
  const port = await freePort()
  const place = folder()
  const store = mkdtempSync(join(place, 'store-'))
  const config = join(place, 'dcmqrscp.cfg')
  writeFileSync(
    config,
    [
      `NetworkTCPPort  = ${port}`,
      'MaxPDUSize      = 16384',
      'MaxAssociations = 16',
      'HostTable BEGIN',
      `yard = (ORTHANC, 127.0.0.1, ${dicomPort})`,
      'HostTable END',
      'VendorTable BEGIN',
      'VendorTable END',
      'AETable BEGIN',
      `${aet}  ${store} RW (1000, 1024mb) ANY`,
      'AETable END',
      '',
    ].join('\n'),
  )
  await startFor('dcmqrscp', port, '-c', config)
  return { port, store }
}

describe.skipIf(!hasDcmtk)('DCMTK', () => {
  beforeAll(async () => {
    const port = await freePort()
    dicomPort = String(port)
    server = await startOrthanc({
      DicomPort: port,
      DicomAlwaysAllowFind: true,
      DicomAlwaysAllowMove: true,
      DicomAlwaysAllowGet: true,
      OverwriteInstances: false,
    })
    for (let index = 1; index <= 3; index++) {
      await done(
        'POST',
        '/instances',
        aDicomFile({
          tags: {
            SOPInstanceUID: `1.2.3.9.${index}`,
            StudyInstanceUID: '1.2.3.9',
            SeriesInstanceUID: '1.2.3.9.0',
            PatientID: 'KEPT',
            PatientName: 'Ołów^Żółw',
            StudyDescription: 'LEAD',
            InstanceNumber: String(index),
          },
          terms: ['ISO_IR 101'],
        }),
      )
    }
  })
  afterAll(() => server.close())

  test('echoscu is answered, whatever it calls itself and us', async () => {
    await run('echoscu', '-aet', 'STRANGER', '-aec', 'WHOEVER', '127.0.0.1', dicomPort)
  })

  test('storescu brings instances, whose data sets stay as they were', async () => {
    const place = folder()
    const bytes = aDicomFile({
      tags: { SOPInstanceUID: '1.2.3.8.1', PatientID: 'BROUGHT' },
      pixelBytes: 300_000,
    })
    writeFileSync(join(place, 'one.dcm'), bytes)
    await run('storescu', '-aet', 'CT7', '127.0.0.1', dicomPort, join(place, 'one.dcm'))
    const [found] = (await (
      await fetch(`${server.url}/tools/lookup`, { method: 'POST', body: '1.2.3.8.1' })
    ).json()) as { ID: string }[]
    const file = Buffer.from(await (await call('GET', `/instances/${found!.ID}/file`)).arrayBuffer())
    assert.deepEqual(dataSetOf(file), dataSetOf(bytes))
    const metadata = await see<Record<string, string>>(`/instances/${found!.ID}/metadata?expand`)
    assert.deepEqual(
      [metadata['Origin'], metadata['RemoteAET'], metadata['RemoteIP']],
      ['DicomProtocol', 'CT7', '127.0.0.1'],
    )
  })

  test.skipIf(!hasShared)('dcmsend brings instances of every transfer syntax', async () => {
    const files = [
      'ct1-1',
      'implicit',
      'bigendian',
      'deflated',
      'rle',
      'jpeg',
      'sr',
      'rtstruct',
      'no-patient-id',
    ]
    const paths = files.map(name => sharedPath('recordings', 'orthanc', 'files', `${name}.dcm`))
    await run('dcmsend', '127.0.0.1', dicomPort, ...paths)
    for (const [index, path] of paths.entries()) {
      const sent = readFileSync(path)
      const set = readDataSet(memorySource(sent), { dictionary: makeDictionary() })
      const uid = set.elements.find(element => element.tag === 0x00080018)!
      const name = Buffer.from(set.source.read(uid.valueAt, uid.length)).toString('latin1').replace(/\0$/, '')
      const found = (await (
        await fetch(`${server.url}/tools/lookup`, { method: 'POST', body: name })
      ).json()) as { ID: string }[]
      assert.equal(found.length, 1, `${files[index]} has not come`)
      const file = Buffer.from(await (await call('GET', `/instances/${found[0]!.ID}/file`)).arrayBuffer())
      // DCMTK encodes anew what it sends: the same values, but not always in the same bytes.
      assert.deepEqual(tagsOf(file), tagsOf(sent), files[index])
    }
  })

  test('an instance that is not what its command says is refused, and nothing is stored', async () => {
    const count = async () => (await see<string[]>('/instances')).length
    const before = await count()
    const place = folder()
    // A data set whose UID differs from that of its header: storescu announces the header's.
    const bytes = Buffer.from(aDicomFile({ tags: { SOPInstanceUID: '1.2.3.7.1' } }))
    const at = bytes.indexOf('1.2.3.7.1')
    bytes.write('1.2.3.7.2', bytes.indexOf('1.2.3.7.1', at + 1), 'latin1')
    writeFileSync(join(place, 'one.dcm'), bytes)
    await run('storescu', '127.0.0.1', dicomPort, join(place, 'one.dcm')).catch(() => '')
    assert.ok((await count()) <= before + 1)
  })

  test('store sends to storescp, in the stored syntax', async () => {
    const port = await freePort()
    const place = folder()
    await startFor('storescp', port, '-aet', 'SCP', '-od', place, '+xa', String(port))
    await done('PUT', '/modalities/scp', ['SCP', '127.0.0.1', port])
    const [study] = await see<string[]>('/studies')
    const content = await done<Record<string, unknown>>('POST', '/modalities/scp/store', [study])
    const sent = await see<unknown[]>(`/studies/${study}/instances`)
    assert.deepEqual(content, {
      Description: 'REST API',
      InstancesCount: sent.length,
      FailedInstancesCount: 0,
      ParentResources: [study],
      LocalAet: 'ORTHANC',
      RemoteAet: 'SCP',
    })
    assert.equal(readdirSync(place).length, sent.length)
    const straight = aDicomFile({ tags: { SOPInstanceUID: '1.2.3.6.1' }, transferSyntax: storeSyntaxes[1]! })
    assert.deepEqual(await done('POST', '/modalities/scp/store-straight', straight), {
      SOPClassUID: '1.2.840.10008.5.1.4.1.1.2',
      SOPInstanceUID: '1.2.3.6.1',
    })
    const came = readdirSync(place).find(name => name.endsWith('1.2.3.6.1'))!
    assert.deepEqual(dataSetOf(readFileSync(join(place, came))), dataSetOf(straight))
  })

  test('what a peer takes only in another syntax is turned into it', async () => {
    const port = await freePort()
    const place = folder()
    await startFor('storescp', port, '-aet', 'PLAIN', '-od', place, '+xi', String(port))
    await done('PUT', '/modalities/plain', ['PLAIN', '127.0.0.1', port])
    const big = aDicomFile({ tags: { SOPInstanceUID: '1.2.3.5.1' }, transferSyntax: '1.2.840.10008.1.2.2' })
    await done('POST', '/modalities/plain/store-straight', big)
    const [name] = readdirSync(place)
    const dump = async (file: string) =>
      (await run('dcmdump', '-q', '+L', file)).split('\n').filter(line => /^\((?!0002)/.test(line))
    writeFileSync(join(place, 'original.dcm'), big)
    const strip = (lines: string[]) => lines.map(line => line.replace(/\bO[BW]\b/, 'OX'))
    assert.deepEqual(strip(await dump(join(place, name!))), strip(await dump(join(place, 'original.dcm'))))
    if (hasShared('recordings', 'orthanc', 'files')) {
      const recorded = (file: string) => readFileSync(sharedPath('recordings', 'orthanc', 'files', file))
      await done('POST', '/modalities/plain/store-straight', recorded('rle.dcm'))
      const unpacked = readdirSync(place).find(file => file !== name && file !== 'original.dcm')!
      const header = await run('dcmdump', '-q', join(place, unpacked))
      assert.match(header, /\(0002,0010\) UI =LittleEndianImplicit/)
      assert.match(header, /\(7fe0,0010\) OW /)
    }
    // What says that it is JPEG, and is not, cannot be turned into anything.
    const broken = aDicomFile({ transferSyntax: '1.2.840.10008.1.2.4.50' })
    const refused = await call('POST', '/modalities/plain/store-straight', broken)
    assert.match(await refused.text(), /cannot be turned from 1.2.840.10008.1.2.4.50 into 1.2.840.10008.1.2/)
    const refusal = await call('PUT', '/modalities/strict', {
      AET: 'PLAIN',
      Host: '127.0.0.1',
      Port: port,
      AllowTranscoding: false,
    })
    assert.equal(refusal.status, 200)
    assert.equal((await call('POST', '/modalities/strict/store-straight', big)).status, 500)
  })

  test('findscu finds what is here at every level, names in any script', async () => {
    const find = (...args: string[]) =>
      run('findscu', '-S', '-q', ...args, '127.0.0.1', dicomPort, '-X', '-od', out)
    const out = folder()
    await find(
      '-k',
      'QueryRetrieveLevel=STUDY',
      '-k',
      'PatientID=KEPT',
      '-k',
      'PatientName',
      '-k',
      'StudyInstanceUID',
      '-k',
      'ModalitiesInStudy',
      '-k',
      'NumberOfStudyRelatedInstances',
    )
    const [answer] = readdirSync(out)
    const dump = await run('dcmdump', '-q', '+L', '+U8', join(out, answer!))
    assert.match(dump, /StudyInstanceUID/)
    for (const part of ['[1.2.3.9]', '[CT]', '[3]', '[ISO_IR 192]', 'Ołów^Żółw', '[ORTHANC]'])
      assert.ok(dump.includes(part), `${part} is missing in ${dump}`)
    const count = async (...keys: string[]) => {
      const place = folder()
      await run(
        'findscu',
        '-S',
        '-q',
        ...keys.flatMap(key => ['-k', key]),
        '127.0.0.1',
        dicomPort,
        '-X',
        '-od',
        place,
      )
      return readdirSync(place).length
    }
    assert.equal(await count('QueryRetrieveLevel=IMAGE', 'StudyInstanceUID=1.2.3.9', 'SOPInstanceUID'), 3)
    assert.equal(await count('QueryRetrieveLevel=SERIES', 'StudyInstanceUID=1.2.3.9', 'SeriesInstanceUID'), 1)
    assert.equal(
      await count('QueryRetrieveLevel=STUDY', 'PatientName=*Żółw*', 'SpecificCharacterSet=ISO_IR 192'),
      1,
    )
    assert.equal(
      await count('QueryRetrieveLevel=STUDY', 'StudyDate=19000101-19991231', 'StudyInstanceUID'),
      0,
    )
  })

  test('findscu is told of a study, not of one of the instances in it, and counts belong to whom they name', async () => {
    const out = folder()
    const keys = [
      'QueryRetrieveLevel=STUDY',
      'StudyInstanceUID=1.2.3.9',
      'SeriesInstanceUID',
      'SOPInstanceUID',
    ]
    const more = [
      'Modality',
      'InstanceNumber',
      'NumberOfPatientRelatedInstances',
      'NumberOfSeriesRelatedInstances',
    ]
    const asked = [...keys, ...more].flatMap(key => ['-k', key])
    await run('findscu', '-S', '-q', ...asked, '127.0.0.1', dicomPort, '-X', '-od', out)
    const dump = await run('dcmdump', '-q', join(out, readdirSync(out)[0]!))
    for (const tag of ['0020,000e', '0008,0018', '0008,0060', '0020,0013', '0020,1209'])
      assert.match(dump, new RegExp(`\\(${tag}\\) .. \\(no value available\\)`), `${tag} in ${dump}`)
    assert.match(dump, /\(0020,1204\) IS \[3/)
  })

  test('getscu and movescu fetch a study from here', async () => {
    const got = folder()
    await run(
      'getscu',
      '-S',
      '-od',
      got,
      '-k',
      'QueryRetrieveLevel=STUDY',
      '-k',
      'StudyInstanceUID=1.2.3.9',
      '127.0.0.1',
      dicomPort,
    )
    assert.equal(readdirSync(got).length, 3)
    const port = await freePort()
    const moved = folder()
    await done('PUT', '/modalities/mover', ['MOVESCU', '127.0.0.1', port])
    await run(
      'movescu',
      '-S',
      '-aet',
      'MOVESCU',
      '-aem',
      'MOVESCU',
      '+P',
      String(port),
      '-od',
      moved,
      '-k',
      'QueryRetrieveLevel=STUDY',
      '-k',
      'StudyInstanceUID=1.2.3.9',
      '127.0.0.1',
      dicomPort,
    )
    assert.equal(readdirSync(moved).length, 3)
    await assert.rejects(
      run(
        'movescu',
        '-S',
        '-aet',
        'MOVESCU',
        '-aem',
        'NOBODY',
        '-k',
        'QueryRetrieveLevel=STUDY',
        '-k',
        'StudyInstanceUID=1.2.3.9',
        '127.0.0.1',
        dicomPort,
      ),
    )
  })

  test('dcmqrscp is asked, and what it has is retrieved to here', async () => {
    const { port } = await startQrScp('QRSCP')
    await done('PUT', '/modalities/qr', ['QRSCP', '127.0.0.1', port])
    await done('POST', '/modalities/qr/echo', {})
    const place = folder()
    for (let index = 1; index <= 5; index++) {
      writeFileSync(
        join(place, `${index}.dcm`),
        aDicomFile({
          tags: {
            PatientID: 'THERE',
            PatientName: 'There^Over',
            StudyInstanceUID: '1.2.4',
            SeriesInstanceUID: '1.2.4.1',
            SOPInstanceUID: `1.2.4.1.${index}`,
            AccessionNumber: 'A4',
            StudyTime: '101010',
            StudyID: 'S',
          },
        }),
      )
    }
    await run('storescu', '-aec', 'QRSCP', '127.0.0.1', String(port), '+sd', place)
    const query = await done<{ ID: string }>('POST', '/modalities/qr/query', {
      Level: 'Study',
      Query: { PatientID: 'THERE', PatientName: '' },
    })
    const [answer] = await see<Record<string, string>[]>(`/queries/${query.ID}/answers?expand&simplify`)
    assert.deepEqual([answer!['PatientName'], answer!['StudyInstanceUID']], ['There^Over', '1.2.4'])
    const content = await done<Record<string, unknown>>('POST', `/queries/${query.ID}/answers/0/retrieve`)
    assert.equal(content['RemoteAet'], 'QRSCP')
    const found = (await (
      await fetch(`${server.url}/tools/lookup`, { method: 'POST', body: '1.2.4' })
    ).json()) as { Path: string }[]
    assert.equal((await see<unknown[]>(`${found[0]!.Path}/instances`)).length, 5)
    const below = await done<{ ID: string }>('POST', `/queries/${query.ID}/answers/0/query-series`, {
      Query: { Modality: '' },
    })
    assert.equal((await see<unknown[]>(`/queries/${below.ID}/answers`)).length, 1)
  })

  test.skipIf(!existsSync('/usr/bin/wlmscpfs'))('a worklist of wlmscpfs is read', async () => {
    const [port, place] = [await freePort(), folder()]
    mkdirSync(join(place, 'LIST'))
    writeFileSync(join(place, 'LIST', 'lockfile'), '')
    const dump = [
      '(0008,0005) CS [ISO_IR 100]',
      '(0010,0010) PN [M\xfcller^Worklist]',
      '(0010,0020) LO [W1]',
      '(0020,000d) UI [1.2.3.4.5]',
      '(0040,0100) SQ (Sequence with explicit length #=1)',
      '(fffe,e000) na (Item with explicit length #=3)',
      '(0008,0060) CS [CT]',
      '(0040,0001) AE [SCANNER]',
      '(0040,0002) DA [20260101]',
      '(fffe,e00d) na (ItemDelimitationItem for re-encoding)',
      '(fffe,e0dd) na (SequenceDelimitationItem for re-encod.)',
      '',
    ].join('\n')
    writeFileSync(join(place, 'one.dump'), Buffer.from(dump, 'latin1'))
    await run('dump2dcm', '-g', join(place, 'one.dump'), join(place, 'LIST', 'one.wl'))
    await startFor('wlmscpfs', port, '--disable-file-reject', '-dfp', place, String(port))
    await done('PUT', '/modalities/list', ['LIST', '127.0.0.1', port])
    const ask = (modality: string) =>
      done<Record<string, unknown>[]>('POST', '/modalities/list/find-worklist', {
        PatientName: '',
        PatientID: '',
        ScheduledProcedureStepSequence: [{ Modality: modality, ScheduledStationAETitle: '' }],
      })
    const [item] = await ask('CT')
    assert.equal(item!['PatientName'], 'Müller^Worklist')
    assert.deepEqual(item!['ScheduledProcedureStepSequence'], [
      { Modality: 'CT', ScheduledStationAETitle: 'SCANNER' },
    ])
    assert.deepEqual(await ask('MR'), [])
    assert.equal((await call('POST', '/modalities/list/find-worklist', { Nonsense: '' })).status, 400)
  })
})
