// A PROMINENCE workflow on a server that is killed with SIGKILL again and again: nothing is lost, nothing runs twice.

import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { writeBusyboxImage } from '../../scripts/busybox-image.ts'
import { missingForContainers } from '../contract/prominence-server.ts'
import { freshDataDir, program, type RealServer, startServer } from '../support/server.ts'

const resources = { cpus: 1, memory: 0.1, disk: 1 }
const kills = 6

interface Shown {
  readonly id: number
  readonly name: string
  readonly status: string
  readonly progress: Record<string, number>
  readonly execution: { readonly tasks: readonly { readonly exitCode: number }[] }
  readonly outputFiles: readonly { readonly url: string }[]
}

test.skipIf(missingForContainers() !== undefined)(
  'a workflow with a factory survives a server that is killed again and again',
  async () => {
    const dataDir = freshDataDir('prominence')
    const image = join(dataDir, 'busybox.tar')
    await writeBusyboxImage(image)
    const words = ['image', 'import', image, '--name', 'busybox', '--data', dataDir]
    expect(spawnSync(program, words, { encoding: 'utf8' })).toMatchObject({ status: 0 })
    let server: RealServer = await startServer({ dataDir })
    try {
      const task = (cmd: string) => [{ image: 'busybox', runtime: 'singularity', cmd }]
      const submitted = await server.ask('/api/v1/workflows', {
        body: {
          name: 'long',
          jobs: [
            {
              name: 'p',
              resources,
              outputFiles: ['out.txt'],
              tasks: task('/bin/sh -c "echo ran $x; sleep 0.4; echo $x > out.txt"'),
            },
            { name: 'end', resources, tasks: task('/bin/echo end') },
          ],
          dependencies: { p: ['end'] },
          factories: [
            {
              name: 'f',
              type: 'zip',
              jobs: ['p'],
              parameters: [{ name: 'x', values: [1, 2, 3, 4, 5, 6, 7, 8] }],
            },
          ],
        },
      })
      expect(submitted.status).toBe(201)
      const { id } = submitted.json as { id: number }
      for (let round = 0; round < kills; round++) {
        await sleep(120 + 90 * round)
        await server.kill()
        server = await startServer({ dataDir })
      }
      const done = await until(server, `/api/v1/workflows/${id}`, 'completed')
      expect(done.progress).toEqual({ total: 9, done: 9, failed: 0, queued: 0, waiting: 0 })
      const listed = await server.ask(`/api/v1/jobs?id=${id}&workflow=true&completed=true&num=-1&detail=true`)
      const jobs = listed.json as Shown[]
      expect(jobs).toHaveLength(9)
      for (const job of jobs) {
        expect(job.execution.tasks.map(({ exitCode }) => exitCode)).toEqual([0])
        const printed = (await server.ask(`/api/v1/jobs/${job.id}/stdout`)).text
        const x = Number(/p\/(\d)$/.exec(job.name)?.[1]) + 1
        expect(printed).toBe(Number.isNaN(x) ? 'end\n' : `ran ${x}\n`)
        for (const { url } of job.outputFiles ?? []) {
          const path = url.slice(url.indexOf('/prominence/storage'))
          expect((await server.ask(path)).text).toBe(`${x}\n`)
        }
      }
    } finally {
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    }
  },
  120_000,
)

async function until(server: RealServer, path: string, status: string): Promise<Shown> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100)) {
    const [shown] = (await server.ask(path)).json as Shown[]
    if (shown?.status === status) return shown
    if (shown?.status === 'failed') throw new Error(JSON.stringify(shown))
  }
  throw new Error(`${path} never became ${status}`)
}
