// Who may change what: the credentials that the original knows, then those of the yard itself. Contract ecflow §2.3.

import type { FastifyRequest } from 'fastify'
import { may, type Principal } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import type { Access } from '../dialect.ts'
import type { Passwords } from './passwords.ts'
import type { Tokens } from './tokens.ts'
import type { WatchedFile } from './watched-file.ts'
import { grants, mayWrite, type WhiteList } from './white-list.ts'

/** Somebody who showed valid credentials. */
export interface Caller {
  /** Who it is, as histories say it: the user, or what the tokens file says about the token. */
  readonly name: string
  /** A name the white list may know; undefined for tokens, which stand for the server's own account. */
  readonly user: string | undefined
  /** Paths a token is bound to; everything without it. */
  readonly paths: readonly string[] | undefined
  /** May only look. */
  readonly isReader: boolean
}

export interface GateParts {
  readonly access: Access
  readonly tokens: Tokens
  readonly passwords: Passwords
  readonly whiteList: WatchedFile<WhiteList>
  readonly noSsl: boolean
  /** Whether reading needs credentials too. */
  readonly closedReads: boolean
}

/** The caller of a request, by the first kind of credentials that it shows; nothing else is looked at then. */
export async function recognise(
  parts: GateParts,
  request: FastifyRequest,
  key: string | null,
): Promise<Caller | undefined> {
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const [scheme = '', value = ''] = authorization.trim().split(/\s+/, 2)
    if (scheme.toLowerCase() === 'bearer') return byToken(parts, value)
    if (scheme.toLowerCase() === 'basic') {
      const text = Buffer.from(value, 'base64').toString('utf8')
      const colon = text.indexOf(':')
      if (colon < 0) return undefined
      return byPassword(parts, request, text.slice(0, colon), text.slice(colon + 1))
    }
    return undefined
  }
  const header = request.headers['x-api-key']
  if (typeof header === 'string') return byToken(parts, header)
  if (key !== null) return byToken(parts, key)
  // Nothing was shown: what the yard gives to everybody (with --no-auth, everything).
  const principal = await parts.access.recognise(request)
  return principal && may(principal, 'operate') ? callerOf(principal) : undefined
}

/** Somebody the yard knows; the white list is about the original's users, whom a token does not name. */
function callerOf(principal: Principal): Caller {
  return { name: principal.name, user: undefined, paths: undefined, isReader: !may(principal, 'operate') }
}

async function byToken(parts: GateParts, token: string): Promise<Caller | undefined> {
  if (token === '') return undefined
  const entry = await parts.tokens.find(token)
  if (entry) {
    const isReader = entry.role === 'viewer' || entry.role === 'submitter'
    return { name: entry.description || 'token', user: undefined, paths: entry.paths, isReader }
  }
  const principal = await parts.access.byToken(token)
  return principal && callerOf(principal)
}

async function byPassword(
  parts: GateParts,
  request: FastifyRequest,
  user: string,
  password: string,
): Promise<Caller | undefined> {
  if (await parts.passwords.isRight(user, password))
    return { name: user, user, paths: undefined, isReader: false }
  const principal = await parts.access.recognise(request, { user, password })
  return principal && { ...callerOf(principal), user: principal.name }
}

/** Refuses who may not read: strangers, where reads are closed or the yard as a whole is. */
export async function demandRead(
  parts: GateParts,
  request: FastifyRequest,
  key: string | null,
): Promise<void> {
  if (!parts.closedReads) {
    // Whatever credentials are shown, right or wrong: reading is open. Contract ecflow §2.3.
    const stranger = { ...request, headers: {} } as FastifyRequest
    if (await parts.access.recognise(stranger)) return
  }
  if (await recognise(parts, request, key)) return
  refuse('not-authenticated', 'Unauthorized')
}

/** Refuses who may not change a path; `/` stands for the whole server. */
export async function demandWrite(
  parts: GateParts,
  request: FastifyRequest,
  at: { key: string | null; path: string },
): Promise<Caller> {
  if (!parts.noSsl && request.protocol !== 'https' && !isLocal(request)) {
    refuse('not-allowed', 'Changes need TLS: use https, or start the server with --no_ssl')
  }
  const caller = await recognise(parts, request, at.key)
  if (!caller) refuse('not-authenticated', 'Unauthorized')
  if (caller.isReader) refuse('not-allowed', 'This token may only read: insufficient permissions')
  if (caller.paths && !caller.paths.some(it => grants(it, at.path))) {
    refuse('not-allowed', `This token may not change ${at.path}: insufficient permissions`)
  }
  if (caller.user !== undefined && !mayWrite(await parts.whiteList.get(), caller.user, at.path)) {
    refuse('not-allowed', `${caller.user} may not change ${at.path}: insufficient permissions`)
  }
  return caller
}

/** What never leaves this machine needs no TLS. */
function isLocal(request: FastifyRequest): boolean {
  const address = request.socket.remoteAddress ?? ''
  return address === '' || address === '::1' || /^(?:::ffff:)?127\./.test(address)
}
