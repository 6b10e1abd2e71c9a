// Workflows of 10 000 jobs: made, listed by stretches, run again, cloned and deleted, while others are served.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, clientOf, type Shown } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const count = 10_000

describe.skipIf(missingForContainers() !== undefined)('PROMINENCE workflows of many jobs', () => {
  let server: ProminenceServer
  let alice: Client
  let bob: Client
  beforeAll(async () => {
    server = await startProminence({ dialect: { workflowPendingMax: 0 } })
    alice = clientOf(server.url, await server.token({ user: 'alice' }))
    bob = clientOf(server.url, await server.token({ user: 'bob' }))
  })
  afterAll(() => server?.close())

  /** Jobs that fit nowhere end at once, without a container for each. */
  const many = (name: string, cpus: number) => ({
    name,
    jobs: [
      {
        name: 'j',
        resources: { cpus, memory: 1 },
        tasks: [{ image: 'busybox', runtime: 'udocker', cmd: 'true' }],
      },
      { name: 'after', resources: { cpus, memory: 1 }, tasks: [{ image: 'busybox', runtime: 'udocker' }] },
    ],
    dependencies: { j: ['after'] },
    factories: [{ name: 'f', type: 'repeat', jobs: ['j'], number: count }],
  })

  /** Follows the links of a list to its end. */
  async function stretches(client: Client, path: string): Promise<Shown[][]> {
    const found: Shown[][] = []
    for (let next: string | undefined = path; next !== undefined; ) {
      const { status, body, headers, text } = await client.ask('GET', next)
      expect(status, text).toBe(200)
      found.push(body as Shown[])
      next = /^<(.*)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
    }
    return found
  }

  test('jobs that have ended are listed by stretches: each once, the newest end first', async () => {
    const id = await alice.submit('workflows', many('ended', 64))
    expect(await alice.ended('workflows', id)).toMatchObject({
      status: 'failed',
      progress: { total: count + 1, failed: count, done: 0, queued: 0, waiting: 1 },
    })
    const found = await stretches(alice, `/api/v1/jobs?id=${id}&workflow=true&completed=true&limit=1000`)
    expect(found.slice(0, 10).map(({ length }) => length)).toEqual(Array(10).fill(1000))
    const all = found.flat()
    expect(all.length).toBe(count)
    expect(new Set(all.map(job => job.id)).size).toBe(count)
    const whole = (await alice.ask('GET', `/api/v1/jobs?id=${id}&workflow=true&completed=true&num=-1`))
      .body as Shown[]
    expect(all.map(job => job.id)).toEqual(whole.map(job => job.id))
    expect(await stretches(bob, `/api/v1/jobs?id=${id}&workflow=true&completed=true&limit=1000`)).toEqual([
      [],
    ])
    const named = await stretches(alice, `/api/v1/jobs?all=true&limit=7&name=none`)
    expect(named.flat()).toEqual([])
  })

  test('active ones follow those that have ended, by their ids', async () => {
    server.gate.close()
    const id = await alice.submit('workflows', many('active', 1))
    const found = await stretches(alice, `/api/v1/jobs?all=true&limit=999&id=${id}&workflow=true`)
    expect(found.flat().length).toBe(count)
    expect(found.flat().map(job => job.id)).toEqual(
      [...new Set(found.flat().map(job => job.id))].sort((a, b) => a - b),
    )
    const both = (await stretches(alice, '/api/v1/jobs?all=true&limit=1000')).flat()
    expect(both.length).toBe(2 * count)
    const isActive = both.map(({ status }) => status === 'pending')
    expect(isActive.lastIndexOf(false)).toBeLessThan(isActive.indexOf(true))
    const flows = await stretches(alice, '/api/v1/workflows?all=true&limit=1&detail=true')
    expect(flows.flat().map(({ name }) => name)).toEqual(['ended', 'active'])

    expect((await alice.ask('DELETE', `/api/v1/workflows/${id}`)).status).toBe(200)
    expect(await alice.describe('workflows', id)).toMatchObject({ status: 'deleted' })
    server.gate.open()
    expect((await alice.ask('GET', '/api/v1/jobs')).body).toEqual([])
  })

  test('such a workflow is run again and cloned', async () => {
    const [{ id }] = (await alice.ask('GET', '/api/v1/workflows?completed=true&num=-1&name=ended')).body as [
      Shown,
    ]
    const rerun = await alice.ask('PUT', `/api/v1/workflows/${id}`)
    expect(rerun.status).toBe(200)
    const clone = await alice.ask('PUT', `/api/v1/workflows/${id}/clone`)
    expect(clone.status).toBe(201)
    for (const { body } of [rerun, clone])
      expect(await alice.ended('workflows', (body as { id: number }).id)).toMatchObject({
        status: 'failed',
        progress: { failed: count },
      })
  })

  test('a place that no answer gave is refused, and so is a stretch of impossible length', async () => {
    for (const [query, error] of [
      ['limit=0', 'limit must be between 1 and 1000'],
      ['limit=1001', 'limit must be between 1 and 1000'],
      ['limit=x', 'limit must be an integer'],
      ['after=x', 'after is not what an answer gave'],
      ['after=e', 'after is not what an answer gave'],
    ] as const)
      for (const kind of ['jobs', 'workflows']) {
        const { status, body } = await alice.ask('GET', `/api/v1/${kind}?completed=true&${query}`)
        expect([status, body]).toEqual([400, { error }])
      }
    const { status } = await alice.ask('GET', '/api/v1/jobs?completed=true&after=enonsense')
    expect(status).toBe(400)
  })
})
