// What the PROMINENCE dialect does with jobs that no recording shows: how they end, act, and are kept.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, clientOf, type Shown } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const resources = { cpus: 1, memory: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

describe.skipIf(missingForContainers() !== undefined)('PROMINENCE beyond the recordings', () => {
  let server: ProminenceServer
  let alice: Client
  let bob: Client
  let frank: Client
  let gina: Client

  beforeAll(async () => {
    server = await startProminence({
      dialect: { ENABLE_SNAPSHOTS: 'False' },
    })
    const client = async (user: string) => clientOf(server.url, await server.token({ user }))
    alice = await client('alice')
    bob = await client('bob')
    frank = await client('frank')
    gina = await client('gina')
  })
  afterAll(async () => {
    await server?.close()
  })

  test('a job that can never fit is failed at once, with the reason', async () => {
    const id = await bob.submit('jobs', { resources: { cpus: 64, memory: 1 }, tasks: [task('true')] })
    const [job] = (await bob.ask('GET', `/api/v1/jobs/${id}`)).body as unknown as Shown[]
    expect(job).toMatchObject({ status: 'failed', statusReason: 'No matching resources' })
    const workflow = await bob.submit('workflows', {
      jobs: [{ name: 'a', resources: { cpus: 1, memory: 4_000 }, tasks: [task('true')] }],
    })
    expect(await bob.ended('workflows', workflow)).toMatchObject({ status: 'failed', name: '' })
    const elsewhere = await bob.ask('POST', '/api/v1/jobs', {
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
    const over = await bob.submit('jobs', fill(1_100_000_000))
    const within = await bob.submit('jobs', fill(900_000_000))
    expect(await bob.ended('jobs', over)).toMatchObject({
      status: 'killed',
      statusReason: 'Job used too much disk space',
    })
    expect((await bob.ended('jobs', within)).status).toBe('completed')
  })

  test('the failed ones can be listed by their exit code', async () => {
    const good = await bob.submit('jobs', { name: 'e', resources, tasks: [task('true')] })
    const wrong = await bob.submit('jobs', { name: 'e', resources, tasks: [task('sh -c "exit 4"')] })
    await Promise.all([good, wrong].map(id => bob.ended('jobs', id)))
    const listed = (await bob.ask('GET', '/api/v1/jobs?all=true&name=e&exit=nonzero'))
      .body as unknown as Shown[]
    expect(listed.map(({ id }) => id)).toEqual([wrong])
  })

  test('a workflow that is left in the queue is run again, too', async () => {
    const id = await alice.submit('workflows', {
      name: 'left',
      jobs: [
        { name: 'good', resources, tasks: [task('true')] },
        { name: 'bad', resources, tasks: [task('false')] },
      ],
      policies: { leaveInQueue: true },
    })
    expect(await alice.ended('workflows', id)).toMatchObject({ status: 'failed' })
    const { status, text } = await alice.ask('PUT', `/api/v1/workflows/${id}`)
    expect(status, text).toBe(200)
    expect(await alice.ended('workflows', (JSON.parse(text) as { id: number }).id)).toMatchObject({
      progress: { total: 2, done: 1, failed: 1 },
    })
  })

  test('a job acts for its owner with the token in its environment', async () => {
    const id = await frank.submit('jobs', {
      resources,
      tasks: [task('/bin/sh -c "echo $PROMINENCE_TOKEN"')],
    })
    await frank.ended('jobs', id)
    const job = clientOf(server.url, (await frank.stream(id)).trim())
    const jobs = (await job.ask('GET', '/api/v1/jobs?all=true')).body as unknown as Shown[]
    expect(jobs.map(job => job.id)).toContain(id)
    const { status, body } = await job.ask('POST', '/api/v1/data/output', { name: 'late.txt' })
    expect(status).toBe(201)
    expect((await fetch((body as unknown as { url: string }).url, { method: 'PUT', body: 'x' })).status).toBe(
      200,
    )
  })

  test('secrets of a submission are not shown', async () => {
    const id = await frank.submit('jobs', {
      resources,
      tasks: [{ ...task('true'), imagePullCredential: { username: 'u', token: 'very secret' } }],
    })
    expect((await frank.ask('GET', `/api/v1/jobs/${id}`)).text).not.toContain('very secret')
    const workflow = await frank.submit('workflows', {
      jobs: [
        {
          name: 'a',
          resources,
          tasks: [{ ...task('true'), imagePullCredential: { username: 'u', token: 'very secret' } }],
        },
      ],
    })
    expect((await frank.ask('GET', `/api/v1/workflows/${workflow}`)).text).not.toContain('very secret')
    await frank.ended('jobs', id)
    await frank.ended('workflows', workflow)
    const { body } = await frank.ask('PUT', `/api/v1/jobs/${id}/clone`)
    expect(await frank.ended('jobs', (body as unknown as Shown).id)).toMatchObject({ status: 'completed' })
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

  test('job names with slashes and factories of the same names are told apart', async () => {
    const id = await gina.submit('workflows', {
      name: 'w',
      jobs: [
        { name: 'p', resources, tasks: [task('echo many')] },
        { name: 'p/0', resources, tasks: [task('echo one')] },
      ],
      factories: [{ name: 'f', type: 'repeat', jobs: ['p'], num: 2 }],
      dependencies: { p: ['p/0'] },
    })
    expect(await gina.ended('workflows', id)).toMatchObject({
      status: 'completed',
      progress: { total: 3, done: 3 },
    })
    expect((await gina.ask('GET', `/api/v1/workflows/${id}/p/1/stdout`)).text).toBe('many\n')
    expect((await gina.ask('GET', `/api/v1/workflows/${id}/p/0/stdout`)).text).toBe('one\n')
  })

  test('switched off parts say so', async () => {
    const id = await gina.submit('jobs', { resources, tasks: [task('sleep 20')] })
    const answer = await gina.ask('PUT', `/api/v1/jobs/${id}/snapshot?path=.`)
    expect([answer.status, answer.body]).toEqual([401, { error: 'Functionality disabled' }])
    await gina.ask('DELETE', `/api/v1/jobs/${id}`)
  })
})
