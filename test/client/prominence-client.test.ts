// The real command line client, unmodified, against a whole server: every command it has, and every option of each.
// Where the client is not on the machine this is skipped; what it sends is then stood in for by prominence.test.ts.

import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tarOf } from '../../src/executors/container/images/archive-fixture.ts'
import { importImage } from '../../src/executors/container/images/index.ts'
import { type Client, clientOf } from '../contract/prominence-client.ts'
import {
  missingForContainers,
  type ProminenceServer,
  startProminence,
} from '../contract/prominence-server.ts'
import { missingForClient, ProminenceCommand, prominencePython } from './prominence-command.ts'

const missing = missingForContainers() ?? missingForClient()

describe.skipIf(missing !== undefined)(
  `the real command line client${missing ? ` (skipped: ${missing})` : ''}`,
  { timeout: 300_000 },
  () => {
    let server: ProminenceServer
    let home: string
    let prominence: ProminenceCommand
    let alice: Client
    const day = new Date().toISOString().slice(0, 10)

    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), 'switchyard-prominence-client-'))
      const volume = join(home, 'volume')
      await mkdir(volume)
      await chmod(home, 0o755)
      await chmod(volume, 0o777)
      server = await startProminence({
        pools: { prominence: { cpus: 8, memory: '32GB', fair: true } },
        volumes: { 'provider.example': volume },
      })
      await addImageWithMpirun(server)
      const folder = join(home, 'work')
      await mkdir(folder)
      prominence = commandAt('/api/v1')
      await writeToken(await server.token({ user: 'alice', groups: ['vo/test'], email: 'alice@example.org' }))
      alice = clientOf(server.url, await server.token({ user: 'alice', groups: ['vo/test'] }))
    })
    afterAll(async () => {
      await server?.close()
      if (home !== undefined) await rm(home, { recursive: true, force: true })
    })

    const commandAt = (base: string) =>
      new ProminenceCommand({
        home,
        folder: join(home, 'work'),
        url: server.url + base,
        issuer: `${server.url}/prominence/oidc`,
      })

    async function writeToken(token: string): Promise<void> {
      await mkdir(join(home, '.prominence'), { recursive: true })
      await writeFile(join(home, '.prominence', 'token'), JSON.stringify({ access_token: token }))
    }

    const file = (name: string) => join(prominence.folder, name)

    /** Submits with `create` or `run`. */
    async function made(...args: readonly string[]): Promise<number> {
      const out = await prominence.out(...args)
      const id = /^(?:Job|Workflow) created with id (\d+)$/m.exec(out)?.[1]
      expect(id, out).toBeDefined()
      return Number(id)
    }

    const described = async (...args: readonly string[]) =>
      JSON.parse(await prominence.out('describe', ...args)) as Record<string, unknown> & {
        status: string
        statusReason?: string
        execution?: {
          tasks?: { exitCode: number; retries: number; wallTimeUsage: unknown }[]
          retries?: number
        }
      }

    const running = (id: number) => alice.until('jobs', id, ({ status }) => status === 'running')

    /** The rows of a list: the first word of each line below the headings. */
    const listed = async (...args: readonly string[]) =>
      (await prominence.out('list', ...args))
        .trimEnd()
        .split('\n')
        .slice(1)
        .map(line => Number(line.split(' ')[0]))

    async function refusal(...args: readonly string[]): Promise<string> {
      const { code, out, err } = await prominence.run(...args)
      expect(code, out + err).toBe(1)
      return out.trim()
    }

    test('register and login: a client, a code that its user approves, a token to work with', async () => {
      const token = await readFile(join(home, '.prominence', 'token'), 'utf8')
      expect(await prominence.out('register')).toBe('Client registration successful\n')
      const login = prominence.begin('login')
      let said = ''
      login.stdout?.on('data', part => (said += part))
      const ended = new Promise(resolve => login.once('exit', resolve))
      while (!said.includes('when requested')) await sleep(50)
      const [, page, code] = /open the page (\S+) and enter the code (\S+) when/.exec(said)!
      const fields = { code: code!, token: (JSON.parse(token) as { access_token: string }).access_token }
      const approved = await fetch(page!, { method: 'POST', body: new URLSearchParams(fields) })
      expect(approved.status).toBe(200)
      expect(await ended).toBe(0)
      expect(said).toContain('Successfully retrieved token')
      expect(await readFile(join(home, '.prominence', 'token'), 'utf8')).not.toBe(token)
      expect(await prominence.out('list')).toMatch(/^ID\s+NAME\s+CREATED/)
    })

    test('tokens that are no good are told from servers that are not there', async () => {
      const token = await readFile(join(home, '.prominence', 'token'), 'utf8')
      try {
        await writeToken(await server.token({ user: 'alice', expiresAt: Date.now() - 5_000 }))
        expect(await refusal('list')).toBe('Error: access token has expired')
        const [head, , seal] = (JSON.parse(token) as { access_token: string }).access_token.split('.')
        const forged = Buffer.from(JSON.stringify({ username: 'root', groups: '', exp: 4e9 })).toString(
          'base64url',
        )
        await writeToken(`${head}.${forged}.${seal}`)
        expect(await refusal('list')).toBe('Error: authentication failed')
        expect(await refusal('kv', 'get', 'a')).toBe('Error: authentication failed')
      } finally {
        await writeFile(join(home, '.prominence', 'token'), token)
      }
    })

    test('create with files of every kind, then describe, stdout, stderr and download', async () => {
      await writeFile(file('in.txt'), 'in\n')
      await writeFile(file('own.txt'), 'own\n')
      await writeFile(
        file('data.tgz'),
        gzipSync(
          await tarOf([
            ['data/', {}],
            ['data/x.txt', 'x\n'],
          ]),
        ),
      )
      await mkdir(file('tree'))
      await writeFile(join(file('tree'), 'leaf.txt'), 'leaf\n')
      const sum = createHash('sha256').update('in\n').digest('hex')
      expect(
        await prominence.out('upload', '--name', 'in.txt', '--filename', 'in.txt', '--checksum', sum),
      ).toBe('Success\n')
      await prominence.out('upload', '--name', 'data.tgz', '--filename', 'data.tgz')
      const script =
        'cat in.txt own.txt leaf.txt /mnt/data/x.txt; echo $COLOUR >&2; mkdir d; echo deep > d/e; echo f > f.out'
      const words = [
        ...['create', '--name', 'files', '--label', 'app=x', '--label', 'run=r/5.1', '--env', 'COLOUR=red'],
        ...['--artifact', 'in.txt', '--artifact', 'data.tgz:data:/mnt/data', '--input', 'own.txt'],
        ...['--directory', 'tree', '--output', '*.out', '--outputdir', 'd', '--workdir', '/home/user'],
        ...['--runtime', 'udocker', 'busybox', `/bin/sh -c "${script}"`],
      ]
      const id = await made(...words)
      await alice.ended('jobs', id)
      const job = await described(String(id))
      expect(job).toMatchObject({
        id,
        name: 'files',
        status: 'completed',
        labels: { app: 'x', run: 'r/5.1' },
        resources: { nodes: 1, cpus: 1, memory: 1, disk: 10 },
        artifacts: [{ url: 'in.txt' }, { url: 'data.tgz', mountpoint: 'data:/mnt/data' }, {}],
        outputFiles: [{ name: '*.out' }],
        outputDirs: [{ name: 'd' }],
        tasks: [{ image: 'busybox', runtime: 'udocker', env: { COLOUR: 'red' }, workdir: '/home/user' }],
        execution: { tasks: [{ exitCode: 0, retries: 0 }], site: 'Local' },
      })
      expect(typeof job.execution?.tasks?.[0]?.wallTimeUsage).toBe('number')
      expect(await prominence.out('stdout', String(id))).toBe('in\nown\nleaf\nx\n\n')
      expect(await prominence.out('stderr', String(id), '--node', '0')).toBe('red\n\n')
      expect(await prominence.out('stdout', String(id), '--node', '0')).toContain('leaf')
      await prominence.out('download', '--dir', String(id))
      const outputs = join(prominence.folder, String(id))
      expect(gunzipSync(await readFile(join(outputs, 'd.tgz'))).toString('latin1')).toContain('deep\n')
      expect((await stat(join(outputs, '*.out'))).size).toBe(2)
      await prominence.out('download', String(id))
      await prominence.out('download', '--force', String(id))
      if ((await prominence.options('download')).includes('--concurrency'))
        await prominence.out('download', '--concurrency=4', '--force', String(id))
      expect(await readFile(file('*.out'), 'utf8')).toBe('f\n')
    })

    test('create with resources of every form, as the description then says them', async () => {
      const forms: [string[], Record<string, unknown>][] = [
        [
          ['--cpus', '2', '--memory', '3', '--disk', '4', '--walltime', '5'],
          { cpus: 2, memory: 3, disk: 4, walltime: 5 },
        ],
        [['--cpus', '2', '--memory-per-cpu', '1'], { cpus: 2, memoryPerCpu: 1 }],
        [['--cpus-range', '1,2'], { cpusRange: [1, 2] }],
        [['--cpus-options', '1,2'], { cpusOptions: [1, 2] }],
        [
          ['--total-cpus-range', '2,4', '--cpus-range', '1,2', '--openmpi'],
          { totalCpusRange: [2, 4], cpusRange: [1, 2] },
        ],
      ]
      const jobs = []
      for (const [words, resources] of forms)
        jobs.push({ id: await made('create', ...words, 'mpi', 'echo hi'), resources })
      for (const { id, resources } of jobs) {
        await alice.ended('jobs', id)
        expect(await described(String(id))).toMatchObject({ status: 'completed', resources })
      }
      const tooBig = await made('create', '--cpus', '999', 'busybox')
      expect(await described(String(tooBig))).toMatchObject({
        status: 'failed',
        statusReason: 'No matching resources',
      })
    })

    test('create with each flavour of MPI: as many processes as were asked for', async () => {
      const hi = async (...words: readonly string[]) => {
        const id = await made('create', ...words, 'mpi', 'echo hi')
        expect(await alice.ended('jobs', id)).toMatchObject({ status: 'completed' })
        return (await prominence.out('stdout', String(id))).match(/hi/g)?.length
      }
      expect(await hi('--openmpi', '--nodes', '2', '--cpus', '2')).toBe(4)
      expect(await hi('--mpich', '--nodes', '2', '--cpus', '2', '--procs-per-node', '1')).toBe(2)
      expect(await hi('--intelmpi', '--nodes', '1', '--cpus', '3', '--omp-procs-per-node', '1')).toBe(2)
    })

    test('create with policies: retries, priority, time in the queue; left in it, and removed', async () => {
      const id = await made(
        ...['create', '--retries', '1', '--task-retries', '2', '--priority', '3', '--max-time-in-queue', '7'],
        ...['--leave-in-queue', 'busybox', '/bin/sh -c "echo try; exit 3"'],
      )
      await alice.ended('jobs', id)
      expect(await described(String(id))).toMatchObject({
        status: 'completed',
        policies: {
          ...{ maximumRetries: 1, maximumTaskRetries: 2, priority: 3 },
          ...{ maximumTimeInQueue: 7, leaveInQueue: true },
        },
        execution: { retries: 1, tasks: [{ exitCode: 3, retries: 2 }] },
      })
      expect((await prominence.out('stdout', String(id))).match(/try/g)).toHaveLength(6)
      expect(await listed()).toContain(id)
      expect(await prominence.out('remove', String(id))).toBe('Job removed from queue\n')
      expect(await listed()).not.toContain(id)
      expect(await refusal('remove', 'job', String(id))).toBe('Error: Job is no longer in the queue')
    })

    test('create with storage, whose token is shown to nobody', async () => {
      const storage = {
        ...{ type: 'onedata', mountpoint: '/data', default: false },
        onedata: { provider: 'provider.example', token: 'very secret' },
      }
      await writeFile(file('storage.json'), `"storage": ${JSON.stringify(storage)}`)
      const write = await made(
        'create',
        '--storage',
        'storage.json',
        'busybox',
        '/bin/sh -c "echo kept > /data/k"',
      )
      expect(await alice.ended('jobs', write)).toMatchObject({ execution: { tasks: [{ exitCode: 0 }] } })
      const read = await made('create', '--storage', 'storage.json', 'busybox', 'cat /data/k')
      await alice.ended('jobs', read)
      expect(await prominence.out('stdout', String(read))).toBe('kept\n\n')
      const shown = await prominence.out('describe', 'job', String(read))
      expect(shown).not.toContain('very secret')
      expect(JSON.parse(shown)).toMatchObject({ storage: { type: 'onedata', mountpoint: '/data' } })
    })

    test('a dry run prints what would be sent, and that is taken as it is', async () => {
      const words = ['--name', 'dry', '--label', 'a=b', '--output', 'o', 'busybox', 'touch o']
      await writeFile(file('dry.json'), await prominence.out('create', '--dry-run', ...words))
      const id = await made('run', 'dry.json')
      await alice.ended('jobs', id)
      expect(await described(String(id))).toMatchObject({
        name: 'dry',
        outputFiles: [{ name: 'o', size: 0 }],
      })
    })

    test('fractions of a GB, on the command line and in a file', async ({ skip }) => {
      const inFile = { resources: { ...one, memory: 0.5 }, tasks: [task('true')] }
      await writeFile(file('half.json'), JSON.stringify(inFile))
      expect(await described(String(await made('run', 'half.json')))).toMatchObject({
        resources: { memory: 0.5 },
      })
      const { code } = await prominence.run('create', '--dry-run', '--memory', '0.5', 'busybox')
      if (code === 2) skip('this client is older than 0.21: its --memory takes whole numbers alone')
      const id = await made('create', '--memory', '0.5', 'busybox', 'true')
      expect(await described(String(id))).toMatchObject({ resources: { memory: 0.5 } })
    })

    test('run: jobs as JSON, as YAML with commands over several lines, and from the web', async () => {
      await writeFile(file('note.txt'), 'noted\n')
      const job = { name: 'json', resources: one, inputs: ['file://note.txt'], tasks: [task('cat note.txt')] }
      await writeFile(file('job.json'), JSON.stringify(job))
      const yaml = [
        ...['name: yaml', 'resources: {nodes: 1, cpus: 1, memory: 1, disk: 10}', 'tasks:'],
        ...['- image: busybox', '  runtime: singularity', '  cmd: |', '    echo one', '    echo two'],
        ...['- image: busybox', '  runtime: singularity', '  cmd: |', '    #!/bin/sh', '    echo three', ''],
      ]
      await writeFile(file('job.yaml'), yaml.join('\n'))
      const web = createServer((_, answer) => answer.end(JSON.stringify({ ...job, name: 'web', inputs: [] })))
      await new Promise<void>(resolve => web.listen(0, '127.0.0.1', resolve))
      const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/job.json`
      const ids = [await made('run', 'job.json'), await made('run', 'job.yaml'), await made('run', url)]
      web.close()
      const texts = []
      for (const id of ids) {
        await alice.ended('jobs', id)
        texts.push(await prominence.out('stdout', String(id)))
      }
      expect(texts).toEqual(['noted\n\n', 'one\ntwo\nthree\n\n', '\n'])
      await writeFile(file('wrong.json'), JSON.stringify({ ...job, inputs: [], resources: { cpus: 0 } }))
      expect(await refusal('run', 'wrong.json')).toBe('Error: number of cpus must be at least 1')
    })

    test('exec, snapshot, delete and clone of a running job; its output so far', async () => {
      const id = await made('create', 'busybox', '/bin/sh -c "echo aaa > f1; echo ready; exec sleep 60"')
      await running(id)
      while (!(await alice.stream(id)).includes('ready')) await sleep(50)
      expect(await prominence.out('stdout', String(id))).toBe('ready\n\n')
      expect(await prominence.out('exec', String(id), 'ls -l')).toContain('f1')
      expect(await refusal('exec', String(id), 'false')).toContain('Unable to execute command')
      expect(await prominence.out('snapshot', String(id), 'f1')).toContain('snapshot.tgz')
      expect(gunzipSync(await readFile(file('snapshot.tgz'))).toString('latin1')).toContain('aaa\n')
      expect(await refusal('snapshot', String(id), '/etc')).toContain('Invalid path')
      const clone = Number(/id (\d+)/.exec(await prominence.out('clone', String(id)))?.[1])
      expect(clone).toBeGreaterThan(id)
      expect(await prominence.out('delete', String(id))).toBe('Success\n')
      expect(await prominence.out('delete', 'job', String(clone))).toBe('Success\n')
      await alice.ended('jobs', clone)
      expect(await refusal('delete', String(id))).toBe('Error: No such job(s)')
      expect(await described(String(id))).toMatchObject({
        status: 'deleted',
        statusReason: 'Job deleted by user',
      })
    })

    test('list: by state, number, label and name', async () => {
      const id = await made('create', '--name', 'wanted', '--label', 'app=list', 'busybox', 'sleep 60')
      await running(id)
      expect(await listed()).toContain(id)
      expect(await listed('--running')).toContain(id)
      expect(await listed('--idle')).not.toContain(id)
      expect(await listed('--all', '--name', 'wanted')).toEqual([id])
      expect(await listed('--all', '--constraint', 'app=list')).toEqual([id])
      expect(await listed('--all', '--constraint', 'app=list', '--constraint', 'app=other')).toEqual([])
      expect(await listed('--completed')).toHaveLength(1)
      expect(await listed('--completed', '--last', '3')).toHaveLength(3)
      expect(await refusal('list', '--constraint', 'app')).toBe('Error: Invalid constraint')
      await prominence.out('delete', String(id))
      await alice.ended('jobs', id)
    })

    test('a workflow with a factory: list, streams by name, download, rerun, clone, delete', async () => {
      const render =
        'echo run $frame; echo e$frame >&2; echo f=$frame > o_$frame.txt; test $frame != 2 || test -e /tmp/no'
      const workflow = {
        name: 'fac',
        labels: { kind: 'sweep' },
        jobs: [
          {
            name: 'render',
            resources: one,
            outputFiles: ['o_$frame.txt'],
            tasks: [task(`/bin/sh -c "${render}"`)],
          },
          { name: 'merge', resources: one, tasks: [task('echo merged')] },
        ],
        dependencies: { render: ['merge'] },
        factories: [
          {
            ...{ name: 'f', type: 'parameterSweep', jobs: ['render'] },
            parameters: [{ name: 'frame', start: 1, end: 2, step: 0.5 }],
          },
        ],
        policies: { maximumRetries: 1, leaveInQueue: true },
      }
      await writeFile(file('flow.json'), JSON.stringify(workflow))
      const id = await made('run', 'flow.json')
      await alice.ended('workflows', id)
      const shown = await described('workflow', String(id))
      expect(shown).toMatchObject({
        ...{ id, name: 'fac', status: 'failed', jobs: workflow.jobs, dependencies: workflow.dependencies },
        progress: { total: 4, done: 2, failed: 1, queued: 0, waiting: 1 },
      })
      expect(await listed('workflows')).toContain(id)
      expect(await listed('--completed', 'workflows')).not.toContain(id)
      expect(await listed('--all', '--name', 'fac', '--constraint', 'kind=sweep', 'workflows')).toEqual([id])
      // Three instances, and the failed one again.
      expect(await listed('--completed', 'jobs', String(id))).toHaveLength(4)
      expect(await listed('--all', 'jobs', String(id))).toHaveLength(4)
      expect(await listed('jobs', String(id))).toEqual([])
      expect(await prominence.out('stdout', String(id), 'render', '1')).toBe('run 1.5\n\n')
      // The client writes its arguments in the wrong order here.
      expect(await prominence.out('stderr', String(id), 'render', '1')).toBe('e1.5\n\n')
      await prominence.out('download', 'workflow', String(id))
      expect(await readFile(file('o_1.5.txt'), 'utf8')).toBe('f=1.5\n')
      const again = Number(/id (\d+)/.exec(await prominence.out('rerun', String(id)))?.[1])
      expect(await alice.ended('workflows', again)).toMatchObject({ status: 'failed' })
      expect(await listed('--all', 'jobs', String(again))).toHaveLength(2)
      expect(await prominence.out('remove', 'workflow', String(id))).toBe('Workflow removed from queue\n')
      expect(await refusal('remove', 'workflow', String(id))).toBe(
        'Error: Workflow is no longer in the queue',
      )
      expect(await listed('--completed', '--last', '2', 'workflows')).toContain(id)
      server.gate.close() // Its jobs shall still be there when the client comes to delete them.
      const cloned = await prominence.out('clone', 'workflow', String(id))
      const clone = Number(/^Workflow created with id (\d+)$/m.exec(cloned)?.[1])
      await prominence.out('delete', 'workflow', String(clone))
      server.gate.open()
      expect(await alice.ended('workflows', clone)).toMatchObject({ status: 'deleted' })
      expect(await refusal('delete', 'workflow', String(clone))).toBe('Error: No such workflow(s)')
    })

    test("ls and rm: own objects, and a group's", async () => {
      await writeFile(file('g.txt'), 'group\n')
      await prominence.out('upload', '--name', 'vo/test/g.txt', '--filename', 'g.txt')
      await prominence.out('upload', '--name', 'mine.txt', '--filename', 'g.txt')
      expect((await prominence.out('ls')).split('\n')).toContain('mine.txt')
      expect(await prominence.out('ls', '--long', 'vo/test')).toMatch(
        /^vo\/test\/g\.txt\s+6\s+\w{3}, \d\d \w{3} \d{4} /,
      )
      expect(await prominence.out('rm', 'vo/test/g.txt')).toBe('Success\n')
      expect(await prominence.out('ls', 'vo/test')).toBe('')
      expect(await refusal('ls', 'other')).toBe('Error: Not authorized to access this path')
      expect(await refusal('rm', 'other/x')).toBe('Error: Not authorized to access this object')
      expect(await refusal('upload', '--name', 'other/x', '--filename', 'g.txt')).toContain('Not authorized')
    })

    test('kv: set from a word and from a file, get, list, delete', async () => {
      await writeFile(file('value.txt'), 'from a file\n')
      await prominence.out('kv', 'set', 'a/b', 'one')
      await prominence.out('kv', 'set', '/a/c', 'value.txt')
      expect(await prominence.out('kv', 'get', 'a/b')).toBe('one\n')
      expect(await prominence.out('kv', 'get', '/a/c')).toBe('from a file\n\n')
      expect(await prominence.out('kv', 'list')).toBe('/a/b\n/a/c\n')
      expect(await prominence.out('kv', 'list', '/a/c')).toBe('/a/c\n')
      await prominence.out('kv', 'delete', 'a/b')
      expect(await refusal('kv', 'get', 'a/b')).toBe('Error: No such key')
      await prominence.out('kv', 'delete', '--prefix', '/a')
      expect(await prominence.out('kv', 'list')).toBe('')
    })

    test('usage and resources', async () => {
      expect(await prominence.out('usage', day, day)).toMatch(/^alice\n {3}Number of jobs +\d+\n {3}CPU time/)
      expect(await prominence.out('usage', '--group', day, day)).toMatch(/^vo\/test\n/)
      expect(await prominence.out('usage', '--all', day, day)).toMatch(/^alice\n/)
      expect(await prominence.out('resources')).toMatch(/^8 +32 +8 +32 +Local/m)
    })

    test('what is not there is told in words, never as a wrong address', async () => {
      expect(await refusal('describe', '99999')).toBe('Error: No such job')
      expect(await refusal('describe', 'workflow', '99999')).toBe('Error: No such workflow')
      expect(await refusal('stdout', '99999')).toBe('Error: Job does not exist')
      expect(await refusal('stderr', '99999', 'x')).toBe('Error: Workflow does not exist')
      expect(await refusal('delete', '99999')).toBe('Error: No such job(s)')
      expect(await refusal('clone', '99999')).toBe('Error: Job does not exist')
      expect(await refusal('exec', '99999', 'ls')).toContain('Job does not exist')
      expect(await refusal('snapshot', '99999', '.')).toContain('Job does not exist')
      expect(await refusal('download', '99999')).toContain('No such job')
    })

    test('the base path that the client has built in is the same', async () => {
      const builtIn = commandAt('/prominence/v1')
      expect(await builtIn.out('kv', 'set', '/built/in', 'yes')).toBe('')
      expect(await prominence.out('kv', 'get', 'built/in')).toBe('yes\n')
      expect(await builtIn.out('list', '--all')).toBe(await prominence.out('list', '--all'))
    })

    test('stdout and stderr with --tail, until the job has ended', async ({ skip }) => {
      if (!(await prominence.options('stdout')).includes('--tail')) skip('this client is older than 0.19')
      const script = 'for i in 1 2 3; do echo line $i; echo bad $i >&2; sleep 2; done'
      const id = await made('create', 'busybox', `/bin/sh -c "${script}"`)
      const [out, err] = await Promise.all([
        prominence.out('stdout', '--tail', String(id)),
        prominence.out('stderr', '--tail', String(id)),
      ])
      expect([out.trim(), err.trim()]).toEqual(['line 1\nline 2\nline 3', 'bad 1\nbad 2\nbad 3'])
    })

    test('describe --input gives a document that can be submitted again', async ({ skip }) => {
      if (!(await prominence.options('describe')).includes('--input')) skip('this client is older than 0.20')
      const id = await made('create', '--name', 'again', '--label', 'a=b', 'busybox', 'echo x')
      await alice.ended('jobs', id)
      await writeFile(file('again.json'), await prominence.out('describe', '--input', String(id)))
      const second = await made('run', 'again.json')
      expect(await described(String(second))).toMatchObject({ name: 'again', labels: { a: 'b' } })
    })

    test('its Python classes: jobs, factories of each kind, data', async ({ skip }) => {
      const python = prominencePython()
      if (python === undefined) skip('PROMINENCE_PYTHON does not say which Python has the classes')
      const script = join(import.meta.dirname, 'prominence-classes.py')
      const { code, out, err } = await prominence.program(python!, [script])
      expect(err).toBe('')
      expect([code, JSON.parse(out)]).toEqual([
        0,
        {
          status: 'completed',
          executed: 'made\n',
          exitCodes: [0, 0],
          site: 'Local',
          notifications: [{ event: 'jobFinished', type: 'email' }],
          events: ['createTime', 'endTime', 'startTime'],
          stdout: 'input x\n3\n',
          output: 'out\n',
          fetched: true,
          left: [true, false],
          sweep: ['sweep/point/0', 'sweep/point/1', 'sweep/point/2', 'sweep/sum'],
          zip: [
            { a: 1, b: 'x' },
            { a: 2, b: 'y' },
          ],
          repeat: 3,
          deleted: 'deleted',
        },
      ])
    })

    test('no command and no option of this client is left out here', async () => {
      const left: string[] = []
      for (const command of await prominence.commands()) {
        if (!prominence.used.has(command)) left.push(command)
        for (const option of await prominence.options(command))
          if (!prominence.used.has(`${command} ${option}`)) left.push(`${command} ${option}`)
      }
      expect(left).toEqual([])
    })
  },
)

const one = { nodes: 1, cpus: 1, memory: 1, disk: 10 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

/** Busybox with an `mpirun` that runs its command as often as it is told to, one after the other. */
async function addImageWithMpirun({ dir, images }: ProminenceServer): Promise<void> {
  const mpirun = '#!/bin/sh\nshift\nn=$1\nshift\nfor i in $(seq "$n"); do "$@"; done\n'
  const tar = await tarOf([
    ['bin/', {}],
    ...['sh', 'seq', 'echo'].map(name => [`bin/${name}`, { type: 'symlink', linkname: 'busybox' }] as const),
    ['bin/mpirun', mpirun],
    ['bin/busybox', await readFile('/bin/busybox')],
    ['etc/resolv.conf', ''],
    ['etc/hosts', ''],
  ])
  await writeFile(join(dir, 'mpi.tar'), tar)
  await importImage(images, { file: join(dir, 'mpi.tar'), name: 'mpi' })
}
