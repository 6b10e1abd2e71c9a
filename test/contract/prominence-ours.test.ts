// What the PROMINENCE dialect does that no recording shows: our additions, guards and bounds, with real containers.

import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tarOf } from '../../src/executors/container/images/archive-fixture.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const resources = { cpus: 1, memory: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

interface Shown {
  readonly id: number
  readonly status: string
  readonly statusReason?: string
  readonly [name: string]: unknown
}

describe.skipIf(missingForContainers() !== undefined)('PROMINENCE beyond the recordings', () => {
  let server: ProminenceServer
  const tokens: Record<string, string> = {}
  const posted: { path: string; body: Record<string, unknown>; key: string | undefined }[] = []
  const hook = createHttpServer((request, response) => {
    if (request.method === 'GET') return void serveArchive(request).then(bytes => response.end(bytes))
    let text = ''
    request.on('data', chunk => (text += chunk))
    request.on('end', () => {
      // The first try of each notice is turned away: it has to come again.
      const key = request.headers['idempotency-key'] as string | undefined
      const isFirst = !posted.some(other => other.key === key)
      posted.push({ path: request.url ?? '', body: JSON.parse(text), key })
      response.writeHead(isFirst ? 503 : 204).end()
    })
  })
  const mails: string[] = []
  const smtp = createTcpServer(socket => {
    let isData = false
    socket.write('220 here\r\n')
    socket.on('error', () => {})
    socket.on('data', chunk => {
      const text = chunk.toString()
      if (isData) {
        mails.push(text)
        isData = !text.endsWith('\r\n.\r\n')
        if (!isData) socket.write('250 taken\r\n')
        return
      }
      isData = text.startsWith('DATA')
      socket.write(
        isData ? '354 go on\r\n' : text.startsWith('QUIT') ? '221 bye\r\n' : '250-fine\r\n250 yes\r\n',
      )
    })
  })
  let hookUrl: string
  let volume: string

  beforeAll(async () => {
    await new Promise<void>(done => hook.listen(0, '127.0.0.1', done))
    await new Promise<void>(done => smtp.listen(0, '127.0.0.1', done))
    volume = await mkdtemp(join(tmpdir(), 'switchyard-volume-'))
    await mkdir(join(volume, 'space'))
    await writeFile(join(volume, 'space/in.txt'), 'mounted\n')
    await symlink('/etc', join(volume, 'out'))
    hookUrl = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`
    server = await startProminence({
      fetchAllow: ['127.0.0.1'],
      volumes: { 'data.example.org': volume },
      dialect: {
        fetchAllow: ['127.0.0.1'],
        smtp: {
          host: '127.0.0.1',
          port: (smtp.address() as AddressInfo).port,
          from: 'yard@example.org',
          security: 'none',
        },
        quota: { storedBytes: 10_000_000, waitingJobs: 30 },
        ENABLE_SNAPSHOTS: 'False',
      },
    })
    for (const user of ['alice', 'bob', 'carol', 'dave', 'eve', 'frank', 'gina', 'hal'])
      tokens[user] = await server.token({ user, groups: ['vo/test'], email: `${user}@example.org` })
  })
  afterAll(async () => {
    await server?.close()
    hook.close()
    await rm(volume, { recursive: true, force: true })
    smtp.close()
  })

  async function ask(user: string, method: string, path: string, body?: unknown) {
    const response = await fetch(server.url + path, {
      method,
      headers: { Authorization: `Bearer ${tokens[user]}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, text, body: text === '' ? undefined : (tryJson(text) as never) }
  }

  async function submit(user: string, kind: 'jobs' | 'workflows', document: unknown): Promise<number> {
    const { status, body, text } = await ask(user, 'POST', `/api/v1/${kind}`, document)
    expect(status, text).toBe(201)
    return (body as unknown as { id: number }).id
  }

  async function ended(user: string, kind: 'jobs' | 'workflows', id: number): Promise<Shown> {
    for (const end = Date.now() + 25_000; Date.now() < end; await sleep(50)) {
      const [shown] = (await ask(user, 'GET', `/api/v1/${kind}/${id}`)).body as unknown as Shown[]
      if (shown !== undefined && shown.status !== 'pending' && shown.status !== 'running') return shown
    }
    throw new Error(`${kind} ${id} did not end`)
  }

  const stdout = async (user: string, id: number) =>
    (await ask(user, 'GET', `/api/v1/jobs/${id}/stdout`)).text

  test('webhooks and mails are sent when jobs and workflows end, and again when they were turned away', async () => {
    const notifications = (event: string, path: string) => [
      { event, type: 'webhook', url: hookUrl + path },
      { event, type: 'email' },
    ]
    const job = await submit('alice', 'jobs', {
      name: 'told',
      resources,
      tasks: [task('true')],
      notifications: notifications('jobFinished', '/job'),
    })
    const workflow = await submit('alice', 'workflows', {
      name: 'wf told',
      jobs: [{ name: 'a', resources, tasks: [task('false')] }],
      notifications: notifications('workflowFinished', '/workflow'),
    })
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(50))
      if (posted.length >= 4 && mails.length >= 2) break
    const of = (path: string) => posted.filter(each => each.path === path)
    expect(of('/job')[1]?.body).toMatchObject({
      event: 'jobFinished',
      id: job,
      name: 'told',
      status: 'completed',
    })
    expect(of('/job')[0]?.key).toBe(of('/job')[1]?.key)
    expect(of('/workflow')[1]?.body).toMatchObject({
      event: 'workflowFinished',
      id: workflow,
      status: 'failed',
    })
    expect(
      mails.some(
        mail => mail.includes('To: <alice@example.org>') && mail.includes(`Job ${job} (told): completed`),
      ),
    ).toBe(true)
    expect(mails.some(mail => mail.includes(`Workflow ${workflow} (wf told): failed`))).toBe(true)
  })

  test('a job that can never fit is failed at once, with the reason', async () => {
    const id = await submit('bob', 'jobs', { resources: { cpus: 64, memory: 1 }, tasks: [task('true')] })
    const [job] = (await ask('bob', 'GET', `/api/v1/jobs/${id}`)).body as unknown as Shown[]
    expect(job).toMatchObject({ status: 'failed', statusReason: 'No matching resources' })
    const workflow = await submit('bob', 'workflows', {
      jobs: [{ name: 'a', resources: { cpus: 1, memory: 4_000 }, tasks: [task('true')] }],
    })
    expect(await ended('bob', 'workflows', workflow)).toMatchObject({ status: 'failed', name: '' })
    const elsewhere = await ask('bob', 'POST', '/api/v1/jobs', {
      resources,
      tasks: [task('true')],
      policies: { placement: { requirements: { sites: ['Elsewhere'] } } },
    })
    expect([elsewhere.status, elsewhere.body]).toEqual([400, { error: 'No matching resources' }])
  })

  test('a job that takes more disk than it asked for is killed, and says so', async () => {
    const fill = (bytes: number) => ({
      resources: { ...resources, disk: 1 },
      tasks: [task(`fallocate -l ${bytes} big`), task('true')],
    })
    const over = await submit('bob', 'jobs', fill(1_100_000_000))
    const within = await submit('bob', 'jobs', fill(900_000_000))
    expect(await ended('bob', 'jobs', over)).toMatchObject({
      status: 'killed',
      statusReason: 'Job used too much disk space',
    })
    expect((await ended('bob', 'jobs', within)).status).toBe('completed')
  })

  test('the failed ones can be listed by their exit code', async () => {
    const good = await submit('bob', 'jobs', { name: 'e', resources, tasks: [task('true')] })
    const wrong = await submit('bob', 'jobs', { name: 'e', resources, tasks: [task('sh -c "exit 4"')] })
    await Promise.all([good, wrong].map(id => ended('bob', 'jobs', id)))
    const listed = (await ask('bob', 'GET', '/api/v1/jobs?all=true&name=e&exit=nonzero'))
      .body as unknown as Shown[]
    expect(listed.map(({ id }) => id)).toEqual([wrong])
  })

  test('quotas: waiting jobs and stored bytes are refused with 429 when they are used up', async () => {
    server.gate.close()
    const job = { resources, tasks: [task('true')] }
    const ids = []
    for (let at = 0; at < 30; at++) ids.push(await submit('carol', 'jobs', job))
    // Some of them are starting already: as many more may wait.
    let refused: { status: number; text: string } = { status: 0, text: '' }
    for (let at = 0; at < 10 && refused.status !== 429; at++)
      refused = await ask('carol', 'POST', '/api/v1/jobs', job)
    expect(refused).toMatchObject({ status: 429, text: expect.stringContaining('quota of 30 waiting jobs') })
    expect((await ask('bob', 'POST', '/api/v1/jobs', job)).status).toBe(201)
    // A workflow counts with the jobs that it would release at once.
    const more = (number: number) => ({
      jobs: [{ name: 'a', ...job }],
      factories: [{ name: 'f', type: 'repeat', number, jobs: ['a'] }],
    })
    expect((await ask('carol', 'POST', '/api/v1/workflows', more(2))).status).toBe(429)
    const active = (await ask('carol', 'GET', '/api/v1/jobs')).body as unknown as Shown[]
    await ask('carol', 'DELETE', `/api/v1/jobs?id=${active.map(({ id }) => id).join(',')}`)
    server.gate.open()

    const upload = async (name: string, bytes: number) => {
      const { url } = (await ask('carol', 'POST', '/api/v1/data/upload', { filename: name }))
        .body as unknown as { url: string }
      return (await fetch(url, { method: 'PUT', body: Buffer.alloc(bytes, name) })).status
    }
    // At once, none sees what the others will take: still no more than the quota is kept.
    const parallel = await Promise.all(Array.from({ length: 8 }, (_, at) => upload(`p${at}`, 3_000_000)))
    expect(parallel.filter(status => status === 200).length).toBe(3)
    expect(parallel.every(status => status === 200 || status === 413 || status === 429)).toBe(true)
    const kept = (await ask('carol', 'GET', '/api/v1/data')).body as unknown as {
      name: string
      size: number
    }[]
    expect(kept.map(({ size }) => size)).toEqual([3_000_000, 3_000_000, 3_000_000])
    // What a job puts by itself counts, too.
    const puts = await submit('carol', 'jobs', {
      resources,
      tasks: [
        task(
          `sh -c 'head -c 900000 /dev/zero >f; echo $PROMINENCE_TOKEN; until test -e go; do sleep 0.05; done'`,
        ),
      ],
    })
    let jobToken = ''
    while (jobToken === '') jobToken = (await stdout('carol', puts)).trim()
    const put = async (name: string, bytes: number) => {
      const { url } = (await (
        await fetch(`${server.url}/api/v1/data/output`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${jobToken}` },
          body: JSON.stringify({ name }),
        })
      ).json()) as { url: string }
      return (await fetch(url, { method: 'PUT', body: Buffer.alloc(bytes) })).status
    }
    expect([await put('one', 600_000), await put('two', 600_000), await put('one', 900_000)]).toEqual([
      200, 413, 200,
    ])
    await ask('carol', 'DELETE', `/api/v1/jobs/${puts}`)
    for (const { name } of kept) await ask('carol', 'DELETE', `/api/v1/data/${name}`)

    expect(await upload('a', 9_000_000)).toBe(200)
    expect(await upload('b', 2_000_000)).toBe(413)
    expect(await upload('a', 8_000_000)).toBe(200)
    expect((await ask('carol', 'DELETE', '/api/v1/data/a')).status).toBe(204)
    expect(await upload('b', 2_000_000)).toBe(200)
    // What was collected from a job counts, soon after its end.
    expect(await upload('c', 4_000_000)).toBe(200)
    const leaves = await submit('carol', 'jobs', {
      resources,
      tasks: [task(`sh -c 'head -c 2900000 /dev/zero >left'`)],
      outputFiles: ['left'],
    })
    expect(await ended('carol', 'jobs', leaves)).toMatchObject({ status: 'completed' })
    await expect.poll(() => upload('more', 1_000_000), { timeout: 20_000 }).toBe(413)
  })

  test('keys count against the quota of stored bytes, with their values, and give it back', async () => {
    const { url } = (await ask('hal', 'POST', '/api/v1/data/upload', { filename: 'most' }))
      .body as unknown as { url: string }
    expect((await fetch(url, { method: 'PUT', body: Buffer.alloc(9_900_000) })).status).toBe(200)
    const set = async (key: string, bytes: number) =>
      (await ask('hal', 'POST', `/api/v1/kv/${key}`, 'v'.repeat(bytes))).status
    // Six of them fit, whichever come first.
    const parallel = await Promise.all(Array.from({ length: 10 }, (_, at) => set(`k/${at}`, 15_000)))
    expect(parallel.filter(status => status === 201)).toHaveLength(6)
    expect(parallel.filter(status => status === 429)).toHaveLength(4)
    const keys = (await ask('hal', 'GET', '/api/v1/kv?list')).body as unknown as string[]
    expect(keys).toHaveLength(6)
    // Less in the place of more, and what is dropped, gives room back; the same value again takes none.
    expect(await set(keys[0]!.slice(1), 5_000)).toBe(201)
    expect(await set('k/more', 15_000)).toBe(201)
    expect(await set('k/more', 15_000)).toBe(201)
    expect(await set('k/tiny', 6_000)).toBe(429)
    expect((await ask('hal', 'DELETE', `/api/v1/kv${keys[1]}`)).status).toBe(200)
    expect((await ask('hal', 'DELETE', `/api/v1/kv${keys[1]}`)).status).toBe(200)
    expect(await set('k/tiny', 6_000)).toBe(201)
    expect((await ask('hal', 'DELETE', '/api/v1/kv/k?prefix')).status).toBe(200)
    expect((await ask('hal', 'GET', '/api/v1/kv?list')).body).toEqual([])
    // More keys than are dropped in one commit.
    const many = await Promise.all(Array.from({ length: 1_100 }, (_, at) => set(`m/${at}`, 1)))
    expect(many.every(status => status === 201)).toBe(true)
    expect((await ask('hal', 'GET', '/api/v1/kv/m?list&values')).body).toHaveLength(1_100)
    expect((await ask('hal', 'DELETE', '/api/v1/kv/m?prefix')).status).toBe(200)
    expect((await ask('hal', 'GET', '/api/v1/kv?list')).body).toEqual([])
    const rest = (await ask('hal', 'POST', '/api/v1/data/upload', { filename: 'rest' })).body as unknown as {
      url: string
    }
    expect((await fetch(rest.url, { method: 'PUT', body: Buffer.alloc(99_900) })).status).toBe(200)
    expect(await set('one', 1)).toBe(429)
  })

  test('a workflow that is left in the queue is run again, too', async () => {
    const id = await submit('alice', 'workflows', {
      name: 'left',
      jobs: [
        { name: 'good', resources, tasks: [task('true')] },
        { name: 'bad', resources, tasks: [task('false')] },
      ],
      policies: { leaveInQueue: true },
    })
    expect(await ended('alice', 'workflows', id)).toMatchObject({ status: 'failed' })
    const { status, text } = await ask('alice', 'PUT', `/api/v1/workflows/${id}`)
    expect(status, text).toBe(200)
    expect(await ended('alice', 'workflows', (JSON.parse(text) as { id: number }).id)).toMatchObject({
      progress: { total: 2, done: 1, failed: 1 },
    })
  })

  test('an upload that its client breaks off leaves nothing behind', async () => {
    const { url } = (await ask('eve', 'POST', '/api/v1/data/upload', { filename: 'broken.bin' }))
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
    expect((await ask('eve', 'GET', '/api/v1/data')).body).not.toContainEqual(
      expect.objectContaining({ name: 'broken.bin' }),
    )
  })

  test('groups share objects; whole path parts count', async () => {
    const { url } = (await ask('dave', 'POST', '/api/v1/data/upload', { filename: 'vo/test/s.txt' }))
      .body as unknown as {
      url: string
    }
    expect((await fetch(url, { method: 'PUT', body: 'shared' })).status).toBe(200)
    const listed = (await ask('eve', 'GET', '/api/v1/data/vo/test')).body as unknown as { name: string }[]
    expect(listed.map(({ name }) => name)).toEqual(['vo/test/s.txt'])
    for (const name of ['vo/tester/x', 'vo/x', 'vo/test/../x', '../x', 'vo/test'])
      expect((await ask('eve', 'POST', '/api/v1/data/upload', { filename: name })).status, name).toBe(403)
    expect((await ask('eve', 'GET', '/api/v1/data')).body).toEqual([])
  })

  test('artifacts from the web are unpacked and mounted; other private addresses are refused', async () => {
    const id = await submit('dave', 'jobs', {
      resources,
      artifacts: [{ url: `${hookUrl}/data.tgz`, mountpoint: 'data:/mnt/data' }],
      tasks: [task('cat /mnt/data/in.txt data/in.txt')],
      outputFiles: ['data/in.txt'],
    })
    expect(await ended('dave', 'jobs', id)).toMatchObject({
      status: 'completed',
      execution: { stageInTime: expect.any(Number) },
    })
    expect(await stdout('dave', id)).toBe('packed\npacked\n')
    const inside = await submit('dave', 'jobs', {
      resources,
      artifacts: [{ url: 'http://169.254.169.254/latest/meta-data' }],
      tasks: [task('true')],
    })
    expect(await ended('dave', 'jobs', inside)).toMatchObject({
      status: 'failed',
      statusReason: 'Artifact download failed',
    })
    const broken = await submit('dave', 'jobs', {
      resources,
      artifacts: [{ url: `${hookUrl}/broken.zip` }],
      tasks: [task('true')],
    })
    expect(await ended('dave', 'jobs', broken)).toMatchObject({
      status: 'failed',
      statusReason: 'Artifact uncompress failed',
    })
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
      return ended('dave', 'jobs', await submit('dave', 'jobs', document))
    }
    const good = await run('data.example.org', '/space')
    expect(good).toMatchObject({ status: 'completed', storage: { onedata: { token: '***' } } })
    expect(await stdout('dave', good.id)).toBe('mounted\n')
    const words = { status: 'failed', statusReason: 'Unable to mount storage volume' }
    expect(await run('other.example.org', '')).toMatchObject(words)
    expect(await run('data.example.org', 'out')).toMatchObject(words)
  })

  test('an uploaded image archive is run', async () => {
    const { url } = (await ask('eve', 'POST', '/api/v1/data/upload', { filename: 'mine.tar' }))
      .body as unknown as { url: string }
    const archive = await readFile(join(server.dir, 'busybox.tar'))
    expect((await fetch(url, { method: 'PUT', body: archive })).status).toBe(200)
    const id = await submit('eve', 'jobs', {
      resources,
      tasks: [{ image: 'mine.tar', runtime: 'udocker', cmd: '/bin/echo mine' }],
    })
    expect(await ended('eve', 'jobs', id)).toMatchObject({ status: 'completed' })
    expect(await stdout('eve', id)).toBe('mine\n')
    expect(
      (
        await ask('frank', 'POST', '/api/v1/jobs', {
          resources,
          tasks: [{ ...task('x'), image: 'mine.tar' }],
        })
      ).body,
    ).toEqual({
      error: 'Image mine.tar does not exist',
    })
  })

  test('a job acts for its owner with the token in its environment', async () => {
    const id = await submit('frank', 'jobs', {
      resources,
      tasks: [task('/bin/sh -c "echo $PROMINENCE_TOKEN"')],
    })
    await ended('frank', 'jobs', id)
    tokens['the job'] = (await stdout('frank', id)).trim()
    const jobs = (await ask('the job', 'GET', '/api/v1/jobs?all=true')).body as unknown as Shown[]
    expect(jobs.map(job => job.id)).toContain(id)
    const { status, body } = await ask('the job', 'POST', '/api/v1/data/output', { name: 'late.txt' })
    expect(status).toBe(201)
    expect((await fetch((body as unknown as { url: string }).url, { method: 'PUT', body: 'x' })).status).toBe(
      200,
    )
  })

  test('secrets of a submission are not shown', async () => {
    const id = await submit('frank', 'jobs', {
      resources,
      tasks: [{ ...task('true'), imagePullCredential: { username: 'u', token: 'very secret' } }],
    })
    expect((await ask('frank', 'GET', `/api/v1/jobs/${id}`)).text).not.toContain('very secret')
    const workflow = await submit('frank', 'workflows', {
      jobs: [
        {
          name: 'a',
          resources,
          tasks: [{ ...task('true'), imagePullCredential: { username: 'u', token: 'very secret' } }],
        },
      ],
    })
    expect((await ask('frank', 'GET', `/api/v1/workflows/${workflow}`)).text).not.toContain('very secret')
    await ended('frank', 'jobs', id)
    await ended('frank', 'workflows', workflow)
    const { body } = await ask('frank', 'PUT', `/api/v1/jobs/${id}/clone`)
    expect(await ended('frank', 'jobs', (body as unknown as Shown).id)).toMatchObject({ status: 'completed' })
    // Nor are they in the store: its key is elsewhere.
    const data = join(server.dir, 'data')
    for (const folder of await readdir(data)) {
      if (folder === 'executors') continue
      const inside = await readdir(join(data, folder), { recursive: true }).catch(() => [''])
      for (const name of inside) {
        const file = join(data, folder, name)
        if (!(await stat(file)).isFile()) continue
        expect(await readFile(file, 'latin1'), name).not.toContain('very secret')
      }
    }
    expect((await stat(join(data, 'secrets/prominence-seals'))).mode & 0o777).toBe(0o600)
  })

  test('a factory of 10 000 jobs is made at once, released twenty at a time, and deleted at once', async () => {
    server.gate.close()
    const id = await submit('gina', 'workflows', {
      name: 'big',
      jobs: [{ name: 'p', resources, tasks: [task('/bin/true $x')] }],
      factories: [
        {
          name: 'f',
          type: 'parameterSweep',
          jobs: ['p'],
          parameters: [{ name: 'x', start: 1, end: 10_000, step: 1 }],
        },
      ],
    })
    const [shown] = (await ask('gina', 'GET', `/api/v1/workflows/${id}`)).body as unknown as Shown[]
    expect(shown?.['progress']).toMatchObject({ total: 10_000, done: 0, failed: 0 })
    const pending = (await ask('gina', 'GET', `/api/v1/jobs?id=${id}&workflow=true&num=-1&status=idle`))
      .body as unknown as Shown[]
    expect(pending.length).toBeGreaterThanOrEqual(20)
    expect(pending.length).toBeLessThan(30)
    expect((await ask('gina', 'DELETE', `/api/v1/workflows/${id}`)).status).toBe(200)
    server.gate.open()
    const after = await ended('gina', 'workflows', id)
    expect(after).toMatchObject({ status: 'deleted', statusReason: 'Workflow deleted by user' })
  })

  test('a long list is sent whole, in pieces', async () => {
    const id = await submit('gina', 'workflows', {
      name: 'many',
      jobs: [{ name: 'p', resources: { cpus: 64, memory: 1 }, tasks: [task(`echo ${'x'.repeat(200)}`)] }],
      factories: [{ name: 'f', type: 'repeat', jobs: ['p'], number: 3_000 }],
    })
    expect(await ended('gina', 'workflows', id)).toMatchObject({
      status: 'failed',
      progress: { failed: 3_000 },
    })
    const answer = await ask(
      'gina',
      'GET',
      `/api/v1/jobs?completed=true&num=-1&id=${id}&workflow=true&detail=true`,
    )
    const jobs = answer.body as unknown as Shown[]
    expect(answer.text.length).toBeGreaterThan(1_000_000)
    expect(new Set(jobs.map(job => job.id)).size).toBe(3_000)
    expect(new Set(jobs.map(({ statusReason }) => statusReason))).toEqual(new Set(['No matching resources']))
    expect((await ask('gina', 'GET', '/api/v1/jobs?completed=true&num=7')).body).toHaveLength(7)
  })

  test('a long stream is sent whole, and from any offset', async () => {
    const id = await submit('frank', 'jobs', {
      resources,
      tasks: [task('/bin/sh -c "yes 0123456789abcde | head -n 300000"')],
    })
    await ended('frank', 'jobs', id)
    expect((await stdout('frank', id)).length).toBe(4_800_000)
    const tail = await ask('frank', 'GET', `/api/v1/jobs/${id}/stdout?node=0&offset=${4_800_000 - 20}`)
    expect(tail.text).toBe('cde\n0123456789abcde\n')
  })

  test('job names with slashes and factories of the same names are told apart', async () => {
    const id = await submit('gina', 'workflows', {
      name: 'w',
      jobs: [
        { name: 'p', resources, tasks: [task('echo many')] },
        { name: 'p/0', resources, tasks: [task('echo one')] },
      ],
      factories: [{ name: 'f', type: 'repeat', jobs: ['p'], num: 2 }],
      dependencies: { p: ['p/0'] },
    })
    expect(await ended('gina', 'workflows', id)).toMatchObject({
      status: 'completed',
      progress: { total: 3, done: 3 },
    })
    expect((await ask('gina', 'GET', `/api/v1/workflows/${id}/p/1/stdout`)).text).toBe('many\n')
    expect((await ask('gina', 'GET', `/api/v1/workflows/${id}/p/0/stdout`)).text).toBe('one\n')
  })

  test.each<[string, string, number, string]>([
    ['nesting', '['.repeat(200_000), 400, 'nested more than'],
    ['a number that is none', '{"a":NaN}', 400, 'not valid JSON'],
    ['bytes that are no text', '\u0000', 400, 'not valid JSON'],
    ['a prototype', '{"__proto__":{"x":1}}', 400, '__proto__'],
  ])('a body with %s is refused', async (_, body, status, words) => {
    const answer = await ask('gina', 'POST', '/api/v1/jobs', body)
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(words)])
  })

  test('a body over the bound is refused while it comes in', async () => {
    const answer = await ask('gina', 'POST', '/api/v1/jobs', ' '.repeat(65 * 1024 * 1024)).catch(() => ({
      status: 413,
    }))
    expect(answer.status).toBe(413)
  })

  test('what a job document may not say is refused by name', async () => {
    const refuse = async (more: object) =>
      (await ask('gina', 'POST', '/api/v1/jobs', { resources, tasks: [task('true')], ...more })).text
    expect(await refuse({ outputFiles: ['../x'] })).toContain('outputFiles must name things below')
    expect(await refuse({ tasks: [task("echo 'open")] })).toContain('a single quote is not closed')
    expect(await refuse({ tasks: [{ ...task('x'), env: { 'A B': '1' } }] })).toContain(
      'is not a name for an environment variable',
    )
    expect(await refuse({ tasks: [task('a\0b')] })).toContain('NUL')
    expect(await refuse({ inputs: [{ filename: 'a', content: 'not base64!' }] })).toContain(
      'not valid base64',
    )
    expect(await refuse({ inputs: [{ filename: 'a/..', content: '' }] })).toContain('does not name a file')
    expect(await refuse({ name: 5 })).toContain('job name must be a string')
    expect(await refuse({ resources: { cpusRange: [4, 2], memory: 1 } })).toContain('must not be greater')
  })

  test('switched off parts say so', async () => {
    const id = await submit('gina', 'jobs', { resources, tasks: [task('sleep 20')] })
    const answer = await ask('gina', 'PUT', `/api/v1/jobs/${id}/snapshot?path=.`)
    expect([answer.status, answer.body]).toEqual([401, { error: 'Functionality disabled' }])
    await ask('gina', 'DELETE', `/api/v1/jobs/${id}`)
  })
})

async function serveArchive(request: IncomingMessage): Promise<Buffer> {
  if (request.url === '/broken.zip') return Buffer.from('no zip at all')
  return gzipSync(
    await tarOf([
      ['data/', {}],
      ['data/in.txt', 'packed\n'],
    ]),
  )
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
