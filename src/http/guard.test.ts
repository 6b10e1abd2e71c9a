import type { FastifyRequest } from 'fastify'
import { expect, test } from 'vitest'
import { type GuardRules, hostGuard } from './guard.ts'

function check(
  rules: Partial<GuardRules>,
  request: { method?: string; headers: object; anyOrigin?: boolean },
) {
  const guard = hostGuard({ bind: '127.0.0.1', hosts: [], origins: [], ...rules })
  const { method = 'GET', headers, anyOrigin = false } = request
  try {
    guard({ method, headers, routeOptions: { config: { anyOrigin } } } as unknown as FastifyRequest)
    return 'in'
  } catch (error) {
    return (error as Error).message
  }
}

test('a server on loopback answers to loopback names only', () => {
  for (const host of [
    'localhost',
    'localhost:8080',
    '127.0.0.1:1',
    '127.9.9.9',
    '[::1]:80',
    'LOCALHOST:1',
    'a.localhost',
  ]) {
    expect([host, check({}, { headers: { host } })]).toEqual([host, 'in'])
  }
  for (const host of [
    'evil.example',
    'evil.example:8080',
    '10.0.0.1',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '',
    '[::2]',
  ]) {
    expect([host, check({}, { headers: { host } })]).toEqual([
      host,
      expect.stringContaining('does not answer to the name'),
    ])
  }
  expect(check({}, { headers: {} })).toBe('in')
})

test('further names can be configured, and on a public address names are checked only where they are listed', () => {
  expect(check({ hosts: ['Yard.example'] }, { headers: { host: 'yard.example:443' } })).toBe('in')
  expect(check({ bind: '0.0.0.0' }, { headers: { host: 'anything.example' } })).toBe('in')
  const listed = { bind: '0.0.0.0', hosts: ['yard.example'] }
  expect(check(listed, { headers: { host: 'other.example' } })).toContain('server.hosts')
  expect(check(listed, { headers: { host: 'yard.example' } })).toBe('in')
})

test('a page of another site may read, which its browser keeps from it, but never change', () => {
  const headers = { host: 'localhost:80', origin: 'https://evil.example' }
  expect(check({}, { headers })).toBe('in')
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
    expect(check({}, { method, headers })).toContain('server.origins')
  }
  expect(check({}, { method: 'POST', headers: { ...headers, origin: 'null' } })).toContain('may not change')
  expect(
    check({}, { method: 'POST', headers: { host: 'localhost', 'sec-fetch-site': 'cross-site' } }),
  ).toContain('may not')
})

test('another port of the same machine is another site', () => {
  const headers = { host: 'localhost:8080', origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' }
  expect(check({}, { method: 'POST', headers })).toContain('may not change')
})

test('our own pages, programs without an origin, and configured origins may change things', () => {
  const method = 'POST'
  expect(check({}, { method, headers: { host: 'localhost:80', origin: 'http://localhost:80' } })).toBe('in')
  expect(check({}, { method, headers: { host: 'localhost:80' } })).toBe('in')
  const origin = 'https://console.example'
  expect(
    check(
      { origins: [origin] },
      { method, headers: { host: 'localhost', origin, 'sec-fetch-site': 'cross-site' } },
    ),
  ).toBe('in')
  expect(
    check({ origins: ['*'] }, { method, headers: { host: 'localhost', origin: 'https://x.example' } }),
  ).toBe('in')
  expect(check({}, { method, headers: { host: 'localhost', origin }, anyOrigin: true })).toBe('in')
})
