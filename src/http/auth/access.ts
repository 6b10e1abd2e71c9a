// The one policy for all dialects: who may do what, with credentials and without.

import type { FastifyRequest } from 'fastify'
import { may, type Principal, type Right, type Role, roles } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import type { Access, AccessRule } from '../../dialects/dialect.ts'
import { readCredentials } from './credentials.ts'
import { issueJwt } from './jwt.ts'
import type { Keyring } from './keyring.ts'

export interface AccessParts {
  readonly keyring: Keyring
  readonly jwtKey: Uint8Array
  readonly rule: AccessRule
  /** Whether the dialect's own rule for callers without credentials holds; otherwise they may do nothing. */
  readonly isOpen: boolean
  /** `--no-auth`: everybody is this one, whatever they send. */
  readonly everybody?: Principal
  readonly now: () => number
}

/** The access check of one dialect. */
export function accessOf(parts: AccessParts): Access {
  const { keyring, everybody } = parts
  const anonymous = parts.isOpen ? anonymousBy(parts.rule) : undefined

  const recognise: Access['recognise'] = (request, credentials = {}) => {
    if (everybody !== undefined) return everybody
    const { token, user, password } = credentials
    if (token !== undefined) return keyring.byToken(token)
    if (user !== undefined && password !== undefined) return keyring.byPassword(user, password)
    const given = readCredentials(request.headers.authorization)
    switch (given?.type) {
      case undefined:
        return anonymous
      case 'token':
        return keyring.byToken(given.token)
      case 'password':
        return keyring.byPassword(given.user, given.password)
      case 'unreadable':
        return undefined
    }
  }

  return {
    recognise,
    demand(request, right) {
      const found = recognise(request)
      return found instanceof Promise
        ? found.then(principal => entitled(principal, request, right))
        : entitled(found, request, right)
    },
    byToken: token => everybody ?? keyring.byToken(token),
    async issue({ user, groups, role, email, job, expiresAt }) {
      const claims = {
        user,
        groups,
        role,
        expiresAt,
        ...(email !== undefined ? { email } : {}),
        ...(job !== undefined ? { job } : {}),
      }
      return (await issueJwt(parts.jwtKey, claims, parts.now())).token
    },
  }
}

function entitled(principal: Principal | undefined, request: FastifyRequest, right: Right): Principal {
  if (principal === undefined) {
    return refuse(
      'not-authenticated',
      request.headers.authorization === undefined
        ? 'This needs credentials: send an Authorization header with a token'
        : 'The credentials are not valid, or not valid any more',
    )
  }
  if (may(principal, right)) return principal
  if (principal.scheme === 'anonymous') {
    refuse('not-authenticated', 'This needs credentials: send an Authorization header with a token')
  }
  return refuse('not-allowed', `${principal.name} has the role ${principal.role}, which may not ${right}`)
}

/** Who everybody is under `--no-auth`. */
export const local: Principal = { name: 'local', scheme: 'local', role: 'admin', groups: [] }

// The smallest role that has all the rights of the rule; no rights, no principal.
function anonymousBy(rule: AccessRule): Principal | undefined {
  if (rule.anonymous.length === 0) return undefined
  const fits = (role: Role) =>
    rule.anonymous.every(right => may({ name: '', scheme: '', role, groups: [] }, right))
  const role = [...roles].reverse().find(fits)
  return role === undefined ? undefined : { name: 'anonymous', scheme: 'anonymous', role, groups: [] }
}
