import { expect, test } from 'vitest'
import { decideExposure, type ExposureFacts } from './exposure.ts'
import { settingsSchema } from './settings/schema.ts'

const dialects = ['native', 'ecflow']

function decide(settings: object, facts: Partial<ExposureFacts> = {}): string {
  const full = settingsSchema.parse(settings)
  try {
    const exposure = decideExposure(full, {
      dialects,
      hasAdminToken: false,
      hasUsers: false,
      noAuth: false,
      ...facts,
    })
    return dialects.map(name => `${name} ${exposure.isOpen(name) ? 'open' : 'closed'}`).join(', ')
  } catch (error) {
    return (error as Error).message
  }
}

const far = { host: '0.0.0.0', insecureHttp: true }
const open = { native: { access: 'open' }, ecflow: { access: 'open' } }

test('on loopback without configuration each dialect keeps the rule of its own documents', () => {
  for (const host of ['127.0.0.1', 'localhost', '::1', '127.1.2.3']) {
    expect(decide({ server: { host } })).toBe('native open, ecflow open')
  }
  expect(decide({}, { hasAdminToken: true })).toBe('native open, ecflow open')
})

test('whoever configures who may come in closes the door to everybody else, also on loopback', () => {
  const closed = 'native closed, ecflow closed'
  expect(decide({ auth: { required: true } })).toBe(closed)
  expect(decide({ auth: { users: { ann: { passwordHash: 'x' } } } })).toBe(closed)
  expect(decide({ auth: { oidc: { issuer: 'https://id.example', audience: 'yard' } } })).toBe(closed)
  expect(decide({}, { hasUsers: true })).toBe(closed)
})

test('a dialect can be opened or closed by itself', () => {
  expect(decide({ dialects: { ecflow: { access: 'closed' } } })).toBe('native open, ecflow closed')
  expect(decide({ auth: { required: true }, dialects: { ecflow: { access: 'open' } } })).toBe(
    'native closed, ecflow open',
  )
  expect(decide({ dialects: { ecflow: { access: 'wide' } } })).toContain(
    'dialects.ecflow.access must be "open" or "closed"',
  )
})

test('beyond loopback a server refuses to start while nobody is said to have access', () => {
  expect(decide({ server: far })).toMatch(
    /^0\.0\.0\.0 can be reached by others, and nobody is said to have access to native, ecflow/,
  )
  expect(decide({ server: far, dialects: { native: { access: 'open' } } })).toContain('access to ecflow:')
  expect(decide({ server: far, dialects: open })).toBe('native open, ecflow open')
  expect(decide({ server: far, auth: { required: true } })).toBe('native closed, ecflow closed')
  expect(decide({ server: far }, { hasAdminToken: true })).toBe('native closed, ecflow closed')
  for (const host of ['::', '10.0.0.1', 'yard.example']) {
    expect(decide({ server: { ...far, host } })).toContain('can be reached by others')
  }
})

test('beyond loopback a server refuses to send credentials in the clear', () => {
  const server = { host: '0.0.0.0' }
  expect(decide({ server, auth: { required: true } })).toContain('--insecure-http')
  const tls = { cert: 'a.pem', key: 'b.pem' }
  expect(decide({ server: { ...server, tls }, auth: { required: true } })).toBe(
    'native closed, ecflow closed',
  )
})

test('--no-auth works on loopback only, whatever else is said', () => {
  expect(decide({}, { noAuth: true })).toBe('native open, ecflow open')
  expect(decide({ server: far, auth: { required: true } }, { noAuth: true })).toContain(
    '--no-auth works on a loopback address only',
  )
})
