import { createHmac, pbkdf2Sync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Refused } from '../../core/refusal.ts'
import type { Access } from '../dialect.ts'
import { demandWrite, type GateParts } from './gate.ts'
import { Passwords, readPasswords } from './passwords.ts'
import { readTokens, Tokens } from './tokens.ts'
import { mayWrite, readWhiteList, whiteListFile } from './white-list.ts'

const sha = (token: string, salt = 's') =>
  `sha256$${salt}$${createHmac('sha256', salt).update(token).digest('hex')}`

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'switchyard-credentials-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

describe('the tokens file', () => {
  test('entries that cannot be read are skipped, the others count', () => {
    const entries = readTokens(
      JSON.stringify([
        { hash: sha('a'), expires_at: '2030-01-01T00:00:00Z' },
        { hash: 'md5$s$00' },
        { hash: sha('b'), expires_at: 'tomorrow' },
        { hash: 'pbkdf2:sha256:99999999$s$00' },
        17,
      ]),
    )
    expect(entries).toHaveLength(1)
    expect(() => readTokens('{}')).toThrow('not a JSON array')
  })

  test('a change of the file is seen after at most 20 seconds, and not before it is looked at', async () => {
    let now = 1_000_000
    const path = join(dir, 'tokens.json')
    await writeFile(path, JSON.stringify([{ hash: sha('old') }]))
    const tokens = new Tokens(path, () => now)
    expect(await tokens.find('old')).toBeDefined()
    await writeFile(path, JSON.stringify([{ hash: sha('newer') }, { hash: sha('other') }]))
    expect(await tokens.find('newer')).toBeUndefined()
    now += 20_000
    expect(await tokens.find('newer')).toBeDefined()
    expect(await tokens.find('old')).toBeUndefined()
  })

  test('a token stops to be good at the very moment of its end, also when it was just used', async () => {
    let now = Date.parse('2030-01-01T00:00:00Z') - 1
    const path = join(dir, 'ends.json')
    const stretched = `pbkdf2:sha256:10$s$${pbkdf2Sync('p', 's', 10, 32, 'sha256').toString('hex')}`
    await writeFile(path, JSON.stringify([{ hash: stretched, expires_at: '2030-01-01T00:00:00Z' }]))
    const tokens = new Tokens(path, () => now)
    expect(await tokens.find('p')).toBeDefined()
    now++
    expect(await tokens.find('p')).toBeUndefined()
  })
})

describe('the password file', () => {
  test('names the line that is wrong', () => {
    expect(() => readPasswords('carol h 1 pw')).toThrow('line 1: expected a version')
    expect(() => readPasswords('4.5.0\ncarol h 1')).toThrow('line 2: expected USER HOST PORT PASSWORD')
    expect(() => readPasswords('4.5.0\nc h 1 a\nc h 1 b')).toThrow('line 3: c h 1 is there already')
  })

  test('counts only for this server', async () => {
    const path = join(dir, 'passwd')
    await writeFile(path, '4.5.0 # comment\ncarol here 3141 right\ndave there 3141 right\n')
    const passwords = new Passwords(path, { hosts: ['here'], port: '3141' })
    expect(await passwords.isRight('carol', 'right')).toBe(true)
    expect(await passwords.isRight('carol', 'wrong')).toBe(false)
    expect(await passwords.isRight('dave', 'right')).toBe(false)
  })
})

describe('the white list', () => {
  const list = readWhiteList('4.4.14\ncarol /a,/b # hers\n-dave /\n-* /open\ncarol /c', 'lists')

  test.each([
    ['carol', '/a', true],
    ['carol', '/a/x', true],
    ['carol', '/ab', false],
    ['carol', '/c/d', true],
    ['carol', '/', false],
    ['dave', '/a', false],
    ['erin', '/open', false],
  ])('%s may write %s: %s', (user, path, may) => {
    expect(mayWrite(list, user, path)).toBe(may)
  })

  test('an empty one lets everyone do everything; an old or missing version is refused', () => {
    expect(mayWrite(readWhiteList('4.4.14\n', 'lists'), 'anyone', '/')).toBe(true)
    expect(() => readWhiteList('4.4.4\n', 'lists')).toThrow('4.4.5 or later')
    expect(() => readWhiteList('carol\n', 'lists')).toThrow('expected a version')
  })

  test('may include another one', async () => {
    await writeFile(join(dir, 'more'), 'erin /x\n')
    const included = readWhiteList('4.4.14\n#include more\n', join(dir, 'lists'))
    expect(mayWrite(included, 'erin', '/x/y')).toBe(true)
  })
})

describe('changes over plain HTTP', () => {
  const gate = async (noSsl: boolean): Promise<GateParts> => {
    const path = join(dir, 'gate.json')
    await writeFile(path, JSON.stringify([{ hash: sha('good') }]))
    return {
      access: { recognise: async () => undefined, byToken: async () => undefined } as unknown as Access,
      tokens: new Tokens(path, () => 0),
      passwords: new Passwords(join(dir, 'none'), { hosts: [], port: '' }),
      whiteList: whiteListFile(join(dir, 'none')),
      noSsl,
      closedReads: false,
    }
  }
  const ask = (protocol: string, remoteAddress: string) =>
    ({
      protocol,
      headers: { authorization: 'Bearer good' },
      socket: { remoteAddress },
    }) as unknown as FastifyRequest
  const outcome = async (noSsl: boolean, protocol: string, address: string) => {
    try {
      await demandWrite(await gate(noSsl), ask(protocol, address), { key: null, path: '/' })
      return 'allowed'
    } catch (error) {
      return error instanceof Refused ? error.refusal.kind : String(error)
    }
  }

  test('are refused from elsewhere, unless no_ssl says that this is all right', async () => {
    expect(await outcome(false, 'http', '10.0.0.7')).toBe('not-allowed')
    expect(await outcome(false, 'https', '10.0.0.7')).toBe('allowed')
    expect(await outcome(false, 'http', '127.0.0.1')).toBe('allowed')
    expect(await outcome(false, 'http', '::ffff:127.0.0.1')).toBe('allowed')
    expect(await outcome(true, 'http', '10.0.0.7')).toBe('allowed')
  })
})
