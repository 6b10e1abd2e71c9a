// What PROMINENCE jobs take in: uploads, objects of a group, artifacts, storage, images.

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tarOf } from '../../src/executors/container/images/archive-fixture.ts'
import { type Client, clientOf } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const resources = { cpus: 1, memory: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

describe.skipIf(missingForContainers() !== undefined)('PROMINENCE data', () => {
  let server: ProminenceServer
  let dave: Client
  let eve: Client
  let frank: Client
  let volume: string
  let webUrl: string
  const web = createServer(
    (request, response) => void archiveAt(request.url).then(bytes => response.end(bytes)),
  )

  beforeAll(async () => {
    volume = await mkdtemp(join(tmpdir(), 'switchyard-volume-'))
    await mkdir(join(volume, 'space'))
    await writeFile(join(volume, 'space/in.txt'), 'mounted\n')
    await symlink('/etc', join(volume, 'out'))
    await new Promise<void>(done => web.listen(0, '127.0.0.1', done))
    webUrl = `http://127.0.0.1:${(web.address() as AddressInfo).port}`
    server = await startProminence({
      fetchAllow: ['127.0.0.1'],
      volumes: { 'data.example.org': volume },
      dialect: { fetchAllow: ['127.0.0.1'] },
    })
    const client = async (user: string) =>
      clientOf(server.url, await server.token({ user, groups: ['vo/test'] }))
    dave = await client('dave')
    eve = await client('eve')
    frank = await client('frank')
  })
  afterAll(async () => {
    await server?.close()
    web.close()
    await rm(volume, { recursive: true, force: true })
  })

  test('an upload that its client breaks off leaves nothing behind', async () => {
    const { url } = (await eve.ask('POST', '/api/v1/data/upload', { filename: 'broken.bin' }))
      .body as unknown as { url: string }
    const tmp = join(server.dir, 'data/blobs/tmp')
    const drafts = async () => (await readdir(tmp).catch(() => [])).length
    const before = await drafts()
    const { host, hostname, port, pathname } = new URL(url)
    // More is announced than comes.
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.write(`PUT ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000000\r\n\r\n`)
    socket.write(Buffer.alloc(500_000))
    await expect.poll(drafts).toBe(before + 1)
    socket.destroy()
    await expect.poll(drafts).toBe(before)
    expect((await eve.ask('GET', '/api/v1/data')).body).not.toContainEqual(
      expect.objectContaining({ name: 'broken.bin' }),
    )
  })

  test('a name is what was given, whatever characters it has', async () => {
    for (const name of ['100%.txt', 'a%20b', '%2e%2e', 'ü b?c#d', 'vo/test/50%', 'vo/test/x%2Fy']) {
      const { url } = (await frank.ask('POST', '/api/v1/data/upload', { filename: name }))
        .body as unknown as { url: string }
      expect((await fetch(url, { method: 'PUT', body: name })).status, name).toBe(200)
      const folder = name.includes('/') ? '/vo/test' : ''
      const listed = async () =>
        ((await frank.ask('GET', `/api/v1/data${folder}`)).body as unknown as { name: string }[]).map(
          object => object.name,
        )
      expect(await listed()).toContain(name)
      const place = name.split('/').map(encodeURIComponent).join('/')
      expect((await frank.ask('DELETE', `/api/v1/data/${place}`)).status).toBe(204)
      expect(await listed()).not.toContain(name)
    }
  })

  test('groups share objects; whole path parts count', async () => {
    const { url } = (await dave.ask('POST', '/api/v1/data/upload', { filename: 'vo/test/s.txt' }))
      .body as unknown as {
      url: string
    }
    expect((await fetch(url, { method: 'PUT', body: 'shared' })).status).toBe(200)
    const listed = (await eve.ask('GET', '/api/v1/data/vo/test')).body as unknown as { name: string }[]
    expect(listed.map(({ name }) => name)).toEqual(['vo/test/s.txt'])
    for (const name of ['vo/tester/x', 'vo/x', 'vo/test/../x', '../x', 'vo/test'])
      expect((await eve.ask('POST', '/api/v1/data/upload', { filename: name })).status, name).toBe(403)
    expect((await eve.ask('GET', '/api/v1/data')).body).toEqual([])
  })

  test('artifacts from the web are unpacked and mounted; other private addresses are refused', async () => {
    const id = await dave.submit('jobs', {
      resources,
      artifacts: [{ url: `${webUrl}/data.tgz`, mountpoint: 'data:/mnt/data' }],
      tasks: [task('cat /mnt/data/in.txt data/in.txt')],
      outputFiles: ['data/in.txt'],
    })
    expect(await dave.ended('jobs', id)).toMatchObject({
      status: 'completed',
      execution: { stageInTime: expect.any(Number) },
    })
    expect(await dave.stream(id)).toBe('packed\npacked\n')
    const inside = await dave.submit('jobs', {
      resources,
      artifacts: [{ url: 'http://169.254.169.254/latest/meta-data' }],
      tasks: [task('true')],
    })
    expect(await dave.ended('jobs', inside)).toMatchObject({
      status: 'failed',
      statusReason: 'Artifact download failed',
    })
    const broken = await dave.submit('jobs', {
      resources,
      artifacts: [{ url: `${webUrl}/broken.zip` }],
      tasks: [task('true')],
    })
    expect(await dave.ended('jobs', broken)).toMatchObject({
      status: 'failed',
      statusReason: 'Artifact uncompress failed',
    })
  })

  test('a directory is called by its name, however its path is written', async () => {
    const id = await dave.submit('jobs', {
      resources,
      tasks: [task('mkdir -p d/e')],
      outputDirs: ['d', 'd/', './d//', 'd/e'],
    })
    const { outputDirs } = (await dave.ended('jobs', id)) as unknown as { outputDirs: { url: string }[] }
    expect(outputDirs.map(({ url }) => url.slice(url.lastIndexOf('/') + 1))).toEqual([
      ...['d.tgz', 'd.tgz', 'd.tgz', 'e.tgz'],
    ])
  })

  test('storage of a declared provider is mounted; other providers, and links out of it, are told', async () => {
    const storage = (provider: string, directory: string) => ({
      type: 'onedata',
      mountpoint: '/data',
      directory,
      onedata: { provider, token: 'very secret' },
    })
    const run = async (provider: string, directory: string) => {
      const document = { resources, tasks: [task('cat /data/in.txt')], storage: storage(provider, directory) }
      return dave.ended('jobs', await dave.submit('jobs', document))
    }
    const good = await run('data.example.org', '/space')
    expect(good).toMatchObject({ status: 'completed', storage: { onedata: { token: '***' } } })
    expect(await dave.stream(good.id)).toBe('mounted\n')
    const words = { status: 'failed', statusReason: 'Unable to mount storage volume' }
    expect(await run('other.example.org', '')).toMatchObject(words)
    expect(await run('data.example.org', 'out')).toMatchObject(words)
  })

  test('an uploaded image archive is run', async () => {
    const { url } = (await eve.ask('POST', '/api/v1/data/upload', { filename: 'mine.tar' }))
      .body as unknown as { url: string }
    const archive = await readFile(join(server.dir, 'busybox.tar'))
    expect((await fetch(url, { method: 'PUT', body: archive })).status).toBe(200)
    const id = await eve.submit('jobs', {
      resources,
      tasks: [{ image: 'mine.tar', runtime: 'udocker', cmd: '/bin/echo mine' }],
    })
    expect(await eve.ended('jobs', id)).toMatchObject({ status: 'completed' })
    expect(await eve.stream(id)).toBe('mine\n')
    expect(
      (
        await frank.ask('POST', '/api/v1/jobs', {
          resources,
          tasks: [{ ...task('x'), image: 'mine.tar' }],
        })
      ).body,
    ).toEqual({
      error: 'Image mine.tar does not exist',
    })
  })
})

async function archiveAt(url: string | undefined): Promise<Buffer> {
  if (url === '/broken.zip') return Buffer.from('no zip at all')
  return gzipSync(
    await tarOf([
      ['data/', {}],
      ['data/in.txt', 'packed\n'],
    ]),
  )
}
