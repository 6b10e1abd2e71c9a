// What readers have beyond the original (contract ecflow §8, "ours"): histories, validators, parts of outputs, roles.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { type EcflowServer, startEcflow, token } from './ecflow-server.ts'

const definition = `suite s
 edit ECF_NO_SCRIPT 1
 edit ECF_JOB_CMD true
 limit lim 2
 family f
  task a
   event 4 go
   inlimit /s:lim
  task b
   trigger a:go
`

async function load(server: EcflowServer): Promise<void> {
  const answer = await server.ask('POST', '/v1/suites', { definition }, token)
  expect(answer.status, answer.text).toBe(201)
}

const put = (server: EcflowServer, path: string, body: unknown) => server.ask('PUT', path, body, token)

async function identityOf(server: EcflowServer, path: string) {
  return { ECF_NAME: path, ECF_PASS: await server.password(path), ECF_RID: '7', ECF_TRYNO: 1 }
}

describe('a history', () => {
  test('says who did what to a node and what happened to it, also after a restart', async () => {
    const disk = new MemoryDisk()
    const first = await startEcflow({ disk })
    await load(first)
    await put(first, '/v1/suites/s/status', { action: 'begin' })
    await put(first, '/v1/suites/s/f/status', { action: 'suspend' })
    const edit = { type: 'variable', name: 'X', value: 'one\ntwo' }
    await first.ask('POST', '/v1/suites/s/f/a/attributes', edit, token)
    await put(first, '/v1/suites/s/f/a/status', {
      ...(await identityOf(first, '/s/f/a')),
      action: 'init',
    })
    await first.ask('DELETE', '/v1/suites/s/f/b', undefined, token)

    const look = async (server: EcflowServer) => {
      const read = async (path: string) => (await server.ask('GET', path)).json
      return {
        suite: await read('/v1/suites/s/history'),
        below: await read('/v1/suites/s/history?below=true&limit=4'),
        family: await read('/v1/suites/s/f/history'),
        task: await read('/v1/suites/s/f/a/history'),
        server: await read('/v1/suites/history'),
      }
    }
    const seen = await look(first)
    const commands = (of: { edits: { by: string; command: string }[] }) =>
      of.edits.map(({ by, command }) => `${by}: ${command}`)
    expect(commands(seen.suite)).toEqual(['everyday: begin /s'])
    expect(commands(seen.family)).toEqual(['everyday: suspend /s/f', 'everyday: delete /s/f/b'])
    expect(commands(seen.task)).toEqual(['everyday: alter add variable X one\ntwo /s/f/a'])
    expect(commands(seen.server)).toEqual(['everyday: load s'])
    expect(seen.task.edits[0].at).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
    expect(seen.task.changes.map((it: { state?: string }) => it.state)).toEqual([
      'queued',
      'submitted',
      'active',
    ])
    expect(seen.suite.changes.filter((it: { limit?: string }) => it.limit)).toEqual([
      { at: expect.any(String), path: '/s', limit: 'lim', value: 1 },
    ])
    expect(seen.below.changes).toHaveLength(4)
    expect(seen.server.changes.at(-1)).toMatchObject({ path: '/s/f/b', deleted: 'command' })
    await first.close()

    const second = await startEcflow({ disk, dir: first.dir })
    expect(await look(second)).toEqual(seen)
    await second.close()
    await rm(first.dir, { recursive: true, force: true })
  })

  test('forgets the oldest edits, and refuses what it cannot answer', async () => {
    const server = await startEcflow()
    await load(server)
    for (let n = 0; n < 25; n++) {
      const edit = { type: 'variable', name: 'N', value: `${n}` }
      await server.ask('POST', '/v1/suites/s/f/a/attributes', edit, token)
    }
    const { json } = await server.ask('GET', '/v1/suites/s/f/a/history')
    expect(json.edits).toHaveLength(20)
    expect(json.edits.at(-1).command).toBe('alter add variable N 24 /s/f/a')
    const refused = await put(server, '/v1/suites/s/f/a/status', { action: 'requeue' })
    expect(refused.status).toBe(400)
    expect((await server.ask('GET', '/v1/suites/s/f/a/history')).json).toEqual(json)
    expect((await server.ask('GET', '/v1/suites/s/none/history')).status).toBe(404)
    for (const limit of ['0', 'x', '10001', '-1'])
      expect((await server.ask('GET', `/v1/suites/s/history?limit=${limit}`)).status).toBe(400)
    expect((await put(server, '/v1/suites/s/history', {})).status).toBe(501)
    await server.close()
  })
})

describe('one server', () => {
  let server: EcflowServer
  beforeAll(async () => {
    server = await startEcflow()
    await load(server)
  })
  afterAll(async () => {
    await server.close()
    await rm(server.dir, { recursive: true, force: true })
  })

  const paths = [
    '/v1/suites',
    '/v1/suites/tree',
    '/v1/suites/s/tree?content=full',
    '/v1/suites/s/tree?content=full&gen_vars=true',
    '/v1/suites/s/definition',
    '/v1/suites/s/f/status',
    '/v1/suites/s/f/a/attributes',
    '/v1/suites/s/tree?filter=s.f',
    '/v1/server/attributes',
  ]

  test.each(paths)('%s names its version, and is not sent again to who has it', async path => {
    const first = await server.ask('GET', path)
    const etag = String(first.headers['etag'])
    expect(etag).toMatch(/^W\/"[\w.-]+"$/)
    const again = await server.ask('GET', path, undefined, { 'if-none-match': `"other", ${etag}` })
    expect([again.status, again.text]).toEqual([304, ''])
    expect(again.headers['etag']).toBe(etag)
    expect(again.headers['access-control-allow-origin']).toBe('*')
    const packed = await server.ask('GET', path, undefined, {
      'if-none-match': '"other"',
      'accept-encoding': 'gzip',
    })
    expect([packed.status, packed.headers['content-encoding']]).toEqual([200, 'gzip'])
  })

  test('a version is another one after each change that can be seen, and the same for what did not change', async () => {
    await server.ask('POST', '/v1/suites', { definition: 'suite other\n task t\n' }, token)
    const tag = async (path: string, headers = {}) =>
      (await server.ask('GET', path, undefined, headers)).headers['etag']
    const [own, other, forest] = ['/v1/suites/s/tree', '/v1/suites/other/tree', '/v1/suites/tree']
    const before = [await tag(own), await tag(other), await tag(forest)]
    await put(server, '/v1/suites/s/status', { action: 'suspend' })
    expect(await tag(own)).not.toBe(before[0])
    expect(await tag(other)).toBe(before[1])
    expect(await tag(forest)).not.toBe(before[2])
    // Who sees the passwords of running jobs has another tree.
    expect(await tag(own, token)).not.toBe(await tag(own))
    await put(server, '/v1/suites/s/status', { action: 'resume' })
    await server.ask('DELETE', '/v1/suites/other', undefined, token)
  })

  test('answers that are no plain reads have no version', async () => {
    const refused = await server.ask('GET', '/v1/suites/none/status')
    const changed = await put(server, '/v1/suites/s/status', { action: 'suspend' })
    await put(server, '/v1/suites/s/status', { action: 'resume' })
    expect([refused.headers['etag'], changed.headers['etag']]).toEqual([undefined, undefined])
  })

  test('an output can be followed in parts, and read as it is', async () => {
    await mkdir(join(server.home, 's/f'), { recursive: true })
    const text = `grüße\n${'line\n'.repeat(12_000)}`
    const bytes = Buffer.from(text)
    await writeFile(join(server.home, 's/f/a.0'), bytes)
    const url = '/v1/suites/s/f/a/output'
    const whole = await server.ask('GET', url, undefined, { accept: 'text/plain' })
    expect([whole.headers['content-type'], whole.text === text]).toEqual(['text/plain; charset=utf-8', true])
    const ranged = await server.ask('GET', url, undefined, { accept: 'text/plain', range: 'bytes=-5' })
    expect([ranged.status, ranged.text]).toEqual([206, 'line\n'])
    expect(
      (await server.ask('HEAD', url, undefined, { accept: 'text/plain' })).headers['content-length'],
    ).toBe(String(bytes.length))
    let read = ''
    let offset = 0
    for (let size = 1; offset < size; ) {
      const { json } = await server.ask('GET', `${url}?offset=${offset}&limit=3`)
      read += json.job_output
      offset = json.next_offset
      size = Math.min(json.size, 40)
    }
    expect(text.startsWith(read)).toBe(true)
    expect(read.length).toBeGreaterThan(30)
    const end = await server.ask('GET', `${url}?offset=${bytes.length + 5}`)
    expect(end.json).toEqual({
      job_output: '',
      offset: bytes.length + 5,
      next_offset: bytes.length + 5,
      size: bytes.length,
    })
    expect((await server.ask('GET', `${url}?offset=-1`)).status).toBe(400)
    expect((await server.ask('GET', url)).json.job_output.split('\n')).toHaveLength(10_001)
    expect((await server.ask('GET', '/v1/suites/s/f/b/output?offset=0')).status).toBe(404)
    expect(
      (await server.ask('GET', '/v1/suites/s/f/b/output', undefined, { accept: 'text/plain' })).status,
    ).toBe(404)
  })

  test('readers see the script that a command prints; it runs once however many ask, and its failure is told', async () => {
    const count = join(server.home, 'count')
    const text = `suite c\n task t\n  edit ECF_SCRIPT_CMD 'echo run >> ${count}; echo "# %%TASK%%"; sleep 0.2'\n task u\n  edit ECF_FETCH 'echo fetched'\n task v\n  edit ECF_FETCH 'exit 3;'\n`
    await server.ask('POST', '/v1/suites', { definition: text }, token)
    const read = (task: string) => server.ask('GET', `/v1/suites/c/${task}/script`)
    const answers = await Promise.all(Array.from({ length: 5 }, () => read('t')))
    expect(answers.map(answer => answer.json.script)).toEqual(Array.from({ length: 5 }, () => '# %TASK%\n'))
    expect(await readFile(count, 'utf8')).toBe('run\n')
    expect((await read('u')).json.script).toBe('fetched -s u.ecf\n')
    const failed = await read('v')
    expect([failed.status, failed.json.message]).toEqual([404, expect.stringContaining('exit code 3')])
    const update = await put(server, '/v1/suites/c/u/script', { script: 'x' })
    expect([update.status, update.json.message]).toEqual([404, expect.stringContaining('no script of /c/u')])
    await server.ask('DELETE', '/v1/suites/c', undefined, token)
  })

  test('a token whose role is to look may not change anything, and one with an unknown role is none', async () => {
    const viewer = { authorization: 'Bearer tok-viewer' }
    const begin = await server.ask('PUT', '/v1/suites/s/status', { action: 'begin' }, viewer)
    expect([begin.status, begin.json.message]).toEqual([403, expect.stringContaining('may only read')])
    const odd = { authorization: 'Bearer tok-odd-role' }
    expect((await server.ask('PUT', '/v1/suites/s/status', { action: 'begin' }, odd)).status).toBe(401)
  })

  test('the tree with meta names the numbers of events', async () => {
    const events = async (query: string) => {
      const { json } = await server.ask('GET', `/v1/suites/s/f/a/tree?content=full${query}`)
      return json.a.attributes.filter((it: { type: string }) => it.type === 'event')
    }
    expect(await events('&with_meta=true')).toEqual([
      { name: 'go', value: false, initial_value: false, number: 4, type: 'event' },
    ])
    expect(await events('')).toEqual([{ name: 'go', value: false, initial_value: false, type: 'event' }])
  })

  test('the product’s metrics count requests, suites and tasks by state', async () => {
    const { text } = await server.ask('GET', '/metrics')
    expect(text).toMatch(/switchyard_ecflow_requests_total\{command="load_defs"\} \d+/)
    expect(text).toContain('switchyard_ecflow_suites 1')
    expect(text).toContain('switchyard_ecflow_tasks{state="unknown"} 2')
    expect(text).toContain('switchyard_ecflow_zombies 0')
  })
})

test('where reads are closed, only who shows good credentials may look; jobs report as ever', async () => {
  const server = await startEcflow({ dialect: { closed_reads: true } })
  await load(server)
  await put(server, '/v1/suites/s/status', { action: 'begin' })
  const status = async (headers?: Record<string, string>) =>
    (await server.ask('GET', '/v1/suites/tree', undefined, headers)).status
  expect(await status()).toBe(401)
  expect(await status({ authorization: 'Bearer nope' })).toBe(401)
  expect(await status(token)).toBe(200)
  expect(await status({ authorization: 'Bearer tok-viewer' })).toBe(200)
  expect((await server.ask('GET', '/v1/suites?key=tok-viewer')).status).toBe(200)
  expect((await server.ask('OPTIONS', '/v1/suites')).status).toBe(204)
  const { json } = await server.ask('GET', '/v1/suites/s/f/a/attributes', undefined, token)
  const password = json.variables.find((it: { name: string }) => it.name === 'ECF_PASS').value
  const identity = { ECF_NAME: '/s/f/a', ECF_PASS: password, ECF_RID: '1', ECF_TRYNO: 1 }
  expect((await server.ask('PUT', '/v1/suites/s/f/a/status', { ...identity, action: 'init' })).status).toBe(
    200,
  )
  await server.close()
  await rm(server.dir, { recursive: true, force: true })
})

test('a minute of suite time is news for generated variables only, and is there after a restart', async () => {
  const disk = new MemoryDisk()
  const server = await startEcflow({ disk, dialect: { interval: 1 } })
  const clocked = 'suite c\n clock real 5.2.2024 +09:58\n task t\n  time 20:00\n'
  await server.ask('POST', '/v1/suites', { definition: clocked }, token)
  await put(server, '/v1/suites/c/status', { action: 'begin' })
  const tag = async (query: string) =>
    (await server.ask('GET', `/v1/suites/c/tree?content=full${query}`)).headers['etag']
  const time = async (of: EcflowServer) => {
    const { json } = await of.ask('GET', '/v1/suites/c/attributes?filter=variables')
    return Number(json.find((it: { name: string }) => it.name === 'TIME').value)
  }
  const [plain, generated, before] = [await tag(''), await tag('&gen_vars=true'), await time(server)]
  for (let left = 400; left > 0 && (await time(server)) < before + 2; left--)
    await new Promise(resolve => setTimeout(resolve, 25))
  expect(await tag('')).toBe(plain)
  expect(await tag('&gen_vars=true')).not.toBe(generated)
  const last = await time(server)
  await server.close()
  const again = await startEcflow({ disk, dir: server.dir, dialect: { interval: 60 } })
  expect(await time(again)).toBeGreaterThanOrEqual(last)
  await again.close()
  await rm(server.dir, { recursive: true, force: true })
})
