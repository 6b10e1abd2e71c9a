// Requests to one peer: connections that are kept, Basic credentials, our certificate, and an end to every wait. A peer is
// what an operator configured, so any address will do; redirects are not followed.

import { readFileSync } from 'node:fs'
import type { IncomingMessage, RequestOptions } from 'node:http'
import https from 'node:https'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { nodeHttp } from '../../../http/node-http.ts'
import { codes, OrthancError } from '../errors.ts'
import type { Peer } from './peer.ts'

export interface PeerClientOptions {
  /** How long a peer may be silent, connecting included; 0 for ever. */
  readonly silenceMsMax: number
  readonly verifiesPeers: boolean
  /** A file with the authorities that peers may be certified by; empty: those of the system. */
  readonly authorities: string
  readonly connectionsMax?: number
}

export interface PeerRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Without a slash at its beginning. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes, or a fresh stream of them for each try. */
  readonly body?: Uint8Array | (() => Readable)
  readonly signal?: AbortSignal
  /** Longer waits than usual, for what takes its time. */
  readonly silenceMsMax?: number
  /** The longest answer that is held. */
  readonly bytesMax?: number
}

export interface PeerAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

const bytesMaxUsual = 64 * 1024 * 1024

export class PeerClient {
  readonly name: string
  readonly #peer: Peer
  readonly #options: PeerClientOptions
  readonly #agent: https.Agent | InstanceType<typeof nodeHttp.Agent>

  constructor(name: string, peer: Peer, options: PeerClientOptions) {
    this.name = name
    this.#peer = peer
    this.#options = options
    const kept = { keepAlive: true, maxSockets: options.connectionsMax ?? 4 }
    this.#agent = peer.url.startsWith('https:')
      ? new https.Agent({ ...kept, ...this.#identity() })
      : new nodeHttp.Agent(kept)
  }

  /** Asks and holds the answer; network trouble is error 9, whose details say what it is. */
  async ask(request: PeerRequest): Promise<PeerAnswer> {
    const answer = await this.open(request)
    const chunks: Uint8Array[] = []
    let length = 0
    try {
      for await (const chunk of answer as AsyncIterable<Uint8Array>) {
        length += chunk.length
        if (length > (request.bytesMax ?? bytesMaxUsual)) {
          answer.destroy()
          throw new OrthancError(
            codes.network,
            `The peer ${this.name} answers with more than is taken from it`,
          )
        }
        chunks.push(chunk)
      }
    } catch (error) {
      throw error instanceof OrthancError ? error : this.#failure(error as Error)
    }
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }
  }

  /** Asks, and gives the answer as it comes. */
  async open(request: PeerRequest): Promise<IncomingMessage> {
    try {
      return await this.#open(request)
    } catch (error) {
      const isStale = error instanceof Error && 'isReused' in error && !request.signal?.aborted
      if (!isStale) throw this.#failure(error as Error)
    }
    // A kept connection was closed by the other side just as it was used: what was asked can be asked again.
    return this.#open(request).catch(error => {
      throw this.#failure(error as Error)
    })
  }

  #open(request: PeerRequest): Promise<IncomingMessage> {
    const { method, path, body, signal } = request
    const { username, password, headers } = this.#peer
    const silenceMs = request.silenceMsMax ?? this.#silenceMs()
    const basic = Buffer.from(`${username}:${password}`, 'utf8').toString('base64')
    const options: RequestOptions = {
      method,
      agent: this.#agent,
      headers: {
        ...headers,
        ...(username === '' ? {} : { authorization: `Basic ${basic}` }),
        ...(body instanceof Uint8Array ? { 'content-length': String(body.length) } : {}),
        ...request.headers,
      },
      ...(silenceMs > 0 ? { timeout: silenceMs } : {}),
      ...(signal ? { signal } : {}),
    }
    return new Promise((done, fail) => {
      const url = new URL(path, this.#peer.url)
      const asked = (url.protocol === 'https:' ? https : nodeHttp).request(url, options, answer => {
        answer.setTimeout(silenceMs, () => answer.destroy(silence(silenceMs)))
        done(answer)
      })
      asked.on('timeout', () => asked.destroy(silence(silenceMs)))
      asked.on('error', (error: Error & { code?: string }) => {
        const isStale = asked.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
        fail(isStale ? Object.assign(error, { isReused: true }) : error)
      })
      if (typeof body === 'function') pipeline(body(), asked).catch(error => asked.destroy(error as Error))
      else asked.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  #silenceMs(): number {
    return this.#peer.timeout > 0 ? this.#peer.timeout * 1000 : this.#options.silenceMsMax
  }

  /** Our certificate, and whom we trust. */
  #identity(): https.AgentOptions {
    const { certificateFile, certificateKeyFile, certificateKeyPassword } = this.#peer
    const { verifiesPeers, authorities } = this.#options
    const read = (path: string): Buffer => {
      try {
        return readFileSync(path)
      } catch (error) {
        throw new OrthancError(
          codes.inexistentFile,
          `A certificate for the peer ${this.name} cannot be read: ${(error as Error).message}`,
        )
      }
    }
    return {
      rejectUnauthorized: verifiesPeers,
      ...(authorities === '' ? {} : { ca: read(authorities) }),
      ...(certificateFile === '' ? {} : { cert: read(certificateFile) }),
      // The key may be in the same file as the certificate.
      ...(certificateFile === '' ? {} : { key: read(certificateKeyFile || certificateFile) }),
      ...(certificateKeyPassword === '' ? {} : { passphrase: certificateKeyPassword }),
    }
  }

  #failure(error: Error & { code?: string }): Error {
    if (error.name === 'AbortError' || error instanceof OrthancError) return error
    const where = `the peer ${this.name} at ${new URL(this.#peer.url).host}`
    return new OrthancError(codes.network, `Error while talking to ${where}: ${reasonOf(error)}`)
  }
}

function silence(ms: number): Error {
  return new Error(`it did not answer within ${ms / 1000} s`)
}

/** A sentence; several addresses of one name fail together without one. */
function reasonOf(error: Error & { code?: string }): string {
  if (error instanceof AggregateError) return error.errors.map(each => (each as Error).message).join('; ')
  return error.message || error.code || error.name
}
