// Who submits: nobody in particular as a rule; by HTTP Basic or a token; or by a session cookie, which then needs the
// token against forged requests. A client without a session may send any such token: some send `undefined`.

import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { may, type Principal, type Right } from '../../../core/principal.ts'
import type { House } from '../house.ts'
import { ApiRefusal } from './read-submission.ts'

/** The caller; throws the refusals of the original. */
export async function callerOf(house: House, request: FastifyRequest, right: Right): Promise<Principal> {
  const { access } = house.kit
  const cookies = readCookies(request.headers.cookie)
  const session = cookies.get('sessionid')
  if (request.headers.authorization === undefined && session !== undefined) {
    const principal = await access.byToken(session)
    if (principal && may(principal, right)) {
      if (right !== 'read' && isForged(request, cookies))
        throw new ApiRefusal(403, { detail: 'CSRF Failed: CSRF token missing or incorrect.' })
      return principal
    }
  }
  const principal = await access.recognise(request)
  if (principal === undefined) throw new ApiRefusal(403, { detail: wrongCredentials(request) })
  if (!may(principal, right)) {
    const isStranger = principal.scheme === 'anonymous'
    throw new ApiRefusal(403, {
      detail: isStranger
        ? 'Authentication credentials were not provided.'
        : 'You do not have permission to perform this action.',
    })
  }
  return principal
}

function wrongCredentials(request: FastifyRequest): string {
  const { authorization } = request.headers
  if (authorization === undefined) return 'Authentication credentials were not provided.'
  return /^basic/i.test(authorization) ? 'Invalid username/password.' : 'Invalid token.'
}

/** Whether another site may have sent it: header or form field must repeat the cookie, which no other site can read. */
export function isForged(request: FastifyRequest, cookies: ReadonlyMap<string, string>): boolean {
  const cookie = cookies.get('csrftoken')
  const header = request.headers['x-csrftoken']
  const given = typeof header === 'string' ? header : formToken(request)
  return cookie === undefined || given === undefined || !isSame(cookie, given)
}

function formToken(request: FastifyRequest): string | undefined {
  const type = request.raw.headers['content-type'] ?? ''
  if (!type.startsWith('application/x-www-form-urlencoded') || !Buffer.isBuffer(request.body))
    return undefined
  return new URLSearchParams(request.body.toString('utf8')).get('csrfmiddlewaretoken') ?? undefined
}

function isSame(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)]
  return x.length === y.length && x.length > 0 && timingSafeEqual(x, y)
}

/** The cookies of a request by name. */
export function readCookies(header: string | undefined): Map<string, string> {
  const found = new Map<string, string>()
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=')
    if (at > 0) found.set(part.slice(0, at).trim(), part.slice(at + 1).trim())
  }
  return found
}

/** The client's address: the peer's, or what a trusted proxy says. */
export function addressOf(house: House, request: FastifyRequest): string {
  const peer = request.socket.remoteAddress ?? ''
  const forwarded = request.headers['x-forwarded-for']
  if (!house.settings.trustedProxies.includes(peer) || forwarded === undefined) return peer
  return String(forwarded).split(',', 1)[0]!.trim().slice(0, 45)
}
