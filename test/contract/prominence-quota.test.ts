// How much a PROMINENCE user may have waiting and stored.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, clientOf, type Shown } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const resources = { cpus: 1, memory: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

describe.skipIf(missingForContainers() !== undefined)('PROMINENCE quotas', () => {
  let server: ProminenceServer
  let bob: Client
  let carol: Client
  let hal: Client

  beforeAll(async () => {
    server = await startProminence({
      dialect: { quota: { storedBytes: 10_000_000, waitingJobs: 30 } },
    })
    const client = async (user: string) => clientOf(server.url, await server.token({ user }))
    bob = await client('bob')
    carol = await client('carol')
    hal = await client('hal')
  })
  afterAll(async () => {
    await server?.close()
  })

  test('quotas: waiting jobs and stored bytes are refused with 429 when they are used up', async () => {
    server.gate.close()
    const job = { resources, tasks: [task('true')] }
    const ids = []
    for (let at = 0; at < 30; at++) ids.push(await carol.submit('jobs', job))
    // Some of them are starting already: as many more may wait.
    let refused: { status: number; text: string } = { status: 0, text: '' }
    for (let at = 0; at < 10 && refused.status !== 429; at++)
      refused = await carol.ask('POST', '/api/v1/jobs', job)
    expect(refused).toMatchObject({ status: 429, text: expect.stringContaining('quota of 30 waiting jobs') })
    expect((await bob.ask('POST', '/api/v1/jobs', job)).status).toBe(201)
    // A workflow counts with the jobs that it would release at once.
    const more = (number: number) => ({
      jobs: [{ name: 'a', ...job }],
      factories: [{ name: 'f', type: 'repeat', number, jobs: ['a'] }],
    })
    expect((await carol.ask('POST', '/api/v1/workflows', more(2))).status).toBe(429)
    const active = (await carol.ask('GET', '/api/v1/jobs')).body as unknown as Shown[]
    await carol.ask('DELETE', `/api/v1/jobs?id=${active.map(({ id }) => id).join(',')}`)
    server.gate.open()

    const upload = async (name: string, bytes: number) => {
      const { url } = (await carol.ask('POST', '/api/v1/data/upload', { filename: name }))
        .body as unknown as { url: string }
      return (await fetch(url, { method: 'PUT', body: Buffer.alloc(bytes, name) })).status
    }
    // At once, none sees what the others will take: still no more than the quota is kept.
    const parallel = await Promise.all(Array.from({ length: 8 }, (_, at) => upload(`p${at}`, 3_000_000)))
    expect(parallel.filter(status => status === 200).length).toBe(3)
    expect(parallel.every(status => status === 200 || status === 413 || status === 429)).toBe(true)
    const kept = (await carol.ask('GET', '/api/v1/data')).body as unknown as {
      name: string
      size: number
    }[]
    expect(kept.map(({ size }) => size)).toEqual([3_000_000, 3_000_000, 3_000_000])
    // What a job puts by itself counts, too.
    const puts = await carol.submit('jobs', {
      resources,
      tasks: [
        task(
          `sh -c 'head -c 900000 /dev/zero >f; echo $PROMINENCE_TOKEN; until test -e go; do sleep 0.05; done'`,
        ),
      ],
    })
    let jobToken = ''
    while (jobToken === '') jobToken = (await carol.ask('GET', `/api/v1/jobs/${puts}/stdout`)).text.trim()
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
    await carol.ask('DELETE', `/api/v1/jobs/${puts}`)
    for (const { name } of kept) await carol.ask('DELETE', `/api/v1/data/${name}`)

    expect(await upload('a', 9_000_000)).toBe(200)
    expect(await upload('b', 2_000_000)).toBe(413)
    expect(await upload('a', 8_000_000)).toBe(200)
    expect((await carol.ask('DELETE', '/api/v1/data/a')).status).toBe(204)
    expect(await upload('b', 2_000_000)).toBe(200)
    // What was collected from a job counts, soon after its end.
    expect(await upload('c', 4_000_000)).toBe(200)
    const leaves = await carol.submit('jobs', {
      resources,
      tasks: [task(`sh -c 'head -c 2900000 /dev/zero >left'`)],
      outputFiles: ['left'],
    })
    expect(await carol.ended('jobs', leaves)).toMatchObject({ status: 'completed' })
    await expect.poll(() => upload('more', 1_000_000), { timeout: 20_000 }).toBe(413)
  })

  test('keys count against the quota of stored bytes, with their values, and give it back', async () => {
    const { url } = (await hal.ask('POST', '/api/v1/data/upload', { filename: 'most' })).body as unknown as {
      url: string
    }
    expect((await fetch(url, { method: 'PUT', body: Buffer.alloc(9_900_000) })).status).toBe(200)
    const set = async (key: string, bytes: number) =>
      (await hal.ask('POST', `/api/v1/kv/${key}`, 'v'.repeat(bytes))).status
    // Six of them fit, whichever come first.
    const parallel = await Promise.all(Array.from({ length: 10 }, (_, at) => set(`k/${at}`, 15_000)))
    expect(parallel.filter(status => status === 201)).toHaveLength(6)
    expect(parallel.filter(status => status === 429)).toHaveLength(4)
    const keys = (await hal.ask('GET', '/api/v1/kv?list')).body as unknown as string[]
    expect(keys).toHaveLength(6)
    // Less in the place of more, and what is dropped, gives room back; the same value again takes none.
    expect(await set(keys[0]!.slice(1), 5_000)).toBe(201)
    expect(await set('k/more', 15_000)).toBe(201)
    expect(await set('k/more', 15_000)).toBe(201)
    expect(await set('k/tiny', 6_000)).toBe(429)
    expect((await hal.ask('DELETE', `/api/v1/kv${keys[1]}`)).status).toBe(200)
    expect((await hal.ask('DELETE', `/api/v1/kv${keys[1]}`)).status).toBe(200)
    expect(await set('k/tiny', 6_000)).toBe(201)
    expect((await hal.ask('DELETE', '/api/v1/kv/k?prefix')).status).toBe(200)
    expect((await hal.ask('GET', '/api/v1/kv?list')).body).toEqual([])
    // More keys than are dropped in one commit.
    const many = await Promise.all(Array.from({ length: 1_100 }, (_, at) => set(`m/${at}`, 1)))
    expect(many.every(status => status === 201)).toBe(true)
    expect((await hal.ask('GET', '/api/v1/kv/m?list&values')).body).toHaveLength(1_100)
    expect((await hal.ask('DELETE', '/api/v1/kv/m?prefix')).status).toBe(200)
    expect((await hal.ask('GET', '/api/v1/kv?list')).body).toEqual([])
    const rest = (await hal.ask('POST', '/api/v1/data/upload', { filename: 'rest' })).body as unknown as {
      url: string
    }
    expect((await fetch(rest.url, { method: 'PUT', body: Buffer.alloc(99_900) })).status).toBe(200)
    expect(await set('one', 1)).toBe(429)
  })
})
