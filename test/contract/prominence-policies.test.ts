// Policies and limits that the recordings only validate, on a machine with one free processor: what they do.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, clientOf } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const resources = { nodes: 1, cpus: 1, memory: 1, disk: 1 }
const task = (cmd: string, more = {}) => ({ image: 'busybox', runtime: 'singularity', cmd, ...more })

describe.skipIf(missingForContainers() !== undefined)('policies and limits of PROMINENCE jobs', () => {
  let server: ProminenceServer
  let alice: Client
  let bob: Client

  beforeAll(async () => {
    server = await startProminence({
      pools: { prominence: { cpus: 1, memory: '16GB', fair: true } },
      dialect: { quota: { storedBytes: 1_000_000 } },
    })
    alice = clientOf(server.url, await server.token({ user: 'alice', groups: ['vo/test'] }))
    bob = clientOf(server.url, await server.token({ user: 'bob', groups: ['vo/test', 'vo/b'] }))
  })
  afterAll(() => server?.close())

  test('jobs of one user start by their priority, and without one as if it were 0', async () => {
    const first = await alice.submit('jobs', { resources, tasks: [task('sleep 60')] })
    await alice.until('jobs', first, ({ status }) => status === 'running')
    const priorities = [undefined, 5, 1, 9, 0]
    const ids: number[] = []
    for (const priority of priorities)
      ids.push(
        await alice.submit('jobs', {
          ...{ name: `p${priority}`, resources, tasks: [task('true')] },
          ...(priority === undefined ? {} : { policies: { priority } }),
        }),
      )
    await alice.ask('DELETE', `/api/v1/jobs/${first}`)
    for (const id of ids) await alice.ended('jobs', id)
    // One after the other, so they end as they began: the list has the newest end first.
    const listed = (await alice.ask('GET', '/api/v1/jobs?completed=true&num=5')).body as { name: string }[]
    expect(listed.map(({ name }) => name).reverse()).toEqual(['p9', 'p5', 'p1', 'pundefined', 'p0'])
  })

  test('a job that needs more memory than it has is killed, and no further task is run', async () => {
    const id = await alice.submit('jobs', {
      resources: { ...resources, memory: 0.1 },
      tasks: [task('tail /dev/zero'), task('echo further')],
    })
    expect(await alice.ended('jobs', id)).toMatchObject({
      status: 'killed',
      statusReason: 'Job used too much memory',
      execution: { tasks: [{ exitCode: -9 }] },
    })
    expect(await alice.stream(id)).toBe('')
  })

  test.each(['ignoreTaskFailures', 'ignoreTaskTailures'])(
    '%s lets the tasks behind a failed one run',
    async name => {
      const policies = { [name]: true }
      const id = await alice.submit('jobs', {
        resources,
        tasks: [task('false'), task('echo further')],
        policies,
      })
      expect(await alice.ended('jobs', id)).toMatchObject({
        status: 'completed',
        policies,
        execution: { tasks: [{ exitCode: 1 }, { exitCode: 0 }] },
      })
      expect(await alice.stream(id)).toBe('further\n')
    },
  )

  test('snapshots count against the quota of stored bytes, each job with its newest', async () => {
    const make =
      'head -c 600000 /dev/urandom > big; head -c 60000 /dev/urandom > small; echo made; exec sleep 60'
    const id = await alice.submit('jobs', { resources, tasks: [task(`sh -c "${make}"`)] })
    while (!(await alice.stream(id)).includes('made'));
    const snapshot = async (path: string) =>
      (await alice.ask('PUT', `/api/v1/jobs/${id}/snapshot?path=${path}`)).status
    const upload = async (name: string, bytes: number) => {
      const { url } = (await alice.ask('POST', '/api/v1/data', { filename: name })).body as { url: string }
      return (await fetch(url, { method: 'PUT', body: Buffer.alloc(bytes) })).status
    }
    expect(await snapshot('big')).toBe(200)
    expect(await snapshot('big')).toBe(200)
    expect(await upload('a', 500_000)).toBe(413)
    expect(await snapshot('small')).toBe(200)
    expect(await upload('a', 500_000)).toBe(200)
    expect(await snapshot('big')).toBe(413)
    const { url } = (await alice.ask('GET', `/api/v1/jobs/${id}/snapshot`)).body as { url: string }
    expect((await (await fetch(url)).arrayBuffer()).byteLength).toBeLessThan(100_000)
    await alice.ask('DELETE', '/api/v1/data/a')
    await alice.ask('DELETE', `/api/v1/jobs/${id}`)
    await alice.ended('jobs', id)
  })

  test('an image from a place that is not spoken to could not be had', async () => {
    const id = await alice.submit('jobs', { resources, tasks: [task('true', { image: 'shub://who/what' })] })
    expect(await alice.ended('jobs', id)).toMatchObject({
      status: 'failed',
      statusReason: 'Container image pull failed',
    })
  })

  test('what is preemptible says so in lists', async () => {
    const policies = { preemptible: true, autoScalingType: 'shared', maximumIdleTimePerResource: 3 }
    const id = await alice.submit('jobs', { resources, tasks: [task('true')], policies })
    await alice.ended('jobs', id)
    expect((await alice.ask('GET', `/api/v1/jobs?id=${id}`)).body).toMatchObject([{ id, preemptible: true }])
    expect(await alice.describe('jobs', id)).toMatchObject({ policies })
  })

  test('usage: own, of all in the own groups, and of the groups', async () => {
    const id = await bob.submit('jobs', { resources, tasks: [task('true')] })
    await bob.ended('jobs', id)
    const day = new Date().toISOString().slice(0, 10)
    const usage = async (more: string) =>
      (
        (await bob.ask('GET', `/api/v1/accounting?start=${day}&end=${day}${more}`)).body as {
          usage: {
            users: Record<string, { numberOfJobs: number }>
            groups: Record<string, { numberOfJobs: number }>
          }
        }
      ).usage
    expect(Object.keys((await usage('')).users)).toEqual(['bob'])
    const all = await usage('&show_all_users=true')
    expect(Object.keys(all.users).sort()).toEqual(['alice', 'bob'])
    const { users, groups } = await usage('&by_group=true')
    expect(users).toEqual({})
    expect(groups['vo/b']!.numberOfJobs).toBe(1)
    expect(groups['vo/test']!.numberOfJobs).toBe(
      all.users['alice']!.numberOfJobs + all.users['bob']!.numberOfJobs,
    )
  })

  test('a worker is told a token, and time series are off', async () => {
    const worker = await alice.ask('POST', '/api/v1/token')
    expect([worker.status, worker.body]).toEqual([
      201,
      { token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/) },
    ])
    for (const [method, path] of [
      ['POST', '/ts'],
      ['GET', '/ts/1'],
    ] as const) {
      const answer = await alice.ask(method, `/api/v1${path}`)
      expect([answer.status, answer.body]).toEqual([401, { error: 'Functionality disabled' }])
    }
  })
})
