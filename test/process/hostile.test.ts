// What a stranger, a mistake or an attacker may send to a real server. Whatever it is: a clear refusal, no 500, bounded
// memory, and a server that goes on as if nothing had been.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { tarOf } from '../../src/executors/container/images/archive-fixture.ts'
import { sendRaw } from '../../src/http/testing/raw.ts'
import { freshDataDir, program, type RealServer, startServer } from '../support/server.ts'

let server: RealServer
let port: number
beforeAll(async () => {
  server = await startServer({ dataDir: freshDataDir('hostile') })
  port = Number(new URL(server.url).port)
})
afterAll(async () => {
  await server.stop()
  rmSync(server.dataDir, { recursive: true, force: true })
})

const noop = { executor: 'function', spec: { function: 'noop' } }

/** A refusal of the native API, in its shape; the server answers others as before. */
function assertRefused(answer: { status: number; text: string; headers: Headers }, what: string): void {
  assert.ok(
    answer.status >= 400 && answer.status < 500,
    `${what}: ${answer.status} ${answer.text.slice(0, 300)}`,
  )
  assert.equal(answer.headers.get('content-type'), 'application/problem+json', what)
  assert.ok(JSON.parse(answer.text).detail.length > 0, what)
}

async function assertAlive(): Promise<void> {
  assert.equal((await server.ask('/readyz')).status, 200)
  assert.equal((await server.ask('/yard/v1/jobs', { body: noop })).status, 201)
}

function rssMb(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024
}

describe('a body', () => {
  test('that is not what it should be is refused in one sentence', async () => {
    const bodies: Record<string, string | Uint8Array> = {
      'cut off': '{"executor":"function","spec":{"function":"noop"}',
      'not JSON': 'executor=function',
      'two documents': '{}{}',
      'half UTF-8': new Uint8Array([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]),
      'a number': '1',
      'a hundred thousand arrays': '['.repeat(100_000),
      'a hundred thousand objects': `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
      'depth inside a spec': `{"executor":"process","spec":${'['.repeat(1_000)}${']'.repeat(1_000)}}`,
      'a prototype': '{"executor":"function","spec":{"function":"noop"},"__proto__":{"held":true}}',
      'a prototype in escapes': '{"executor":"function","spec":{"\\u005f_proto__":{}}}',
      'a constructor': '{"executor":"function","spec":{"function":"noop"},"constructor":{"x":1}}',
      'a huge number': '{"executor":"function","spec":{"function":"noop"},"rank":1e309}',
      'an unsafe number': '{"executor":"function","spec":{"function":"noop"},"rank":9007199254740993}',
      'a negative time': '{"executor":"function","spec":{"function":"noop"},"runMsMax":-1}',
    }
    for (const [what, body] of Object.entries(bodies))
      for (const path of ['/yard/v1/jobs', '/yard/v1/jobs/batch', '/yard/v1/flows'])
        assertRefused(await send('POST', path, body), `${what} to ${path}`)
    await assertAlive()
  })

  test('with a NUL or half a surrogate pair is refused where text is kept, by field', async () => {
    for (const bad of ['a\0b', '\ud800', 'x\udc00y']) {
      const texts: [object, string][] = [
        [{ ...noop, name: bad }, 'name'],
        [{ ...noop, kind: bad }, 'kind'],
        [{ ...noop, pool: bad }, 'pool'],
        [{ ...noop, executor: bad }, 'executor'],
        [{ ...noop, labels: { key: bad } }, 'labels.key'],
        [{ ...noop, labels: { [bad]: 'value' } }, `labels.${bad}`],
      ]
      for (const [job, field] of texts) {
        const answer = await send('POST', '/yard/v1/jobs', JSON.stringify(job))
        assertRefused(answer, field)
        assert.equal(JSON.parse(answer.text).field, field)
      }
      for (const flow of [{ name: bad }, { labels: { key: bad } }, { steps: [{ key: bad, job: noop }] }]) {
        const body = JSON.stringify({ steps: [{ key: 'a', job: noop }], ...flow })
        assertRefused(await send('POST', '/yard/v1/flows', body), body)
      }
    }
    const { json: job } = await server.ask('/yard/v1/jobs', { body: { ...noop, held: true } })
    assertRefused(await send('POST', `/yard/v1/jobs/${job.id}/cancel`, '{"message":"\\u0000"}'), 'message')
    await assertAlive()
  })

  test('of 100 MB is a 413 after its first bytes, and costs no memory', async () => {
    const before = rssMb()
    for (let turn = 0; turn < 5; turn++) {
      const told = await sendRaw(
        port,
        head('POST /yard/v1/jobs', 'Content-Length: 104857600'),
        /\r\n\r\n[\s\S]*\}/,
      )
      assert.match(told, /^HTTP\/1\.1 413 /)
      assert.match(told, /application\/problem\+json/)
    }
    const sent = await send('POST', '/yard/v1/jobs', Buffer.alloc(100 * 1024 * 1024, 0x20)).catch(
      () => undefined,
    )
    if (sent !== undefined) assert.equal(sent.status, 413)
    assert.ok(rssMb() - before < 100, `it grew from ${before} to ${rssMb()} MB`)
    await assertAlive()
  })

  test('that comes one byte at a time holds nobody else up', async () => {
    const slow = Array.from({ length: 50 }, () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(head('POST /yard/v1/jobs', 'Content-Length: 1000'))
      const dripping = setInterval(() => socket.write(' '), 20)
      socket.on('close', () => clearInterval(dripping))
      return socket
    })
    await assertAlive()
    for (const socket of slow) socket.destroy()
    await assertAlive()
  })
})

describe('a request', () => {
  test('with a path that means nothing, or wants out, leads nowhere', async () => {
    const paths = [
      '/yard/v1/jobs/..%2f..%2fetc%2fpasswd',
      '/yard/v1/jobs/%2e%2e/%2e%2e/etc/passwd',
      '/yard/v1/jobs/1/logs/..%2f..%2f..%2fswitchyard.db',
      '/yard/v1/jobs/1/outputs/..%2f..%2fadmin-token',
      '/yard/v1/flows/..%2f1/nodes/..%2f..%2fx/why',
      '/yard/v1/jobs/%00',
      '/yard/v1/jobs/%ff',
      '/yard/v1/jobs/%',
      '/yard/v1/jobs/%zz',
      '/yard/v1/jobs/__proto__',
      '/yard/v1/jobs/constructor:toString',
      `/yard/v1/jobs/${'9'.repeat(15)}`,
      `/yard/v1/jobs/${'x'.repeat(20_000)}`,
      '/yard/v1//jobs',
      '/yard/v1/../v1/nothing',
    ]
    for (const path of paths) {
      const told = await sendRaw(port, head(`GET ${path}`, 'Connection: close'))
      assert.match(told, /^HTTP\/1\.1 40[04] /, `${path}: ${told.slice(0, 200)}`)
      assert.match(told, /application\/problem\+json/, path)
    }
    await assertAlive()
  })

  test('that is hardly HTTP is refused before anything is done', async () => {
    const many = Array.from({ length: 10_000 }, (_, at) => `x${at}: y`).join('\r\n')
    const odd: [string, RegExp][] = [
      [head('GET /yard/v1/jobs', many), /^HTTP\/1\.1 431 /],
      [head('POST /yard/v1/jobs', 'Content-Length: 2\r\nContent-Length: 3') + '{}', /^HTTP\/1\.1 400 /],
      [
        head('POST /yard/v1/jobs', 'Content-Length: 2\r\nTransfer-Encoding: chunked') + '{}',
        /^HTTP\/1\.1 400 /,
      ],
      [head('POST /yard/v1/jobs', 'Content-Length: -1'), /^HTTP\/1\.1 400 /],
      [head('POST /yard/v1/jobs', 'Content-Length: 1e3'), /^HTTP\/1\.1 400 /],
      [head('POST /yard/v1/jobs', 'Transfer-Encoding: chunked') + 'zz\r\n', /^HTTP\/1\.1 400 /],
      [`GET /yard/v1/${'x'.repeat(100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, /^HTTP\/1\.1 4(31|14) /],
      ['\0\0\0\0\r\n\r\n', /^HTTP\/1\.1 400 /],
    ]
    for (const [bytes, expected] of odd) {
      const told = await sendRaw(port, bytes, /\r\n\r\n/)
      assert.match(told, expected, bytes.slice(0, 120))
    }
    await assertAlive()
  })

  test('of any shape to any route is answered without a 500', async () => {
    const { json: document } = await server.ask('/yard/v1/openapi.json')
    const words = [
      ...new Set(
        Object.keys(document.paths).flatMap(path => path.split('/').filter(part => !part.startsWith('{'))),
      ),
      ...['1', '2', 'native:1', '0', '-1', '%2e%2e', '%00', '%ff', '__proto__', 'ä', 'out', 'x'.repeat(300)],
    ].filter(word => word !== '' && word !== 'yard' && word !== 'v1')
    const names = [
      'executor',
      'spec',
      'jobs',
      'steps',
      'key',
      'job',
      'rank',
      'kill',
      'labels',
      'fanOut',
      'count',
    ]
    const json = fc.letrec(tie => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom<unknown>(null, true, -1, 1e308, '', '\0', '\ud800', 'function', 'process', noop, [
          noop,
        ]),
        fc.jsonValue(),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie('value'), { maxKeys: 4 }),
      ),
    })).value
    const query = fc.array(
      fc.tuple(
        fc.constantFrom(
          'after',
          'limit',
          'state',
          'wait',
          'offset',
          'attempt',
          'label',
          'n',
          'order',
          'x',
          '__proto__',
        ),
        fc.constantFrom('', '0', '1', '-1', '1e99', 'NaN', 'ready', 'a=b', '%00', '%ff', '%', 'newest', '[]'),
      ),
      { maxLength: 3 },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PATCH', 'DELETE', 'PUT', 'OPTIONS'),
        fc.array(fc.constantFrom(...words), { maxLength: 5 }),
        query,
        fc.option(
          fc.oneof(
            json.map(value => JSON.stringify(value)),
            fc.string(),
          ),
          { nil: undefined },
        ),
        async (method, path, pairs, body) => {
          const asked = `/yard/v1/${path.join('/')}?${pairs.map(pair => pair.join('=')).join('&')}`
          const answer = await send(method, asked, method === 'GET' ? undefined : body)
          assert.ok(
            answer.status < 500 || answer.status === 501,
            `${method} ${asked} ${body}: ${answer.text}`,
          )
          if (answer.status >= 400 && answer.status !== 416) {
            assert.equal(answer.headers.get('content-type'), 'application/problem+json', asked)
            const problem = JSON.parse(answer.text)
            assert.equal(problem.status, answer.status)
            assert.ok(problem.detail.length > 0)
            if (/bad-field/.test(problem.type)) assert.equal(typeof problem.field, 'string', answer.text)
          }
        },
      ),
      { seed: 20_260_101, numRuns: 1_500 },
    )
    await assertAlive()
  })
})

describe('an image archive', () => {
  const items: Record<string, Parameters<typeof tarOf>[0]> = {
    'a name with ..': [['../escaped', 'x']],
    'a name with .. inside': [['a/../../escaped', 'x']],
    'a hard link to what is outside': [['link', { type: 'link', linkname: '../../admin-token' }]],
  }

  test('that wants out of its folder, or is no archive, is refused and leaves nothing', async () => {
    const dir = freshDataDir('images')
    try {
      for (const [what, members] of Object.entries(items)) {
        const file = join(dir, 'bad.tar')
        writeFileSync(file, await tarOf(members))
        const data = join(dir, 'data')
        const { status, stderr } = importImage(file, data)
        assert.notEqual(status, 0, what)
        assert.match(stderr, /^switchyard: .+\n$/, what)
        assertNothingLeft(dir, what)
      }
      const file = join(dir, 'bad.tar')
      for (const bytes of ['', 'not a tar', Buffer.alloc(100_000, 0xff)]) {
        writeFileSync(file, bytes)
        const { status, stderr } = importImage(file, join(dir, 'data'))
        assert.notEqual(status, 0)
        assert.match(stderr, /^switchyard: .+\n$/)
        assertNothingLeft(dir, String(bytes).slice(0, 20))
      }
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })

  test('with links that lead out is held inside its own root: links mean what they mean in the container', async () => {
    const dir = freshDataDir('links')
    try {
      const file = join(dir, 'bad.tar')
      writeFileSync(
        file,
        await tarOf([
          ['out', { type: 'symlink', linkname: '../../../../../..' }],
          ['out/escaped', 'x'],
          ['etc', { type: 'symlink', linkname: dir }],
          ['etc/escaped', 'x'],
        ]),
      )
      importImage(file, join(dir, 'data'))
      assert.deepEqual(readdirSync(dir).toSorted(), ['bad.tar', 'data'])
      assert.equal(existsSync('/escaped'), false)
      const found = execFileSync('find', [join(dir, 'data'), '-name', 'escaped'], { encoding: 'utf8' })
      assert.equal(found.trim().split('\n').length, 2)
      assert.ok(
        found
          .trim()
          .split('\n')
          .every(path => path.startsWith(join(dir, 'data/images/roots/'))),
        found,
      )
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })

  function importImage(file: string, data: string) {
    return spawnSync(program, ['image', 'import', file, '--name', 'bad', '--data', data], {
      encoding: 'utf8',
    })
  }

  function assertNothingLeft(dir: string, what: string): void {
    assert.deepEqual(
      readdirSync(dir).filter(name => !['bad.tar', 'data'].includes(name)),
      [],
      what,
    )
    assert.equal(existsSync(join(dir, 'escaped')), false, what)
    const listed = execFileSync(program, ['image', 'ls', '--json', '--data', join(dir, 'data')], {
      encoding: 'utf8',
    })
    assert.deepEqual(JSON.parse(listed), [], what)
    const left = readdirSync(join(dir, 'data'), { recursive: true, withFileTypes: true })
      .filter(entry => !entry.isDirectory())
      .map(entry => entry.name)
    assert.ok(
      left.every(name => !/escaped|^link$|^out$/.test(name)),
      `${what} left ${left}`,
    )
  }
})

function head(line: string, more: string): string {
  return `${line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.token}\r\n${more}\r\n\r\n`
}

async function send(method: string, path: string, body: string | Uint8Array | undefined) {
  const response = await fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: body as string }),
    signal: AbortSignal.timeout(60_000),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}
