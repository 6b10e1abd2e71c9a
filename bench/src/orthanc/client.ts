// A client of either server: keeps its connections, and sends from several at a time.

import { Agent, request } from 'node:http'

export interface Answer {
  readonly body: Buffer
  readonly firstByteMs: number
  readonly ms: number
}

export class OrthancClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  send(
    method: string,
    path: string,
    body?: Uint8Array | object | AsyncIterable<Uint8Array>,
  ): Promise<Answer> {
    const startedAt = performance.now()
    return new Promise((resolve, reject) => {
      const sent = request(this.#url + path, { method, agent: this.#agent }, answer => {
        let firstByteMs = 0
        const chunks: Buffer[] = []
        answer.once('data', () => (firstByteMs = performance.now() - startedAt))
        answer.on('data', chunk => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => {
          const whole = Buffer.concat(chunks)
          if (answer.statusCode !== 200) reject(new Error(`${method} ${path}: ${answer.statusCode} ${whole}`))
          else resolve({ body: whole, firstByteMs, ms: performance.now() - startedAt })
        })
      })
      sent.on('error', reject)
      if (body === undefined) sent.end()
      else if (body instanceof Uint8Array) sent.end(body)
      else if (Symbol.asyncIterator in body) void pump(body as AsyncIterable<Uint8Array>, sent).catch(reject)
      else sent.end(JSON.stringify(body))
    })
  }

  /** Uploads files from so many connections; instances per second. */
  async upload(files: Iterable<Uint8Array>, clients: number): Promise<number> {
    const queue = [...files]
    const count = queue.length
    const startedAt = performance.now()
    const lanes = Array.from({ length: clients }, async () => {
      for (let file = queue.pop(); file; file = queue.pop()) await this.send('POST', '/instances', file)
    })
    await Promise.all(lanes)
    return (count / (performance.now() - startedAt)) * 1000
  }

  async json<T>(method: string, path: string, body?: object): Promise<T> {
    return JSON.parse((await this.send(method, path, body)).body.toString()) as T
  }

  close(): void {
    this.#agent.destroy()
  }
}

async function pump(body: AsyncIterable<Uint8Array>, sent: ReturnType<typeof request>): Promise<void> {
  for await (const chunk of body) {
    if (!sent.write(chunk)) await new Promise(resolve => sent.once('drain', resolve))
  }
  sent.end()
}
