import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import type { Job } from '../core/job.ts'
import type { JsonObject } from '../core/json.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { native } from '../dialects/native/index.ts'
import { builtinFunctions } from '../executors/function/builtin.ts'
import { type Store, StoreFailed } from '../store/store.ts'
import { makeAdapters } from './adapters.ts'
import { makeClient } from './cli/client.ts'
import { systemClock } from './clocks.ts'
import { type Server, type ServerParts, startServer } from './server.ts'
import { type SettingsInput, settingsSchema } from './settings/schema.ts'
import { dummyDialect } from './testing/dummy-dialect.ts'

const open: Server[] = []
const folders: string[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'server-'))
  folders.push(made)
  return made
}

interface Setup extends Partial<Omit<ServerParts, 'settings' | 'tell'>> {
  readonly settings?: SettingsInput
  readonly calls?: string[]
}

async function start({ settings = {}, calls, ...parts }: Setup = {}) {
  const told: string[] = []
  const server = await startServer({
    settings: settingsSchema.parse({
      store: 'memory',
      ...settings,
      executors: { process: { allow: false }, container: { drivers: [] }, ...settings.executors },
      server: { port: 0, ...settings.server },
    }),
    dataPath: parts.dataPath ?? (await folder()),
    env: {},
    noAuth: false,
    log: pino({ level: 'silent' }),
    clock: systemClock(),
    dialects: [dummyDialect(calls)],
    adapters: makeAdapters,
    ...parts,
    tell: sentence => told.push(sentence),
  })
  open.push(server)
  const ask = (path: string, init: RequestInit & { token?: string } = {}) =>
    fetch(server.url + path, {
      ...init,
      headers: {
        ...(init.token !== undefined ? { authorization: `Bearer ${init.token}` } : {}),
        ...init.headers,
      },
    })
  const post = async (path: string, token?: string) =>
    (await ask(path, { method: 'POST', ...(token !== undefined ? { token } : {}) })).status
  return { server, told, ask, post }
}

test('a fresh server makes its admin token, says once where it is, and lets it in', async () => {
  const dataPath = await folder()
  const { server, told, post } = await start({ dataPath })
  const file = join(dataPath, 'admin-token')
  expect(told).toEqual([`The admin token is in ${file}`])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const token = (await readFile(file, 'utf8')).trim()
  expect(await post('/dummy/administer', token)).toBe(200)
  await server.close()
  const again = await start({ dataPath })
  expect(again.told).toEqual([])
  expect(await again.post('/dummy/administer', token)).toBe(200)
})

test('on loopback a dialect gives anybody what its own rule says, and no more', async () => {
  const { post } = await start()
  expect([await post('/dummy/read'), await post('/dummy/submit'), await post('/dummy/administer')]).toEqual([
    200, 401, 401,
  ])
  expect(await post('/dummy/read', 'wrong')).toBe(401)
})

test('the operator’s own admin token takes the place of the random one', async () => {
  const dataPath = await folder()
  const { post, told } = await start({ dataPath, env: { SWITCHYARD_ADMIN_TOKEN: 'a-token-of-the-operator' } })
  expect(told).toEqual([])
  await expect(stat(join(dataPath, 'admin-token'))).rejects.toThrow('ENOENT')
  expect(await post('/dummy/administer', 'a-token-of-the-operator')).toBe(200)
  expect(await post('/dummy/read')).toBe(200)
})

test('with --no-auth everybody may do everything', async () => {
  const { post, told } = await start({ noAuth: true })
  expect(await post('/dummy/administer')).toBe(200)
  expect(told).toEqual([])
})

test('where credentials are required nobody reads without them, on loopback too', async () => {
  const { post, ask } = await start({ settings: { auth: { required: true } } })
  expect(await post('/dummy/read')).toBe(401)
  expect((await ask('/healthz')).status).toBe(200)
})

test('the metrics are for this machine and for tokens, and a proxy on it does not make strangers local', async () => {
  const { ask } = await start({ env: { SWITCHYARD_ADMIN_TOKEN: 'a-token-of-the-operator' } })
  const forwarded = { 'x-forwarded-for': '203.0.113.9' }
  expect((await ask('/metrics')).status).toBe(200)
  expect((await ask('/metrics', { headers: forwarded })).status).toBe(401)
  expect((await ask('/metrics', { headers: forwarded, token: 'a-token-of-the-operator' })).status).toBe(200)
})

test('names that submitters choose cannot fill the metrics', async () => {
  const { makeMetrics } = await import('./metrics.ts')
  const metrics = makeMetrics()
  for (let n = 0; n < 1_000; n++) metrics.engine.started?.({ dialect: 'dummy', kind: `kind-${n}` } as Job, 1)
  const text = await metrics.registry.metrics()
  metrics.close()
  expect(text.match(/queue_wait_seconds_count/g)).toHaveLength(201)
  expect(text).toContain('switchyard_job_queue_wait_seconds_count{dialect="dummy",kind="other"} 800')
})

test('a server that strangers could use does not start, and leaves its port free', async () => {
  await expect(start({ settings: { server: { host: '0.0.0.0', insecureHttp: true } } })).rejects.toThrow(
    '0.0.0.0 can be reached by others, and nobody is said to have access to dummy',
  )
})

test('dialects are opened before the engine starts, made ready after it, and closed before it', async () => {
  const calls: string[] = []
  const { server, ask } = await start({ calls })
  expect(calls).toEqual(['open', 'ready, engine up'])
  const slow = ask('/dummy/slow')
  while (!calls.includes('slow')) await new Promise(resolve => setImmediate(resolve))
  await server.close()
  expect(await (await slow).json()).toBe('done')
  expect(calls).toEqual(['open', 'ready, engine up', 'slow', 'close, engine up'])
})

test('a job goes through, and the metrics tell of it with units in their names', async () => {
  const { ask, post } = await start({ noAuth: true })
  expect(await (await ask('/dummy/jobs', { method: 'POST' })).json()).toEqual({ n: 1, state: 'succeeded' })
  await post('/dummy/nowhere')
  const metrics = await ask('/metrics')
  expect(metrics.headers.get('content-type')).toBe(
    'application/openmetrics-text; version=1.0.0; charset=utf-8',
  )
  const text = await metrics.text()
  expect(text.endsWith('# EOF\n')).toBe(true)
  for (const line of [
    /^switchyard_job_run_seconds_count\{dialect="dummy",kind="dummy.job",state="succeeded"\} 1$/m,
    /^switchyard_job_queue_wait_seconds_count\{dialect="dummy",kind="dummy.job"\} 1$/m,
    /^switchyard_commit_duration_seconds_count \d+$/m,
    /^switchyard_commit_events_total \d+$/m,
    /^switchyard_event_loop_delay_seconds\{quantile="0.99"\} [\d.e-]+$/m,
    /^switchyard_http_request_duration_seconds_count\{dialect="dummy",route="unmatched",method="POST",status="404"\} 1$/m,
    /^switchyard_up 1$/m,
    /^process_resident_memory_bytes \d+$/m,
  ]) {
    expect(text).toMatch(line)
  }
})

test('a server that is not ready says why, and its dialects answer 503', async () => {
  const started = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const url = Promise.withResolvers<string>()
  const dialect = dummyDialect()
  const starting = start({
    settings: { server: { port: 0 } },
    dialects: [
      {
        ...dialect,
        async open(kit) {
          const opened = await dialect.open(kit)
          return {
            ...opened,
            async ready() {
              url.resolve(kit.publicUrl())
              entered.resolve()
              await started.promise
            },
          }
        },
      },
    ],
  })
  await entered.promise
  const base = await url.promise
  const ready = await fetch(`${base}/readyz`)
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: 'not ready', why: 'the server is starting' },
  ])
  expect((await fetch(`${base}/healthz`)).status).toBe(503)
  expect((await fetch(`${base}/dummy/settings`)).status).toBe(503)
  started.resolve()
  const { ask } = await starting
  expect((await ask('/healthz')).status).toBe(200)
  expect((await ask('/readyz')).status).toBe(200)
  expect((await ask('/dummy/settings')).status).toBe(200)
})

test('while the store takes no writes nothing is accepted, and everything goes on once it does', async () => {
  let isFull = false
  const { ask } = await start({
    noAuth: true,
    async adapters(facts) {
      const { store, executors } = await makeAdapters(facts)
      const commit: Store['commit'] = async changes => {
        if (isFull) throw new StoreFailed('full', 'no space left on the device')
        await store.commit(changes)
      }
      return { executors, store: { ...store, commit } }
    },
  })
  const submit = () => ask('/dummy/jobs', { method: 'POST' })
  expect((await submit()).status).toBe(200)
  isFull = true
  expect((await submit()).status).toBe(503)
  const ready = await ask('/readyz')
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: 'not ready', why: 'the store takes no writes' },
  ])
  expect((await submit()).status).toBe(503)
  expect((await ask('/healthz')).status).toBe(200)
  isFull = false
  while ((await ask('/readyz')).status !== 200) await new Promise(resolve => setTimeout(resolve, 20))
  expect(await (await submit()).json()).toMatchObject({ state: 'succeeded' })
})

test('commands on the same machine find the server, and come in with this run’s own key', async () => {
  const dataPath = await folder()
  const { server } = await start({ dataPath, settings: { auth: { required: true } } })
  expect((await stat(join(dataPath, 'server.json'))).mode & 0o777).toBe(0o600)
  const client = await makeClient({ data: dataPath })
  expect(client.url).toBe(server.url)
  expect(await client.json('POST', '/dummy/administer')).toMatchObject({ role: 'admin' })
  await expect(client.json('GET', '/dummy/nowhere')).rejects.toMatchObject({ exitCode: 3 })
  const stranger = await makeClient({ url: server.url, token: 'wrong' })
  await expect(stranger.json('POST', '/dummy/read')).rejects.toMatchObject({ exitCode: 4 })
  await server.close()
  await expect(stat(join(dataPath, 'server.json'))).rejects.toThrow('ENOENT')
  await expect(makeClient({ data: dataPath })).rejects.toMatchObject({ exitCode: 5 })
  await expect(client.json('GET', '/healthz')).rejects.toMatchObject({ exitCode: 5 })
})

test('what a dialect completes its jobs with, and what it brings to run, is not to be had through the native API', async () => {
  const dummy = dummyDialect()
  const dialect: Dialect = {
    ...dummy,
    work: { 'dummy.tell': builtinFunctions['echo']! },
    async open(kit) {
      kit.prepare('dummy.job', ({ spec }) => ({ ...(spec as JsonObject), input: 'the password' }))
      return dummy.open(kit)
    },
  }
  const { server, told } = await start({ dialects: [native, dialect] })
  const token = (await readFile(told[0]!.replace('The admin token is in ', ''), 'utf8')).trim()
  const client = await makeClient({ url: server.url, token })
  const submit = (spec: JsonObject) =>
    client.json('POST', '/yard/v1/jobs', { body: { executor: 'function', kind: 'dummy.job', spec } })
  const { id } = (await submit({ function: 'echo', input: 'mine' })) as { id: string }
  await client.json('GET', `/yard/v1/jobs/${id}?wait=20000`)
  const outputs = await client.json('GET', `/yard/v1/jobs/${id}/outputs`)
  expect(outputs).toMatchObject({ items: [{ value: 'mine' }] })
  await expect(submit({ function: 'dummy.tell' })).rejects.toThrow(/for jobs of the dialect dummy alone/)
})

test('a dialect gets its own section without what the server itself reads there, and unknown dialects are named', async () => {
  const section = { enabled: true, access: 'open', MaximumThings: 7 }
  const { ask } = await start({ settings: { dialects: { dummy: section } } })
  expect(await (await ask('/dummy/settings')).json()).toEqual({ MaximumThings: 7 })
  await expect(start({ settings: { dialects: { dumy: {} } } })).rejects.toThrow(
    'dialects.dumy is not a dialect; there are dummy',
  )
  const off = await start({ settings: { dialects: { dummy: { enabled: false } } } })
  expect((await off.ask('/dummy/settings')).status).toBe(404)
})

test('links follow the name that the client used, unless one is configured', async () => {
  const plain = await start()
  const { port } = new URL(plain.server.url)
  const seen = await fetch(`http://localhost:${port}/dummy/url`).then(answer => answer.json())
  expect(seen).toEqual([`http://localhost:${port}`, plain.server.url])
  const named = await start({ settings: { server: { publicUrl: 'https://yard.example/' } } })
  expect(await (await named.ask('/dummy/url')).json()).toEqual([
    'https://yard.example',
    'https://yard.example',
  ])
})

test('a port that is taken is said before any job is touched', async () => {
  const { server } = await start()
  const calls: string[] = []
  const port = Number(new URL(server.url).port)
  await expect(start({ settings: { server: { port } }, calls })).rejects.toThrow('EADDRINUSE')
  expect(calls).toEqual(['open', 'close, engine down'])
})

test('a running server is backed up through itself, and the restored one knows its jobs and tokens', async () => {
  const dataPath = await folder()
  const { server, post } = await start({ dataPath, settings: { store: 'sqlite' } })
  const token = (await readFile(join(dataPath, 'admin-token'), 'utf8')).trim()
  await post('/dummy/jobs', token)
  const target = join(await folder(), 'copy')
  const client = await makeClient({ data: dataPath })
  expect(await client.json('POST', '/yard/admin/backup', { body: { target } })).toMatchObject({
    files: expect.any(Number),
  })
  await expect(client.json('POST', '/yard/admin/backup', { body: { target } })).rejects.toThrow(
    'nothing is overwritten',
  )
  await expect(client.json('POST', '/yard/admin/backup', { body: { target: 'here' } })).rejects.toThrow(
    'absolute path',
  )
  expect(await post('/yard/admin/backup')).toBe(401)
  await server.close()
  const { restoreBackup } = await import('./backup.ts')
  const { dataDirAt } = await import('./data-dir.ts')
  const restored = join(await folder(), 'data')
  await restoreBackup(target, dataDirAt(restored))
  const again = await start({ dataPath: restored, settings: { store: 'sqlite' } })
  expect(await again.server.engine.job({ n: 1 })).toMatchObject({ dialect: 'dummy', state: 'succeeded' })
  expect(await again.post('/dummy/administer', token)).toBe(200)
})

/** A certificate of its own for `name`, made by openssl. */
function certificate(dir: string, name: string): { cert: string; key: string } {
  const files = { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') }
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
      .concat(['-keyout', files.key, '-out', files.cert, '-subj', `/CN=${name}`])
      .concat(['-addext', `subjectAltName=DNS:${name},IP:127.0.0.1`]),
    { stdio: 'ignore' },
  )
  return files
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

test.skipIf(!hasOpenssl())(
  'TLS is served from files, and a new certificate is taken up without a restart',
  async () => {
    const dir = await folder()
    const dataPath = await folder()
    const tls = certificate(dir, 'first.example')
    const { server } = await start({ dataPath, settings: { server: { tls } } })
    expect(server.url).toMatch(/^https:/)
    expect(await (await makeClient({ data: dataPath })).json('GET', '/readyz')).toEqual({ status: 'ready' })
    const subject = () =>
      new Promise<string>((resolve, reject) => {
        const { port } = new URL(server.url)
        const socket = connect({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false }, () => {
          resolve(String(socket.getPeerCertificate().subject.CN))
          socket.destroy()
        })
        socket.on('error', reject)
      })
    expect(await subject()).toBe('first.example')
    certificate(dir, 'second.example')
    await server.host.reloadTls()
    expect(await subject()).toBe('second.example')
    await writeFile(tls.key, 'rubbish')
    await expect(server.host.reloadTls()).rejects.toThrow('do not work')
    expect(await subject()).toBe('second.example')
    const status = await new Promise(resolve => {
      httpsRequest(`${server.url}/healthz`, { rejectUnauthorized: false }, answer => {
        resolve(`${answer.statusCode} ${answer.headers['content-type']}`)
        answer.resume()
      }).end()
    })
    expect(status).toBe('200 application/json')
  },
)
