// Load on a server: wrk for rates (it costs little of the two cores), and a plain client for latencies and batches.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { scratch } from './processes.ts'

/** Requests per second of one POST repeated by `clients` for `seconds`. Throws when any answer is not a success. */
export function postRate(
  url: string,
  facts: { token: string; body: string; clients: number; seconds: number },
): number {
  const script = join(scratch, 'post.lua')
  writeFileSync(
    script,
    `wrk.method = "POST"\nwrk.body = ${JSON.stringify(facts.body)}\nwrk.headers["Content-Type"] = "application/json"\nwrk.headers["Authorization"] = "Bearer ${facts.token}"\n`,
  )
  const words = [
    '-t',
    '1',
    '-c',
    String(facts.clients),
    '-d',
    `${facts.seconds}s`,
    '--timeout',
    '10s',
    '-s',
    script,
    url,
  ]
  const { stdout, status } = spawnSync('wrk', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`wrk failed: ${stdout}`)
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)
  if (bad !== null) throw new Error(`${bad[1]} answers were not successes: ${url}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly ms: number
}

/** A client that keeps its connections. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  readonly #url: string
  readonly #token: string

  constructor(url: string, token: string) {
    this.#url = url
    this.#token = token
  }

  ask(method: string, path: string, body?: string): Promise<Answer> {
    const startedAt = performance.now()
    return new Promise((resolved, reject) => {
      const sent = request(
        this.#url + path,
        {
          method,
          agent: this.#agent,
          headers: {
            authorization: `Bearer ${this.#token}`,
            ...(body
              ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
              : {}),
          },
        },
        response => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', chunk => (text += chunk))
          response.on('end', () => {
            const answer = { status: response.statusCode ?? 0, body: text, ms: performance.now() - startedAt }
            if (answer.status >= 400)
              reject(new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}`))
            else resolved(answer)
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }

  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    return JSON.parse(
      (await this.ask(method, path, body === undefined ? undefined : JSON.stringify(body))).body,
    ) as T
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** Resolves when nothing waits or runs in the server's pools. */
export async function drained(client: Client, everyMs = 10): Promise<void> {
  for (;;) {
    const { items } = await client.json<{ items: { ready: number; slotsUsed: number }[] }>(
      'GET',
      '/yard/v1/pools',
    )
    if (items.every(pool => pool.ready === 0 && pool.slotsUsed === 0)) return
    await new Promise(resolved => setTimeout(resolved, everyMs))
  }
}
