// The real server in a process of its own, for tests that kill it.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export const repository = resolve(import.meta.dirname, '../..')
export const program = join(repository, 'bin/switchyard')
const adminToken = 'a-token-that-only-tests-know'

export interface RealServer {
  readonly url: string
  readonly token: string
  readonly dataDir: string
  /** The server's own process: what kill -9 is meant for. */
  readonly pid: number
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves with its exit code. */
  stop(): Promise<number | null>
  /** Asks with the admin token; parses JSON where the answer is JSON. */
  ask(
    path: string,
    init?: { method?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<Answered>
}

export interface Answered {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly json: any
  readonly text: string
  readonly headers: Headers
}

/** A fresh data directory; the test removes it. */
export function freshDataDir(name: string): string {
  return mkdtempSync(join(tmpdir(), `switchyard-${name}-`))
}

/** Starts `bin/switchyard serve` and waits until it answers. `config` is TOML. */
export async function startServer(options: {
  dataDir: string
  config?: string
  args?: readonly string[]
  /** For one that others know by its address; any free port unless given. */
  port?: number
}): Promise<RealServer> {
  const port = String(options.port ?? 0)
  const words = ['serve', '--data', options.dataDir, '--port', port, ...(options.args ?? [])]
  if (options.config !== undefined) {
    const file = `${options.dataDir}.toml`
    writeFileSync(file, options.config)
    words.push('--config', file)
  }
  const child = spawn(program, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SWITCHYARD_ADMIN_TOKEN: adminToken },
  })
  const url = await readyUrl(child)
  const gone = new Promise<number | null>(ended => child.once('exit', code => ended(code)))
  return {
    url,
    token: adminToken,
    dataDir: options.dataDir,
    pid: child.pid!,
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
    async stop() {
      child.kill('SIGTERM')
      return gone
    },
    ask: (path, init = {}) => ask(url, path, init),
  }
}

async function ask(
  url: string,
  path: string,
  init: { method?: string; body?: unknown; headers?: Record<string, string> },
): Promise<Answered> {
  const hasBody = init.body !== undefined
  const response = await fetch(url + path, {
    method: init.method ?? (hasBody ? 'POST' : 'GET'),
    headers: {
      authorization: `Bearer ${adminToken}`,
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
      ...init.headers,
    },
    ...(hasBody ? { body: typeof init.body === 'string' ? init.body : JSON.stringify(init.body) } : {}),
  })
  const text = await response.text()
  const isJson = /json/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : undefined,
    headers: response.headers,
  }
}

function readyUrl(child: ChildProcess): Promise<string> {
  return new Promise((found, reject) => {
    let out = ''
    let err = ''
    child.stdout!.on('data', (chunk: Buffer) => {
      out += chunk
      const match = /^ready (\S+)$/m.exec(out)
      if (match !== null) found(match[1]!)
    })
    child.stderr!.on('data', (chunk: Buffer) => {
      // Kept short: a server that runs for long logs a lot.
      err = (err + chunk).slice(-4_000)
    })
    child.once('exit', code =>
      reject(new Error(`the server ended with ${code} before it was ready:\n${err}`)),
    )
  })
}
