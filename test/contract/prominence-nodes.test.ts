// Jobs over several nodes, ranges of cpus, and how many jobs a user may have running: contracts/prominence.md §3.2.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, clientOf, type Shown } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const resources = { cpus: 1, memory: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })
const everywhere = { policies: { runSerialTasksOnAllNodes: true } }

describe.skipIf(missingForContainers() !== undefined)('PROMINENCE jobs over several nodes', () => {
  let server: ProminenceServer
  let alice: Client
  let bob: Client
  beforeAll(async () => {
    server = await startProminence({
      pools: { prominence: { cpus: 8, memory: '16GB' } },
      dialect: { quota: { runningJobs: 2 } },
    })
    alice = clientOf(server.url, await server.token({ user: 'alice' }))
    bob = clientOf(server.url, await server.token({ user: 'bob' }))
  })
  afterAll(() => server?.close())

  test('serial tasks on all nodes run at the same time, each node with streams of its own', async () => {
    const meet =
      'sh -c "echo $PROMINENCE_NODE_NUM of $PROMINENCE_NODES; echo err >&2; touch n$PROMINENCE_NODE_NUM; until test -e n0 -a -e n1 -a -e n2; do sleep 0.05; done"'
    const id = await alice.submit('jobs', {
      resources: { ...resources, nodes: 3 },
      tasks: [task(meet), task('sh -c "echo task $PROMINENCE_TASK_NUM"')],
      ...everywhere,
    })
    const shown = await alice.ended('jobs', id)
    expect(shown).toMatchObject({
      status: 'completed',
      resources: { nodes: 3 },
      execution: {
        provisionedResources: { cpus: 1, memory: 1, nodes: 3 },
        tasks: [
          { exitCode: 0, exitCodes: [0, 0, 0], retries: 0 },
          { exitCode: 0, exitCodes: [0, 0, 0], imagePullStatus: 'cached' },
        ],
      },
    })
    for (const node of [0, 1, 2]) {
      expect(await alice.stream(id, 'stdout', node)).toBe(`${node} of 3\ntask 1\n`)
      expect(await alice.stream(id, 'stderr', node)).toBe('err\n')
    }
    expect((await alice.ask('GET', `/api/v1/jobs/${id}/stdout?node=3`)).body).toEqual({
      error: 'stdout does not exist',
    })
    expect((await alice.ask('GET', `/api/v1/jobs/${id}/stdout?node=1&offset=5`)).text).toBe('3\ntask 1\n')
  })

  test('serial tasks run on node 0 only unless they were to; the other nodes have empty streams', async () => {
    const id = await alice.submit('jobs', {
      resources: { ...resources, nodes: 2 },
      tasks: [task('sh -c "echo $PROMINENCE_NODE_NUM of $PROMINENCE_NODES"')],
    })
    expect((await alice.ended('jobs', id))['execution']).toMatchObject({
      provisionedResources: { cpus: 1, nodes: 2 },
      tasks: [{ exitCode: 0 }],
    })
    expect([await alice.stream(id), await alice.stream(id, 'stdout', 1)]).toEqual(['0 of 2\n', ''])
  })

  test('the streams of jobs in workflows have nodes, too', async () => {
    const id = await alice.submit('workflows', {
      name: 'w',
      jobs: [
        {
          name: 'a',
          resources: { ...resources, nodes: 2 },
          tasks: [task('sh -c "echo on $PROMINENCE_NODE_NUM"')],
          ...everywhere,
        },
      ],
    })
    expect((await alice.ended('workflows', id)).status).toBe('completed')
    expect((await alice.ask('GET', `/api/v1/workflows/${id}/a/stdout?node=1`)).text).toBe('on 1\n')
    expect((await alice.ask('GET', `/api/v1/workflows/${id}/a/0/stdout?node=2`)).status).toBe(400)
  })

  test('a copy that fails ends the others, and its exit code is told', async () => {
    const id = await alice.submit('jobs', {
      resources: { ...resources, nodes: 2 },
      tasks: [task('sh -c "test $PROMINENCE_NODE_NUM = 1 && exit 4; sleep 100"'), task('echo never')],
      ...everywhere,
    })
    const shown = await alice.ended('jobs', id)
    expect(shown).toMatchObject({
      status: 'completed',
      execution: { tasks: [{ exitCode: 4, exitCodes: [-15, 4] }] },
    })
    expect(((shown['execution'] as Shown)['tasks'] as unknown[]).length).toBe(1)
    expect(await alice.stream(id)).toBe('')
  })

  test('a deleted job with several nodes ends on all of them', async () => {
    const id = await alice.submit('jobs', {
      resources: { ...resources, nodes: 2 },
      tasks: [task('sh -c "echo up; sleep 1000"')],
      ...everywhere,
    })
    await alice.until('jobs', id, ({ status }) => status === 'running')
    while ((await alice.stream(id, 'stdout', 1)) === '');
    expect((await alice.ask('DELETE', `/api/v1/jobs/${id}`)).status).toBe(200)
    expect(await alice.ended('jobs', id)).toMatchObject({ status: 'deleted' })
    expect(await alice.stream(id, 'stdout', 1)).toBe('up\n')
  })

  test('a total of cpus is spread over nodes, with cpus for each, a range of them, or options', async () => {
    const granted = async (more: object) => {
      const id = await bob.submit('jobs', { resources: { memory: 1, ...more }, tasks: [task('true')] })
      const { execution, resources: shown } = await bob.ended('jobs', id)
      expect((shown as Shown)['nodes']).toBeUndefined()
      const { cpus, nodes, memory } = (execution as Shown)['provisionedResources'] as Record<string, number>
      return [nodes, cpus, memory]
    }
    expect(await granted({ cpus: 2, totalCpusRange: [2, 7] })).toEqual([3, 2, 1])
    expect(await granted({ cpusRange: [2, 3], totalCpusRange: [4, 6] })).toEqual([2, 3, 1])
    expect(await granted({ cpusOptions: [1, 4], totalCpusRange: [2, 8] })).toEqual([2, 4, 1])
    // What is larger than all there is waits for the least that it says, and never fits beyond that.
    expect(await granted({ cpusRange: [1, 64], totalCpusRange: [3, 64] })).toEqual([1, 8, 1])
    const never = await bob.ask('POST', '/api/v1/jobs', {
      resources: { cpus: 4, memory: 1, totalCpusRange: [5, 7] },
      tasks: [task('true')],
    })
    expect([never.status, never.body]).toEqual([400, { error: 'No matching resources' }])
  })

  test('a range of cpus in a workflow takes what is free when the job is released', async () => {
    const id = await bob.submit('workflows', {
      jobs: [{ name: 'a', resources: { cpusRange: [1, 4], memoryPerCpu: 1 }, tasks: [task('true')] }],
    })
    expect((await bob.ended('workflows', id)).status).toBe('completed')
    const [job] = (await bob.ask('GET', `/api/v1/jobs?workflow=true&id=${id}&all=true&detail=true`))
      .body as Shown[]
    expect(job?.['execution']).toMatchObject({ provisionedResources: { cpus: 4, memory: 4 } })
  })

  test('no user has more jobs running than the quota says, those of workflows and of a configured pool included', async () => {
    const sleeper = { resources, tasks: [task('sh -c "until test -e go; do sleep 0.05; done"')] }
    const workflow = await alice.submit('workflows', {
      jobs: [{ name: 'a', ...sleeper }],
      factories: [{ name: 'f', type: 'repeat', number: 4, jobs: ['a'] }],
    })
    const job = await alice.submit('jobs', sleeper)
    const running = async () =>
      ((await alice.ask('GET', '/api/v1/jobs?status=running')).body as Shown[]).length
    while ((await running()) < 2);
    const other = await bob.submit('jobs', { resources, tasks: [task('true')] })
    expect((await bob.ended('jobs', other)).status).toBe('completed')
    expect(await running()).toBe(2)
    const idle = (await alice.ask('GET', '/api/v1/jobs?status=idle')).body as Shown[]
    expect(idle.map(({ id }) => id)).toContain(job)
    await alice.ask('DELETE', `/api/v1/workflows/${workflow}`)
    await alice.until('jobs', job, ({ status }) => status === 'running')
    await alice.ask('DELETE', `/api/v1/jobs/${job}`)
  })
})
