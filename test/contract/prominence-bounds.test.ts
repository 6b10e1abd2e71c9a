// PROMINENCE with very many jobs and long answers, and what is refused of documents.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compileJob } from '../../src/dialects/prominence/compile.ts'
import { draftJob } from '../../src/dialects/prominence/draft.ts'
import { readSettings } from '../../src/dialects/prominence/settings.ts'
import { readJob } from '../../src/dialects/prominence/validate/job.ts'
import { readSpec } from '../../src/executors/container/spec.ts'
import { type Client, clientOf, type Shown } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const resources = { cpus: 1, memory: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

describe.skipIf(missingForContainers() !== undefined)('PROMINENCE bounds', () => {
  let server: ProminenceServer
  let frank: Client
  let gina: Client

  beforeAll(async () => {
    server = await startProminence({
      dialect: { quota: { waitingJobs: 30 } },
    })
    const client = async (user: string) => clientOf(server.url, await server.token({ user }))
    frank = await client('frank')
    gina = await client('gina')
  })
  afterAll(async () => {
    await server?.close()
  })

  test('a factory of 10 000 jobs is made at once, released twenty at a time, and deleted at once', async () => {
    server.gate.close()
    const id = await gina.submit('workflows', {
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
    const [shown] = (await gina.ask('GET', `/api/v1/workflows/${id}`)).body as unknown as Shown[]
    expect(shown?.['progress']).toMatchObject({ total: 10_000, done: 0, failed: 0 })
    const pending = (await gina.ask('GET', `/api/v1/jobs?id=${id}&workflow=true&num=-1&status=idle`))
      .body as unknown as Shown[]
    expect(pending.length).toBeGreaterThanOrEqual(20)
    expect(pending.length).toBeLessThan(30)
    expect((await gina.ask('DELETE', `/api/v1/workflows/${id}`)).status).toBe(200)
    server.gate.open()
    const after = await gina.ended('workflows', id)
    expect(after).toMatchObject({ status: 'deleted', statusReason: 'Workflow deleted by user' })
  })

  test('a long list is sent whole, in pieces', async () => {
    const id = await gina.submit('workflows', {
      name: 'many',
      jobs: [{ name: 'p', resources: { cpus: 64, memory: 1 }, tasks: [task(`echo ${'x'.repeat(200)}`)] }],
      factories: [{ name: 'f', type: 'repeat', jobs: ['p'], number: 3_000 }],
    })
    expect(await gina.ended('workflows', id)).toMatchObject({
      status: 'failed',
      progress: { failed: 3_000 },
    })
    const answer = await gina.ask(
      'GET',
      `/api/v1/jobs?completed=true&num=-1&id=${id}&workflow=true&detail=true`,
    )
    const jobs = answer.body as unknown as Shown[]
    expect(answer.text.length).toBeGreaterThan(1_000_000)
    expect(new Set(jobs.map(job => job.id)).size).toBe(3_000)
    expect(new Set(jobs.map(({ statusReason }) => statusReason))).toEqual(new Set(['No matching resources']))
    expect((await gina.ask('GET', '/api/v1/jobs?completed=true&num=7')).body).toHaveLength(7)
  })

  test('a long stream is sent whole, and from any offset', async () => {
    const id = await frank.submit('jobs', {
      resources,
      tasks: [task('/bin/sh -c "yes 0123456789abcde | head -n 300000"')],
    })
    await frank.ended('jobs', id)
    expect((await frank.ask('GET', `/api/v1/jobs/${id}/stdout`)).text.length).toBe(4_800_000)
    const tail = await frank.ask('GET', `/api/v1/jobs/${id}/stdout?node=0&offset=${4_800_000 - 20}`)
    expect(tail.text).toBe('cde\n0123456789abcde\n')
  })

  test.each<[string, string, number, string]>([
    ['nesting', '['.repeat(200_000), 400, 'nested more than'],
    ['a number that is none', '{"a":NaN}', 400, 'not valid JSON'],
    ['bytes that are no text', '\u0000', 400, 'not valid JSON'],
    ['a prototype', '{"__proto__":{"x":1}}', 400, '__proto__'],
  ])('a body with %s is refused', async (_, body, status, words) => {
    const answer = await gina.ask('POST', '/api/v1/jobs', body)
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(words)])
  })

  test('a body over the bound is refused while it comes in', async () => {
    const answer = await gina.ask('POST', '/api/v1/jobs', ' '.repeat(65 * 1024 * 1024)).catch(() => ({
      status: 413,
    }))
    expect(answer.status).toBe(413)
  })

  test('long documents may come at the same time, and in pieces: each is taken, and nothing is left of them', async () => {
    const content = 'AAAA'.repeat(600_000)
    const text = JSON.stringify({
      resources: { cpus: 99, memory: 1 },
      tasks: [task('true')],
      inputs: [{ filename: 'in', content }],
    })
    const headers = { Authorization: `Bearer ${await server.token({ user: 'gina' })}` }
    const post = async (body: string | ReadableStream) => {
      const init = { method: 'POST', headers, body, duplex: 'half' } as RequestInit
      const response = await fetch(`${server.url}/api/v1/jobs`, init)
      return { status: response.status, body: (await response.json()) as { id?: number; error?: string } }
    }
    const inPieces = () => new Blob([text]).stream()
    const taken = await Promise.all([post(text), post(inPieces()), post(text), post(inPieces())])
    expect(taken.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    const [shown] = (await gina.ask('GET', `/api/v1/jobs/${taken[1]!.body.id}`)).body as unknown as Shown[]
    expect(shown).toMatchObject({
      statusReason: 'No matching resources',
      inputs: [{ filename: 'in', content }],
    })
    expect(await post(text.slice(0, -1))).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('not valid JSON') },
    })
    expect(await readdir(join(server.dir, 'data/blobs/tmp'))).toEqual([])
  })

  test('what a job document may not say is refused by name', async () => {
    const refuse = async (more: object) =>
      (await gina.ask('POST', '/api/v1/jobs', { resources, tasks: [task('true')], ...more })).text
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
})

describe('bounds of job documents', () => {
  const long = (length: number) => 'x'.repeat(length)
  const many = <T>(count: number, make: (at: number) => T): T[] =>
    Array.from({ length: count }, (_, at) => make(at))
  const one = (more: object) => ({ tasks: [{ ...task('true'), ...more }] })
  const storage = (more: object) => ({
    storage: { type: 'onedata', mountpoint: '/m', onedata: { provider: 'p', token: 't' }, ...more },
  })

  test.each<[string, number, (size: number) => object]>([
    ['labels', 1_000, size => ({ labels: Object.fromEntries(many(size, at => [`l${at}`, 'x'])) })],
    ['sites', 1_000, size => ({ policies: { placement: { preferences: { sites: many(size, String) } } } })],
    ['image', 512, size => one({ image: long(size) })],
    ['workdir', 1_024, size => one({ workdir: long(size) })],
    ['stdout', 255, size => one({ stdout: long(size) })],
    ['cmd', 9_990, size => one({ cmd: 'x '.repeat(size) })],
    ['username', 1_024, size => one({ imagePullCredential: { username: long(size), token: 't' } })],
    ['token', 65_536, size => one({ imagePullCredential: { username: 'u', token: long(size) } })],
    ['tasks', 1_000, size => ({ tasks: many(size, () => task('true')) })],
    ['inputs', 1_000, size => ({ inputs: many(size, at => ({ filename: `f${at}`, content: '' })) })],
    ['filename', 255, size => ({ inputs: [{ filename: `a/${long(size)}`, content: '' }] })],
    ['url', 8_192, size => ({ artifacts: [{ url: 'http://h/'.padEnd(size, 'x') }] })],
    ['artifacts', 5_000, size => ({ artifacts: many(size, () => ({ url: 'http://h/x' })) })],
    [
      'mountpoint',
      1_024,
      size => ({ artifacts: [{ url: 'http://h/x', mountpoint: `d:/${long(size - 1)}` }] }),
    ],
    ['mountpoint', 255, size => ({ artifacts: [{ url: 'http://h/x', mountpoint: `${long(size)}:/d` }] })],
    [
      'mountpoint',
      99,
      size => ({ artifacts: many(size, at => ({ url: 'http://h/x', mountpoint: `d${at}:/d${at}` })) }),
    ],
    ['outputFiles', 4_096, size => ({ outputFiles: [long(size)] })],
    ['outputDirs', 5_000, size => ({ outputFiles: many(5_000, String), outputDirs: many(size, String) })],
    ['mountpoint', 1_024, size => storage({ mountpoint: `/${long(size - 1)}` })],
    ['directory', 1_024, size => storage({ directory: long(size) })],
    ['provider', 255, size => storage({ onedata: { provider: long(size), token: 't' } })],
  ])('%s: what is taken can be run, and one more than %i is refused by name', (field, max, make) => {
    const document = readJob({ resources, ...one({}), ...make(max) })
    const told = { document, by: { groups: [] }, name: '' }
    const grant = { nodes: 1, cpus: 1, memory: 1, disk: 1 }
    const facts = {
      jobId: 1,
      grant,
      url: 'u',
      token: 't',
      openSecret: (secret: string) => secret,
      objects: new Map(),
    }
    expect(readSpec(compileJob(told, facts))).not.toHaveProperty('text')
    expect(() => readJob({ resources, ...one({}), ...make(max + 1) })).toThrow(
      expect.objectContaining({ refusal: expect.objectContaining({ kind: 'bad-field', field }) }),
    )
  })

  test.each([
    { memory: 1e308, cpus: 1 },
    { memory: 1e10, cpus: 1 },
    { memory: 1, cpus: 1, nodes: 1_001 },
    { memory: 1, cpus: 1, disk: 1e12 },
  ])('more than any machine has is refused, also where nobody counts it: %o', wanted => {
    const who = { name: 'ann', scheme: 'jwt', role: 'submitter', groups: [] } as const
    const document = readJob({ resources: wanted, ...one({}) })
    expect(() => draftJob(document, who, readSettings({}), {})).toThrow(
      expect.objectContaining({ refusal: expect.objectContaining({ kind: 'cannot-fit' }) }),
    )
  })
})
