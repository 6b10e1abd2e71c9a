// A whole server for the ecFlow tests: memory store, real processes, and the tokens that the recordings use.

import { execFileSync } from 'node:child_process'
import { createHmac, pbkdf2Sync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from '../../src/app/clocks.ts'
import { type Server, startServer } from '../../src/app/server.ts'
import { settingsSchema } from '../../src/app/settings/schema.ts'
import { ecflow } from '../../src/dialects/ecflow/index.ts'
import { native } from '../../src/dialects/native/index.ts'
import type { StartOrder } from '../../src/executors/executor.ts'
import { ProcessExecutor } from '../../src/executors/process/process-executor.ts'
import { BlobFiles } from '../../src/store/blob-files/blob-files.ts'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { MemoryStore, type MemoryStoreOptions } from '../../src/store/memory/memory-store.ts'

export interface Answered {
  readonly status: number
  readonly headers: Record<string, string | string[] | number | undefined>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly json: any
  readonly bytes: Buffer
}

export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answered>

export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

export interface EcflowServer {
  readonly server: Server
  readonly home: string
  readonly dir: string
  readonly machine: string
  ask: Ask
  /** The password of a task's current run. */
  password(path: string): Promise<string>
  close(): Promise<void>
}

/** The header that every change is allowed by. */
export const token = { authorization: 'Bearer tok-sha' }

function sha(text: string): string {
  return `sha256$salt$${createHmac('sha256', 'salt').update(text).digest('hex')}`
}

function stretched(text: string, iterations: number, name: string): string {
  return `${name}$salt$${pbkdf2Sync(text, 'salt', iterations, 32, 'sha256').toString('hex')}`
}

const tokens = [
  { hash: sha('tok-sha'), description: 'everyday' },
  { hash: stretched('tok-pb', 1000, 'pbkdf2:sha256:1000'), description: 'stretched' },
  { hash: stretched('tok-pbdef', 260_000, 'pbkdf2:sha256'), description: 'stretched as usual' },
  { hash: sha('tok-expired'), expires_at: '2020-01-01T00:00:00Z' },
  { hash: sha('tok-revoked'), revoked_at: '2020-01-01T00:00:00Z' },
  { hash: sha('tok-future-revoke'), revoked_at: '2999-01-01T00:00:00Z', expires_at: '' },
  { hash: sha('tok-bound'), paths: ['/bound'] },
  { hash: sha('tok-viewer'), description: 'a dashboard', role: 'viewer' },
  { hash: sha('tok-odd-role'), role: 'emperor' },
  { hash: 'nonsense' },
  'not an entry',
]

/** Starts a server; with the same `disk` and `dir` it goes on where another one stopped. */
export async function startEcflow(
  options: {
    dialect?: Record<string, unknown>
    tls?: TlsFiles
    disk?: MemoryDisk
    dir?: string
    onCommit?: NonNullable<MemoryStoreOptions['onCommit']>
    /** What the executor is asked to start. */
    onStart?: (orders: readonly StartOrder[]) => void
  } = {},
): Promise<EcflowServer & { disk: MemoryDisk }> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'switchyard-ecflow-')))
  const home = join(dir, 'home')
  await mkdir(home, { recursive: true })
  await writeFile(join(home, 'api-tokens.json'), JSON.stringify(tokens))
  const disk = options.disk ?? new MemoryDisk()
  const server = await startServer({
    settings: settingsSchema.parse({
      store: 'memory',
      server: { port: 0, ...(options.tls ? { tls: options.tls } : {}) },
      dialects: { ecflow: { home, no_ssl: true, ecflow_port: '3142', ...options.dialect } },
    }),
    dataPath: join(dir, 'data'),
    env: {},
    noAuth: false,
    log: pino({ level: process.env['SWITCHYARD_TEST_LOG'] ?? 'silent' }),
    clock: systemClock(),
    dialects: [ecflow, native],
    tell: () => {},
    adapters: async ({ dir: data }) => {
      const { onCommit, onStart } = options
      const executor = new ProcessExecutor({ folder: join(data.executors, 'process') })
      if (onStart) {
        const start = executor.start.bind(executor)
        executor.start = orders => {
          onStart(orders)
          start(orders)
        }
      }
      const store = new MemoryStore({ disk, blobs: new BlobFiles(data.blobs), ...(onCommit && { onCommit }) })
      return { store, executors: [executor] }
    },
  })
  const ask: EcflowServer['ask'] = async (method, path, body, headers = {}) => {
    const answer = await server.host.root.inject({
      method: method as 'GET',
      url: path,
      headers: { host: new URL(server.url).host, ...headers },
      ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const isJson = !answer.headers['content-encoding'] && answer.payload !== ''
    return {
      status: answer.statusCode,
      headers: answer.headers as Answered['headers'],
      text: answer.payload,
      json: isJson ? readJson(answer.payload) : null,
      bytes: answer.rawPayload,
    }
  }
  const machine = (await ask('GET', '/v1/server/status?filter=host')).json as string
  return {
    server,
    home,
    machine,
    disk,
    dir,
    ask,
    async password(path) {
      const { json } = await ask('GET', `/v1/suites${path}/attributes`, undefined, token)
      return json.variables.find((it: { name: string }) => it.name === 'ECF_PASS').value
    },
    async close() {
      await server.close()
      if (options.dir === undefined && options.disk === undefined)
        await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Whether `certificate` can make one here. */
export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false // Not installed.
  }
}

/** A certificate of its own for 127.0.0.1, made by openssl in `dir`. */
export function certificate(dir: string): TlsFiles {
  const files = { cert: join(dir, 'server.crt'), key: join(dir, 'server.key') }
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', files.key]
  execFileSync('openssl', ['req', '-x509', ...key, '-out', files.cert, '-days', '2', ...subject], {
    stdio: 'ignore',
  })
  return files
}

/** Asks through a socket of its own, with TLS (trusting that certificate alone) or in clear. */
export function askOverSocket(server: Server, tls?: TlsFiles): Ask {
  const port = new URL(server.url).port
  return (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const payload = Buffer.from(body === undefined ? '' : JSON.stringify(body))
      // A DELETE with a body gets a length only when it is given.
      const length = body === undefined ? {} : { 'content-length': String(payload.length) }
      const all = { ...headers, ...length }
      const options = { host: '127.0.0.1', port, method, path, headers: all, agent: false }
      const request = tls ? httpsRequest({ ...options, ca: readFileSync(tls.cert) }) : httpRequest(options)
      request.on('error', reject)
      request.on('response', response => {
        const parts: Buffer[] = []
        response.on('error', reject)
        response.on('data', part => parts.push(part))
        response.on('end', () => {
          const bytes = Buffer.concat(parts)
          const text = bytes.toString()
          const status = response.statusCode ?? 0
          resolve({
            status,
            headers: response.headers,
            text,
            json: text === '' ? null : readJson(text),
            bytes,
          })
        })
      })
      request.end(payload)
    })
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text // Not JSON: tests that care look at the text.
  }
}
