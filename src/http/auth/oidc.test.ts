import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { afterEach, expect, test } from 'vitest'
import { OidcIssuer, type OidcSettings } from './oidc.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** An identity provider with one key, and a verifier that trusts it. */
async function setup(settings: Partial<OidcSettings> = {}) {
  const keys = await generateKeyPair('RS256', { extractable: true })
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256' }
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const isDiscovery = request.url === '/.well-known/openid-configuration'
    response.end(JSON.stringify(isDiscovery ? { issuer: base, jwks_uri: `${base}/keys` } : { keys: [jwk] }))
  })
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const verifier = new OidcIssuer({
    issuer,
    audience: 'yard',
    userClaim: 'preferred_username',
    groupsClaim: 'groups',
    roles: { chiefs: 'admin', staff: 'operator' },
    defaultRole: 'viewer',
    ...settings,
  })
  const sign = (claims: Record<string, unknown> = {}) =>
    new SignJWT({ preferred_username: 'ann', groups: ['staff', 'x'], ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer(issuer)
      .setAudience('yard')
      .setSubject('u-1')
      .setExpirationTime('1h')
  return { keys, issuer, verifier, sign, asked, now: Date.now() }
}

test('a token of the issuer is its user, with the highest role that the groups give', async () => {
  const { keys, verifier, sign, now } = await setup()
  const found = await verifier.verify(await sign({ email: 'ann@x.example' }).sign(keys.privateKey), now)
  expect(found?.principal).toEqual({
    name: 'ann',
    scheme: 'oidc',
    role: 'operator',
    groups: ['staff', 'x'],
    email: 'ann@x.example',
  })
  const chief = await verifier.verify(await sign({ groups: 'staff,chiefs' }).sign(keys.privateKey), now)
  expect(chief?.principal.role).toBe('admin')
  const other = await verifier.verify(
    await sign({ groups: ['constructor', '__proto__'] }).sign(keys.privateKey),
    now,
  )
  expect(other?.principal.role).toBe('viewer')
})

test('the keys are fetched once for many tokens', async () => {
  const { keys, verifier, sign, asked, now } = await setup()
  for (let n = 0; n < 5; n++) await verifier.verify(await sign({ n }).sign(keys.privateKey), now)
  expect(asked).toEqual(['/.well-known/openid-configuration', '/keys'])
})

test('tokens for others, of others, too old, or signed with the public key as a secret, are nobody’s', async () => {
  const { keys, issuer, verifier, sign, now } = await setup()
  const foreign = await generateKeyPair('RS256')
  const confused = new SignJWT({ preferred_username: 'root' })
    .setProtectedHeader({ alg: 'HS256', kid: 'one' })
    .setIssuer(issuer)
    .setAudience('yard')
    .setSubject('u-1')
    .setExpirationTime('1h')
    .sign(Buffer.from(await exportSPKI(keys.publicKey)))
  const bad = {
    audience: await sign().setAudience('other').sign(keys.privateKey),
    issuer: await sign().setIssuer('https://evil.example').sign(keys.privateKey),
    key: await sign().sign(foreign.privateKey),
    confused: await confused,
    old: await sign().setExpirationTime(1).sign(keys.privateKey),
    rubbish: 'a.b.c',
  }
  for (const [name, token] of Object.entries(bad)) {
    expect([name, await verifier.verify(token, now)]).toEqual([name, undefined])
  }
})

test('an issuer that cannot be asked is no verdict on the token, and is asked again later', async () => {
  const { keys, sign, now } = await setup()
  const token = await sign().sign(keys.privateKey)
  const { verifier } = await setup({ issuer: 'http://127.0.0.1:9' })
  for (let n = 0; n < 2; n++) {
    await expect(verifier.verify(token, now)).rejects.toMatchObject({ refusal: { kind: 'unavailable' } })
  }
})
