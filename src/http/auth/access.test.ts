import type { FastifyRequest } from 'fastify'
import { expect, test } from 'vitest'
import type { Principal, Right } from '../../core/principal.ts'
import { Refused } from '../../core/refusal.ts'
import type { Soon } from '../../dialects/dialect.ts'
import { accessOf, local } from './access.ts'
import type { Keyring } from './keyring.ts'

const ann: Principal = { name: 'ann', scheme: 'token', role: 'submitter', groups: [] }

const keyring = {
  byToken: async (token: string) => (token === 'good' ? ann : undefined),
  byPassword: async (user: string, password: string) =>
    user === 'ann' && password === 'pw:1' ? ann : undefined,
} as unknown as Keyring

function access(rule: readonly Right[], options: { isOpen?: boolean; everybody?: Principal } = {}) {
  return accessOf({
    keyring,
    jwtKey: Buffer.alloc(32, 1),
    rule: { anonymous: rule },
    isOpen: options.isOpen ?? true,
    now: Date.now,
    ...(options.everybody !== undefined ? { everybody: options.everybody } : {}),
  })
}

const asking = (authorization?: string) => ({ headers: { authorization } }) as FastifyRequest
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

async function outcome(asked: () => Soon<Principal>): Promise<string> {
  try {
    return (await asked()).name
  } catch (error) {
    return error instanceof Refused ? error.refusal.kind : String(error)
  }
}

test('bearer and basic credentials are recognised, whatever the case of their scheme', async () => {
  const { recognise } = access([])
  for (const header of ['Bearer good', 'bearer good', basic('ann:pw:1')]) {
    expect(await recognise(asking(header))).toEqual(ann)
  }
})

test('credentials that were given and are not valid never fall back to what anybody may do', async () => {
  const { recognise, demand } = access(['read', 'submit', 'operate', 'administer'])
  for (const header of [
    'Bearer bad',
    'Bearer',
    'Bearer ',
    'good',
    'Digest good',
    basic('ann:no'),
    basic('ann'),
    '',
  ]) {
    expect([header, await recognise(asking(header))]).toEqual([header, undefined])
    expect(await outcome(() => demand(asking(header), 'read'))).toBe('not-authenticated')
  }
})

test('without credentials the dialect’s own rule holds where it is open, and nothing where it is not', async () => {
  expect(await outcome(() => access(['read']).demand(asking(), 'read'))).toBe('anonymous')
  expect(await outcome(() => access(['read']).demand(asking(), 'submit'))).toBe('not-authenticated')
  expect(await outcome(() => access([]).demand(asking(), 'read'))).toBe('not-authenticated')
  expect(await outcome(() => access(['read'], { isOpen: false }).demand(asking(), 'read'))).toBe(
    'not-authenticated',
  )
  expect(await access([]).recognise(asking())).toBeUndefined()
})

test('the rule never gives more than it says', async () => {
  const rights: Right[] = ['read', 'submit', 'operate', 'administer']
  for (const [index, right] of rights.entries()) {
    const { demand } = access(rights.slice(0, index + 1))
    expect(await outcome(() => demand(asking(), right))).toBe('anonymous')
    const next = rights[index + 1]
    if (next !== undefined) expect(await outcome(() => demand(asking(), next))).toBe('not-authenticated')
  }
})

test('who is known and may not is told so, and not asked for credentials again', async () => {
  const { demand } = access([])
  expect(await outcome(() => demand(asking('Bearer good'), 'submit'))).toBe('ann')
  expect(await outcome(() => demand(asking('Bearer good'), 'operate'))).toBe('not-allowed')
})

test('a dialect may bring credentials from elsewhere, and they count before the header', async () => {
  const { recognise } = access(['read'])
  expect(await recognise(asking(), { token: 'good' })).toEqual(ann)
  expect(await recognise(asking('Bearer good'), { token: 'bad' })).toBeUndefined()
  expect(await recognise(asking(), { user: 'ann', password: 'pw:1' })).toEqual(ann)
})

test('with --no-auth everybody is an administrator, whatever is sent', async () => {
  const { demand, byToken } = access([], { everybody: local })
  expect(await outcome(() => demand(asking(), 'administer'))).toBe('local')
  expect(await outcome(() => demand(asking('Bearer bad'), 'administer'))).toBe('local')
  expect(await byToken('anything')).toEqual(local)
})
