import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { refuse } from '../core/refusal.ts'
import { takeAnyBody } from './bodies.ts'
import { hostGuard } from './guard.ts'
import type { AnswerFacts, Host } from './host.ts'
import { sendJson } from './json.ts'
import { allowedMethods } from './paths.ts'
import { refusalOf } from './refusal-of.ts'
import { openEventStream } from './sse.ts'
import { type ListeningHost, listeningHost, sendRaw } from './testing/raw.ts'

const open: Host[] = []
afterEach(async () => {
  for (const host of open.splice(0)) await host.close()
})

async function listening(...args: Parameters<typeof listeningHost>): Promise<ListeningHost> {
  const made = await listeningHost(...args)
  open.push(made.host)
  return made
}

/** Two dialects side by side: one plain, and one with its own errors, 404 and 405, and any body. */
function twoDialects(host: Host): void {
  host.mount('plain', ['/plain'], async scope => {
    scope.post('/plain/echo', async (request, reply) => sendJson(reply, request.body))
    scope.get('/plain/broken', async () => {
      throw new Error('the secret inside')
    })
    scope.get('/plain/refused', async () => refuse('illegal-move', 'It has ended already'))
  })
  host.mount('odd', ['/odd', '/v1'], async scope => {
    takeAnyBody(scope, 'bytes')
    scope.setErrorHandler((error, _request, reply) => {
      const refusal = refusalOf(error)
      reply.code(refusal === undefined ? 500 : 418)
      return sendJson(reply, { Oops: refusal?.kind ?? 'bug' })
    })
    scope.setNotFoundHandler((request, reply) => {
      const allowed = allowedMethods(request)
      if (allowed.length > 0) return reply.code(405).header('Allow', allowed.join(',')).send()
      return sendJson(reply.code(404), { Lost: request.url })
    })
    scope.get('/odd/things/:id', async (request, reply) => sendJson(reply, request.params))
    scope.delete('/odd/things/:id', async (request, reply) => sendJson(reply, request.params))
    scope.post('/odd/body', async (request, reply) => sendJson(reply, { got: String(request.body) }))
    scope.post('/odd/small', { bodyLimit: 10 }, async (request, reply) =>
      sendJson(reply, { got: String(request.body) }),
    )
    scope.get('/v1/tree/*', async (request, reply) => sendJson(reply, request.params))
    await scope.register(async inner => {
      inner.get('/odd/inner', async () => refuse('conflict', 'taken'))
    })
  })
}

test('an unknown path below a claim is answered by the dialect that claims it', async () => {
  const { url } = await listening(twoDialects)
  const lost = await fetch(`${url}/odd/nowhere?x=1`)
  expect(lost.status).toBe(404)
  expect(await lost.json()).toEqual({ Lost: '/odd/nowhere?x=1' })
  const other = await fetch(`${url}/plain/nowhere`)
  expect(other.headers.get('content-type')).toBe('application/problem+json')
  expect(await fetch(`${url}/oddity`).then(answer => answer.json())).toMatchObject({ status: 404 })
})

test('a known path with another method is told apart from an unknown path, and names the methods it has', async () => {
  const { url } = await listening(twoDialects)
  const odd = await fetch(`${url}/odd/things/7`, { method: 'PUT', body: 'x' })
  expect([odd.status, odd.headers.get('allow')]).toEqual([405, 'DELETE,GET'])
  const plain = await fetch(`${url}/plain/echo`)
  expect([plain.status, plain.headers.get('allow')]).toEqual([405, 'POST'])
  expect((await fetch(`${url}/odd/things/7/more`, { method: 'PUT' })).status).toBe(404)
  expect((await fetch(`${url}/odd/things/7`, { method: 'HEAD' })).status).toBe(405)
})

test('a path that leads nowhere is a 404 whatever the body is', async () => {
  const { url } = await listening(twoDialects)
  for (const path of ['/plain/nowhere', '/odd/nowhere', '/nowhere']) {
    const answer = await fetch(url + path, {
      method: 'POST',
      body: '{',
      headers: { 'content-type': 'application/json' },
    })
    expect([path, answer.status]).toEqual([path, 404])
  }
})

test('errors of one dialect never take the shape of another, also from a scope inside it', async () => {
  const { url } = await listening(twoDialects)
  const inner = await fetch(`${url}/odd/inner`)
  expect([inner.status, await inner.json()]).toEqual([418, { Oops: 'conflict' }])
  const refused = await fetch(`${url}/plain/refused`)
  expect([refused.status, await refused.json()]).toEqual([
    409,
    expect.objectContaining({ detail: 'It has ended already' }),
  ])
  const broken = await fetch(`${url}/plain/broken`)
  expect(broken.status).toBe(500)
  expect(await broken.text()).not.toContain('secret')
})

test('a bad escape in a path is refused in the shape of the dialect', async () => {
  const { port } = await listening(twoDialects)
  const answer = await sendRaw(
    port,
    'GET /odd/things/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  )
  expect(answer).toMatch(/^HTTP\/1\.1 418 /)
  expect(answer).toContain('"Oops":"bad-request"')
})

test('a lenient dialect takes any media type, none, nonsense, and an empty body', async () => {
  const { port, url } = await listening(twoDialects)
  const form = await fetch(`${url}/odd/body`, { method: 'POST', body: new URLSearchParams({ a: '1' }) })
  expect(await form.json()).toEqual({ got: 'a=1' })
  const empty = await fetch(`${url}/odd/body`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  })
  expect(await empty.json()).toEqual({ got: 'undefined' })
  for (const type of ['', 'Content-Type: undefined\r\n', 'Content-Type: ;;/\r\n']) {
    const head = `POST /odd/body HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${type}Content-Length: 2\r\n\r\n`
    expect(await sendRaw(port, `${head}ab`)).toContain('{"got":"ab"}')
  }
})

test('an empty JSON DELETE is no error, and a parameter may be long and hold an escaped slash', async () => {
  const { url } = await listening(twoDialects)
  const id = 'x'.repeat(3000)
  const answer = await fetch(`${url}/odd/things/${id}%2Fy`, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json' },
  })
  expect(await answer.json()).toEqual({ id: `${id}/y` })
})

test('header names go out in the usual spelling, and JSON without a charset', async () => {
  const { port } = await listening(twoDialects)
  const answer = await sendRaw(
    port,
    'GET /odd/things/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  )
  expect(answer).toMatch(/\r\nContent-Type: application\/json\r\n/)
  expect(answer).toMatch(/\r\nContent-Length: 10\r\n/)
})

test('a method that no route can have still gets the dialect’s answer', async () => {
  const { port } = await listening(twoDialects)
  const answer = await sendRaw(
    port,
    'PROPFIND /odd/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  )
  expect(answer).toContain('{"Lost":"/odd/x"}')
})

test('two dialects cannot claim one path', async () => {
  await expect(
    listening(host => {
      twoDialects(host)
      host.mount('third', ['/v1'], async () => {})
    }),
  ).rejects.toThrow('Both odd and third claim the path /v1')
})

test('the guard’s refusal takes the dialect’s shape', async () => {
  const { port } = await listening(twoDialects, {
    guard: hostGuard({ bind: '127.0.0.1', hosts: [], origins: [] }),
  })
  const odd = await sendRaw(
    port,
    'GET /odd/things/1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
  )
  expect(odd).toContain('{"Oops":"not-allowed"}')
  const plain = await sendRaw(
    port,
    'POST /plain/echo HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
  )
  expect(plain).toMatch(/^HTTP\/1\.1 403 /)
})

test('what is observed names the pattern of the route, never the path', async () => {
  const seen: AnswerFacts[] = []
  const { url } = await listening(twoDialects, { observe: facts => seen.push(facts) })
  await fetch(`${url}/odd/things/7`)
  await fetch(`${url}/odd/secret-name`)
  await fetch(`${url}/elsewhere`)
  expect(seen.map(({ dialect, route, status }) => [dialect, route, status])).toEqual([
    ['odd', '/odd/things/:id', 200],
    ['odd', 'unmatched', 404],
    ['none', 'unmatched', 404],
  ])
})

test('bad chunking is a 400 and closes the connection', async () => {
  const { port } = await listening(twoDialects)
  const answer = await sendRaw(
    port,
    'POST /odd/body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n',
  )
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toContain('Connection: close')
})

test('a request that says its length twice, or in two ways, is a 400', async () => {
  const { port } = await listening(twoDialects)
  const both = 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n'
  for (const head of [both, 'Content-Length: 4\r\nContent-Length: 5\r\n', 'Content-Length: -4\r\n']) {
    const answer = await sendRaw(port, `POST /odd/body HTTP/1.1\r\nHost: localhost\r\n${head}\r\n0\r\n\r\n`)
    expect([head, answer.slice(0, 12)]).toEqual([head, 'HTTP/1.1 400'])
  }
})

test('a NUL in a header or a path is a 400', async () => {
  const { port } = await listening(twoDialects)
  for (const head of [
    'GET /odd/things/a\0b HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n',
  ]) {
    expect(await sendRaw(port, head)).toMatch(/^HTTP\/1\.1 400 /)
  }
})

test('headers beyond the bound are a 431', async () => {
  const { port } = await listening(twoDialects, { limits: { headerBytes: 8 * 1024 } })
  const answer = await sendRaw(port, `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(10_000)}\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1\.1 431 /)
})

test('a client that never finishes its headers is sent away with a 408', async () => {
  const { port } = await listening(twoDialects, { limits: { headersMs: 200, requestMs: 400 } })
  const answer = await sendRaw(port, 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ')
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
})

test('a client that never finishes its body is sent away too', async () => {
  const { port } = await listening(twoDialects, { limits: { headersMs: 200, requestMs: 400 } })
  const answer = await sendRaw(port, 'POST /odd/body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab')
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
})

test('a body that says it is too long is refused before any of it came', async () => {
  const { port } = await listening(twoDialects)
  const head = `POST /odd/body HTTP/1.1\r\nHost: x\r\nContent-Length: ${100 * 1024 * 1024}\r\n\r\n`
  expect(await sendRaw(port, head, /too-large/)).toMatch(/^HTTP\/1\.1 418 .*\r\nConnection: close\r\n/s)
})

test('a client that insists on sending 100 MB still gets to see that they are refused', async () => {
  const { url } = await listening(twoDialects)
  const answer = await fetch(`${url}/odd/body`, { method: 'POST', body: Buffer.alloc(100 * 1024 * 1024) })
  expect([answer.status, await answer.json()]).toEqual([418, { Oops: 'too-large' }])
})

test('a chunked body is cut off at the bound, and the client sees the answer', async () => {
  const { port } = await listening(twoDialects)
  const got = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    let sent = 0
    const more = () => {
      while (sent < 2_000 && socket.writable && text === '') {
        sent++
        if (!socket.write(`10000\r\n${'x'.repeat(65_536)}\r\n`)) return
      }
    }
    socket.on('connect', () => {
      socket.write('POST /odd/small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
      more()
    })
    socket.on('drain', more)
    socket.on('data', chunk => {
      text += chunk.toString()
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(`${sent < 2_000} ${text}`))
    socket.on('error', reject)
  })
  expect(got).toContain('true HTTP/1.1 418')
  expect(got).toContain('{"Oops":"too-large"}')
})

test('a stopping server finishes what it is answering, ends event streams, and takes no new connection', async () => {
  let release = () => {}
  const entered = Promise.withResolvers<void>()
  const { host, port, url } = await listening(host => {
    host.mount('slow', ['/slow'], async scope => {
      scope.get('/slow/answer', async (_request, reply) => {
        entered.resolve()
        await new Promise<void>(resolve => {
          release = resolve
        })
        return sendJson(reply, { done: true })
      })
      scope.get('/slow/events', async (request, reply) => {
        const stream = openEventStream(request, reply)
        await stream.send({ id: 7, event: 'tick', data: 'one\ntwo' })
      })
    })
  })
  const events = await fetch(`${url}/slow/events`)
  const answer = fetch(`${url}/slow/answer`)
  await entered.promise
  const closed = host.close()
  expect(await events.text()).toContain('id: 7\nevent: tick\ndata: one\ndata: two\n\n')
  await expect(sendRaw(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')).rejects.toThrow('ECONNREFUSED')
  release()
  expect(await (await answer).json()).toEqual({ done: true })
  await closed
})

test('a stopping server does not wait longer than it should for a request that never ends', async () => {
  const { host, url } = await listening(
    host => {
      host.mount('stuck', ['/stuck'], async scope => {
        scope.get('/stuck', () => new Promise(() => {}))
      })
    },
    { limits: { drainMs: 50 } },
  )
  const answer = fetch(`${url}/stuck`).then(
    () => 'answered',
    () => 'cut off',
  )
  await new Promise(resolve => setTimeout(resolve, 50))
  await host.close()
  expect(await answer).toBe('cut off')
})

test('a stopping server does not wait for connections that never brought a request', async () => {
  const { host, port } = await listening(host => host.mount('any', ['/any'], async () => {}), {
    limits: { drainMs: 3_600_000 },
  })
  const closed = ['', 'GET /any HT'].map(async begun => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await new Promise(resolve => socket.once('connect', resolve))
    socket.write(begun)
    return new Promise(resolve => socket.once('close', resolve))
  })
  await new Promise(resolve => setTimeout(resolve, 50))
  await host.close()
  await Promise.all(closed)
})
