// Modification jobs on a server that is killed again and again: in the end every instance was made exactly once, with
// the same new identifiers in every file, and no source is gone of which nothing was made. And transfers between two
// servers of which either is killed.

import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { tags } from '../../src/domains/dicom/tag.ts'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'

const config = '[dialects.orthanc]\naccess = "open"\nJobsHistorySize = 1000\n'
const count = 150

/** Two series; every third instance is a file of its own, the others come with their rows. */
async function fill(server: RealServer): Promise<string> {
  let study = ''
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let number = lane; number < count; number += 4) {
      const bytes = aDicomFile({
        tags: {
          SeriesInstanceUID: `1.2.3.${number % 2}`,
          SOPInstanceUID: `1.2.9.${number}`,
          InstanceNumber: String(number),
        },
        pieces: [{ tag: tags.PixelData, vr: 'OW', bytes: new Uint8Array(number % 3 === 0 ? 600_000 : 2000) }],
      })
      const answer = await fetch(`${server.url}/instances`, { method: 'POST', body: Uint8Array.from(bytes) })
      study = ((await answer.json()) as { ParentStudy: string }).ParentStudy
    }
  })
  await Promise.all(lanes)
  return study
}

async function post(server: RealServer, path: string, body: object): Promise<{ ID: string }> {
  const answer = await fetch(server.url + path, { method: 'POST', body: JSON.stringify(body) })
  assert.equal(answer.status, 200, await answer.clone().text())
  return (await answer.json()) as { ID: string }
}

interface JobShown {
  readonly State: string
  readonly Progress: number
  readonly ErrorDetails: string
  readonly Content: Readonly<Record<string, unknown>>
}

const jobOf = async (server: RealServer, id: string): Promise<JobShown> =>
  (await server.ask(`/jobs/${id}`)).json as JobShown

/** Waits until a job has come past a share of its work, or has ended. */
async function past(server: RealServer, id: string, progress: number): Promise<JobShown> {
  for (;;) {
    const job = await jobOf(server, id)
    if (job.Progress > progress || job.State === 'Success' || job.State === 'Failure') return job
    await sleep(3)
  }
}

/** What was made below a resource: the numbers of the instances, which must be all, each once. */
async function assertMade(server: RealServer, study: string): Promise<void> {
  const instances = (await server.ask(`/studies/${study}/instances`)).json as {
    MainDicomTags: Record<string, string>
    ParentSeries: string
  }[]
  const numbers = instances.map(each => Number(each.MainDicomTags['InstanceNumber']))
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    Array.from({ length: count }, (_, number) => number),
  )
  assert.equal(new Set(instances.map(each => each.ParentSeries)).size, 2)
}

for (const keepsSource of [true, false]) {
  test(`an anonymization is taken up where it was after every kill (KeepSource ${keepsSource})`, async () => {
    const dataDir = freshDataDir(`orthanc-modify-kill-${keepsSource}`)
    try {
      let server = await startServer({ dataDir, config })
      const study = await fill(server)
      const { ID: id } = await post(server, `/studies/${study}/anonymize`, {
        Asynchronous: true,
        KeepSource: keepsSource,
      })
      let kills = 0
      let job = await past(server, id, 0)
      while (job.State !== 'Success' && job.State !== 'Failure' && kills < 3) {
        await server.kill()
        kills++
        server = await startServer({ dataDir, config })
        job = await past(server, id, Math.min(98, job.Progress + 5))
      }
      job = await past(server, id, 100)
      assert.equal(job.State, 'Success', job.ErrorDetails)
      assert.ok(kills >= 1, `only ${kills} kills`)
      assert.equal(job.Content['FailedInstancesCount'], 0)
      await assertMade(server, job.Content['ID'] as string)
      const studies = (await server.ask('/studies')).json as string[]
      assert.equal(studies.length, keepsSource ? 2 : 1)
      assert.equal((await server.ask('/statistics')).json.CountInstances, keepsSource ? 2 * count : count)
      if (keepsSource) await assertMade(server, study)
      await server.stop()
    } finally {
      rmSync(dataDir, { recursive: true, force: true })
    }
  })
}

test('a transfer between two servers survives kills of either, and stores all or nothing', async () => {
  const dirs = [freshDataDir('orthanc-transfer-a'), freshDataDir('orthanc-transfer-b')] as const
  const transfers = '[dialects.orthanc.Transfers]\nThreads = 2\nBucketSize = 1024\n'
  const peers = (url: string): string =>
    `${config}${transfers}[dialects.orthanc.OrthancPeers.other]\nUrl = "${url}"\nRetries = 1000\nRetryDelay = 1\n`
  try {
    let receiver = await startServer({ dataDir: dirs[1], config: config + transfers })
    const { port } = new URL(receiver.url)
    let sender = await startServer({ dataDir: dirs[0], config: peers(receiver.url) })
    const study = await fill(sender)
    const { ID: id } = await post(sender, '/transfers/send', {
      Resources: [{ Level: 'Study', ID: study }],
      Peer: 'other',
    })
    for (let round = 0; round < 3; round++) {
      const job = await past(sender, id, 5 + 20 * round)
      if (job.State === 'Success') break
      const stored = (await receiver.ask('/statistics')).json.CountInstances
      assert.ok(stored === 0 || stored === count, `${stored} instances of a transfer that goes on`)
      if (round % 2 === 0) {
        await receiver.kill()
        receiver = await startServer({ dataDir: dirs[1], config: config + transfers, port: Number(port) })
      } else {
        await sender.kill()
        sender = await startServer({ dataDir: dirs[0], config: peers(receiver.url) })
      }
    }
    const job = await past(sender, id, 100)
    assert.equal(job.State, 'Success', job.ErrorDetails)
    await assertMade(receiver, study)
    await sender.stop()
    await receiver.stop()
  } finally {
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
  }
})
