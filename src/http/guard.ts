// Keeps web pages away from a local server. Host: a page of evil.example whose name was rebound to 127.0.0.1 sends
// `Host: evil.example`. Origin: a page may not make a browser change something here on its own.

import type { FastifyRequest } from 'fastify'
import { refuse } from '../core/refusal.ts'
import { isLoopbackHost } from './addresses.ts'

export interface GuardRules {
  /** The address that the server listens on. */
  readonly bind: string
  /** Further names under which clients reach it (a proxy's, say), without ports. */
  readonly hosts: readonly string[]
  /** Origins whose pages may change things here, such as `https://console.example`; `*` for all. */
  readonly origins: readonly string[]
}

/** A check of a request's Host and Origin; throws Refused `not-allowed`. */
export function hostGuard(rules: GuardRules): (request: FastifyRequest) => void {
  const named = new Set([...rules.hosts, rules.bind].map(name => name.toLowerCase()))
  // Reached by any name, unless the operator listed the names: a public server has no secret to guard by name.
  const anyName = !isLoopbackHost(rules.bind) && rules.hosts.length === 0
  const origins = new Set(rules.origins.map(origin => origin.toLowerCase()))
  const good = new Set<string>()

  function isOurName(host: string): boolean {
    if (anyName || good.has(host)) return true
    const name = nameOf(host)
    if (!named.has(name) && !isLoopbackName(name)) return false
    // Loopback names count everywhere, also where hosts are listed: they cannot be had from outside.
    if (good.size < 100) good.add(host)
    return true
  }

  return request => {
    const { host } = request.headers
    // Without a Host (HTTP/1.0) it is no browser.
    if (host !== undefined && !isOurName(host)) {
      refuse(
        'not-allowed',
        `This server does not answer to the name ${shown(host)}; add it to server.hosts if it should`,
      )
    }
    if (request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS') return
    const { origin } = request.headers
    const site = request.headers['sec-fetch-site']
    if (origin === undefined && site !== 'cross-site') return
    const { anyOrigin } = request.routeOptions.config as { anyOrigin?: boolean }
    if (anyOrigin === true || origins.has('*')) return
    if (origin !== undefined && (origins.has(origin.toLowerCase()) || isSameOrigin(origin, host))) return
    refuse(
      'not-allowed',
      `A page of ${shown(origin ?? 'another site')} may not change anything here; add its origin to server.origins if it should`,
    )
  }
}

// The scheme is not compared: behind a proxy that ends TLS we see http where the browser sees https.
function isSameOrigin(origin: string, host: string | undefined): boolean {
  const scheme = origin.indexOf('://')
  return host !== undefined && scheme !== -1 && origin.slice(scheme + 3).toLowerCase() === host.toLowerCase()
}

function nameOf(host: string): string {
  const bare = host.replace(/:\d*$/, '').toLowerCase()
  return bare.startsWith('[') && bare.endsWith(']') ? bare.slice(1, -1) : bare
}

function isLoopbackName(name: string): boolean {
  return isLoopbackHost(name) || name.endsWith('.localhost')
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}
