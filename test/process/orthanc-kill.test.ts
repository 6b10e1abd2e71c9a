// Uploads and archive jobs on a server that is killed: whatever was acknowledged is there, byte for byte, and nothing
// else is half there. And a disk that runs full under uploads.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { tags } from '../../src/domains/dicom/tag.ts'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'
import { listZip } from '../support/zip-listing.ts'

const config = '[dialects.orthanc]\naccess = "open"\nJobsHistorySize = 1000\nMediaArchiveSize = 1000\n'
const kills = 8
const clients = 5

/** Small ones come with their rows, large ones are files. */
function instance(number: number): Uint8Array {
  const pixels = new Uint8Array(number % 7 === 0 ? 200_000 : 6000).fill(number % 251)
  return aDicomFile({
    tags: {
      PatientID: `K${number % 3}`,
      StudyInstanceUID: `1.2.${number % 3}`,
      SeriesInstanceUID: `1.2.${number % 3}.${Math.floor(number / 40)}`,
      SOPInstanceUID: `1.2.9.${number}`,
    },
    pieces: [{ tag: tags.PixelData, vr: 'OW', bytes: pixels }],
  })
}

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')

async function upload(server: RealServer, bytes: Uint8Array): Promise<{ status: number; id: string }> {
  const answer = await fetch(`${server.url}/instances`, { method: 'POST', body: Uint8Array.from(bytes) })
  const { ID: id = '' } = (await answer.json()) as { ID?: string }
  return { status: answer.status, id }
}

async function fileOf(server: RealServer, id: string): Promise<Buffer> {
  const answer = await fetch(`${server.url}/instances/${id}/file`)
  assert.equal(answer.status, 200, `instance ${id} is lost`)
  return Buffer.from(await answer.arrayBuffer())
}

/** Everything that is listed can be read, and the totals say what is there. */
async function assertWhole(server: RealServer, kept: ReadonlyMap<string, string>): Promise<void> {
  const listed = new Set((await server.ask('/instances')).json as string[])
  for (const [id, hash] of kept) {
    assert.ok(listed.has(id), `instance ${id} is lost`)
    assert.equal(md5(await fileOf(server, id)), hash)
  }
  let bytes = 0
  for (const id of listed) {
    if (!kept.has(id)) await fileOf(server, id)
    bytes += (await server.ask(`/instances/${id}`)).json.FileSize
  }
  const { json } = await server.ask('/statistics')
  assert.deepEqual([json.CountInstances, Number(json.TotalDiskSize)], [listed.size, bytes])
}

test(`uploads and archives survive ${kills} kills`, async () => {
  const dataDir = freshDataDir('orthanc-kill')
  const kept = new Map<string, string>()
  const jobs = new Set<string>()
  let number = 0
  try {
    for (let round = 0; round < kills; round++) {
      const server = await startServer({ dataDir, config })
      let isOver = false
      const lanes = Array.from({ length: clients }, async (_, lane) => {
        while (!isOver) {
          const bytes = instance(number++)
          const stored = await upload(server, bytes).catch(() => undefined)
          if (stored?.status === 200) kept.set(stored.id, md5(bytes))
          if (lane > 0 || number % 20 !== 0) continue
          const study = (await server.ask('/studies').catch(() => undefined))?.json?.[0]
          const body = JSON.stringify({ Asynchronous: true })
          const job = await server
            .ask(`/studies/${study}/archive`, { method: 'POST', body })
            .catch(() => undefined)
          if (job?.status === 200) jobs.add(job.json.ID)
        }
      })
      await sleep(400 + 137 * round)
      const killed = server.kill()
      isOver = true
      await Promise.all([killed, ...lanes])
    }
    const server = await startServer({ dataDir, config })
    try {
      assert.ok(kept.size > 50 && jobs.size > 0, `${kept.size} instances, ${jobs.size} jobs`)
      await assertWhole(server, kept)
      for (const id of jobs) {
        let state = ''
        for (let turn = 0; turn < 1200 && state !== 'Success'; turn++) {
          state = (await server.ask(`/jobs/${id}`)).json.State
          assert.notEqual(state, 'Failure', `archive ${id}`)
          if (state !== 'Success') await sleep(50)
        }
        const answer = await fetch(`${server.url}/jobs/${id}/archive`)
        const zip = Buffer.from(await answer.arrayBuffer())
        assert.equal(listZip(zip).length, (await server.ask(`/jobs/${id}`)).json.Content.InstancesCount)
      }
    } finally {
      await server.stop()
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
    rmSync(`${dataDir}.toml`, { force: true })
  }
})

const mountPoint = mkdtempSync(join(tmpdir(), 'switchyard-orthanc-full-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', mountPoint]).status === 0

test.skipIf(!mounted)('a disk that runs full refuses uploads, and keeps what it has taken', async () => {
  const dataDir = join(mountPoint, 'data')
  const server = await startServer({ dataDir, config })
  const kept = new Map<string, string>()
  try {
    for (let at = 0; at < 20; at++) {
      const stored = await upload(server, instance(at))
      kept.set(stored.id, md5(instance(at)))
    }
    const ballast = join(mountPoint, 'ballast')
    const { bavail, bsize } = statfsSync(mountPoint)
    writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 300_000)))
    let refused = 0
    for (let at = 20; at < 200 && refused < 5; at++) {
      const { status, id } = await upload(server, instance(at))
      if (status === 200) kept.set(id, md5(instance(at)))
      else refused++
    }
    assert.equal(refused, 5)
    rmSync(ballast)
    let status = 0
    for (let turn = 0; turn < 200 && status !== 200; turn++) {
      const stored = await upload(server, instance(999))
      status = stored.status
      if (status === 200) kept.set(stored.id, md5(instance(999)))
      else await sleep(100)
    }
    assert.equal(status, 200, 'the server does not heal')
    await assertWhole(server, kept)
  } finally {
    await server.stop()
    spawnSync('umount', [mountPoint])
    rmSync(mountPoint, { recursive: true, force: true })
    rmSync(`${dataDir}.toml`, { force: true })
  }
})
