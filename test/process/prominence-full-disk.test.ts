// A PROMINENCE server whose disk runs full while results are taken out of jobs, while a snapshot is packed, and while an
// upload comes in: what was asked for fails, by its name, and everything else goes on.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeBusyboxImage } from '../../scripts/busybox-image.ts'
import { missingForContainers } from '../contract/prominence-server.ts'
import { program, type RealServer, startServer } from '../support/server.ts'

const missing = missingForContainers()
const mountPoint = mkdtempSync(join(tmpdir(), 'switchyard-prominence-full-'))
const mounted =
  missing === undefined &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', mountPoint]).status === 0

const resources = { cpus: 1, memory: 0.1, disk: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

describe.skipIf(!mounted)(
  'a PROMINENCE server whose disk runs full (skipped where nothing can be mounted)',
  () => {
    const dataDir = join(mountPoint, 'data')
    let server: RealServer

    beforeAll(async () => {
      const image = join(mountPoint, 'busybox.tar')
      await writeBusyboxImage(image)
      const words = ['image', 'import', image, '--name', 'busybox', '--data', dataDir]
      expect(spawnSync(program, words, { encoding: 'utf8' })).toMatchObject({ status: 0 })
      rmSync(image)
      const config = ['[executors.container]', 'drivers = ["rootfs"]', '[pools.prominence]', 'cpus = 2', '']
      server = await startServer({ dataDir, config: config.join('\n') })
    })
    afterAll(async () => {
      try {
        // What a failed test left running would keep the disk busy.
        for (const { id } of (await server?.ask('/api/v1/jobs'))?.json ?? []) {
          await server.ask(`/api/v1/jobs/${id}`, { method: 'DELETE' })
          await ended(id)
        }
        await server?.stop()
      } finally {
        spawnSync('umount', ['--lazy', mountPoint])
        rmSync(mountPoint, { recursive: true, force: true })
        rmSync(`${dataDir}.toml`, { force: true })
      }
    })

    async function submit(document: object): Promise<number> {
      const { status, json, text } = await server.ask('/api/v1/jobs', { body: document })
      expect(status, text).toBe(201)
      return (json as { id: number }).id
    }

    async function until(
      id: number,
      isWanted: (status: string) => boolean,
    ): Promise<Record<string, unknown>> {
      for (const end = Date.now() + 90_000; Date.now() < end; await sleep(50)) {
        const { status, json } = await server.ask(`/api/v1/jobs/${id}`)
        const [shown] = status === 200 ? (json as { status: string }[]) : []
        if (shown !== undefined && isWanted(shown.status)) return shown
      }
      throw new Error(`job ${id} never became what was waited for`)
    }
    const ended = (id: number) => until(id, status => status !== 'pending' && status !== 'running')

    async function works(): Promise<void> {
      const id = await submit({ resources, tasks: [task('echo well')] })
      expect(await ended(id)).toMatchObject({ status: 'completed' })
      expect((await server.ask(`/api/v1/jobs/${id}/stdout`)).text).toBe('well\n')
      // The same process as ever: it would have to be started again by somebody.
      expect(() => process.kill(server.pid, 0)).not.toThrow()
    }

    test.each([
      ['a directory', { outputDirs: ['d'] }],
      ['a file', { outputFiles: ['d/big'] }],
    ])('%s that cannot be kept fails its job', async (_, outputs) => {
      const id = await submit({
        ...{ resources, ...outputs },
        tasks: [task('sh -c "mkdir d; head -c 55000000 /dev/urandom > d/big; echo made"')],
      })
      expect(await ended(id)).toMatchObject({
        status: 'failed',
        statusReason: 'Unable to stageout output to object storage',
      })
      await works()
    })

    test('a snapshot and an upload that cannot be kept are refused', async () => {
      const id = await submit({
        resources,
        tasks: [task('sh -c "mkdir d; head -c 55000000 /dev/urandom > d/big; echo made; exec sleep 600"')],
      })
      await until(id, status => status === 'running')
      while (!(await server.ask(`/api/v1/jobs/${id}/stdout`)).text.includes('made')) await sleep(50)
      const snapshot = await server.ask(`/api/v1/jobs/${id}/snapshot?path=d`, { method: 'PUT' })
      const full = { error: 'The server cannot store anything at the moment: its disk is full' }
      expect([snapshot.status, snapshot.json]).toEqual([503, full])
      const { url } = (await server.ask('/api/v1/data/upload', { body: { filename: 'big' } })).json as {
        url: string
      }
      const upload = await fetch(url, { method: 'PUT', body: Buffer.alloc(60_000_000, 'x') })
      expect([upload.status, await upload.json()]).toEqual([503, full])
      expect((await server.ask('/api/v1/data')).json).toEqual([])
      // A document that goes by way of the disk.
      const inputs = [{ filename: 'in', content: 'AAAA'.repeat(12_000_000) }]
      const submission = await server.ask('/api/v1/jobs', {
        body: { resources, tasks: [task('true')], inputs },
      })
      expect([submission.status, submission.json]).toEqual([503, full])
      await works()
      expect((await server.ask(`/api/v1/jobs/${id}`, { method: 'DELETE' })).status).toBe(200)
      await ended(id)
      const again = await fetch(url, { method: 'PUT', body: Buffer.alloc(30_000_000, 'x') })
      expect(again.status).toBe(200)
      await works()
    })
  },
)
