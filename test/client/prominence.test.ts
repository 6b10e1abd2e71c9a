// What the command line client 0.21.0 sends (recording 021) and what it reads of the answers, command by command, made as
// it was seen to make them. The client itself is a Python program: where it is, prominence-client.test.ts drives it.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  missingForContainers,
  type ProminenceServer,
  startProminence,
} from '../contract/prominence-server.ts'
import { hasShared, sharedPath } from '../support/shared.ts'

const resources = { nodes: 1, disk: 10, cpus: 1, memory: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })
const clientHeaders = {
  'User-Agent': 'python-requests/2.28.1',
  'Accept-Encoding': 'gzip, deflate',
  Accept: '*/*',
  'Content-type': 'application/json',
}

interface Shown {
  readonly id: number
  readonly name: string
  readonly status: string
  readonly events: Record<string, number>
  readonly outputFiles?: readonly { name: string; url: string; size?: number }[]
  readonly outputDirs?: readonly { name: string; url: string; size?: number }[]
  readonly progress?: Record<string, number>
  readonly [name: string]: unknown
}

describe.skipIf(missingForContainers() !== undefined)('the command line client 0.21.0', () => {
  let server: ProminenceServer
  let token: string
  /** The forms of all requests that were made here. */
  const asked = new Set<string>()

  beforeAll(async () => {
    server = await startProminence()
    token = await server.token({ user: 'alice', groups: ['vo/test'] })
  })
  afterAll(() => server?.close())

  async function ask(method: string, path: string, body?: unknown) {
    asked.add(formOf(method, path))
    const response = await fetch(server.url + path, {
      method,
      headers: { ...clientHeaders, Authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, text, json: () => JSON.parse(text) as never }
  }

  async function submit(kind: 'jobs' | 'workflows', document: unknown): Promise<number> {
    const { status, json } = await ask('POST', `/api/v1/${kind}`, document)
    expect(status).toBe(201)
    return (json() as { id: number }).id
  }

  async function until(kind: 'jobs' | 'workflows', id: number, ...wanted: string[]): Promise<Shown> {
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(50)) {
      const [shown] = (await ask('GET', `/api/v1/${kind}/${id}`)).json() as Shown[]
      if (shown !== undefined && wanted.includes(shown.status)) return shown
    }
    throw new Error(`${kind} ${id} never became ${wanted}`)
  }

  test('create, list, describe, stdout and stderr of a job with fractional memory', async () => {
    const id = await submit('jobs', {
      resources: { ...resources, memory: 0.5 },
      name: 't1',
      labels: { app: 'x' },
      tasks: [task('/bin/sh -c "echo out; echo err >&2; exit 3"')],
    })
    const job = await until('jobs', id, 'completed')
    expect(job).toMatchObject({ name: 't1', labels: { app: 'x' }, execution: { tasks: [{ exitCode: 3 }] } })
    const listed = (await ask('GET', '/api/v1/jobs?completed=true&num=1')).json() as Shown[]
    expect(listed).toHaveLength(1)
    expect((await ask('GET', `/api/v1/jobs/${id}/stdout?node=0&offset=0`)).text).toBe('out\n')
    expect((await ask('GET', `/api/v1/jobs/${id}/stderr?node=0&offset=0`)).text).toBe('err\n')
    const labelled = (await ask('GET', '/api/v1/jobs?num=1&all=true&constraint=app%3Dx')).json() as Shown[]
    expect(labelled.map(({ id }) => id)).toEqual([id])
    const none = (await ask('GET', '/api/v1/jobs?num=1&all=true&constraint=app%3Dx&constraint=b%3Dc')).json()
    expect(none).toEqual([])
  })

  test('describe -i gives a document that can be submitted again', async () => {
    const document = {
      name: 'again',
      labels: { run: 'r/5.1' },
      resources: { nodes: 1, cpus: 1, memory: 1, disk: 10 },
      tasks: [task('/bin/echo x')],
      inputs: [{ filename: 'a.txt', content: 'aGVsbG8K' }],
      policies: { maximumTimeInQueue: -1 },
    }
    const id = await submit('jobs', document)
    const { status: _, id: __, events: ___, execution: ____, ...shown } = await until('jobs', id, 'completed')
    expect(shown).toEqual(document)
  })

  test('delete, remove, clone of jobs', async () => {
    const id = await submit('jobs', { resources, tasks: [task('/bin/sleep 30')] })
    await until('jobs', id, 'running')
    expect((await ask('GET', '/api/v1/jobs?num=1&status=running')).json() as Shown[]).toHaveLength(1)
    expect(await ask('DELETE', `/api/v1/jobs/${id}`)).toMatchObject({ status: 200, text: '{}\n' })
    expect((await ask('DELETE', `/api/v1/jobs/${id}`)).json()).toEqual({ error: 'No such job(s)' })
    expect((await ask('PUT', `/api/v1/jobs/${id}/remove`)).json()).toEqual({
      error: 'Job is no longer in the queue',
    })
    const cloned = await ask('PUT', `/api/v1/jobs/${id}/clone`)
    expect(cloned.status).toBe(201)
    const clone = (cloned.json() as { id: number }).id
    expect((await ask('DELETE', `/api/v1/jobs/${clone}`)).status).toBe(200)
  })

  test('exec and snapshot of a running job', async () => {
    const id = await submit('jobs', {
      resources,
      tasks: [task('/bin/sh -c "echo aaa > f1; echo ready; sleep 30"')],
    })
    await until('jobs', id, 'running')
    while ((await ask('GET', `/api/v1/jobs/${id}/stdout?node=0&offset=0`)).text === '') await sleep(50)
    expect((await ask('POST', `/api/v1/jobs/${id}/exec?command=ls%2C-la`)).text).toContain('f1')
    expect((await ask('PUT', `/api/v1/jobs/${id}/snapshot?path=%2Fetc`)).json()).toEqual({
      error: 'Invalid path',
    })
    expect((await ask('PUT', `/api/v1/jobs/${id}/snapshot?path=.`)).status).toBe(200)
    const { url } = (await ask('GET', `/api/v1/jobs/${id}/snapshot`)).json() as { url: string }
    const snapshot = gunzipSync(Buffer.from(await (await fetch(url)).arrayBuffer()))
    expect(snapshot.toString('latin1')).toContain('aaa\n')
    await ask('DELETE', `/api/v1/jobs/${id}`)
  })

  test('a workflow with a factory: list, list jobs, streams by name, download, rerun, clone, delete', async () => {
    const id = await submit('workflows', {
      name: 'fac',
      jobs: [
        {
          name: 'render',
          resources,
          outputFiles: ['o_$frame.txt'],
          tasks: [task('/bin/sh -c "echo f=$frame > o_$frame.txt; echo run $frame; echo e >&2"')],
        },
        { name: 'merge', resources, tasks: [task('/bin/echo merged')] },
      ],
      dependencies: { render: ['merge'] },
      factories: [
        {
          name: 'f',
          type: 'parameterSweep',
          jobs: ['render'],
          parameters: [{ name: 'frame', start: 1, end: 2, step: 0.5 }],
        },
      ],
    })
    const done = await until('workflows', id, 'completed')
    expect(done.progress).toEqual({ total: 4, done: 4, failed: 0, queued: 0, waiting: 0 })
    const listed = (await ask('GET', '/api/v1/workflows?completed=true&num=3')).json() as Shown[]
    expect(listed.map(({ id }) => id)).toContain(id)
    const detailed = '/api/v1/jobs?completed=true&num=-1&workflow=true&detail=true'
    const jobs = (await ask('GET', `${detailed}&id=${id}`)).json() as Shown[]
    expect(jobs.map(({ name }) => name).sort()).toEqual([
      'fac/merge',
      'fac/render/0',
      'fac/render/1',
      'fac/render/2',
    ])
    const [first] = jobs.filter(({ name }) => name === 'fac/render/1')
    expect(first?.['parameters']).toEqual({ frame: 1.5 })
    const [file] = first!.outputFiles!
    expect(await (await fetch(file!.url)).text()).toBe('f=1.5\n')
    expect((await ask('GET', `/api/v1/workflows/${id}/render/0/stdout?node=0&offset=0`)).text).toBe('run 1\n')
    expect((await ask('GET', `/api/v1/workflows/${id}/render/stdout?node=0&offset=0`)).text).toBe('run 1\n')
    expect((await ask('GET', `/api/v1/workflows/${id}/merge/stdout?node=0&offset=0`)).text).toBe('merged\n')
    // The client swaps its arguments for stderr.
    expect((await ask('GET', `/api/v1/workflows/${id}/0/2/stderr?node=render&offset=0`)).text).toBe('e\n')
    expect((await ask('PUT', `/api/v1/workflows/${id}`)).status).toBe(200)
    const cloned = await ask('PUT', `/api/v1/workflows/${id}/clone`)
    expect(cloned.status).toBe(201)
    const clone = (cloned.json() as { id: number }).id
    await ask('DELETE', `/api/v1/workflows/${clone}`)
    expect((await until('workflows', clone, 'deleted', 'completed')).status).toBeDefined()
  })

  test('upload with a checksum, ls, use as an artifact, download by ranges, rm', async () => {
    const content = 'hello\n'
    const checksum = createHash('sha256').update(content).digest('hex')
    const asked = await ask('POST', '/api/v1/data/upload', { filename: 'in.txt', checksum })
    expect(asked.status).toBe(201)
    const { url, fields } = asked.json() as { url: string; fields?: unknown }
    expect(fields).toBeUndefined()
    const wrong = await fetch(url, { method: 'PUT', body: 'something else' })
    expect(wrong.status).toBe(400)
    expect((await ask('GET', '/api/v1/data')).json()).toEqual([])
    expect((await fetch(url, { method: 'PUT', body: content })).status).toBe(200)
    const [listed] = (await ask('GET', '/api/v1/data')).json() as {
      name: string
      size: number
      lastModified: string
    }[]
    expect(listed).toMatchObject({ name: 'in.txt', size: 6 })
    expect(typeof listed!.lastModified).toBe('string')
    const id = await submit('jobs', {
      resources,
      artifacts: [{ url: 'in.txt' }],
      outputDirs: ['d'],
      outputFiles: ['*.out'],
      tasks: [task('/bin/sh -c "mkdir d; cp in.txt d; cat in.txt in.txt > b.out"')],
    })
    const job = await until('jobs', id, 'completed')
    const part = await fetch(job.outputFiles![0]!.url, { headers: { Range: 'bytes=6-8' } })
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
      206,
      'bytes 6-8/12',
      'hel',
    ])
    const packed = gunzipSync(
      Buffer.from(await (await fetch(job.outputDirs![0]!.url)).arrayBuffer()),
    ).toString('latin1')
    expect(packed).toContain('d/in.txt')
    expect((await ask('DELETE', '/api/v1/data/in.txt')).status).toBe(204)
    expect((await ask('DELETE', '/api/v1/data/nosuch')).status).toBe(204)
    expect((await ask('DELETE', '/api/v1/data/other/x')).status).toBe(403)
  })

  test('a link is good for what it says, and for nothing else', async () => {
    const { url } = (await ask('POST', '/api/v1/data/upload', { filename: 'l.txt' })).json() as {
      url: string
    }
    expect((await fetch(url)).status).toBe(403)
    const [, grant = '', rest = ''] = /^(.*\/)([^/]+\/[^/]+)$/.exec(url) ?? []
    expect((await fetch(`${grant}A${rest.slice(1)}`, { method: 'PUT', body: 'x' })).status).toBe(403)
  })

  test('kv: set, list, get, delete, with the doubled slash that the client writes', async () => {
    expect((await ask('POST', '/api/v1/kv//a/c', 'hello\n')).status).toBe(201)
    expect((await ask('GET', '/api/v1/kv?list=true')).json()).toEqual(['/a/c'])
    expect((await ask('GET', '/api/v1/kv//a/c')).text).toBe('hello\n')
    expect((await ask('GET', '/api/v1/kv/nokey')).status).toBe(404)
    expect((await ask('POST', '/api/v1/kv/a/b', 'one')).status).toBe(201)
    expect((await ask('GET', '/api/v1/kv/a?list=true')).json()).toEqual(['/a/b', '/a/c'])
    expect((await ask('DELETE', '/api/v1/kv/a/b')).json()).toEqual({})
    expect((await ask('DELETE', '/api/v1/kv/a?prefix=True')).json()).toEqual({})
    expect((await ask('GET', '/api/v1/kv?list=true')).json()).toEqual([])
  })

  test('usage and resources', async () => {
    const day = new Date().toISOString().slice(0, 10)
    const { usage } = (await ask('GET', `/api/v1/accounting?start=${day}&end=${day}`)).json() as {
      usage: {
        users: Record<string, { cpuTime: number; wallTime: number; numberOfJobs: number }>
        groups: object
      }
    }
    expect(usage.users['alice']!.numberOfJobs).toBeGreaterThan(5)
    expect(usage.users['alice']!.wallTime).toBeGreaterThan(0)
    const grouped = (
      await ask('GET', `/api/v1/accounting?start=${day}&end=${day}&by_group=true`)
    ).json() as typeof usage & {
      usage: typeof usage
    }
    expect(Object.keys(grouped.usage.groups)).toEqual(['vo/test'])
    const { existing } = (await ask('GET', '/api/v1/resources')).json() as { existing: unknown[] }
    expect(existing).toMatchObject([{ capacity: { cpus: 3, memory: 16 }, site: 'Local' }])
  })

  test('login by device code: register, approve, token, refresh', async () => {
    const oidc = `${server.url}/prominence/oidc`
    const registered = await fetch(`${oidc}/register`, {
      method: 'POST',
      body: JSON.stringify({ client_name: 'cli' }),
    })
    expect(registered.status).toBe(201)
    const client = (await registered.json()) as { client_id: string; client_secret: string }
    const authorization = `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}`
    const form = (path: string, fields: Record<string, string>) =>
      fetch(`${oidc}${path}`, {
        method: 'POST',
        headers: { authorization },
        body: new URLSearchParams(fields),
      })
    const code = (await (await form('/devicecode', { scope: 'openid' })).json()) as Record<string, string>
    const grant = {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: code['device_code']!,
    }
    const pending = await form('/token', grant)
    expect([pending.status, await pending.json()]).toEqual([400, { error: 'authorization_pending' }])
    const strangers = await fetch(`${oidc}/devicecode`, {
      method: 'POST',
      body: 'client_id=x&client_secret=y',
    })
    expect(strangers.status).toBe(401)
    const approve = (fields: Record<string, string>) =>
      fetch(`${oidc}/device`, {
        method: 'POST',
        body: new URLSearchParams({ code: code['user_code']!, ...fields }),
      })
    expect((await approve({ token: 'nonsense' })).status).toBe(401)
    expect((await approve({ token })).status).toBe(200)
    const issued = (await (await form('/token', grant)).json()) as Record<string, string>
    const claims = JSON.parse(atob(issued['access_token']!.split('.')[1]!)) as Record<string, unknown>
    expect(claims).toMatchObject({ username: 'alice', groups: 'vo/test' })
    expect(claims['exp']).toBeGreaterThan(Date.now() / 1000)
    // What was used is used up.
    expect((await form('/token', grant)).status).toBe(400)
    const renewal = { grant_type: 'refresh_token', refresh_token: issued['refresh_token']! }
    const renewed = (await (await form('/token', renewal)).json()) as Record<string, string>
    expect((await form('/token', renewal)).status).toBe(400)
    const answer = await fetch(`${server.url}/prominence/v1/jobs?num=1`, {
      headers: { authorization: `Bearer ${renewed['access_token']}` },
    })
    expect(answer.status).toBe(200)
  })

  test('lists as the client asks for them, with num always there', async () => {
    const names = async (path: string) => ((await ask('GET', path)).json() as Shown[]).map(({ name }) => name)
    const id = await submit('jobs', { name: 'listed', resources, tasks: [task('/bin/sleep 30')] })
    await until('jobs', id, 'running')
    expect(await names('/api/v1/jobs?num=1')).toContain('listed')
    expect(await names('/api/v1/jobs?num=1&all=true')).toContain('listed')
    expect(await names('/api/v1/jobs?num=1&all=true&name=listed')).toEqual(['listed'])
    expect(await names('/api/v1/jobs?num=1&status=idle')).not.toContain('listed')
    expect(await names('/api/v1/jobs?completed=true&num=5')).not.toContain('listed')
    await ask('DELETE', `/api/v1/jobs/${id}`)
    expect((await ask('GET', '/api/v1/jobs/999/stdout?node=0&offset=0')).status).toBe(400)

    const workflow = await submit('workflows', {
      name: 'wf one',
      jobs: [{ name: 'a', resources, tasks: [task('/bin/sleep 30')] }],
    })
    expect(await names('/api/v1/workflows?num=1')).toContain('wf one')
    expect(await names('/api/v1/workflows?num=1&all=true')).toContain('wf one')
    await until('workflows', workflow, 'running')
    expect(await names(`/api/v1/jobs?num=-1&id=${workflow}&workflow=true`)).toEqual(['wf one/a'])
    expect(await names(`/api/v1/jobs?num=-1&all=true&id=${workflow}&workflow=true`)).toEqual(['wf one/a'])
    expect(await names(`/api/v1/jobs?completed=true&num=-1&id=${workflow}&workflow=true`)).toEqual([])
    expect((await ask('DELETE', `/api/v1/workflows/${workflow}`)).status).toBe(200)
    expect((await ask('PUT', `/api/v1/workflows/${workflow}/remove`)).json()).toEqual({
      error: 'Workflow is no longer in the queue',
    })
    expect((await ask('GET', `/api/v1/workflows/${workflow}/0/stderr?node=a&offset=0`)).status).toBe(200)
  })

  test('stdout --tail: the offset grows by what was read, and the status is running until all is there', async () => {
    const id = await submit('jobs', {
      resources,
      tasks: [task('/bin/sh -c "for i in 1 2 3 4; do echo line $i; sleep 0.2; done"')],
    })
    let text = ''
    for (let status = 'pending'; status === 'pending' || status === 'running'; ) {
      const [shown] = (await ask('GET', `/api/v1/jobs/${id}`)).json() as Shown[]
      status = shown!.status
      text += (await ask('GET', `/api/v1/jobs/${id}/stdout?node=0&offset=${text.length}`)).text
    }
    expect(text).toBe('line 1\nline 2\nline 3\nline 4\n')
  })

  test('groups: upload below one, list it, and be told where one may not go', async () => {
    const { url } = (
      await ask('POST', '/api/v1/data/upload', { filename: 'vo/test/in2.txt', checksum: null })
    ).json() as { url: string }
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(200)
    expect((await ask('GET', '/api/v1/data/vo/test')).json()).toMatchObject([{ name: 'vo/test/in2.txt' }])
    expect((await ask('GET', '/api/v1/data/other')).status).toBe(403)
  })

  test.skipIf(!hasShared('recordings', 'prominence'))(
    'no request that the client was seen to make is left out here',
    () => {
      const recorded = JSON.parse(
        readFileSync(sharedPath('recordings', 'prominence', '021-cli-requests.json'), 'utf8'),
      ) as { request: { method: string; path: string } }[]
      const forms = new Set(recorded.map(({ request }) => formOf(request.method, request.path)))
      expect([...forms].filter(form => !asked.has(form))).toEqual([])
    },
  )
})

/** A request without what differs from one to the next: `GET /jobs/N/stdout?node&offset`. */
function formOf(method: string, path: string): string {
  const { pathname, searchParams } = new URL(path, 'http://here')
  const plain = pathname
    .replace(/^\/(api|prominence)\/v1/, '')
    .replace(/\/\d+/g, '/N')
    .replace(/^\/workflows\/N\/(?!N|remove$|clone$)[^/]+\//, '/workflows/N/JOB/')
    .replace(/^\/kv\/.*/, '/kv/*')
    .replace(/^\/data\/(?!upload$).*/, '/data/*')
  return `${method} ${plain}?${[...searchParams.keys()].sort().join('&')}`
}
