// JSON web tokens of our own: HS256 with the data directory's key, and the claims that PROMINENCE's clients know.

import { randomUUID } from 'node:crypto'
import { type Principal, type Role, roles } from '../../core/principal.ts'

/** Claims of our tokens; `groups` is one text, joined by commas. */
export interface JwtClaims {
  readonly user: string
  readonly groups: readonly string[]
  readonly role: Role
  readonly email?: string
  /** The job that acts for its owner. */
  readonly job?: string
  readonly expiresAt: number
}

export interface VerifiedJwt {
  readonly principal: Principal
  readonly jti: string | null
  readonly expiresAt: number
}

/** Signs a token; its jti is what `token revoke` takes. */
export async function issueJwt(
  key: Uint8Array,
  claims: JwtClaims,
  now: number,
): Promise<{ token: string; jti: string }> {
  const { SignJWT } = await import('jose')
  const jti = randomUUID()
  const token = await new SignJWT({
    username: claims.user,
    groups: claims.groups.join(','),
    role: claims.role,
    ...(claims.email !== undefined ? { email: claims.email } : {}),
    ...(claims.job !== undefined ? { job: claims.job } : {}),
  })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuedAt(Math.floor(now / 1000))
    .setExpirationTime(Math.floor(claims.expiresAt / 1000))
    .setJti(jti)
    .sign(key)
  return { token, jti }
}

/** Checks signature, algorithm and expiry; undefined when anything is wrong. */
export async function verifyJwt(
  key: Uint8Array,
  token: string,
  now: number,
): Promise<VerifiedJwt | undefined> {
  const { jwtVerify } = await import('jose')
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['HS256'],
      requiredClaims: ['exp', 'username'],
      currentDate: new Date(now),
    })
    const { username, email, job } = payload
    if (typeof username !== 'string' || username === '') return undefined
    return {
      principal: {
        name: username,
        scheme: 'jwt',
        // A token without a role is an ordinary user's, as PROMINENCE's are.
        role: payload['role'] === undefined ? 'submitter' : readRole(payload['role']),
        groups: readGroups(payload['groups']),
        ...(typeof email === 'string' ? { email } : {}),
        ...(typeof job === 'string' ? { job } : {}),
      },
      jti: payload.jti ?? null,
      expiresAt: payload.exp! * 1000,
    }
  } catch {
    return undefined // Every way of being invalid is the same to a caller.
  }
}

/** The parts of a token that say who made it, unverified: only for choosing who verifies it. */
export function issuerOf(token: string): string | undefined {
  try {
    const body = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
      iss?: unknown
    }
    return typeof body.iss === 'string' ? body.iss : undefined
  } catch {
    return undefined // Not a token at all: our own verification refuses it.
  }
}

/** Whether a text has the form of a JWT. */
export function looksLikeJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
}

/** Groups of a claim: a list, or one text joined by commas. */
export function readGroups(claim: unknown): string[] {
  const list = typeof claim === 'string' ? claim.split(',') : Array.isArray(claim) ? claim : []
  return list.filter((group): group is string => typeof group === 'string' && group !== '').slice(0, 1000)
}

function readRole(claim: unknown): Role {
  const role = roles.find(role => role === claim)
  if (role === undefined) throw new Error('unknown role')
  return role
}
