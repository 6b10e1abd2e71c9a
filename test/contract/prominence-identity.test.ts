// Who a caller is: tokens of a real issuer (its keys and its userinfo served by this test), tokens that another
// PROMINENCE server signed, and our own. contracts/prominence.md §2 and §3.5.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientOf } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const shared = 'a secret that both servers know'
const failure = { status: 401, body: { error: 'Authentication failure' } }

describe.skipIf(missingForContainers() !== undefined)('who a PROMINENCE caller is', () => {
  let server: ProminenceServer
  let issuer: string
  let sign: (
    claims: JWTPayload,
    options?: { audience?: string; key?: CryptoKey; until?: string },
  ) => Promise<string>
  let stranger: CryptoKey
  let asked: string[] = []
  let isDown = false
  /** What the issuer tells of opaque tokens. */
  const people: Record<string, object> = {
    'opaque-anna': {
      preferred_username: 'anna',
      groups: ['vo/test'],
      email: 'anna@example.org',
      ok: ['member'],
    },
    'opaque-nobody': { sub: '1' },
    'opaque-guest': { preferred_username: 'guest', groups: [] },
  }
  const web = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (isDown) return void request.socket.destroy()
    const json = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (request.url === '/.well-known/openid-configuration') json(200, { issuer, jwks_uri: `${issuer}/keys` })
    else if (request.url === '/keys') json(200, { keys: [publicKey] })
    else if (request.url === '/userinfo') {
      const person = people[request.headers.authorization?.split(' ')[1] ?? '']
      json(person === undefined ? 401 : 200, person ?? { error: 'invalid_token' })
    } else json(404, {})
  })
  let publicKey: object

  beforeAll(async () => {
    await new Promise<void>(done => web.listen(0, '127.0.0.1', done))
    issuer = `http://127.0.0.1:${(web.address() as AddressInfo).port}`
    const keys = await generateKeyPair('RS256')
    stranger = (await generateKeyPair('RS256')).privateKey
    publicKey = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }
    sign = (claims, { audience = 'switchyard', key = keys.privateKey, until = '1h' } = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', kid: 'one' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject('subject')
        .setIssuedAt()
        .setExpirationTime(until)
        .sign(key)
    server = await startProminence({
      oidc: { issuer, audience: 'switchyard' },
      dialect: {
        tokenSecret: shared,
        userinfo: { url: `${issuer}/userinfo`, requiredEntitlements: [] },
      },
    })
  })
  afterAll(async () => {
    await server?.close()
    web.close()
  })

  const list = async (token: string) => {
    const { status, body } = await clientOf(server.url, token).ask('GET', '/api/v1/data/vo/test')
    return { status, body }
  }
  const mine = async (token: string) => {
    const { status, body } = await clientOf(server.url, token).ask('GET', '/api/v1/jobs')
    return { status, body }
  }

  test('tokens of the configured issuer are known by its keys, with name, groups and mail', async () => {
    const token = await sign({ preferred_username: 'oda', groups: ['vo/test'], email: 'oda@example.org' })
    expect(await list(token)).toEqual({ status: 200, body: [] })
    expect((await list(await sign({ preferred_username: 'oda', groups: [] }))).status).toBe(403)
    const oda = clientOf(server.url, token)
    const id = await oda.submit('jobs', {
      resources: { cpus: 1, memory: 1 },
      tasks: [{ image: 'busybox', runtime: 'udocker', cmd: 'true' }],
    })
    expect((await oda.ended('jobs', id)).status).toBe('completed')
    expect((await mine(await sign({ preferred_username: 'ole' }))).body).toEqual([])
    // The same user by another token.
    const again = clientOf(server.url, await sign({ preferred_username: 'oda' }))
    expect((await again.describe('jobs', id)).id).toBe(id)
    expect(asked.filter(url => url === '/keys').length).toBe(1)
  })

  test('tokens of others, for others, too old, changed or unsigned are nobody’s', async () => {
    const claims = { preferred_username: 'oda' }
    const good = await sign(claims)
    const [head, body] = good.split('.')
    const bad = [
      await sign(claims, { key: stranger }),
      await sign(claims, { audience: 'another' }),
      await sign(claims, { until: '-1h' }),
      `${head}.${body}.AAAA`,
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
      'nonsense',
      '..',
    ]
    for (const token of bad) expect(await mine(token), token).toEqual(failure)
    for (const authorization of ['', 'Bearer', good, `Bearer ${good} more`]) {
      const answer = await fetch(`${server.url}/api/v1/jobs`, { headers: { authorization } })
      expect([authorization, answer.status, await answer.json()]).toEqual([authorization, 401, failure.body])
    }
    // The word in front of a token is not looked at.
    const answer = await fetch(`${server.url}/api/v1/jobs`, { headers: { authorization: `Token ${good}` } })
    expect(answer.status).toBe(200)
  })

  test('tokens that say nothing are asked about at userinfo, once for many requests', async () => {
    asked = []
    for (let i = 0; i < 5; i++) expect(await list('opaque-anna')).toEqual({ status: 200, body: [] })
    expect(asked.filter(url => url === '/userinfo').length).toBe(1)
    expect((await list('opaque-guest')).status).toBe(403)
    expect(await mine('opaque-nobody')).toEqual(failure)
    expect(await mine('opaque-unknown')).toEqual(failure)
  })

  test('tokens that another server signed with the shared secret are good: username and groups must be there', async () => {
    const token = (claims: JWTPayload, secret = shared, until = '1h') =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256' })
        .setExpirationTime(until)
        .sign(Buffer.from(secret))
    const claims = { username: 'sam', groups: 'vo/test,other', email: 'sam@example.org' }
    expect(await list(await token(claims))).toEqual({ status: 200, body: [] })
    for (const bad of [
      await token({ username: 'sam' }),
      await token({ groups: 'a' }),
      await token({ ...claims, username: 5 }),
      await token(claims, 'another secret of some length'),
      await token(claims, shared, '-1h'),
    ])
      expect(await mine(bad)).toEqual(failure)
  })

  test('an identity provider that cannot be reached is told in the original’s words; known tokens go on', async () => {
    isDown = true
    try {
      expect((await list('opaque-anna')).status).toBe(200)
      expect(await mine('opaque-other')).toEqual({
        status: 401,
        body: { error: 'Unable to connect to OIDC server' },
      })
      // Its keys are here.
      expect((await mine(await sign({ preferred_username: 'oda' }))).status).toBe(200)
      expect((await mine(await server.token({ user: 'alice' }))).status).toBe(200)
    } finally {
      isDown = false
    }
  })
})

describe.skipIf(missingForContainers() !== undefined)(
  'a PROMINENCE server whose issuer is away from the start',
  () => {
    test('says so, and still knows its own tokens', async () => {
      const server = await startProminence({ oidc: { issuer: 'http://127.0.0.1:9', audience: 'switchyard' } })
      try {
        const { privateKey } = await generateKeyPair('RS256')
        const token = await new SignJWT({ preferred_username: 'oda' })
          .setProtectedHeader({ alg: 'RS256', kid: 'one' })
          .setIssuer('http://127.0.0.1:9')
          .setAudience('switchyard')
          .setSubject('s')
          .setExpirationTime('1h')
          .sign(privateKey)
        const { status, body } = await clientOf(server.url, token).ask('GET', '/api/v1/jobs')
        expect([status, body]).toEqual([401, { error: 'Unable to connect to OIDC server' }])
        const own = clientOf(server.url, await server.token({ user: 'alice' }))
        expect((await own.ask('GET', '/api/v1/jobs')).status).toBe(200)
      } finally {
        await server.close()
      }
    })
  },
)
