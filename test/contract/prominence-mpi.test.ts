// MPI tasks under a real mpirun, in images with Open MPI or MPICH and without ssh.

import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importImage } from '../../src/executors/container/images/index.ts'
import { type FlavourName, missingForMpi, mpiTar } from './mpi-image.ts'
import { type Client, clientOf } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

for (const type of ['openmpi', 'mpich'] as const) {
  const missing = missingForContainers() ?? missingForMpi(type)
  describe.skipIf(missing !== undefined)(
    `PROMINENCE and MPI: ${type}${missing ? ` (skipped: ${missing})` : ''}`,
    () => testsOf(type),
  )
}

function testsOf(type: FlavourName): void {
  let server: ProminenceServer
  let alice: Client
  beforeAll(async () => {
    server = await startProminence({ pools: { prominence: { cpus: 12, memory: '16GB' } } })
    const file = join(server.dir, 'mpi.tar')
    await writeFile(file, await mpiTar(server.dir, type))
    await importImage(server.images, { file, name: 'mpi' })
    alice = clientOf(server.url, await server.token({ user: 'alice' }))
  })
  afterAll(() => server?.close())

  const mpi = (cmd: string, more = {}) => ({
    ...{ image: 'mpi', runtime: 'singularity', type, cmd },
    ...more,
  })

  test('the processes of all nodes find each other, more of them than this machine has cores', async () => {
    const id = await alice.submit('jobs', {
      resources: { nodes: 3, cpus: 4, memory: 1 },
      tasks: [mpi('sum'), mpi('/usr/bin/sum', { procsPerNode: 1 })],
    })
    const shown = await alice.ended('jobs', id)
    expect([await alice.stream(id), await alice.stream(id, 'stderr')]).toEqual([
      '12 processes, ranks add up to 66\n3 processes, ranks add up to 3\n',
      '',
    ])
    expect(shown).toMatchObject({
      status: 'completed',
      execution: { tasks: [{ exitCode: 0 }, { exitCode: 0 }] },
    })
    expect(await alice.stream(id, 'stdout', 2)).toBe('')
  })

  test('serial tasks on all nodes go before and after those for mpirun', async () => {
    const serial = mpi("sh -c 'echo node $PROMINENCE_NODE_NUM'", { type: 'basic' })
    const id = await alice.submit('jobs', {
      resources: { nodes: 2, cpus: 1, memory: 1 },
      tasks: [serial, mpi('sum'), serial],
      policies: { runSerialTasksOnAllNodes: true },
    })
    await alice.ended('jobs', id)
    expect(await alice.stream(id)).toBe('node 0\n2 processes, ranks add up to 1\nnode 0\n')
    expect(await alice.stream(id, 'stdout', 1)).toBe('node 1\nnode 1\n')
  })

  test('a process that aborts ends the others, and the task with its code', async () => {
    const id = await alice.submit('jobs', {
      resources: { nodes: 2, cpus: 1, memory: 1 },
      tasks: [mpi('sum abort')],
    })
    expect(await alice.ended('jobs', id)).toMatchObject({ execution: { tasks: [{ exitCode: 9 }] } })
  })

  test('a deleted job leaves no process of mpirun behind', async () => {
    const id = await alice.submit('jobs', {
      resources: { nodes: 2, cpus: 1, memory: 1 },
      tasks: [mpi("sh -c 'echo up; sleep 4242'")],
    })
    while (!(await alice.stream(id)).includes('up\nup\n'));
    await alice.ask('DELETE', `/api/v1/jobs/${id}`)
    await alice.ended('jobs', id)
    expect(execFileSync('ps', ['axww', '-o', 'args'], { encoding: 'utf8' })).not.toContain('sleep 4242')
  })
}
