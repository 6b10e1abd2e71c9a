// A headless Chromium that opens a page of ours and sends back what it made of it: the page's modules come straight
// from node_modules, without a bundler, and its answer comes as a POST to the same little server.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { repository } from '../support/server.ts'

export const chromium = '/usr/bin/chromium'
export const hasChromium = existsSync(chromium)

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
}

export interface PageParts {
  /** The page's module; it may import `ol/…`, and posts JSON to `/answer` when it is done. */
  readonly script: string
  readonly profileDir: string
  /** Packages by the names under which they are imported, with their entries below node_modules. */
  readonly imports: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

/** Opens the page; resolves with what it posts. Rejects with what it said when that takes too long. */
export async function openPage<T>({ script, profileDir, imports, timeoutMs }: PageParts): Promise<T> {
  const complaints: string[] = []
  let hear: (value: T) => void = () => {}
  const answered = new Promise<T>(resolve => {
    hear = resolve
  })
  const server = createServer((request, response) => {
    answer(request, response).catch(error => {
      complaints.push(`${request.url}: ${error}`)
      response.writeHead(404).end()
    })
  })
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    if (request.method === 'POST') {
      const text = (await request.toArray()).join('')
      response.writeHead(204).end()
      if (path === '/answer') hear(JSON.parse(text) as T)
      else complaints.push(text)
      return
    }
    if (path === '/') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(pageOf(script, imports))
      return
    }
    if (path === '/favicon.ico') {
      response.writeHead(204).end()
      return
    }
    const file = join(repository, 'node_modules', normalize(path))
    const type = types[extname(file)] ?? 'application/octet-stream'
    response.writeHead(200, { 'content-type': type }).end(await readFile(file))
  }
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  const words = ['--headless', '--no-sandbox', '--disable-gpu', '--force-device-scale-factor=1']
  const browser = spawn(
    chromium,
    [...words, `--user-data-dir=${profileDir}`, '--window-size=800,600', `http://127.0.0.1:${port}/`],
    { stdio: 'ignore', detached: true },
  )
  const gone = new Promise<void>(ended => browser.once('exit', () => ended()))
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([
      answered,
      new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Error(`the page did not answer: ${complaints.join('; ').slice(0, 2000)}`)),
          timeoutMs,
        )
      }),
    ])
  } finally {
    clearTimeout(timer)
    // Its own group: the browser is many processes.
    process.kill(-browser.pid!, 'SIGKILL')
    await gone
    server.closeAllConnections()
    await new Promise(closed => server.close(closed))
  }
}

function pageOf(script: string, imports: PageParts['imports']): string {
  const map = { imports: { 'ol/': '/ol/', ...imports } }
  return `<!doctype html><meta charset="utf-8">
<script type="importmap">${JSON.stringify(map)}</script>
<script>
  addEventListener('error', event => fetch('/complaint', { method: 'POST', body: String(event.message ?? event) }), true)
  addEventListener('unhandledrejection', event => fetch('/complaint', { method: 'POST', body: String(event.reason) }))
</script>
<body><script type="module">${script}</script>`
}
