import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { readBytes, readDuration } from './quantity.ts'
import { readSettings, SettingsError, type SettingsSources } from './read-settings.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function file(name: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'settings-'))
  folders.push(folder)
  await writeFile(join(folder, name), text)
  return join(folder, name)
}

async function problems(sources: Partial<SettingsSources>): Promise<readonly string[]> {
  return readSettings({ env: {}, ...sources }).then(
    () => [],
    error => {
      if (error instanceof SettingsError) return error.problems
      throw error
    },
  )
}

test('without any source the settings are those of a small local server', async () => {
  const settings = await readSettings({ env: { PATH: '/bin' } })
  expect(settings.server).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    bodyLimit: 16 * 2 ** 20,
    requestTimeout: 600_000,
  })
  expect(settings.store).toBe('sqlite')
})

test('the environment wins over the file, and a flag over both', async () => {
  const config = await file(
    'yard.toml',
    '[server]\nport = 1\nhost = "::1"\ndrain = "1m"\n[pools.gpu]\nslots = 2\nmemory = "8GiB"\n',
  )
  const settings = await readSettings({
    file: config,
    env: { SWITCHYARD_SERVER_PORT: '2', SWITCHYARD_SERVER_HOSTS: 'a.example, b.example' },
    flags: [
      ['server.port', '3'],
      ['pools.gpu.fair', 'true'],
      ['server.host', undefined],
    ],
  })
  expect(settings.server).toMatchObject({
    port: 3,
    host: '::1',
    drain: 60_000,
    hosts: ['a.example', 'b.example'],
  })
  expect(settings.pools['gpu']).toEqual({ slots: 2, memory: 8 * 2 ** 30, fair: true })
})

test('JSON says the same as TOML, and file names start from the file', async () => {
  const config = await file('yard.json', '{"data":"d","server":{"tls":{"cert":"c.pem","key":"/k.pem"}}}')
  const settings = await readSettings({ file: config, env: {} })
  expect(settings.data).toBe(join(config, '../d'))
  expect(settings.server.tls).toEqual({ cert: join(config, '../c.pem'), key: '/k.pem' })
})

test('everything that is wrong is said at once, each with its place', async () => {
  const config = await file(
    'yard.json',
    JSON.stringify({
      serve: {},
      server: { port: 70_000, prot: 1, bodyLimit: '5 bananas', drain: 30 },
      pools: { a: { slots: 0 } },
      auth: { users: { bob: {} } },
    }),
  )
  const found = (await problems({ file: config, env: { SWITCHYARD_SERVER_PROT: '1' } })).join('\n')
  for (const part of [
    'SWITCHYARD_SERVER_PROT is not the name of a setting',
    'serve is not a setting',
    'server.prot is not a setting',
    'server.port: ',
    'server.bodyLimit: must be a size such as "64MiB"',
    'server.drain: must be a duration such as "30s"',
    'pools.a.slots: ',
    'auth.users.bob: must have either passwordHash or passwordFile',
  ]) {
    expect(found).toContain(part)
  }
})

test('a file that is not there, or is not what its name says, is named', async () => {
  expect(await problems({ file: '/nowhere/yard.toml' })).toEqual([
    expect.stringContaining('Cannot read the configuration /nowhere'),
  ])
  expect(await problems({ file: await file('a.toml', 'port = = 1') })).toEqual([
    expect.stringContaining('is not valid TOML'),
  ])
  expect(await problems({ file: await file('a.json', '[1]') })).toEqual([
    expect.stringContaining('is not a set of sections'),
  ])
})

test('our variables that are no settings are left alone', async () => {
  const env = {
    SWITCHYARD_ADMIN_TOKEN: 'x',
    SWITCHYARD_URL: 'http://x',
    SWITCHYARD_TOKEN: 'y',
    SWITCHYARD_DIST: '1',
  }
  expect(await problems({ env })).toEqual([])
})

test('names of the prototype are ordinary names, and harm nothing', async () => {
  await problems({ flags: [['pools.__proto__.slots', '5']] })
  expect(({} as { slots?: number }).slots).toBeUndefined()
  const config = await file('a.json', '{"__proto__":{"store":"memory"}}')
  await problems({ file: config })
  expect(({} as { store?: string }).store).toBeUndefined()
})

test('sizes and durations are read with their units, and refused without sense', () => {
  expect(['1KiB', '1.5 GB', '10', '0', '2tib'].map(readBytes)).toEqual([1024, 1.5e9, 10, 0, 2 * 2 ** 40])
  expect(['', '-1', '1XB', '1e9', '9999999TiB'].map(readBytes)).toEqual(Array(5).fill(undefined))
  expect(['90s', '1h30m', '1.5d', '250ms', '0', '1m 5s'].map(readDuration)).toEqual([
    90_000, 5_400_000, 129_600_000, 250, 0, 65_000,
  ])
  expect(['', '5', 'm', '-5s', '5 fortnights', '1h30'].map(readDuration)).toEqual(Array(6).fill(undefined))
})

test('any duration that is written in parts is their sum', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.nat(100), fc.nat(100), (h, m, s) => {
      expect(readDuration(`${h}h${m}m${s}s`)).toBe(((h * 60 + m) * 60 + s) * 1000)
    }),
    { seed: 20261122, numRuns: 100 },
  )
})
