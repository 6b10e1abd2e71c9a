// Whatever a caller puts into paths, queries and bodies, and whoever calls: an answer in this dialect's shape, soon, that
// is no fault of the server, and a server that goes on.

import { request as rawRequest } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, clientOf } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const seed = 20_261_122
const resources = { nodes: 1, cpus: 1, memory: 1, disk: 1 }
const task = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd })

describe.skipIf(missingForContainers() !== undefined)('hostile callers of PROMINENCE', () => {
  let server: ProminenceServer
  let token: string
  let alice: Client
  /** A job and a workflow of alice that are still there, and a job that has ended. */
  let job: number
  let ended: number
  let workflow: number

  beforeAll(async () => {
    server = await startProminence({
      pools: { prominence: { cpus: 16, memory: '64GB', fair: true } },
      fetchAllow: ['127.0.0.1'],
    })
    token = await server.token({ user: 'alice', groups: ['vo/test'] })
    alice = clientOf(server.url, token)
    ended = await alice.submit('jobs', { resources, tasks: [task('echo hi')] })
    await alice.ended('jobs', ended)
    job = await alice.submit('jobs', { resources, tasks: [task('sleep 3000')] })
    await alice.until('jobs', job, ({ status }) => status === 'running')
    workflow = await alice.submit('workflows', {
      jobs: [{ name: 'a', resources, tasks: [task('sleep 3000')] }],
    })
  })
  afterAll(async () => {
    if (alice !== undefined) await dropOthers(new Set())
    await server?.close()
  })

  /** Ends what some of the requests started. */
  async function dropOthers(kept = new Set([job, workflow])): Promise<void> {
    for (const kind of ['workflows', 'jobs'] as const) {
      const active = (await alice.ask('GET', `/api/v1/${kind}`)).body as { id: number; name: string }[]
      // A workflow's jobs are called after it: this one has no name.
      const ids = active.filter(({ id, name }) => !kept.has(id) && !(kept.has(workflow) && name === '/a'))
      for (const { id } of ids) await alice.ask('DELETE', `/api/v1/${kind}/${id}`)
      for (const { id } of ids) await alice.ended(kind, id)
    }
  }

  /** Sends a target as it stands: nothing is put into order on the way. */
  function send(
    method: string,
    target: string,
    body?: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; text: string; type: string }> {
    const { hostname, port } = new URL(server.url)
    return new Promise((resolve, reject) => {
      const sent = rawRequest(
        {
          ...{ hostname, port, method, path: target },
          headers: {
            authorization: `Bearer ${token}`,
            ...headers,
            'content-length': Buffer.byteLength(body ?? ''),
          },
        },
        answer => {
          const parts: Buffer[] = []
          answer.on('data', part => parts.push(part))
          answer.on('end', () =>
            resolve({
              status: answer.statusCode!,
              text: Buffer.concat(parts).toString(),
              type: answer.headers['content-type'] ?? '',
            }),
          )
        },
      )
      sent.on('error', reject)
      sent.setTimeout(20_000, () =>
        sent.destroy(new Error(`${method} ${target.slice(0, 200)} got no answer`)),
      )
      sent.end(body)
    })
  }

  /** What is no fault of the server: a success, or a refusal that says what is wrong. */
  async function demandSense(method: string, target: string, body?: string | Buffer): Promise<number> {
    const { status, text, type } = await send(method, target, body)
    const about = `${method} ${target.slice(0, 300)} ${String(body ?? '').slice(0, 300)} → ${status} ${text.slice(0, 300)}`
    expect(status, about).toBeLessThan(500)
    if (status >= 400) {
      expect(type, about).toMatch(/^application\/json/)
      expect((JSON.parse(text) as { error: unknown }).error, about).toEqual(expect.any(String))
    }
    return status
  }

  const oddWords = [
    ...[
      '',
      '0',
      '-1',
      '1e9',
      '1.5',
      '007',
      '99999999999999999999',
      '0x10',
      'NaN',
      'true',
      'null',
      '%00',
      'a%00b',
    ],
    ...[
      '%zz',
      '%',
      '%2e%2e',
      '..',
      '.',
      '%2F',
      '%5C',
      '%0d%0aX: y',
      '%ff',
      '%ed%a0%80',
      '%F0%9F%98%80',
      '*',
      '?',
      '#',
    ],
    ...[
      "'",
      '"',
      '<b>',
      '{}',
      '[]',
      '__proto__',
      'constructor',
      'a=b',
      'a=b=c',
      '=',
      'k=',
      '=v',
      'x'.repeat(4000),
    ],
    ...[
      '2026-02-31',
      '0000-00-00',
      '9999-12-31',
      '-000001-01-01',
      '1,2,3',
      ',,,',
      '1,x',
      'u/alice',
      'vo/test/',
      '/',
    ],
  ]
  const word = fc.oneof(
    { arbitrary: fc.constantFrom(...oddWords), weight: 6 },
    { arbitrary: fc.string({ unit: 'binary', maxLength: 20 }).map(encoded), weight: 2 },
  )
  const id = fc.oneof(
    { arbitrary: fc.constantFrom('JOB', 'ENDED', 'FLOW'), weight: 4 },
    { arbitrary: word, weight: 2 },
  )
  const path = fc.oneof(
    fc.constantFrom(
      '/jobs',
      '/workflows',
      '/data',
      '/kv',
      '/accounting',
      '/resources',
      '/token',
      '/ts',
      '/health',
      '',
    ),
    fc
      .tuple(fc.constantFrom('/jobs/', '/workflows/', '/data/', '/kv/', '/ts/'), id)
      .map(parts => parts.join('')),
    fc
      .tuple(
        fc.constantFrom('/jobs/', '/workflows/'),
        id,
        fc.constantFrom(
          '/stdout',
          '/stderr',
          '/exec',
          '/snapshot',
          '/clone',
          '/a/stdout',
          '/a/0/stderr',
          '/0/0/stdout',
        ),
      )
      .map(parts => parts.join('')),
    fc
      .tuple(fc.constantFrom('/data/', '/kv/', '/kv//', '/workflows/FLOW/'), word, word)
      .map(([a, b, c]) => `${a}${b}/${c}`),
  )
  const query = fc.array(
    fc.tuple(
      fc.constantFrom(
        ...[
          'num',
          'id',
          'completed',
          'all',
          'status',
          'constraint',
          'name',
          'detail',
          'workflow',
          'node',
          'offset',
        ],
        ...[
          'command',
          'path',
          'list',
          'values',
          'prefix',
          'prev',
          'start',
          'end',
          'by_group',
          'show_all_users',
        ],
        ...['limit', 'after', 'exit', 'checksum', 'filename', '__proto__'],
      ),
      word,
    ),
    { maxLength: 4 },
  )

  test('paths and queries of every kind', { timeout: 300_000 }, async () => {
    const base = fc.constantFrom('/api/v1', '/prominence/v1')
    const method = fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')
    await fc.assert(
      fc.asyncProperty(method, base, path, query, async (verb, at, rest, words) => {
        // What would end the job and the workflow that the others ask about.
        if (verb === 'DELETE' && /^\/(jobs|workflows)\/(JOB|FLOW)$/.test(rest)) return
        if (verb === 'DELETE' && /^\/(jobs|workflows)\/?$/.test(rest)) return
        const real = rest.replace('JOB', `${job}`).replace('ENDED', `${ended}`).replace('FLOW', `${workflow}`)
        const asked = words.map(([name, value]) => `${name}=${value.replaceAll(/[#\s]/g, '')}`).join('&')
        const target = `${at}${real.replaceAll(/[#\s]/g, '')}${asked === '' ? '' : `?${asked}`}`
        if (verb === 'HEAD') expect((await send(verb, target)).status).toBeLessThan(500)
        else await demandSense(verb, target)
      }),
      { seed, numRuns: 1_500, endOnFailure: true },
    )
    expect(await alice.describe('jobs', job)).toMatchObject({ status: 'running' })
    await dropOthers()
  })

  test('bodies that are no documents', { timeout: 120_000 }, async () => {
    const deep = (text: string, times: number) => text.repeat(times)
    const bodies = [
      ...[
        '',
        ' ',
        'null',
        'true',
        '0',
        '"x"',
        '[]',
        '{',
        '{"a":',
        '[1,]',
        '{"name":"\\ud800"}',
        '\u0000',
        '\ufeff{}',
      ],
      ...[
        deep('[', 200_000),
        deep('{"a":', 100_000),
        `${deep('[', 5_000)}${deep(']', 5_000)}`,
        '1'.repeat(100_000),
      ],
      ...[
        '{"__proto__":{"name":"x"}}',
        '{"constructor":{"prototype":{}}}',
        '{"name":1e999}',
        '{"name":{"toString":1}}',
      ],
      Buffer.from([0xff, 0xfe, 0x7b, 0x7d]),
      Buffer.from('{"name":"\xff"}', 'latin1'),
      `{"jobs":${JSON.stringify(Array.from({ length: 30_000 }, () => ({})))}}`,
      `{"labels":${JSON.stringify(Object.fromEntries(Array.from({ length: 30_000 }, (_, at) => [`k${at}`, 'v'])))}}`,
    ]
    for (const body of bodies)
      for (const target of ['/jobs', '/workflows', '/data', '/data/upload', '/data/output'])
        expect(await demandSense('POST', `/api/v1${target}`, body)).toBeGreaterThanOrEqual(400)
    for (const body of bodies) await demandSense('POST', '/api/v1/kv/odd', body)
    for (const body of bodies)
      for (const target of ['/register', '/devicecode', '/token', '/device'])
        expect((await send('POST', `/prominence/oidc${target}`, body)).status).toBeLessThan(500)
  })

  test('documents that are small and ask for very much', { timeout: 120_000 }, async () => {
    const one = { name: 'j', resources, tasks: [task('true')] }
    const flow = (more: object) => ({ jobs: [one], ...more })
    const sweep = (parameters: object[]) =>
      flow({ factories: [{ name: 'f', type: 'parameterSweep', jobs: ['j'], parameters }] })
    const range = (name: string, more: object) => ({ name, start: 0, end: 1e9, step: 1, ...more })
    const chain = Array.from({ length: 3_000 }, (_, at) => ({ ...one, name: `c${at}` }))
    const documents: [string, unknown][] = [
      ['workflows', flow({ factories: [{ name: 'f', type: 'repeat', number: 1e15, jobs: ['j'] }] })],
      ['workflows', flow({ factories: [{ name: 'f', type: 'repeat', number: 1e308, jobs: ['j'] }] })],
      ['workflows', sweep([range('a', {})])],
      ['workflows', sweep([range('a', { step: 1e-300 })])],
      ['workflows', sweep([range('a', { end: 1, step: Number.MIN_VALUE })])],
      ['workflows', sweep(['a', 'b', 'c', 'd'].map(name => range(name, { end: 1_000 })))],
      ['workflows', sweep([{ name: 'a', start: 0, end: 1, number: 1e12 }])],
      ['workflows', sweep([range('a', { start: 1e16, end: 1e16 + 100, step: 1 }), range('b', {})])],
      [
        'workflows',
        {
          jobs: chain,
          dependencies: Object.fromEntries(
            chain.map(({ name }, at) => [name, [`c${(at + 1) % chain.length}`]]),
          ),
        },
      ],
      ['jobs', { ...one, resources: { ...resources, nodes: 1e9 } }],
      ['jobs', { ...one, resources: { ...resources, walltime: 1e300 } }],
      ['jobs', { ...one, resources: { cpusRange: [1, 1e15], memory: 1 } }],
      ['jobs', { ...one, tasks: [task(`echo ${'$'.repeat(200_000)}`)] }],
      ['jobs', { ...one, tasks: [task("'".repeat(99_999))] }],
      ['jobs', { ...one, name: 'a'.repeat(600) }],
      ['jobs', { ...one, outputFiles: ['{a,'.repeat(50_000)] }],
      ['jobs', { ...one, outputFiles: ['*/'.repeat(2_000)] }],
    ]
    for (const [kind, document] of documents) {
      const began = performance.now()
      const status = await demandSense('POST', `/api/v1/${kind}`, JSON.stringify(document))
      // Not a measure: a guard against what would take minutes or never end.
      expect(performance.now() - began, JSON.stringify(document).slice(0, 200)).toBeLessThan(15_000)
      if (kind === 'workflows') expect(status, JSON.stringify(document).slice(0, 200)).toBe(400)
    }
  })

  test('tokens that nobody made', async () => {
    const [head = '', body = '', seal = ''] = token.split('.')
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = { username: 'bob', groups: '', exp: 4e9 }
    const forged = [
      ...['', 'x', '.', '..', '...', `${head}.${body}`, `${head}.${body}.`, `${head}.${body}.${seal}x`],
      ...[`${part({ alg: 'none' })}.${part(claims)}.`, `${part({ alg: 'HS256' })}.${part(claims)}.${seal}`],
      ...[`${part({ alg: 'HS256', crit: ['x'] })}.${body}.${seal}`, `${part([])}.${part(null)}.${seal}`],
      ...[
        'a'.repeat(8_000),
        `${head}.${'A'.repeat(7_000)}.${seal}`,
        '%00',
        'é'.normalize('NFD').replace(/[^\x20-\x7e]/g, '~'),
      ],
    ]
    for (const value of forged) {
      const { status, text } = await send('GET', '/api/v1/jobs', undefined, {
        authorization: `Bearer ${value}`,
      })
      expect([status, text], value.slice(0, 80)).toEqual([401, '{"error":"Authentication failure"}\n'])
    }
  })

  test('links that were changed, and ranges that make no sense', async () => {
    const { url } = (await alice.ask('POST', '/api/v1/data/upload', { filename: 'l.txt' })).body as {
      url: string
    }
    await fetch(url, { method: 'PUT', body: 'content' })
    const target = new URL(url).pathname
    const odd = [
      `${target}x`,
      target.slice(0, -1),
      `${target}/..`,
      target.replace(/.\//g, 'A/'),
      `${target}%00`,
    ]
    for (const changed of odd)
      for (const method of ['GET', 'PUT'])
        expect((await send(method, changed, method === 'PUT' ? 'y' : undefined)).status).toBeLessThan(500)
    const done = await alice.submit('jobs', {
      ...{ resources, outputFiles: ['o'] },
      tasks: [task('sh -c "echo hello > o"')],
    })
    const shown = (await alice.ended('jobs', done)) as unknown as { outputFiles: { url: string }[] }
    const output = new URL(shown.outputFiles[0]!.url).pathname
    const ranges = [
      'bytes=',
      'bytes=-',
      'bytes=9-1',
      'bytes=-0',
      'bytes=99-',
      'x=1-2',
      `bytes=${'0-1,'.repeat(2_000)}0-1`,
    ]
    for (const range of ranges)
      expect((await send('GET', output, undefined, { range })).status, range.slice(0, 40)).toBeLessThan(500)
    expect((await send('GET', output, undefined, { range: 'bytes=1-3' })).text).toBe('ell')
  })

  test('callers that hang up, whatever they were doing', { timeout: 120_000 }, async () => {
    const make = 'head -c 3000000 /dev/urandom > big; head -c 3000000 /dev/zero'
    const big = await alice.submit('jobs', {
      ...{ resources, outputFiles: ['big'] },
      tasks: [task(`sh -c "${make}"`)],
    })
    const shown = (await alice.ended('jobs', big)) as unknown as { outputFiles: { url: string }[] }
    for (let at = 0; at < 40; at++) await alice.ask('POST', `/api/v1/kv/hang/${at}`, 'v'.repeat(15_000))
    const { url } = (await alice.ask('POST', '/api/v1/data/upload', { filename: 'hang.txt' })).body as {
      url: string
    }
    const targets: [string, string, number][] = [
      ['GET', `/api/v1/jobs/${big}/stdout`, 0],
      ['GET', new URL(shown.outputFiles[0]!.url).pathname, 0],
      ['GET', '/api/v1/kv?list&values', 0],
      ['GET', '/api/v1/jobs?all=true&detail', 0],
      ['PUT', `/api/v1/jobs/${job}/snapshot?path=.`, 0],
      ['POST', `/api/v1/jobs/${job}/exec?command=sleep,0.2`, 0],
      ['PUT', new URL(url).pathname, 5_000_000],
      ['POST', '/api/v1/jobs', 5_000_000],
      ['POST', '/api/v1/kv/hang/x', 5_000_000],
    ]
    const { hostname, port } = new URL(server.url)
    const hangUp = (method: string, path: string, bodyBytes: number, afterMs: number) =>
      new Promise<void>(resolve => {
        const headers = { authorization: `Bearer ${token}`, 'content-length': bodyBytes }
        const sent = rawRequest({ hostname, port, method, path, headers })
        sent.on('error', () => {})
        sent.on('close', resolve)
        // Read a little of what comes, as a caller does who has seen enough.
        sent.on('response', answer => answer.once('data', () => answer.pause()))
        if (bodyBytes === 0) sent.end()
        else sent.write(Buffer.alloc(bodyBytes / 2, 'x'))
        setTimeout(() => sent.destroy(), afterMs)
      })
    for (const [method, path, bodyBytes] of targets)
      await Promise.all([0, 2, 5, 10, 20, 40, 80, 160].map(ms => hangUp(method, path, bodyBytes, ms)))
    expect(await alice.describe('jobs', job)).toMatchObject({ status: 'running' })
    const listed = (await alice.ask('GET', '/api/v1/data')).body as { name: string }[]
    expect(listed.map(({ name }) => name)).not.toContain('hang.txt')
    expect((await alice.ask('GET', '/api/v1/kv/hang/x')).status).toBe(404)
  })

  test('artifacts from servers that do not keep to HTTP, and archives that are none', {
    timeout: 120_000,
  }, async () => {
    const head = 'HTTP/1.1 200 OK\r\n'
    const answers: Record<string, (socket: Socket) => void> = {
      nothing: socket => socket.end(),
      reset: socket => socket.resetAndDestroy(),
      'half-a-head': socket => socket.end('HTTP/1.1 200 OK\r\nContent-'),
      noise: socket => socket.end(Buffer.alloc(5_000, 0xff)),
      short: socket => socket.end(`${head}Content-Length: 100\r\n\r\nshort`),
      chunks: socket => socket.end(`${head}Transfer-Encoding: chunked\r\n\r\nzz\r\nxx`),
      cut: socket => {
        socket.write(`${head}Content-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`)
        setTimeout(() => socket.resetAndDestroy(), 20)
      },
      heads: socket => socket.end(`${head}${'X-Y: z\r\n'.repeat(20_000)}\r\n`),
      round: socket => socket.end('HTTP/1.1 302 Found\r\nLocation: round\r\nContent-Length: 0\r\n\r\n'),
      away: socket =>
        socket.end('HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n'),
      'x.tar': socket => socket.end(`${head}\r\n${'no archive '.repeat(1_000)}`),
      'x.bz2': socket => socket.end(Buffer.concat([Buffer.from(`${head}\r\nBZh9`), Buffer.alloc(9_000, 3)])),
      'x.zip': socket =>
        socket.end(Buffer.concat([Buffer.from(`${head}\r\nPK\u0005\u0006`), Buffer.alloc(18, 0xff)])),
    }
    const web = createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', data => answers[/^GET \/(\S+)/.exec(String(data))?.[1] ?? 'nothing']?.(socket))
    })
    await new Promise<void>(resolve => web.listen(0, '127.0.0.1', resolve))
    const base = `http://127.0.0.1:${(web.address() as AddressInfo).port}`
    try {
      const ids: [string, number][] = []
      for (const name of Object.keys(answers)) {
        const document = { resources, artifacts: [{ url: `${base}/${name}` }], tasks: [task('true')] }
        ids.push([name, await alice.submit('jobs', document)])
      }
      for (const [name, id] of ids) {
        const shown = await alice.ended('jobs', id)
        const statusReason = name.startsWith('x.') ? 'Artifact uncompress failed' : 'Artifact download failed'
        expect([name, shown.status, shown.statusReason]).toEqual([name, 'failed', statusReason])
      }
    } finally {
      web.close()
    }
    expect(await alice.describe('jobs', job)).toMatchObject({ status: 'running' })
  })

  test('results that are longer than any disk, and deeper than any path', { timeout: 60_000 }, async () => {
    const nest = 'for i in $(seq 30); do mkdir -p n/n/n/n/n/n/n/n; cd n/n/n/n/n/n/n/n; done'
    const make = `mkdir d; truncate -s 1000000000000 d/holes; ${nest}`
    const id = await alice.submit('jobs', {
      ...{ resources, outputDirs: ['d', 'n'], outputFiles: ['d/holes'] },
      tasks: [task(`sh -c '${make}'`)],
    })
    expect(await alice.ended('jobs', id)).toMatchObject({
      status: 'failed',
      outputFiles: [{ name: 'd/holes', url: '' }],
      outputDirs: [
        { name: 'd', url: '' },
        { name: 'n', url: '' },
      ],
    })
    expect(
      await demandSense('POST', `/api/v1/jobs/${job}/exec?command=truncate,-s,1000000000000,holes`),
    ).toBe(200)
    expect(await demandSense('PUT', `/api/v1/jobs/${job}/snapshot?path=holes`)).toBe(413)
    expect(await demandSense('POST', `/api/v1/jobs/${job}/exec?command=rm,holes`)).toBe(200)
  })

  test('exec and snapshots that try to leave the job', async () => {
    for (const value of [
      '/etc',
      '../..',
      'a/../../..',
      '/proc/self/root',
      '%00',
      '.%2F..%2F..',
      '-C/',
      '--help',
      '~',
    ])
      await demandSense('PUT', `/api/v1/jobs/${job}/snapshot?path=${value}`)
    const { text } = await send('POST', `/api/v1/jobs/${job}/exec?command=cat,/etc/passwd`)
    expect(text).not.toContain('/root:')
    for (const command of ['', ',', ',,,', '%00', 'yes,|,head,-c,50000000', 'x'.repeat(5_000), '$(', '`'])
      await demandSense('POST', `/api/v1/jobs/${job}/exec?command=${command}`)
    // What is longer than may be told is told as a failure, not as if that had been all.
    for (const command of ['yes', 'head,-c,20000000,/dev/zero'])
      expect((await send('POST', `/api/v1/jobs/${job}/exec?command=${command}`)).status).toBe(400)
  })
})

/** A text as part of a target: what HTTP lets nobody send is written with percent signs, the rest stays as it is. */
function encoded(text: string): string {
  return [...text]
    .map(it => (/[!-~]/.test(it) ? it : encodeURIComponent(it.isWellFormed() ? it : '?')))
    .join('')
}
