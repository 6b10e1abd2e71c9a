import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, onTestFinished, test } from 'vitest'
import { aDicomFile, read } from '../../src/domains/dicom/testing/sample.ts'
import { hasShared } from '../support/shared.ts'
import { type Ours, Replay, readRecording } from './orthanc-replay.ts'
import { type OrthancServer, startOrthanc } from './orthanc-server.ts'

/** Where ours is otherwise, by the step of recording 012. */
const differences: Readonly<Record<string, Ours | string>> = {
  'system of a peer': { ignore: ['HttpPort', 'DicomPort', 'PluginsEnabled', 'Name'] },
  // The reason is told in our own words.
  'system of a peer refusing us': { ignore: ['Details'] },
  'system of a peer that is down': { ignore: ['Details'] },
  'store: refused by the peer': { ignore: ['Details'] },
  'store: peer is down': { ignore: ['Details'] },
  'bad: not JSON': 'an error is told: contracts/orthanc.md §6',
  // Values of headers may be tokens: only their names are shown.
  'peer store job': { ignore: ['Content.Peer.HttpHeaders'] },
  'store transcoded': { ignore: ['Size'] },
}

describe.skipIf(!hasShared('recordings', 'orthanc'))(
  'recorded peers (skipped without the shared recordings)',
  () => {
    test('012-peers: the recorded answers come, with a second server of ours as the peer', async () => {
      const other = await start({
        AuthenticationEnabled: true,
        RegisteredUsers: { alice: 'secret' },
        DicomAet: 'ORTHANCTEST',
        Name: 'MyOrthanc',
      })
      const url = `${other.url}/`
      const server = await start({
        LogExportedResources: true,
        OrthancPeers: {
          peer: [url, 'alice', 'secret'],
          noauth: [url],
          down: ['http://127.0.0.1:1/'],
          detailed: {
            Url: url,
            Username: 'alice',
            Password: 'secret',
            HttpHeaders: { 'X-Test': '1' },
            Timeout: 5,
          },
        },
      })
      const replay = new Replay(server.url)
      replay.teach('http://127.0.0.1:15000/', url)
      replay.teach('http://127.0.0.1:15998/', 'http://127.0.0.1:1/')
      await replay.play(readRecording('011-dicom-network')[0]!)
      const wrong: string[] = []
      for (const step of readRecording('012-peers')) {
        const ours = differences[step.name] ?? {}
        if (typeof ours === 'string') continue
        for (const difference of await replay.play(step, ours)) wrong.push(`${step.name}: ${difference}`)
      }
      assert.deepEqual(wrong, [])
      const { Exports: exported } = (await get(`${server.url}/exports`)) as { Exports: object[] }
      assert.ok(exported.length >= 5)
      assert.equal((await get(`${other.url}/statistics`, 'alice:secret')).CountInstances, 5)
    })
  },
)

describe('peers', () => {
  test('a job that is tried again sends only what the peer has not taken', async () => {
    const seen: string[] = []
    let isBroken = true
    const peer = await listen(createPlain(), async request => {
      const body = await bytesOf(request)
      if (isBroken && seen.length === 2) return 503
      seen.push(body.subarray(0, 8).toString('hex') + body.length)
      return 200
    })
    const server = await start({ OrthancPeers: { peer: { Url: peer, Retries: 0 } } })
    const study = await fill(server, 5)
    const job = await post(`${server.url}/peers/peer/store`, { Resources: [study], Asynchronous: true })
    const failed = await ended(server, job.ID)
    assert.equal(failed.State, 'Failure')
    assert.equal(failed.ErrorCode, 9)
    assert.match(failed.ErrorDetails, /refused the instance .* with HTTP status 503/)
    assert.equal(failed.Progress, 40)
    isBroken = false
    await post(`${server.url}/jobs/${job.ID}/resubmit`, {})
    const done = await ended(server, job.ID)
    assert.equal(done.State, 'Success', done.ErrorDetails)
    assert.equal(seen.length, 5)
    assert.equal(Number(done.Content.Size) > 0, true)
  })

  test('a peer with retries is tried again by itself', async () => {
    let asked = 0
    const peer = await listen(createPlain(), async request => {
      await bytesOf(request)
      return ++asked === 1 ? 500 : 200
    })
    const server = await start({ OrthancPeers: { peer: { Url: peer, Retries: 2, RetryDelay: 0 } } })
    const study = await fill(server, 2)
    const content = await post(`${server.url}/peers/peer/store`, { Resources: [study] })
    assert.equal(content.FailedInstancesCount, 0)
    assert.equal(asked, 3)
  })

  test('a permissive job goes on past an instance that the peer refuses, and names it', async () => {
    let asked = 0
    const peer = await listen(createPlain(), async request => {
      await bytesOf(request)
      return ++asked === 2 ? 400 : 200
    })
    const server = await start({ OrthancPeers: { peer: [peer] } })
    const study = await fill(server, 3)
    const content = await post(`${server.url}/peers/peer/store`, { Resources: [study], Permissive: true })
    assert.equal(content.FailedInstancesCount, 1)
    assert.match(content.FailedInstances[0].Reason, /HTTP status 400/)
    assert.equal(asked, 3)
  })

  test('a peer that does not answer fails the job with the reason within its time-out', async () => {
    const silent = await listen(createPlain(), () => new Promise(() => {}))
    const server = await start({ OrthancPeers: { silent: { Url: silent, Timeout: 1 } } })
    const study = await fill(server, 1)
    const answer = await fetch(`${server.url}/peers/silent/store`, { method: 'POST', body: `["${study}"]` })
    assert.equal(answer.status, 500)
    const { Details: details } = (await answer.json()) as { Details: string }
    assert.match(details, /the peer silent at .*: it did not answer within 1 s/)
  })

  test('jobs to one peer wait for each other where the operator limits them', async () => {
    let now = 0
    let most = 0
    const peer = await listen(createPlain(), async request => {
      most = Math.max(most, ++now)
      await bytesOf(request)
      await new Promise(resolve => setTimeout(resolve, 10))
      now--
      return 200
    })
    const server = await start({
      ConcurrentJobs: 4,
      JobsPerDestination: 1,
      OrthancPeers: { peer: [peer] },
    })
    const study = await fill(server, 3)
    const body = { Resources: [study], Asynchronous: true }
    const jobs = await Promise.all([1, 2, 3].map(() => post(`${server.url}/peers/peer/store`, body)))
    for (const { ID: id } of jobs) assert.equal((await ended(server, id)).State, 'Success')
    assert.equal(most, 1)
  })

  test('a compressed transfer arrives as it was, and counts what went over', async () => {
    const sizes: number[] = []
    const peer = await listen(createPlain(), async request => {
      assert.equal(request.headers['content-encoding'], 'gzip')
      const body = await bytesOf(request)
      assert.deepEqual(gunzipSync(body), Buffer.from(files(1)[0]!))
      sizes.push(body.length)
      return 200
    })
    const server = await start({ OrthancPeers: { peer: [peer] } })
    const study = await fill(server, 1)
    const content = await post(`${server.url}/peers/peer/store`, { Resources: [study], Compress: true })
    assert.equal(content.Size, String(sizes[0]))
  })

  test('instances are sent in the syntax that was asked for', async () => {
    const syntaxes: string[] = []
    const peer = await listen(createPlain(), async request => {
      syntaxes.push(read(await bytesOf(request)).transferSyntax)
      return 200
    })
    const server = await start({ OrthancPeers: { peer: [peer] } })
    const study = await fill(server, 1)
    const implicit = '1.2.840.10008.1.2'
    await post(`${server.url}/peers/peer/store`, { Resources: [study], Transcode: implicit })
    assert.deepEqual(syntaxes, [implicit])
  })

  test.skipIf(!existsSync('/usr/bin/openssl'))(
    'a peer by HTTPS is checked against the authorities, and checks our certificate (skipped without openssl)',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'switchyard-tls-'))
      onTestFinished(() => rmSync(folder, { recursive: true }))
      const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
      execFileSync(
        'openssl',
        [
          ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
          ...['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=127.0.0.1'],
          ...['-addext', 'subjectAltName=IP:127.0.0.1'],
        ],
        { stdio: 'ignore' },
      )
      const pem = { cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(cert) }
      const users: (string | undefined)[] = []
      const peer = await listen(
        createSecure({ ...pem, requestCert: true, rejectUnauthorized: true }),
        request => {
          users.push(request.headers.authorization)
          return Promise.resolve(200)
        },
      )
      const known = { Url: peer, Username: 'zoë', Password: 'pässword' }
      const own = { CertificateFile: cert, CertificateKeyFile: key }
      const trusting = await start({
        HttpsCACertificates: cert,
        OrthancPeers: { a: { ...known, ...own }, b: known },
      })
      assert.equal((await fetch(`${trusting.url}/peers/a/system`)).status, 200)
      assert.deepEqual(users, [`Basic ${Buffer.from('zoë:pässword').toString('base64')}`])
      const shown = await get(`${trusting.url}/peers/a/configuration`)
      assert.equal(shown.Password, null)
      // Without our certificate the peer hangs up; without its authority we do.
      assert.equal((await fetch(`${trusting.url}/peers/b/system`)).status, 500)
      const wary = await start({ OrthancPeers: { a: { ...known, ...own } } })
      const refused = await fetch(`${wary.url}/peers/a/system`)
      assert.match(((await refused.json()) as { Details: string }).Details, /self-signed certificate/)
    },
  )

  test('peers that clients add or delete stay so after a restart', async () => {
    let server = await start({ OrthancPeers: { one: ['http://127.0.0.1:1/'], two: ['http://127.0.0.1:2'] } })
    const put = { Url: 'http://127.0.0.1:3', Username: 'u', Password: 'p' }
    await fetch(`${server.url}/peers/three`, { method: 'PUT', body: JSON.stringify(put) })
    await fetch(`${server.url}/peers/one`, { method: 'DELETE' })
    server = await server.restart()
    assert.deepEqual(await get(`${server.url}/peers`), ['three', 'two'])
    assert.equal((await get(`${server.url}/peers/three/configuration`)).Url, 'http://127.0.0.1:3/')
    await server.close()
  })

  for (const [what, body, details] of [
    ['a URL of another kind', { Url: 'file:///etc/passwd' }, /Bad URL/],
    ['no URL', {}, /Empty URL/],
    [
      'a header that breaks lines',
      { Url: 'http://x/', HttpHeaders: { A: 'b\r\nC: d' } },
      /Bad HTTP header: A/,
    ],
    ['a time-out below zero', { Url: 'http://x/', Timeout: -1 }, /Unsigned integer value expected/],
  ] as const) {
    test(`a peer with ${what} is refused`, async () => {
      const server = await start({})
      const answer = await fetch(`${server.url}/peers/bad`, { method: 'PUT', body: JSON.stringify(body) })
      assert.equal(answer.status, 400)
      assert.match(((await answer.json()) as { Details: string }).Details, details)
      assert.deepEqual(await get(`${server.url}/peers`), [])
    })
  }
})

async function start(options: Record<string, unknown>): Promise<OrthancServer> {
  const server = await startOrthanc(options)
  onTestFinished(() => server.close())
  return server
}

function files(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) =>
    aDicomFile({ tags: { SOPInstanceUID: `1.2.3.4.5.${index + 10}`, InstanceNumber: String(index + 1) } }),
  )
}

/** Uploads the instances of a study; its id. */
async function fill(server: OrthancServer, count: number): Promise<string> {
  let study = ''
  for (const file of files(count)) {
    const answer = await fetch(`${server.url}/instances`, { method: 'POST', body: Uint8Array.from(file) })
    study = ((await answer.json()) as { ParentStudy: string }).ParentStudy
  }
  return study
}

/** A peer that answers each request with a status; its URL. */
async function listen(
  server: Server,
  answer: (request: IncomingMessage) => Promise<number>,
): Promise<string> {
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answer(request).then(status => response.writeHead(status).end('{}'))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    ;(server as ReturnType<typeof createPlain>).closeAllConnections()
    server.close()
  })
  const scheme = 'setSecureContext' in server ? 'https' : 'http'
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes, looked into by each test.
type Answer = any

async function post(url: string, body: object): Promise<Answer> {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
  assert.equal(answer.status, 200, await answer.clone().text())
  return answer.json()
}

async function get(url: string, user?: string): Promise<Answer> {
  const headers = user === undefined ? {} : { authorization: `Basic ${Buffer.from(user).toString('base64')}` }
  return (await fetch(url, { headers })).json()
}

async function ended(server: OrthancServer, id: string): Promise<Answer> {
  for (let turn = 0; turn < 600; turn++) {
    const job = await get(`${server.url}/jobs/${id}`)
    if (job.State === 'Success' || job.State === 'Failure') return job
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error('the job does not end')
}
