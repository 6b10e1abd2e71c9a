// Tokens of an outside issuer (OpenID Connect): its keys are fetched when first needed, kept for a bounded time, and
// never asked for more often than the cool-down allows, whatever clients send.

import { type Principal, type Role, roles } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import { readGroups, type VerifiedJwt } from './jwt.ts'

export interface OidcSettings {
  readonly issuer: string
  /** What `aud` must contain. */
  readonly audience: string
  /** Where the keys are; found through the issuer's discovery document unless said. */
  readonly jwksUrl?: string
  readonly userClaim: string
  readonly groupsClaim: string
  /** The role of members of a group; the highest one counts. */
  readonly roles: Readonly<Record<string, Role>>
  readonly defaultRole: Role
}

type Keys = Awaited<ReturnType<typeof keysOf>>

/** A verifier of one issuer's tokens. Refuses with `unavailable` when the issuer's keys cannot be had. */
export class OidcIssuer {
  readonly settings: OidcSettings
  #keys: Promise<Keys> | undefined

  constructor(settings: OidcSettings) {
    this.settings = settings
  }

  async verify(token: string, now: number): Promise<VerifiedJwt | undefined> {
    const { jwtVerify, errors } = await import('jose')
    this.#keys ??= keysOf(this.settings)
    let keys: Keys
    try {
      keys = await this.#keys
    } catch (error) {
      this.#keys = undefined // The next request tries again.
      return refuse(
        'unavailable',
        `The identity provider ${this.settings.issuer} cannot be asked: ${textOf(error)}`,
      )
    }
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: this.settings.issuer,
        audience: this.settings.audience,
        algorithms: [
          'RS256',
          'RS384',
          'RS512',
          'PS256',
          'PS384',
          'PS512',
          'ES256',
          'ES384',
          'ES512',
          'EdDSA',
        ],
        requiredClaims: ['exp', 'sub'],
        clockTolerance: 30,
        currentDate: new Date(now),
      })
      return { principal: this.#principal(payload), jti: payload.jti ?? null, expiresAt: payload.exp! * 1000 }
    } catch (error) {
      if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) {
        return refuse(
          'unavailable',
          `The identity provider ${this.settings.issuer} cannot be asked: ${textOf(error)}`,
        )
      }
      return undefined
    }
  }

  #principal(claims: Record<string, unknown>): Principal {
    const { userClaim, groupsClaim, defaultRole } = this.settings
    const groups = readGroups(claims[groupsClaim])
    const granted = groups
      .filter(group => Object.hasOwn(this.settings.roles, group))
      .map(group => this.settings.roles[group])
    const name = claims[userClaim] ?? claims['sub']
    const email = claims['email']
    return {
      name: String(name),
      scheme: 'oidc',
      role: roles.find(role => granted.includes(role)) ?? defaultRole,
      groups,
      ...(typeof email === 'string' ? { email } : {}),
    }
  }
}

const fetchMsMax = 5_000

async function keysOf(settings: OidcSettings) {
  const { createRemoteJWKSet } = await import('jose')
  const url = settings.jwksUrl ?? (await discover(settings.issuer))
  return createRemoteJWKSet(new URL(url), {
    timeoutDuration: fetchMsMax,
    cooldownDuration: 30_000,
    cacheMaxAge: 600_000,
  })
}

async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const answer = await fetch(url, { signal: AbortSignal.timeout(fetchMsMax), redirect: 'error' })
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  const document = (await answer.json()) as { jwks_uri?: unknown; issuer?: unknown }
  if (typeof document.jwks_uri !== 'string') throw new Error(`${url} names no jwks_uri`)
  if (document.issuer !== issuer) throw new Error(`${url} speaks for another issuer`)
  return document.jwks_uri
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
