import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { type OrthancServer, startOrthanc } from './orthanc-server.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes, looked into by each test.
type Answer = any

const transfers = { Threads: 3, BucketSize: 1 }

async function start(options: Record<string, unknown> = {}): Promise<OrthancServer> {
  const server = await startOrthanc({ Transfers: transfers, ...options })
  onTestFinished(() => server.close())
  return server
}

/** Small instances and one that is many buckets long. */
async function fill(server: OrthancServer, count = 6): Promise<string> {
  let study = ''
  for (let index = 0; index < count; index++) {
    const file = aDicomFile({
      tags: { SOPInstanceUID: `1.2.3.4.5.${index + 10}`, InstanceNumber: String(index + 1) },
      pixelBytes: index === 3 ? 20_000 : 128,
    })
    const answer = await fetch(`${server.url}/instances`, { method: 'POST', body: Uint8Array.from(file) })
    study = ((await answer.json()) as { ParentStudy: string }).ParentStudy
  }
  return study
}

async function call(method: string, url: string, body?: object): Promise<Answer> {
  const answer = await fetch(url, { method, ...(body ? { body: JSON.stringify(body) } : {}) })
  const text = await answer.text()
  assert.equal(answer.status, 200, `${method} ${url}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

async function ended(server: OrthancServer, id: string): Promise<Answer> {
  for (let turn = 0; turn < 800; turn++) {
    const job = await call('GET', `${server.url}/jobs/${id}`)
    if (job.State === 'Success' || job.State === 'Failure') return job
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error('the job does not end')
}

/** All instances of a server with the hashes of their files. */
async function holdings(server: OrthancServer): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const id of await call('GET', `${server.url}/instances`)) {
    found[id] = await (await fetch(`${server.url}/instances/${id}/attachments/dicom/md5`)).text()
  }
  return found
}

function wish(study: string, more: object = {}): object {
  return { Resources: [{ Level: 'Study', ID: study }], Compression: 'gzip', Peer: 'other', ...more }
}

/** A stretch of wire before a server that a test can spoil; its URL. */
async function wireTo(
  target: () => string,
  spoil: (request: IncomingMessage, body: Buffer) => 'pass' | 'drop' | number | Buffer,
): Promise<string> {
  const wire = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const fate = spoil(request, body)
    if (fate === 'drop') return request.socket.destroy()
    if (typeof fate === 'number') return response.writeHead(fate).end()
    const { host: _, ...headers } = request.headers
    const sent = Buffer.isBuffer(fate) ? fate : body
    const onward = httpRequest(
      target() + request.url,
      { method: request.method ?? 'GET', headers: { ...headers, 'content-length': sent.length } },
      answer => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    onward.end(sent)
  })
  await new Promise<void>(resolve => wire.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    wire.closeAllConnections()
    wire.close()
  })
  return `http://127.0.0.1:${(wire.address() as AddressInfo).port}`
}

for (const compression of ['gzip', 'none']) {
  test(`a study that is pushed arrives as it is (${compression})`, async () => {
    const other = await start()
    const server = await start({ OrthancPeers: { other: [other.url] } })
    const study = await fill(server)
    const handle = await call(
      'POST',
      `${server.url}/transfers/send`,
      wish(study, { Compression: compression }),
    )
    assert.equal(handle.Peer, 'other')
    assert.equal(handle.Path, `/jobs/${handle.ID}`)
    const job = await ended(server, handle.ID)
    assert.deepEqual([job.State, job.Type, job.Progress], ['Success', 'PushTransfer', 100], job.ErrorDetails)
    assert.equal(job.Content.InstancesCount, 6)
    assert.deepEqual(await holdings(other), await holdings(server))
  })

  test(`a study that is fetched arrives as it is (${compression})`, async () => {
    const other = await start()
    const server = await start({ OrthancPeers: { other: [other.url] } })
    const study = await fill(other)
    const { ID: id } = await call(
      'POST',
      `${server.url}/transfers/pull`,
      wish(study, { Compression: compression }),
    )
    const job = await ended(server, id)
    assert.deepEqual([job.State, job.Type], ['Success', 'PullTransfer'], job.ErrorDetails)
    assert.deepEqual(await holdings(server), await holdings(other))
    assert.deepEqual(readdirSync(join(server.dir, 'data', 'dialects', 'orthanc', 'transfers')), [])
  })
}

test('a peer that knows us fetches what is to be sent, and its failure is ours', async () => {
  const urls = { server: '' }
  const wire = await wireTo(
    () => urls.server,
    request => (isBroken && request.url === '/transfers/chunks' ? 503 : 'pass'),
  )
  let isBroken = true
  const other = await start({ OrthancPeers: { us: [wire] } })
  const server = await start({ OrthancPeers: { other: { Url: other.url, RemoteSelf: 'us' } } })
  urls.server = server.url
  assert.deepEqual(await call('GET', `${server.url}/transfers/peers`), { other: 'bidirectional' })
  const study = await fill(server)
  const { ID: id } = await call('POST', `${server.url}/transfers/send`, wish(study))
  const failed = await ended(server, id)
  assert.equal(failed.State, 'Failure')
  assert.match(failed.ErrorDetails, /could not fetch: .*transfers\/chunks with HTTP status 503/)
  assert.deepEqual(await holdings(other), {})
  isBroken = false
  await call('POST', `${server.url}/jobs/${id}/resubmit`, {})
  const job = await ended(server, id)
  assert.equal(job.State, 'Success', job.ErrorDetails)
  assert.deepEqual(await holdings(other), await holdings(server))
})

test('a push that broke off sends only the buckets that are missing', async () => {
  const other = await start()
  const puts: string[] = []
  let isBroken = true
  const wire = await wireTo(
    () => other.url,
    request => {
      if (request.method !== 'PUT') return 'pass'
      if (isBroken && puts.length >= 5) return 'drop'
      puts.push(request.url!)
      return 'pass'
    },
  )
  const server = await start({ OrthancPeers: { other: [wire] } })
  const study = await fill(server)
  const { ID: id } = await call('POST', `${server.url}/transfers/send`, wish(study))
  const failed = await ended(server, id)
  assert.equal(failed.State, 'Failure')
  assert.deepEqual(await holdings(other), {}, 'nothing is stored before everything has come')
  isBroken = false
  await call('POST', `${server.url}/jobs/${id}/resubmit`, {})
  assert.equal((await ended(server, id)).State, 'Success')
  assert.equal(new Set(puts).size, puts.length, 'no bucket was sent twice')
  assert.deepEqual(await holdings(other), await holdings(server))
})

test('a bucket that was changed on its way is found out by MD5; nothing is stored, and another try mends it', async () => {
  const other = await start()
  let isSpoiled = true
  const wire = await wireTo(
    () => other.url,
    (request, body) => {
      if (request.method !== 'PUT' || !isSpoiled || !request.url!.endsWith('/4')) return 'pass'
      const wrong = Buffer.from(body)
      wrong[10] = wrong[10]! ^ 0xff
      return wrong
    },
  )
  const server = await start({ OrthancPeers: { other: [wire] } })
  const study = await fill(server)
  const sent = wish(study, { Compression: 'none' })
  const { ID: id } = await call('POST', `${server.url}/transfers/send`, sent)
  const failed = await ended(server, id)
  assert.match(failed.ErrorDetails, /did not arrive as it was sent/)
  assert.deepEqual(await holdings(other), {})
  isSpoiled = false
  await call('POST', `${server.url}/jobs/${id}/resubmit`, {})
  assert.equal((await ended(server, id)).State, 'Success')
  assert.deepEqual(await holdings(other), await holdings(server))
})

test('a fetch goes on after a restart with the buckets that have not come', async () => {
  const other = await start()
  const asked: string[] = []
  let isHeld = true
  const wire = await wireTo(
    () => other.url,
    (request, body) => {
      if (request.url !== '/transfers/chunks') return 'pass'
      if (isHeld && asked.length >= 4) return 'drop'
      asked.push(body.toString())
      return 'pass'
    },
  )
  let server = await start({ OrthancPeers: { other: { Url: wire, Retries: 100, RetryDelay: 1 } } })
  const study = await fill(other)
  const { ID: id } = await call('POST', `${server.url}/transfers/pull`, wish(study))
  for (let turn = 0; turn < 400 && asked.length < 4; turn++)
    await new Promise(resolve => setTimeout(resolve, 10))
  server = await server.restart()
  onTestFinished(() => server.close())
  isHeld = false
  const job = await ended(server, id)
  assert.equal(job.State, 'Success', job.ErrorDetails)
  // What was on its way when the server stopped may have been asked for twice.
  assert.ok(asked.length - new Set(asked).size <= transfers.Threads)
  assert.deepEqual(await holdings(server), await holdings(other))
})

test('instances that are there already stay, and the rest comes', async () => {
  const other = await start()
  const server = await start({ OrthancPeers: { other: [other.url] } })
  await fill(other, 2)
  const study = await fill(server)
  const { ID: id } = await call('POST', `${server.url}/transfers/send`, wish(study))
  assert.equal((await ended(server, id)).State, 'Success')
  assert.deepEqual(await holdings(other), await holdings(server))
})

test('more pushes at a time than are allowed are turned away', async () => {
  const other = await start({ Transfers: { ...transfers, MaxPushTransactions: 1 } })
  const items = [{ ID: 'a', Size: 10, MD5: '0'.repeat(32) }]
  const open = (sender: string): Promise<Response> =>
    fetch(`${other.url}/transfers/push`, {
      method: 'POST',
      headers: { 'sender-transfer-id': sender },
      body: JSON.stringify({ Instances: items, BucketSize: 1024 }),
    })
  const first = (await (await open('one')).json()) as { ID: string }
  assert.deepEqual((await (await open('one')).json()) as object, {
    ID: first.ID,
    Received: [],
    Committed: false,
  })
  assert.equal((await open('two')).status, 503)
  const early = await fetch(`${other.url}/transfers/push/${first.ID}/commit`, { method: 'POST', body: '{}' })
  assert.equal(early.status, 500)
  const long = await fetch(`${other.url}/transfers/push/${first.ID}/0`, {
    method: 'PUT',
    body: 'x'.repeat(11),
  })
  assert.equal(long.status, 400)
  await call('DELETE', `${other.url}/transfers/push/${first.ID}`)
  assert.equal((await open('two')).status, 200)
})

for (const [what, body, status] of [
  ['an unknown peer', { Resources: [], Peer: 'nobody' }, 404],
  ['an unknown resource', { Resources: [{ Level: 'Study', ID: 'nope' }], Peer: 'other' }, 404],
  ['a level that there is not', { Resources: [{ Level: 'Room', ID: 'x' }], Peer: 'other' }, 400],
  ['another compression', { Resources: [], Peer: 'other', Compression: 'zip' }, 400],
  ['no resources', { Peer: 'other' }, 400],
] as const) {
  test(`a transfer with ${what} is refused`, async () => {
    const server = await start({ OrthancPeers: { other: ['http://127.0.0.1:1/'] } })
    const answer = await fetch(`${server.url}/transfers/send`, { method: 'POST', body: JSON.stringify(body) })
    assert.equal(answer.status, status)
  })
}
