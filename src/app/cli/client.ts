// Talking to a running server: finds it (flag, environment, or the data directory's own note), brings the token, and
// turns refusals into one sentence and an exit code.

import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { Readable } from 'node:stream'
import { type Command, Option } from 'commander'
import { isObject } from '../../core/json.ts'
import { isLoopbackHost } from '../../http/addresses.ts'
import { dataDirAt } from '../data-dir.ts'
import { readServerFile, type ServerFile } from '../server-file.ts'
import { CommandFailed, exitCodes } from './failure.ts'

/** What clientOptions adds to a command. */
export interface ClientOptions {
  readonly url?: string
  readonly token?: string
  readonly data?: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

export interface Asking {
  /** An object goes as JSON; bytes and streams as they are. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface Client {
  readonly url: string
  /** The answer, whatever its status. */
  ask(method: string, path: string, asking?: Asking): Promise<Answer>
  /** The JSON of a good answer; CommandFailed, with the server's own sentence, for any other. */
  json<T>(method: string, path: string, asking?: Asking): Promise<T>
  /** An answer that is good; CommandFailed, with the server's own sentence, for any other. */
  good(answer: Answer): Promise<Answer>
  /** The body of a good answer, as it comes. */
  stream(method: string, path: string, asking?: Asking): Promise<Answer>
}

/** Adds `--url`, `--token` and `--data` to a command. */
export function withClientOptions(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'address of the server').env('SWITCHYARD_URL'))
    .addOption(new Option('--token <token>', 'token to come with').env('SWITCHYARD_TOKEN'))
    .addOption(
      new Option('--data <dir>', 'data directory of a server on this machine').env('SWITCHYARD_DATA'),
    )
}

/** A client of the server that the options, or the data directory, name. */
export async function makeClient(options: ClientOptions): Promise<Client> {
  const place = await findServer(options)
  const { url } = place

  async function ask(method: string, path: string, asking: Asking = {}): Promise<Answer> {
    const { body, headers, signal } = asking
    const isRaw = body === undefined || body instanceof Uint8Array || isStream(body)
    const bytes = isRaw ? body : Buffer.from(JSON.stringify(body))
    const options: RequestOptions = {
      method,
      headers: {
        ...(place.token !== undefined ? { authorization: `Bearer ${place.token}` } : {}),
        ...(isRaw ? {} : { 'content-type': 'application/json' }),
        ...(bytes instanceof Uint8Array ? { 'content-length': String(bytes.byteLength) } : {}),
        ...headers,
      },
      ...(signal !== undefined ? { signal } : {}),
      ...(place.certificate !== undefined
        ? // The very certificate that the server on this machine uses: its names do not matter.
          { ca: place.certificate, checkServerIdentity: () => undefined }
        : {}),
    }
    const start = url.startsWith('https:') ? httpsRequest : httpRequest
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = start(url + path, options, resolve)
      request.on('error', error => reject(asFailure(error, url)))
      if (isStream(bytes)) {
        bytes.on('error', error => request.destroy(error))
        bytes.pipe(request)
      } else {
        request.end(bytes)
      }
    })
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: answer }
  }

  async function stream(method: string, path: string, asking?: Asking): Promise<Answer> {
    return good(await ask(method, path, asking))
  }

  async function good(answer: Answer): Promise<Answer> {
    if (answer.status >= 200 && answer.status < 300) return answer
    throw refusedBy(answer.status, await textOf(answer.body), place)
  }

  return {
    url,
    ask,
    good,
    stream,
    async json<T>(method: string, path: string, asking?: Asking) {
      const text = await textOf((await stream(method, path, asking)).body)
      try {
        return (text === '' ? undefined : JSON.parse(text)) as T
      } catch {
        throw new CommandFailed(`${url}${path} did not answer with JSON: is this a Switchyard server?`)
      }
    },
  }
}

interface Place {
  readonly url: string
  readonly token: string | undefined
  readonly certificate?: Buffer
}

async function findServer({ url, token, data }: ClientOptions): Promise<Place> {
  const own = token ?? process.env['SWITCHYARD_ADMIN_TOKEN']
  if (url !== undefined) {
    if (!/^https?:\/\/[^/]/.test(url))
      throw new CommandFailed(`--url ${url}: write it as http://HOST:PORT`, exitCodes.usage)
    // A data directory's own key goes to its own server and to nobody else, whatever address is named.
    const local = data === undefined ? undefined : await readServerFile(dataDirAt(data))
    if (local !== undefined && isSamePlace(url, local.url)) return placeOf(local, own)
    return { url: url.replace(/\/+$/, ''), token: own }
  }
  if (data === undefined) {
    throw new CommandFailed(
      'Say where the server is: --url (or SWITCHYARD_URL), or --data (or SWITCHYARD_DATA) for one on this machine',
      exitCodes.usage,
    )
  }
  const file = await readServerFile(dataDirAt(data))
  if (file === undefined) throw new CommandFailed(`No server is running on ${data}`, exitCodes.unreachable)
  return placeOf(file, token)
}

async function placeOf(file: ServerFile, token: string | undefined): Promise<Place> {
  const certificate = file.certificate === undefined ? undefined : await readFile(file.certificate)
  return { url: file.url, token: token ?? file.token, ...(certificate !== undefined ? { certificate } : {}) }
}

/** Whether two addresses are the same port of the same machine, by whichever loopback name. */
function isSamePlace(a: string, b: string): boolean {
  const [one, other] = [URL.parse(a), URL.parse(b)]
  if (one === null || other === null) return false
  const isHere = ({ hostname }: URL) => isLoopbackHost(hostname.replace(/^\[|\]$/g, ''))
  return (
    one.protocol === other.protocol &&
    one.port === other.port &&
    (one.hostname === other.hostname || (isHere(one) && isHere(other)))
  )
}

function refusedBy(status: number, text: string, place: Place): CommandFailed {
  const problem = parse(text)
  const detail = isObject(problem) ? (problem['detail'] ?? problem['error'] ?? problem['title']) : undefined
  const sentence = typeof detail === 'string' ? detail : `the server answered ${status}`
  if (status === 401) {
    const advice = place.token === undefined ? ' (--token or SWITCHYARD_TOKEN)' : ''
    return new CommandFailed(sentence + advice, exitCodes.denied)
  }
  if (status === 403) return new CommandFailed(sentence, exitCodes.denied)
  if (status === 404) return new CommandFailed(sentence, exitCodes.notFound)
  if (status === 400 || status === 422) return new CommandFailed(sentence, exitCodes.usage)
  return new CommandFailed(sentence)
}

function asFailure(error: NodeJS.ErrnoException, url: string): Error {
  if (error.name === 'AbortError') return error
  return new CommandFailed(
    `${url} does not answer: ${error.message || error.code || 'unknown'}`,
    exitCodes.unreachable,
  )
}

/** The whole of a stream as text, within a bound that no answer of ours reaches. */
export async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length
    if (bytes > 256 * 1024 * 1024) throw new CommandFailed('The answer is too long')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function isStream(body: unknown): body is Readable {
  return typeof body === 'object' && body !== null && typeof (body as Readable).pipe === 'function'
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Not JSON, so no sentence of the server's is in it.
  }
}
