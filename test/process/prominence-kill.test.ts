// A PROMINENCE server that is killed with SIGKILL while files come in, while they are fetched for a job, while the job
// runs on two nodes, and while its results are taken out: in the end everything is there, once, and nothing besides.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeBusyboxImage } from '../../scripts/busybox-image.ts'
import { missingForContainers } from '../contract/prominence-server.ts'
import { freshDataDir, program, type RealServer, startServer } from '../support/server.ts'

const resources = { cpus: 1, memory: 0.1, disk: 1 }
const pieceBytes = 100_000
const pieceCount = 20
const piece = Buffer.alloc(pieceBytes, 'pieces of a file ')
const sha256 = (...parts: Buffer[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
const wholeSha256 = sha256(...Array<Buffer>(pieceCount).fill(piece))

interface Shown {
  readonly status: string
  readonly statusReason?: string
  readonly execution: { readonly tasks: readonly { readonly exitCodes: readonly number[] }[] }
  readonly outputFiles: readonly { readonly name: string; readonly url: string; readonly size: number }[]
}

describe.skipIf(missingForContainers() !== undefined)('a PROMINENCE server that is killed', () => {
  const dataDir = freshDataDir('prominence-kill')
  const config = [
    '[executors.container]',
    'drivers = ["rootfs"]',
    'fetchAllow = ["127.0.0.1"]',
    '[pools.prominence]',
    'cpus = 4',
  ].join('\n')
  let server: RealServer
  let fetched = 0
  /** A file that takes its time. */
  const web = createServer((_request, response) => {
    fetched += 1
    void (async () => {
      for (let i = 0; i < pieceCount; i++) {
        response.write(piece)
        await sleep(20)
      }
      response.end()
    })()
  })

  beforeAll(async () => {
    const image = join(dataDir, 'busybox.tar')
    await writeBusyboxImage(image)
    const words = ['image', 'import', image, '--name', 'busybox', '--data', dataDir]
    expect(spawnSync(program, words, { encoding: 'utf8' })).toMatchObject({ status: 0 })
    await new Promise<void>(done => web.listen(0, '127.0.0.1', done))
    server = await startServer({ dataDir, config })
  })
  afterAll(async () => {
    await server?.stop()
    web.close()
    rmSync(dataDir, { recursive: true, force: true })
    rmSync(`${dataDir}.toml`, { force: true })
  })

  async function killAndStart(): Promise<void> {
    await server.kill()
    server = await startServer({ dataDir, config })
  }

  async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(20)) {
      const found = await look()
      if (found !== undefined && found !== false) return found
    }
    throw new Error('it never came')
  }

  const describeJob = async (id: number) => ((await server.ask(`/api/v1/jobs/${id}`)).json as Shown[])[0]!
  const stdout = async (id: number, node: number) =>
    (await server.ask(`/api/v1/jobs/${id}/stdout?node=${node}`)).text
  const ended = (id: number) =>
    until(async () => {
      const shown = await describeJob(id)
      return !['pending', 'running'].includes(shown.status) && shown
    })
  /** Links hold the address of the server that made them. */
  const atServer = (url: string) => server.url + url.slice(url.indexOf('/prominence/'))

  test('an upload that is cut off leaves no object and no bytes, and can be made again by the same link', async () => {
    const { url } = (
      await server.ask('/api/v1/data/upload', { body: { filename: 'in.bin', checksum: wholeSha256 } })
    ).json as { url: string }
    let sent = 0
    const slowly = Readable.from(
      (async function* () {
        for (let i = 0; i < pieceCount; i++) {
          yield piece
          sent += 1
          if (sent > 5) await sleep(100)
        }
      })(),
    )
    const options = { method: 'PUT', body: slowly, duplex: 'half' } as unknown as RequestInit
    const put = fetch(url, options).then(
      answer => answer.status,
      () => 'cut off',
    )
    await until(async () => sent > 8)
    await killAndStart()
    expect(await put).toBe('cut off')
    expect((await server.ask('/api/v1/data')).json).toEqual([])
    expect(sizeOf(join(dataDir, 'blobs'))).toBeLessThan(pieceBytes)
    // A part of it is refused, also when it comes whole.
    expect((await fetch(atServer(url), { method: 'PUT', body: new Uint8Array(piece) })).status).toBe(400)
    const whole = new Uint8Array(Buffer.concat(Array<Buffer>(pieceCount).fill(piece)))
    expect((await fetch(atServer(url), { method: 'PUT', body: whole })).status).toBe(200)
    await killAndStart()
    expect((await server.ask('/api/v1/data')).json).toMatchObject([
      { name: 'in.bin', size: pieceBytes * pieceCount },
    ])
  })

  test('keys that are dropped by how they begin are all there or all gone, whenever the server is killed', async () => {
    const names = Array.from({ length: 1_600 }, (_, at) => `many/${at}`)
    const list = async () => (await server.ask('/api/v1/kv?list')).json as string[]
    expect((await server.ask('/api/v1/kv/other', { method: 'POST', body: 'stays' })).status).toBe(201)
    for (const delayMs of [2, 9, 20]) {
      for (let at = 0; at < names.length; at += 100)
        await Promise.all(
          names
            .slice(at, at + 100)
            .map(name => server.ask(`/api/v1/kv/${name}`, { method: 'POST', body: name })),
        )
      expect(await list()).toHaveLength(names.length + 1)
      const dropped = server.ask('/api/v1/kv/many?prefix', { method: 'DELETE' }).then(
        ({ status }) => status,
        () => 'cut off',
      )
      await sleep(delayMs)
      await killAndStart()
      const left = await list()
      expect(left).toHaveLength((await dropped) === 200 || left.length === 1 ? 1 : names.length + 1)
      expect((await server.ask('/api/v1/kv/many?prefix', { method: 'DELETE' })).status).toBe(200)
      expect(await list()).toEqual(['/other'])
    }
  })

  test('a workflow that is run again, what is removed and what is deleted: wholly or not at all, and as it was answered', async () => {
    const task = (cmd: string) => [{ image: 'busybox', runtime: 'singularity', cmd }]
    const job = (name: string, cmd: string) => ({ name, resources, tasks: task(cmd) })
    const { id: first } = (
      await server.ask('/api/v1/workflows', {
        body: {
          name: 'again',
          jobs: [job('good', 'true'), job('bad', 'false'), job('many', 'sh -c "test $i != 7"')],
          factories: [
            {
              name: 'f',
              type: 'parameterSweep',
              jobs: ['many'],
              parameters: [{ name: 'i', start: 1, end: 9, step: 1 }],
            },
          ],
          policies: { leaveInQueue: true },
        },
      })
    ).json as { id: number }
    interface Flow {
      readonly id: number
      readonly status: string
      readonly progress: { readonly total: number; readonly done: number; readonly failed: number }
    }
    const describeFlow = async (id: number) =>
      ((await server.ask(`/api/v1/workflows/${id}`)).json as Flow[])[0]!
    const endedFlow = (id: number) =>
      until(async () => {
        const shown = await describeFlow(id)
        return !['pending', 'running'].includes(shown.status) && shown
      })
    const progress = { total: 11, done: 9, failed: 2 }
    expect(await endedFlow(first)).toMatchObject({ status: 'failed', progress })
    const answerOf = (asked: ReturnType<RealServer['ask']>) => asked.catch(() => undefined)
    const flows = async () =>
      ((await server.ask('/api/v1/workflows?all=true')).json as Flow[])
        .map(({ id }) => id)
        .sort((a, b) => a - b)
    let newest = first
    for (const delayMs of [0, 4, 12]) {
      const before = await flows()
      const asked = answerOf(server.ask(`/api/v1/workflows/${newest}`, { method: 'PUT' }))
      await sleep(delayMs)
      await killAndStart()
      const answer = await asked
      const made = (await flows()).filter(id => !before.includes(id))
      if (answer !== undefined) expect([answer.status, made]).toEqual([200, [answer.json.id]])
      expect(made.length).toBeLessThan(2)
      newest = made[0] ?? newest
      // The done ones are done there, and the others run: once more, and no more than that.
      expect(await endedFlow(newest)).toMatchObject({ status: 'failed', progress })
      const ran = (await server.ask(`/api/v1/jobs?id=${newest}&workflow=true&all=true`)).json as unknown[]
      expect(ran).toHaveLength(newest === first ? 11 : 2)
    }
    for (const delayMs of [1, 4]) {
      const { url } = (await server.ask('/api/v1/data/upload', { body: { filename: 'gone' } })).json as {
        url: string
      }
      expect((await fetch(url, { method: 'PUT', body: new Uint8Array(piece) })).status).toBe(200)
      const asked = answerOf(server.ask('/api/v1/data/gone', { method: 'DELETE' }))
      const removed = answerOf(server.ask(`/api/v1/workflows/${newest}/remove`, { method: 'PUT' }))
      await sleep(delayMs)
      await killAndStart()
      const names = ((await server.ask('/api/v1/data')).json as { name: string }[]).map(({ name }) => name)
      if ((await asked)?.status === 204) expect(names).not.toContain('gone')
      if ((await removed)?.status === 200)
        expect((await server.ask(`/api/v1/workflows/${newest}/remove`, { method: 'PUT' })).status).toBe(400)
      // What is still there can be read: a job gets it as it was.
      if (names.includes('gone')) {
        const body = { resources, artifacts: [{ url: 'gone' }], tasks: task('sha256sum gone') }
        const { id } = (await server.ask('/api/v1/jobs', { body })).json as { id: number }
        expect((await ended(id)).status).toBe('completed')
        expect(await stdout(id, 0)).toContain(sha256(piece))
      }
      await server.ask('/api/v1/data/gone', { method: 'DELETE' })
    }
    await server.ask('/api/v1/data/gone', { method: 'DELETE' })
  })

  test('a job goes through kills while its files come in, while it runs on two nodes, and while they are taken out', async () => {
    const { port } = web.address() as AddressInfo
    const script = [
      'test $PROMINENCE_NODE_NUM = 0 && sha256sum in.bin web.bin | cut -c 1-64',
      'echo up $PROMINENCE_NODE_NUM',
      'sleep 1',
      'test $PROMINENCE_NODE_NUM = 1 && exit 0',
      'mkdir d; for i in 1 2 3 4 5 6 7 8; do cat in.bin web.bin; done > out.bin; cp out.bin d/copy',
      'echo done',
    ]
    const document = {
      resources: { ...resources, nodes: 2 },
      artifacts: [{ url: 'in.bin' }, { url: `http://127.0.0.1:${port}/web.bin` }],
      outputFiles: ['out.bin'],
      outputDirs: ['d'],
      policies: { runSerialTasksOnAllNodes: true },
      tasks: [{ image: 'busybox', runtime: 'singularity', cmd: `sh -c '${script.join('; ')}'` }],
    }
    const outBytes = 16 * pieceBytes * pieceCount
    const outSha256 = sha256(...Array<Buffer>(16 * pieceCount).fill(piece))
    for (const delayMs of [0, 40, 180]) {
      fetched = 0
      const { id } = (await server.ask('/api/v1/jobs', { body: document })).json as { id: number }
      await until(async () => fetched === 1)
      await sleep(delayMs)
      await killAndStart()
      await until(async () => (await stdout(id, 1)).includes('up 1'))
      await killAndStart()
      await until(async () => (await stdout(id, 0)).includes('done'))
      await sleep(delayMs)
      await killAndStart()
      const shown = await ended(id)
      expect([shown.status, shown.statusReason]).toEqual(['completed', undefined])
      expect(shown.execution.tasks).toMatchObject([{ exitCode: 0, exitCodes: [0, 0] }])
      // It ran once, whatever was fetched how often.
      expect(await stdout(id, 0)).toBe(`${wholeSha256}\n${wholeSha256}\nup 0\ndone\n`)
      expect(await stdout(id, 1)).toBe('up 1\n')
      const [output] = shown.outputFiles
      expect(output).toMatchObject({ name: 'out.bin', size: outBytes })
      const bytes = Buffer.from(await (await fetch(atServer(output!.url))).arrayBuffer())
      expect(sha256(bytes)).toBe(outSha256)
    }
    // The same content is kept once, the packed directory a few times at most: its bytes hold a time.
    expect(sizeOf(join(dataDir, 'blobs'))).toBeLessThan(2.5 * outBytes)
    await until(async () => readdirSync(join(dataDir, 'executors/container/attempts')).length === 0)
  })
})

/** All bytes of the blobs in a folder; drafts of a server that is gone are swept later. */
function sizeOf(dir: string): number {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).reduce(
    (sum, entry) =>
      sum +
      (entry.isFile() && !entry.parentPath.endsWith('/tmp')
        ? statSync(join(entry.parentPath, entry.name)).size
        : 0),
    0,
  )
}
