// Where avisos and mirrors get their news: files below the open folders, and HTTP. One more service is one more source
// here: it gets an address and gives back what was read, or throws a sentence.

import type { IncomingMessage } from 'node:http'
import { isObject } from '../../core/json.ts'
import type { Notification } from '../../domains/suite/planner/remote.ts'
import { addressRules } from '../../http/outgoing/address-rules.ts'
import { openUrl } from '../../http/outgoing/open-url.ts'
import type { OpenFolders } from './script-files.ts'

const bytesMax = 4 * 1024 * 1024
const silenceMsMax = 10_000
const notificationsMax = 10_000

export interface Request {
  /** `http://…`, `https://…`, `file:///…` or the path of a file. */
  readonly address: string
  /** A file with the token to show; undefined when none is needed. */
  readonly auth: string | undefined
  readonly signal: AbortSignal
}

/** Something that can be asked for the text at an address. */
export interface Source {
  takes(address: string): boolean
  read(request: Request): Promise<string>
}

/** The sources that there are, the more particular first. */
export function makeSources(folders: OpenFolders): readonly Source[] {
  return [httpSource(folders), fileSource(folders)]
}

/** The JSON at an address, by the first source that takes it. */
export async function readFrom(sources: readonly Source[], request: Request): Promise<unknown> {
  const source = sources.find(it => it.takes(request.address))
  if (!source) throw new Error(`${request.address} is neither a file nor a web address`)
  const text = await source.read(request)
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`what ${request.address} says is no JSON`)
  }
}

function fileSource(folders: OpenFolders): Source {
  return {
    takes: address => address.startsWith('/') || address.startsWith('file://'),
    async read({ address }) {
      const path = address.replace(/^file:\/\//, '').replace(/[?#].*$/s, '')
      const text = await folders.readText(path)
      if (text === undefined) throw new Error(`${path} cannot be read below the open folders`)
      return text
    },
  }
}

function httpSource(folders: OpenFolders): Source {
  // Who may write an aviso may run programs here anyway: no address is closed to it.
  const rules = addressRules(['0.0.0.0/0', '::/0'])
  return {
    takes: address => /^https?:\/\//.test(address),
    async read({ address, auth, signal }) {
      const token = auth === undefined ? undefined : await readToken(folders, auth)
      const answer = await openUrl(address, {
        rules,
        silenceMsMax,
        signal,
        headers: {
          accept: 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      })
      const text = await textOf(answer)
      if (answer.statusCode !== 200) throw new Error(`${address} answered ${answer.statusCode}`)
      return text
    },
  }
}

/** The token in a file: its text, or the member `token`, `key` or `password` of a JSON object. */
async function readToken(folders: OpenFolders, path: string): Promise<string> {
  const text = (await folders.readText(path))?.trim()
  if (text === undefined) throw new Error(`the token file ${path} cannot be read below the open folders`)
  if (!text.startsWith('{')) return text
  const value: unknown = JSON.parse(text)
  const token = isObject(value) ? (value['token'] ?? value['key'] ?? value['password']) : undefined
  if (typeof token !== 'string') throw new Error(`the token file ${path} has no token`)
  return token
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > bytesMax) {
      answer.destroy()
      throw new Error(`the answer is larger than ${bytesMax} bytes`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** Messages of a service: a JSON list of `{event, request, revision}`, or an object that has it as `notifications`. */
export function readNotifications(value: unknown): Notification[] {
  const list = Array.isArray(value) ? value : isObject(value) ? value['notifications'] : undefined
  if (!Array.isArray(list)) throw new Error('expected a list of notifications')
  return list.slice(-notificationsMax).flatMap((it, index) => {
    if (!isObject(it) || typeof it['event'] !== 'string' || !isObject(it['request'])) return []
    const revision = Number.isSafeInteger(it['revision']) ? (it['revision'] as number) : index + 1
    return [{ event: it['event'], request: it['request'], revision }]
  })
}
