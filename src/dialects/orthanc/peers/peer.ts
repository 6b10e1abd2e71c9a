// A peer: another Orthanc or Switchyard reached by HTTP, as configurations and clients describe it
// (contracts/orthanc.md §4.7).

import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import type { TextSeal } from '../../sealed-text.ts'
import { codes, fail } from '../errors.ts'

export interface Peer {
  /** Ends with a slash. */
  readonly url: string
  readonly username: string
  readonly password: string
  readonly headers: Readonly<Record<string, string>>
  /** Files in PEM form with which we identify ourselves to it by HTTPS. */
  readonly certificateFile: string
  readonly certificateKeyFile: string
  readonly certificateKeyPassword: string
  /** Seconds; 0: as everywhere. */
  readonly timeout: number
  /** The name under which it knows us: transfers to it are fetched by it then. */
  readonly remoteSelf: string
  /** Ours: how often a failed job to it is tried again by itself, and the first pause before that in seconds. */
  readonly retries: number
  readonly retryDelay: number
  /** Members that clients have added for themselves: kept and shown. */
  readonly properties: Readonly<Record<string, string>>
}

/** Reads a peer in either form; errors are the original's. */
export function readPeer(value: unknown): Peer {
  if (Array.isArray(value)) {
    if (value.length !== 1 && value.length !== 3) fail(codes.badFormat)
    const [Url, Username = '', Password = ''] = value as unknown[]
    return fromObject({ Url, Username, Password })
  }
  if (!isObject(value)) fail(codes.badFormat)
  return fromObject(value)
}

function fromObject(body: Readonly<Record<string, unknown>>): Peer {
  if (body['Pkcs11'] === true) fail(codes.notImplemented, 'PKCS#11 is not supported here')
  return {
    url: readUrl(textOf(body, 'Url')),
    username: textOf(body, 'Username'),
    password: textOf(body, 'Password'),
    headers: readHeaders(body['HttpHeaders'] ?? {}),
    certificateFile: textOf(body, 'CertificateFile'),
    certificateKeyFile: textOf(body, 'CertificateKeyFile'),
    certificateKeyPassword: textOf(body, 'CertificateKeyPassword'),
    timeout: countOf(body, 'Timeout', 0),
    remoteSelf: textOf(body, 'RemoteSelf'),
    retries: countOf(body, 'Retries', 0),
    retryDelay: countOf(body, 'RetryDelay', 10),
    properties: propertiesOf(body),
  }
}

/** Members that mean something here, `Password` and its like among them: no property of a client. */
const ownMembers: ReadonlySet<string> = new Set([
  ...[
    'Url',
    'Username',
    'Password',
    'HttpHeaders',
    'Pkcs11',
    'Timeout',
    'RemoteSelf',
    'Retries',
    'RetryDelay',
  ],
  ...['CertificateFile', 'CertificateKeyFile', 'CertificateKeyPassword'],
])

function propertiesOf(body: Readonly<Record<string, unknown>>): Record<string, string> {
  const found = Object.entries(body).filter(
    (entry): entry is [string, string] => !ownMembers.has(entry[0]) && typeof entry[1] === 'string',
  )
  return Object.fromEntries(found)
}

function readUrl(text: string): string {
  if (text === '') fail(codes.badFormat, 'Empty URL')
  if (!URL.canParse(text) || !/^https?:\/\//i.test(text)) fail(codes.badFormat, `Bad URL: ${text}`)
  return text.endsWith('/') ? text : `${text}/`
}

function readHeaders(value: unknown): Record<string, string> {
  if (!isObject(value)) fail(codes.badFormat, 'The HTTP headers must be an object')
  const headers: Record<string, string> = {}
  for (const [name, text] of Object.entries(value)) {
    const isSound =
      /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && typeof text === 'string' && !/[\r\n\0]/.test(text)
    if (!isSound) fail(codes.badFormat, `Bad HTTP header: ${name}`)
    headers[name] = text
  }
  return headers
}

function textOf(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name] ?? ''
  return typeof value === 'string' ? value : fail(codes.badFormat, `String value expected in field: ${name}`)
}

function countOf(body: Readonly<Record<string, unknown>>, name: string, fallback: number): number {
  const value = body[name] ?? fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  return fail(codes.badFormat, `Unsigned integer value expected in field: ${name}`)
}

/** As clients see a peer: without the values of headers and without passwords. */
export function showPeer(peer: Peer): JsonObject {
  return { ...facts(peer), HttpHeaders: Object.keys(peer.headers), ...secrets(peer, null) }
}

/** As the content of a job shows it: in the short form where that says all. */
export function showPeerOfJob(peer: Peer): Json {
  const { url, username, headers, certificateFile, timeout } = peer
  const isSimple = Object.keys(headers).length === 0 && certificateFile === '' && timeout === 0
  if (isSimple) return username === '' ? [url] : [url, username, '']
  // Values of headers may be tokens.
  return { ...facts(peer), HttpHeaders: Object.keys(headers) }
}

/** Seals are good for this alone. */
const owner = 'orthanc.peer'

/** As a peer is kept: passwords and the values of headers are sealed. */
export function keepPeer(peer: Peer, { seal }: TextSeal): JsonObject {
  const sealed = (text: string): string => (text === '' ? '' : seal(text, owner))
  return {
    ...facts(peer),
    HttpHeaders: mapHeaders(peer.headers, sealed),
    Username: peer.username,
    Password: sealed(peer.password),
    CertificateKeyPassword: sealed(peer.certificateKeyPassword),
  }
}

/** A peer as it was kept. Throws where its secrets were sealed with another key. */
export function openPeer(body: unknown, { open }: TextSeal): Peer {
  const peer = readPeer(body)
  const opened = (text: string): string => {
    const found = open(text, owner)
    if (found !== undefined) return found
    throw new Error(
      `the password of the peer ${peer.url} cannot be read: secrets/orthanc-peers is another one now`,
    )
  }
  return {
    ...peer,
    headers: mapHeaders(peer.headers, opened),
    password: opened(peer.password),
    certificateKeyPassword: opened(peer.certificateKeyPassword),
  }
}

function mapHeaders(headers: Peer['headers'], change: (text: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, change(text)]))
}

function facts(peer: Peer): JsonObject {
  const { url, username, certificateFile, certificateKeyFile, timeout, remoteSelf, retries, retryDelay } =
    peer
  return {
    ...peer.properties,
    Url: url,
    ...(username === '' ? {} : { Username: username }),
    Pkcs11: false,
    Timeout: timeout,
    ...(certificateFile === '' ? {} : { CertificateFile: certificateFile }),
    ...(certificateKeyFile === '' ? {} : { CertificateKeyFile: certificateKeyFile }),
    ...(remoteSelf === '' ? {} : { RemoteSelf: remoteSelf }),
    ...(retries === 0 ? {} : { Retries: retries, RetryDelay: retryDelay }),
  }
}

function secrets(peer: Peer, shown: null): JsonObject {
  return {
    ...(peer.username === '' ? {} : { Password: shown }),
    ...(peer.certificateKeyPassword === '' ? {} : { CertificateKeyPassword: shown }),
  }
}
