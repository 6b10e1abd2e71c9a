import { expect, test } from 'vitest'
import { hashPassword, isPasswordHash, PasswordCheck } from './passwords.ts'

const cheap = { N: 2 ** 10, r: 8, p: 1 }

test('a password fits its hash and no other, whatever its characters', async () => {
  const check = new PasswordCheck()
  for (const password of ['x', 'pass word:with colon', 'ünïcødé €', ' '.repeat(100)]) {
    const hash = await hashPassword(password, cheap)
    expect(await check.matches(password, hash)).toBe(true)
    expect(await check.matches(`${password}.`, hash)).toBe(false)
  }
})

test('the same password never has the same hash twice, and the hash says how it was made', async () => {
  const [a, b] = [await hashPassword('x', cheap), await hashPassword('x', cheap)]
  expect(a).not.toBe(b)
  expect(a).toMatch(/^scrypt\$1024\$8\$1\$/)
  expect(isPasswordHash(a)).toBe(true)
})

test('a hash whose parameters are absurd is no hash', () => {
  const key = Buffer.alloc(32).toString('base64url')
  for (const bad of [
    'x',
    'scrypt$1$8$1$a$b',
    `scrypt$4294967296$8$1$AA$${key}`,
    `scrypt$1000$8$1$AA$${key}`,
    `bcrypt$1024$8$1$AA$${key}`,
  ]) {
    expect([bad, isPasswordHash(bad)]).toEqual([bad, false])
  }
})

test('two are checked at a time, a few wait, and the rest are told to come back', async () => {
  const hash = await hashPassword('x', cheap)
  const check = new PasswordCheck({ waitingMax: 3 })
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => check.matches('x', hash)))
  expect(all.filter(one => one.status === 'fulfilled')).toHaveLength(5)
  expect(
    all
      .filter(one => one.status === 'rejected')
      .map(one => (one as PromiseRejectedResult).reason.refusal.kind),
  ).toEqual(['unavailable', 'unavailable', 'unavailable'])
  expect(await check.matches('x', hash)).toBe(true)
})

test('an unknown user costs as much as a wrong password, and is refused', async () => {
  expect(await new PasswordCheck().matches('x', undefined)).toBe(false)
})
