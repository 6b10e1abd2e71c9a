// The real Orthanc as a peer, in both directions, with either side killed in the middle: every instance arrives, byte for
// byte, and none is lost or there twice.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'
import { hasOrthanc, type RealOrthanc, startRealOrthanc } from './real-orthanc.ts'

const count = 2000

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes, looked into by each test.
type Answer = any

/** Patients apart, so that what one direction moved is not in the way of the other. */
function* files(patient: string): Generator<Uint8Array> {
  for (let number = 0; number < count; number++) {
    yield aDicomFile({
      tags: {
        PatientID: patient,
        StudyInstanceUID: `1.2.3.${patient.length}`,
        SeriesInstanceUID: `1.2.3.${patient.length}.${number % 4}`,
        SOPInstanceUID: `1.2.3.${patient.length}.9.${number}`,
      },
      pixelBytes: 1000 + (number % 5) * 300,
    })
  }
}

/** Uploads all files; the id of their study, and the hashes of the files by instance. */
async function fill(url: string, patient: string): Promise<{ study: string; hashes: Map<string, string> }> {
  const hashes = new Map<string, string>()
  const queue = files(patient)
  let study = ''
  const lanes = Array.from({ length: 4 }, async () => {
    for (const file of queue) {
      const answer = await fetch(`${url}/instances`, { method: 'POST', body: Uint8Array.from(file) })
      const { ID: id, ParentStudy: parent } = (await answer.json()) as { ID: string; ParentStudy: string }
      hashes.set(id, createHash('md5').update(file).digest('hex'))
      study = parent
    }
  })
  await Promise.all(lanes)
  return { study, hashes }
}

async function call(method: string, url: string, body?: object): Promise<Answer> {
  const answer = await fetch(url, { method, ...(body ? { body: JSON.stringify(body) } : {}) })
  const text = await answer.text()
  assert.equal(answer.status, 200, `${method} ${url}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

async function past(url: string, id: string, progress: number): Promise<Answer> {
  for (;;) {
    const job = await call('GET', `${url}/jobs/${id}`)
    if (job.Progress > progress || job.State === 'Success' || job.State === 'Failure') return job
    await sleep(10)
  }
}

async function assertThere(url: string, study: string, hashes: ReadonlyMap<string, string>): Promise<void> {
  const instances = (await call('GET', `${url}/studies/${study}/instances`)) as { ID: string }[]
  assert.equal(instances.length, count)
  for (const { ID: id } of instances.filter((_, index) => index % 37 === 0)) {
    const file = await (await fetch(`${url}/instances/${id}/file`)).arrayBuffer()
    assert.equal(createHash('md5').update(new Uint8Array(file)).digest('hex'), hashes.get(id))
  }
}

describe.skipIf(!hasOrthanc)('the real Orthanc as a peer (skipped without it)', () => {
  let real: RealOrthanc
  let ours: RealServer
  let port: number
  const dataDir = freshDataDir('orthanc-peers')
  const start = (): Promise<RealServer> =>
    startServer({
      dataDir,
      ...(port ? { port } : {}),
      config:
        '[dialects.orthanc]\naccess = "open"\nJobsHistorySize = 100\n' +
        `[dialects.orthanc.OrthancPeers]\nreal = ["${real.url}/", "alice", "secret"]\nwrong = ["${real.url}/", "alice", "x"]\n`,
    })
  beforeAll(async () => {
    real = await startRealOrthanc({ AuthenticationEnabled: false, SyncStorageArea: false })
    ours = await start()
    port = Number(new URL(ours.url).port)
  })
  afterAll(async () => {
    await ours?.stop()
    await real?.close()
    rmSync(dataDir, { recursive: true, force: true })
  })

  test('what we send arrives, though we are killed twice on the way', async () => {
    const { study, hashes } = await fill(ours.url, 'SENT')
    assert.equal((await call('GET', `${ours.url}/peers/real/system`)).ApiVersion, 16)
    const { ID: id } = await call('POST', `${ours.url}/peers/real/store`, {
      Resources: [study],
      Asynchronous: true,
    })
    for (const share of [10, 40]) {
      await past(ours.url, id, share)
      await ours.kill()
      ours = await start()
    }
    const job = await past(ours.url, id, 100)
    assert.equal(job.State, 'Success', job.ErrorDetails)
    assert.equal(job.Content.InstancesCount, count)
    assert.equal(job.Content.FailedInstancesCount, 0)
    await assertThere(real.url, study, hashes)
  })

  test('what we send arrives, though the real one is killed on the way', async () => {
    const { study, hashes } = await fill(ours.url, 'TAKEN')
    const wish = { Resources: [study], Asynchronous: true }
    const { ID: id } = await call('POST', `${ours.url}/peers/real/store`, wish)
    await past(ours.url, id, 20)
    await real.kill()
    let job = await past(ours.url, id, 100)
    assert.equal(job.State, 'Failure')
    await real.again()
    const sent = job.Progress
    await call('POST', `${ours.url}/jobs/${id}/resubmit`, {})
    for (job = await past(ours.url, id, 100); job.State !== 'Success'; job = await past(ours.url, id, 100)) {
      assert.ok(job.State === 'Failure' || job.Progress >= sent - 1, 'it goes on with what was left')
      await sleep(50)
    }
    assert.equal(job.Content.InstancesCount, count)
    // The real one forgets what it had not written out: what it has told us that it has must be there.
    await assertThere(real.url, study, hashes)
  })

  test('what the real one sends arrives, though we are killed on the way', async () => {
    const { study, hashes } = await fill(real.url, 'RECEIVED')
    await call('PUT', `${real.url}/peers/ours`, [`${ours.url}/`])
    const wish = { Resources: [study], Asynchronous: true, Compress: true }
    const { ID: id } = await call('POST', `${real.url}/peers/ours/store`, wish)
    await past(real.url, id, 20)
    await ours.kill()
    ours = await start()
    let job = await past(real.url, id, 100)
    if (job.State === 'Failure') {
      await call('POST', `${real.url}/jobs/${id}/resubmit`, {})
      // Its progress stays what it was until it runs again.
      for (job = await past(real.url, id, 100); job.State !== 'Success'; job = await past(real.url, id, 100))
        await sleep(50)
    }
    await assertThere(ours.url, study, hashes)
  })

  test('the same anonymization of the same study leaves the same tags of the studies', async () => {
    const [study] = (await call('GET', `${real.url}/studies`)) as string[]
    const made = await Promise.all(
      [real.url, ours.url].map(async url => {
        const content = await call('POST', `${url}/studies/${study}/anonymize`, {
          Keep: ['StudyDescription'],
        })
        assert.equal(content.InstancesCount, count)
        return call('GET', `${url}${content.Path}`)
      }),
    )
    const [theirs, mine] = made.map(each => ({
      ...each.MainDicomTags,
      ...each.PatientMainDicomTags,
      StudyInstanceUID: '',
      PatientID: '',
    }))
    assert.deepEqual(mine, theirs)
    assert.deepEqual(made[1].Series.length, made[0].Series.length)
  })
})
