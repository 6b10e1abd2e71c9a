// Thousands of instances over the DICOM network, to and from DCMTK and the real Orthanc, with either side killed in the
// middle: what was acknowledged is there, and what was not is sent.

import assert from 'node:assert/strict'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, onTestFinished, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { hasDcmtk, run, start } from '../support/dcmtk.ts'
import { freePort } from '../support/free-port.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'
import { hasOrthanc, startRealOrthanc } from './real-orthanc.ts'

const count = 2000

/** Gone when the test is over, with the configuration beside it. */
function freshFolder(): string {
  const folder = freshDataDir('dicom-kill')
  onTestFinished(() => {
    for (const path of [folder, `${folder}.toml`]) rmSync(path, { recursive: true, force: true })
  })
  return folder
}

/** Files of one study in a folder of their own. */
function writeFiles(root: string, amount: number): string {
  const folder = freshFolder()
  for (let index = 1; index <= amount; index++) {
    const tags = {
      ...{ PatientID: root, StudyInstanceUID: root, SeriesInstanceUID: `${root}.1`, StudyID: 'S' },
      ...{ SOPInstanceUID: `${root}.1.${index}`, InstanceNumber: String(index), AccessionNumber: 'A' },
    }
    writeFileSync(join(folder, `${String(index).padStart(5, '0')}.dcm`), aDicomFile({ tags }))
  }
  return folder
}

const config = (lines: readonly string[]): string =>
  ['[dialects.orthanc]', 'access = "open"', 'JobsHistorySize = 100', ...lines, ''].join('\n')

async function see<T>(base: string, path: string, body?: unknown): Promise<T> {
  const sent = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  const answer = await fetch(base + path, sent)
  const text = await answer.text()
  assert.equal(answer.status, 200, `${path}: ${text}`)
  return JSON.parse(text) as T
}

const countOf = async (base: string): Promise<number> =>
  (await see<{ CountInstances: number }>(base, '/statistics')).CountInstances

async function untilCount(base: string, atLeast: number): Promise<number> {
  for (let turn = 0; turn < 2000; turn++) {
    const found = await countOf(base)
    if (found >= atLeast) return found
    await sleep(10)
  }
  throw new Error(`there are less than ${atLeast} instances`)
}

async function untilEnd(base: string, id: string): Promise<{ State: string; ErrorDetails: string }> {
  for (let turn = 0; turn < 3000; turn++) {
    const job = await see<{ State: string; ErrorDetails: string }>(base, `/jobs/${id}`)
    if (job.State === 'Success' || job.State === 'Failure') return job
    await sleep(20)
  }
  throw new Error(`job ${id} did not end`)
}

describe.skipIf(!hasDcmtk)('a kill in the middle of thousands of instances', () => {
  test('what storescu was told to be stored is there after our server was killed', {
    timeout: 120_000,
  }, async () => {
    const [dataDir, dicomPort] = [freshFolder(), await freePort()]
    const text = config([`DicomPort = ${dicomPort}`])
    let server: RealServer = await startServer({ dataDir, config: text })
    onTestFinished(async () => void (await server.stop()))
    const folder = writeFiles('1.2.901', count)
    const sending = run('storescu', '-v', '+sd', '127.0.0.1', String(dicomPort), folder).catch(
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    )
    await untilCount(server.url, count / 4)
    await server.kill()
    const acknowledged = (await sending).match(/Received Store Response \(Success\)/g)?.length ?? 0
    assert.ok(acknowledged >= count / 4 && acknowledged < count, `${acknowledged} were acknowledged`)
    server = await startServer({ dataDir, config: text })
    const kept = await countOf(server.url)
    assert.ok(kept >= acknowledged, `${acknowledged} were acknowledged, and ${kept} are there`)
    assert.ok(kept <= acknowledged + 1)
    // All of them again: those that are there are taken as such.
    await run('storescu', '+sd', '127.0.0.1', String(dicomPort), folder)
    assert.equal(await countOf(server.url), count)
  })

  test.skipIf(!hasOrthanc)(
    'a store job to the real Orthanc goes on with the rest after ours was killed, and after theirs was',
    { timeout: 180_000 },
    async () => {
      const [dataDir, dicomPort] = [freshFolder(), await freePort()]
      const peer = await startRealOrthanc({
        OverwriteInstances: true,
        DicomModalities: { yard: ['ORTHANC', '127.0.0.1', dicomPort] },
      })
      onTestFinished(() => peer.close())
      const text = config([
        `DicomPort = ${dicomPort}`,
        `DicomModalities = { real = { AET = "ORTHANC", Host = "127.0.0.1", Port = ${peer.dicomPort}, Retries = 5, RetryDelay = 1 } }`,
      ])
      let server: RealServer = await startServer({ dataDir, config: text })
      onTestFinished(async () => void (await server.stop()))
      await run('storescu', '+sd', '127.0.0.1', String(dicomPort), writeFiles('1.2.902', count))
      const [study] = await see<string[]>(server.url, '/studies')
      const { ID: id } = await see<{ ID: string }>(server.url, '/modalities/real/store', {
        Resources: [study],
        Asynchronous: true,
      })
      await untilCount(peer.url, count / 5)
      await server.kill()
      const before = await countOf(peer.url)
      assert.ok(before < count)
      server = await startServer({ dataDir, config: text })
      await untilCount(peer.url, Math.min(count - 100, before + count / 5))
      await peer.kill()
      await sleep(200)
      await peer.again()
      const job = await untilEnd(server.url, id)
      assert.equal(job.State, 'Success', job.ErrorDetails)
      assert.equal(await countOf(peer.url), count)

      // And back: a retrieve of what is there, into a yard that has nothing.
      await fetch(`${server.url}/studies/${study}`, { method: 'DELETE' })
      const query = await see<{ ID: string }>(server.url, '/modalities/real/query', {
        Level: 'Study',
        Query: { StudyInstanceUID: '1.2.902' },
      })
      const retrieve = await see<{ ID: string }>(server.url, `/queries/${query.ID}/retrieve`, {
        Asynchronous: true,
      })
      await untilCount(server.url, count / 4)
      await server.kill()
      server = await startServer({ dataDir, config: text })
      assert.equal((await untilEnd(server.url, retrieve.ID)).State, 'Success')
      assert.equal(await countOf(server.url), count)
    },
  )

  test.skipIf(!hasOrthanc)(
    'a store job of the real Orthanc to us brings all, after ours was killed, and after theirs was',
    { timeout: 180_000 },
    async () => {
      const [dataDir, dicomPort] = [freshFolder(), await freePort()]
      const peer = await startRealOrthanc({
        DicomModalities: { yard: ['ORTHANC', '127.0.0.1', dicomPort] },
        // A kill leaves what the system has not written yet.
        SyncStorageArea: false,
      })
      onTestFinished(() => peer.close())
      const text = config([`DicomPort = ${dicomPort}`])
      let server: RealServer = await startServer({ dataDir, config: text })
      onTestFinished(async () => void (await server.stop()))
      await run('storescu', '+sd', '127.0.0.1', String(peer.dicomPort), writeFiles('1.2.904', count))
      const [study] = await see<string[]>(peer.url, '/studies')
      const wish = { Resources: [study], Asynchronous: true }
      const { ID: id } = await see<{ ID: string }>(peer.url, '/modalities/yard/store', wish)
      await untilCount(server.url, count / 5)
      await server.kill()
      server = await startServer({ dataDir, config: text })
      assert.equal((await untilEnd(peer.url, id)).State, 'Failure')
      const kept = await countOf(server.url)
      assert.ok(kept >= count / 5 && kept < count)
      await see(peer.url, `/jobs/${id}/resubmit`, {})
      // It begins anew, and what is here already changes nothing.
      await sleep(500)
      await peer.kill()
      await peer.again()
      // The association of the one that is gone is not what keeps the next one out.
      const again = await see<{ ID: string }>(peer.url, '/modalities/yard/store', wish)
      assert.equal((await untilEnd(peer.url, again.ID)).State, 'Success')
      assert.equal(await countOf(server.url), count)
    },
  )

  test('a job to a storescp that is killed fails with the reason, and its resubmission brings the rest', {
    timeout: 120_000,
  }, async () => {
    const [dataDir, dicomPort, scpPort] = [freshFolder(), await freePort(), await freePort()]
    const text = config([
      `DicomPort = ${dicomPort}`,
      `DicomModalities = { scp = ["SCP", "127.0.0.1", ${scpPort}] }`,
    ])
    const server = await startServer({ dataDir, config: text })
    onTestFinished(async () => void (await server.stop()))
    await run('storescu', '+sd', '127.0.0.1', String(dicomPort), writeFiles('1.2.903', count))
    const [study] = await see<string[]>(server.url, '/studies')
    const folder = freshFolder()
    const open = () => start('storescp', scpPort, '-aet', 'SCP', '-od', folder, String(scpPort))
    const first = await open()
    const { ID: id } = await see<{ ID: string }>(server.url, '/modalities/scp/store', {
      Resources: [study],
      Asynchronous: true,
    })
    while (readdirSync(folder).length < count / 4) await sleep(10)
    await first.kill('SIGKILL')
    const failed = await untilEnd(server.url, id)
    assert.equal(failed.State, 'Failure')
    assert.match(failed.ErrorDetails, /closed the connection|connection broke|Connection/)
    const before = readdirSync(folder).length
    const second = await open()
    onTestFinished(() => second.kill())
    await fetch(`${server.url}/jobs/${id}/resubmit`, { method: 'POST' })
    const done = await untilEnd(server.url, id)
    assert.equal(done.State, 'Success', done.ErrorDetails)
    assert.ok(before < count)
    assert.equal(readdirSync(folder).length, count)
  })
})
