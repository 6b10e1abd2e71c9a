// Fetches a user's URL without letting it reach into our own network: the name is resolved once, the connection goes
// to what was resolved and allowed, and every redirect is judged anew.

import { lookup as resolve } from 'node:dns'
import type { IncomingMessage, RequestOptions } from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { nodeHttp } from '../node-http.ts'
import type { AddressRules } from './address-rules.ts'

export interface UrlRequest {
  readonly rules: AddressRules
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** For connecting, and then for each silence of the other side. */
  readonly silenceMsMax?: number
  readonly signal?: AbortSignal
}

/** The URL leads where users may not go, or is no URL that we follow. */
export class UrlRefused extends Error {
  constructor(text: string) {
    super(text)
    this.name = 'UrlRefused'
  }
}

const redirectsMax = 10
const silenceMsUsual = 10_000

/** Opens a URL and follows its redirects; resolves with the answer that is none, whatever its status. */
export async function openUrl(url: string, request: UrlRequest): Promise<IncomingMessage> {
  let at = readUrl(url)
  for (let hop = 0; hop <= redirectsMax; hop++) {
    const answer = await ask(at, request)
    const { location } = answer.headers
    const isRedirect = [301, 302, 303, 307, 308].includes(answer.statusCode ?? 0)
    // Only reads are sent on: what was posted here is not for somebody else.
    if (!isRedirect || location === undefined || request.method === 'POST') return answer
    answer.destroy()
    at = readUrl(location, at)
  }
  throw new UrlRefused(`${url} leads through more than ${redirectsMax} redirects`)
}

function readUrl(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href)) throw new UrlRefused(`${text} is not a URL`)
  const url = new URL(text, base)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new UrlRefused(`${text} is neither an http nor an https URL`)
  return url
}

function ask(url: URL, request: UrlRequest): Promise<IncomingMessage> {
  const { rules, method = 'GET', headers, body, silenceMsMax = silenceMsUsual, signal } = request
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // A literal address is connected to without a look-up, so it is judged here.
  if (isIP(host) !== 0 && !rules.isOpen(host, host)) throw refusedAddress(host, host)
  const options: RequestOptions = {
    method,
    agent: false,
    timeout: silenceMsMax,
    lookup: guardedLookup(rules),
    headers: {
      ...headers,
      ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    },
    ...(signal === undefined ? {} : { signal }),
  }
  return new Promise((done, fail) => {
    const asked = (url.protocol === 'https:' ? https : nodeHttp).request(url, options, done)
    asked.on('timeout', () =>
      asked.destroy(new Error(`${url.host} did not answer for ${silenceMsMax / 1000} s`)),
    )
    asked.on('error', fail)
    asked.end(body)
  })
}

function guardedLookup(rules: AddressRules): LookupFunction {
  return (host, options, done) => {
    resolve(host, { ...options, all: true }, (error, found) => {
      if (error) return done(error, '', 0)
      const open = found.filter(({ address }) => rules.isOpen(address, host))
      const first = open[0]
      if (first === undefined) return done(refusedAddress(host, found[0]?.address ?? 'nowhere'), '', 0)
      return options.all ? done(null, open) : done(null, first.address, first.family)
    })
  }
}

function refusedAddress(host: string, address: string): UrlRefused {
  return new UrlRefused(`${host} is at ${address}, which is not a public address; the operator can allow it`)
}
