import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { issueJwt } from './jwt.ts'
import { Keyring, type KeyringParts } from './keyring.ts'
import { hashPassword } from './passwords.ts'
import { makePrivate } from './private-file.ts'
import { readSecret } from './secrets.ts'
import {
  createToken,
  listTokens,
  pruneTokens,
  rememberJwt,
  revokeToken,
  type TokenDraft,
} from './token-files.ts'
import { removeUser, saveUser } from './user-files.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

const ann: TokenDraft = {
  user: 'ann',
  role: 'submitter',
  groups: ['a', 'b'],
  email: 'ann@x.example',
  expiresAt: null,
}

/** A data directory, and a keyring on it whose clock is moved by hand. */
async function setup(parts: Partial<KeyringParts> = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'keyring-'))
  folders.push(dataDir)
  const time = { now: Date.now() }
  const jwtKey = await readSecret(dataDir, 'jwt')
  const clock = { now: () => time.now, alarm: () => () => {} }
  return { dataDir, time, jwtKey, keyring: new Keyring({ dataDir, clock, jwtKey, ...parts }) }
}

test('a token is good as soon as it is made, and says who holds it', async () => {
  const { dataDir, time, keyring } = await setup()
  expect(await keyring.byToken('sy_unknown')).toBeUndefined()
  const { token } = await createToken(dataDir, ann, time.now)
  expect(await keyring.byToken(token)).toEqual({
    name: 'ann',
    scheme: 'token',
    role: 'submitter',
    groups: ['a', 'b'],
    email: 'ann@x.example',
  })
})

test('only the hash of a token is on disk, in a file for the owner alone', async () => {
  const { dataDir, time } = await setup()
  const { token, record } = await createToken(dataDir, ann, time.now)
  const file = join(dataDir, 'tokens', `${record.hash}.json`)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await stat(join(dataDir, 'tokens'))).mode & 0o777).toBe(0o700)
  expect(await readFile(file, 'utf8')).not.toContain(token.slice(3))
  expect(await readdir(join(dataDir, 'tokens'))).toEqual([`${record.hash}.json`])
})

test('a revoked token is noticed within a second, and before that from memory', async () => {
  const { dataDir, time, keyring } = await setup()
  const { token, record } = await createToken(dataDir, ann, time.now)
  expect(await keyring.byToken(token)).toBeDefined()
  expect(await revokeToken(dataDir, { id: record.id }, time.now)).toBe(record.id)
  time.now += 400
  expect(await keyring.byToken(token)).toBeDefined()
  time.now += 500
  expect(await keyring.byToken(token)).toBeUndefined()
  expect(await revokeToken(dataDir, { id: record.id }, time.now)).toBeUndefined()
})

test('a token ends at its time, also when it was good a moment ago', async () => {
  const { dataDir, time, keyring } = await setup()
  const { token } = await createToken(dataDir, { ...ann, expiresAt: time.now + 100 }, time.now)
  expect(await keyring.byToken(token)).toBeDefined()
  time.now += 100
  expect(await keyring.byToken(token)).toBeUndefined()
})

test('a JWT of ours carries its claims, and ends by its time or by its jti', async () => {
  const { dataDir, time, jwtKey, keyring } = await setup()
  const expiresAt = time.now + 60_000
  const { token, jti } = await issueJwt(jwtKey, { ...ann, job: 'job-1', expiresAt }, time.now)
  expect(await keyring.byToken(token)).toMatchObject({
    name: 'ann',
    scheme: 'jwt',
    groups: ['a', 'b'],
    job: 'job-1',
  })
  const other = await issueJwt(jwtKey, { ...ann, expiresAt }, time.now)
  await rememberJwt(dataDir, other.jti, { ...ann, expiresAt }, time.now)
  await revokeToken(dataDir, { jti, expiresAt }, time.now)
  await revokeToken(dataDir, { id: (await listTokens(dataDir))[0]!.id }, time.now)
  time.now += 1_000
  expect(await keyring.byToken(token)).toBeUndefined()
  expect(await keyring.byToken(other.token)).toBeUndefined()
  const third = await issueJwt(jwtKey, { ...ann, expiresAt }, time.now)
  expect(await keyring.byToken(third.token)).toBeDefined()
  time.now = expiresAt + 1_000
  expect(await keyring.byToken(third.token)).toBeUndefined()
})

test('a JWT that is unsigned, signed otherwise, or changed, is nobody’s', async () => {
  const { time, jwtKey, keyring } = await setup()
  const expiresAt = time.now + 60_000
  const { token } = await issueJwt(jwtKey, { ...ann, expiresAt }, time.now)
  const [head, body, signature] = token.split('.') as [string, string, string]
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const forged = encode({ username: 'root', role: 'admin', exp: 9_999_999_999 })
  const foreign = await issueJwt(Buffer.alloc(32, 7), { ...ann, expiresAt }, time.now)
  for (const bad of [
    `${encode({ alg: 'none' })}.${forged}.`,
    `${encode({ alg: 'none' })}.${forged}.${signature}`,
    `${head}.${forged}.${signature}`,
    `${head}.${body}.${signature.slice(0, -2)}AA`,
    foreign.token,
    'a.b.c',
    '',
    'x'.repeat(100_000),
  ]) {
    expect([bad.slice(0, 40), await keyring.byToken(bad)]).toEqual([bad.slice(0, 40), undefined])
  }
})

test('the admin token of the data directory may be changed beside the server', async () => {
  const { dataDir, time, keyring } = await setup({
    extraTokens: [
      { token: 'from-outside', principal: { name: 'op', scheme: 'token', role: 'admin', groups: [] } },
    ],
  })
  await makePrivate(join(dataDir, 'admin-token'), 'first\n')
  expect(await keyring.byToken('first')).toMatchObject({ name: 'admin', role: 'admin' })
  expect(await keyring.byToken('from-outside')).toMatchObject({ name: 'op' })
  await writeFile(join(dataDir, 'admin-token'), 'second\n')
  time.now += 1_000
  expect(await keyring.byToken('first')).toBeUndefined()
  expect(await keyring.byToken('second')).toMatchObject({ name: 'admin' })
})

test('a password is checked, remembered for a minute, and forgotten when the user is changed or removed', async () => {
  const { dataDir, time, keyring } = await setup()
  const cheap = { N: 2 ** 10, r: 8, p: 1 }
  const save = async (password: string) =>
    saveUser(dataDir, {
      name: 'bob',
      passwordHash: await hashPassword(password, cheap),
      role: 'viewer',
      groups: [],
    })
  await save('old')
  expect(await keyring.byPassword('bob', 'wrong')).toBeUndefined()
  expect(await keyring.byPassword('bob', 'old')).toEqual({
    name: 'bob',
    scheme: 'basic',
    role: 'viewer',
    groups: [],
  })
  await save('new')
  time.now += 1_000
  expect(await keyring.byPassword('bob', 'old')).toBeUndefined()
  expect(await keyring.byPassword('bob', 'new')).toBeDefined()
  await removeUser(dataDir, 'bob')
  time.now += 1_000
  expect(await keyring.byPassword('bob', 'new')).toBeUndefined()
})

test('a token serves as password, for its own user only', async () => {
  const { dataDir, time, keyring } = await setup()
  const { token } = await createToken(dataDir, ann, time.now)
  expect(await keyring.byPassword('ann', token)).toMatchObject({ name: 'ann' })
  expect(await keyring.byPassword('', token)).toMatchObject({ name: 'ann' })
  expect(await keyring.byPassword('bob', token)).toBeUndefined()
})

test('old tokens and marks are cleared away, and what is still good stays', async () => {
  const { dataDir, time } = await setup()
  const day = 86_400_000
  await createToken(dataDir, { ...ann, expiresAt: time.now + day }, time.now)
  await createToken(dataDir, ann, time.now)
  await revokeToken(dataDir, { jti: 'x', expiresAt: time.now + day }, time.now)
  await pruneTokens(dataDir, time.now + 3 * day)
  const left = await readdir(join(dataDir, 'tokens'))
  expect(left).toHaveLength(1)
  expect((await listTokens(dataDir))[0]).toMatchObject({ expiresAt: null })
})

test('of two processes that make a secret at once, both get the same one', async () => {
  const { dataDir } = await setup()
  const made = await Promise.all(Array.from({ length: 8 }, () => readSecret(dataDir, 'links')))
  expect(new Set(made.map(secret => Buffer.from(secret).toString('hex'))).size).toBe(1)
  expect((await stat(join(dataDir, 'secrets', 'links'))).mode & 0o777).toBe(0o600)
  await expect(readSecret(dataDir, '../tokens')).rejects.toThrow('cannot be called')
})
