// Who can reach this server, and is that all right? Decided once, before anything listens; a server that would be
// open to strangers refuses to start, with a sentence that says what to do.

import { isLoopbackHost } from '../http/addresses.ts'
import type { Settings } from './settings/schema.ts'

export interface Exposure {
  /** Only this machine can connect. */
  readonly isLoopback: boolean
  /** Somebody said who may come in: users, an issuer, `auth.required`, or, beyond loopback, an admin token. */
  readonly isAuthConfigured: boolean
  /** Whether callers without credentials have what the dialect's own rule gives them. */
  isOpen(dialect: string): boolean
}

export interface ExposureFacts {
  readonly dialects: readonly string[]
  /** An admin token was given by the operator. */
  readonly hasAdminToken: boolean
  /** Users were added to the data directory. */
  readonly hasUsers: boolean
  readonly noAuth: boolean
}

/** A server that may not start like this. */
export class ExposureError extends Error {
  constructor(text: string) {
    super(text)
    this.name = 'ExposureError'
  }
}

/** Decides what each dialect gives to callers without credentials; throws ExposureError where it may not start. */
export function decideExposure(settings: Settings, facts: ExposureFacts): Exposure {
  const { server, auth } = settings
  const isLoopback = isLoopbackHost(server.host)
  const isClosed =
    auth.required || auth.oidc !== undefined || Object.keys(auth.users).length > 0 || facts.hasUsers
  const isAuthConfigured = isClosed || (!isLoopback && facts.hasAdminToken)
  const access = new Map(facts.dialects.map(name => [name, readAccess(settings, name)]))

  if (facts.noAuth && !isLoopback) {
    throw new ExposureError(`--no-auth works on a loopback address only, and ${server.host} is none`)
  }
  if (!isLoopback && !isAuthConfigured) {
    const naked = facts.dialects.filter(name => access.get(name) !== 'open')
    if (naked.length > 0) {
      throw new ExposureError(
        `${server.host} can be reached by others, and nobody is said to have access to ${naked.join(', ')}: ` +
          'set auth.required = true (tokens), auth.users or auth.oidc, or SWITCHYARD_ADMIN_TOKEN; ' +
          'or say `access = "open"` in the section of each dialect that needs no credentials',
      )
    }
  }
  if (!isLoopback && server.tls === undefined && !server.insecureHttp) {
    throw new ExposureError(
      `${server.host} can be reached by others, and credentials would be sent in the clear: ` +
        'set server.tls (cert and key), or --insecure-http where a proxy before it has TLS',
    )
  }
  return {
    isLoopback,
    isAuthConfigured,
    isOpen: name => (access.get(name) ?? (isLoopback && !isClosed ? 'open' : 'closed')) === 'open',
  }
}

function readAccess(settings: Settings, dialect: string): 'open' | 'closed' | undefined {
  const access = settings.dialects[dialect]?.['access']
  if (access === undefined || access === 'open' || access === 'closed') return access
  throw new ExposureError(
    `dialects.${dialect}.access must be "open" or "closed", not ${JSON.stringify(access)}`,
  )
}
