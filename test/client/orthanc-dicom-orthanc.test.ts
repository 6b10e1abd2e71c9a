// The real Orthanc as a modality, and us as a modality of the real Orthanc: every service, asked from either side.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { type OrthancServer, startOrthanc } from '../contract/orthanc-server.ts'
import { freePort } from '../support/free-port.ts'
import { hasShared, sharedPath } from '../support/shared.ts'
import { hasOrthanc, type RealOrthanc, startRealOrthanc } from './real-orthanc.ts'

let ours: OrthancServer
let theirs: RealOrthanc

async function send<T>(base: string, method: string, path: string, body?: unknown): Promise<T> {
  const sent = body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body)
  const answer = await fetch(base + path, { method, ...(body === undefined ? {} : { body: sent }) })
  const text = await answer.text()
  assert.equal(answer.status, 200, `${method} ${path}: ${text}`)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

async function fill(base: string, root: string, count = 4): Promise<string> {
  let study = ''
  for (let index = 1; index <= count; index++) {
    const tags = {
      ...{
        PatientID: root,
        PatientName: 'Müller^Jürgen',
        StudyInstanceUID: root,
        AccessionNumber: root.slice(-2),
      },
      ...{
        SeriesInstanceUID: `${root}.1`,
        SOPInstanceUID: `${root}.1.${index}`,
        InstanceNumber: String(index),
      },
      ...{ StudyDescription: 'FROM HERE', StudyID: 'S1' },
    }
    const file = aDicomFile({ tags, terms: ['ISO_IR 192'] })
    study = (await send<Record<string, string>>(base, 'POST', '/instances', file))['ParentStudy']!
  }
  return study
}

const instancesOf = async (base: string, study: string): Promise<string[]> =>
  (await send<{ ID: string }[]>(base, 'GET', `/studies/${study}/instances`)).map(({ ID }) => ID).sort()

async function queried(
  base: string,
  modality: string,
  body: unknown,
): Promise<{ path: string; answers: Record<string, string>[] }> {
  const { Path: path } = await send<{ Path: string }>(base, 'POST', `/modalities/${modality}/query`, body)
  return { path, answers: await send(base, 'GET', `${path}/answers?expand&simplify`) }
}

async function report(base: string, path: string): Promise<{ Status: string; Success?: unknown[] }> {
  for (let turn = 0; turn < 400; turn++) {
    const found = await send<{ Status: string; Success?: unknown[] }>(base, 'GET', path)
    if (found.Status !== 'Pending') return found
    await sleep(25)
  }
  throw new Error('no report came')
}

describe.skipIf(!hasOrthanc)('the real Orthanc', () => {
  beforeAll(async () => {
    const port = await freePort()
    theirs = await startRealOrthanc({
      DicomAet: 'REAL',
      DicomModalities: { yard: ['YARD', '127.0.0.1', port] },
    })
    ours = await startOrthanc({
      DicomAet: 'YARD',
      DicomPort: port,
      DicomModalities: { real: ['REAL', '127.0.0.1', theirs.dicomPort] },
    })
  })
  afterAll(async () => {
    await ours.close()
    await theirs.close()
  })

  test('each answers the echo of the other', async () => {
    await send(ours.url, 'POST', '/modalities/real/echo', { CheckFind: true })
    await send(theirs.url, 'POST', '/modalities/yard/echo', { CheckFind: true })
  })

  test('it stores to us, whatever the transfer syntax', async () => {
    const study = await fill(theirs.url, '1.2.31')
    const resources = [study]
    if (hasShared('recordings', 'orthanc', 'files')) {
      for (const name of [
        'jpeg',
        'rle',
        'deflated',
        'bigendian',
        'implicit',
        'japanese-iso2022',
        'private',
      ]) {
        const file = readFileSync(sharedPath('recordings', 'orthanc', 'files', `${name}.dcm`))
        resources.push((await send<{ ID: string }>(theirs.url, 'POST', '/instances', file)).ID)
      }
    }
    const sent = await send<Record<string, number>>(theirs.url, 'POST', '/modalities/yard/store', resources)
    assert.equal(sent['FailedInstancesCount'], 0)
    assert.deepEqual(await instancesOf(ours.url, study), await instancesOf(theirs.url, study))
    for (const id of resources.slice(1)) {
      const tags = `/instances/${id}/tags?short`
      assert.deepEqual(await send(ours.url, 'GET', tags), await send(theirs.url, 'GET', tags))
    }
  })

  test('it finds what is here, and retrieves it by C-MOVE', async () => {
    const study = await fill(ours.url, '1.2.32')
    const { path, answers } = await queried(theirs.url, 'yard', {
      Level: 'Study',
      Query: { PatientName: '*jürgen', StudyDescription: '', NumberOfStudyRelatedInstances: '' },
    })
    const found = answers.find(answer => answer['StudyInstanceUID'] === '1.2.32')!
    assert.equal(found['PatientName'], 'Müller^Jürgen')
    assert.deepEqual([found['StudyDescription'], found['NumberOfStudyRelatedInstances']], ['FROM HERE', '4'])
    await send(theirs.url, 'POST', `${path}/answers/${answers.indexOf(found)}/retrieve`, {
      TargetAet: 'REAL',
    })
    assert.deepEqual(await instancesOf(theirs.url, study), await instancesOf(ours.url, study))
    const below = await queried(theirs.url, 'yard', {
      Level: 'Instance',
      Query: { StudyInstanceUID: '1.2.32' },
    })
    assert.equal(below.answers.length, 4)
    await send(theirs.url, 'POST', '/modalities/yard/move', {
      Level: 'Series',
      Resources: [{ StudyInstanceUID: '1.2.32', SeriesInstanceUID: '1.2.32.1' }],
      TargetAet: 'REAL',
    })
  })

  test('what it has is found by us, and retrieved', async () => {
    const study = await fill(theirs.url, '1.2.33', 30)
    const { path, answers } = await queried(ours.url, 'real', {
      Level: 'Study',
      Query: { StudyInstanceUID: '1.2.33', PatientName: '' },
    })
    assert.equal(answers[0]!['PatientName'], 'Müller^Jürgen')
    const content = await send<Record<string, unknown>>(ours.url, 'POST', `${path}/retrieve`, {})
    assert.deepEqual(
      [content['RemoteAet'], content['TargetAet'], content['CompletedSubOperations']],
      ['REAL', 'YARD', 30],
    )
    assert.deepEqual(await instancesOf(ours.url, study), await instancesOf(theirs.url, study))
  })

  test('storage is committed in both directions', async () => {
    const study = await fill(ours.url, '1.2.34')
    const stored = await send<Record<string, string>>(ours.url, 'POST', '/modalities/real/store', {
      Resources: [study],
      StorageCommitment: true,
    })
    const ourReport = await report(
      ours.url,
      `/storage-commitment/${stored['StorageCommitmentTransactionUID']}`,
    )
    assert.deepEqual([ourReport.Status, ourReport.Success?.length], ['Success', 4])
    const other = await fill(theirs.url, '1.2.35')
    const back = await send<Record<string, string>>(theirs.url, 'POST', '/modalities/yard/store', {
      Resources: [other],
      StorageCommitment: true,
    })
    const theirReport = await report(
      theirs.url,
      `/storage-commitment/${back['StorageCommitmentTransactionUID']}`,
    )
    assert.deepEqual([theirReport.Status, theirReport.Success?.length], ['Success', 4])
  })
})
