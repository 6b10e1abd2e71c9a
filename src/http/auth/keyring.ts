// Who holds these credentials? Tokens, JWTs and passwords, verified once and then from memory: a request costs one
// hash and one look-up. Twice a second at most, and only while requests come, one `stat` of each folder tells whether
// anything was added or revoked beside us; then everything is verified anew.

import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import type { Principal } from '../../core/principal.ts'
import type { Soon } from '../../dialects/dialect.ts'
import { issuerOf, looksLikeJwt, verifyJwt } from './jwt.ts'
import type { OidcIssuer } from './oidc.ts'
import { PasswordCheck } from './passwords.ts'
import { readIfThere } from './private-file.ts'
import { hashOf, isRevoked, readToken, tokenPrefix, tokensFolder } from './token-files.ts'
import { readUser, type UserRecord, usersFolder } from './user-files.ts'
import { VerdictCache } from './verdict-cache.ts'

export interface KeyringParts {
  readonly dataDir: string
  readonly clock: Clock
  readonly jwtKey: Uint8Array
  /** Tokens that are not in the folder: the operator's own from the environment, and this run's for the CLI. */
  readonly extraTokens?: readonly { readonly token: string; readonly principal: Principal }[]
  /** Users of the configuration file, by name; those of the data directory come after them. */
  readonly users?: ReadonlyMap<string, UserRecord>
  readonly oidc?: OidcIssuer
}

export const adminTokenFile = 'admin-token'

const freshMs = 500
const tokenVerdictMsMax = 300_000
const passwordVerdictMs = 60_000
const wrongPasswordVerdictMs = 5_000
const tokenLengthMax = 16 * 1024

export class Keyring {
  readonly #parts: KeyringParts
  readonly #tokens = new VerdictCache<Principal | undefined>(10_000)
  readonly #passwords = new VerdictCache<Principal | undefined>(1_000)
  readonly #passwordCheck = new PasswordCheck()
  /** Verdicts on passwords are kept under this run's key: nothing in memory helps to guess one. */
  readonly #verdictKey = randomBytes(32)
  readonly #extra = new Map<string, Principal>()
  #admin: string | undefined
  #signature = ''
  #checkedAt = Number.NEGATIVE_INFINITY
  #checking: Promise<void> | undefined

  constructor(parts: KeyringParts) {
    this.#parts = parts
    for (const { token, principal } of parts.extraTokens ?? []) this.#extra.set(hashOf(token), principal)
  }

  /**
   * The principal of an opaque token, a JWT of ours, or one of the configured issuer's. Without a promise where the
   * verdict is at hand, which is the case for all but a few requests of a second.
   */
  byToken(token: string): Soon<Principal | undefined> {
    if (token.length > tokenLengthMax) return undefined
    if (!this.#isStale()) {
      const known = this.#tokens.get(hash('sha256', token, 'hex'), this.#parts.clock.now())
      if (known !== undefined) return known.value
    }
    return this.#judge(token)
  }

  async #judge(token: string): Promise<Principal | undefined> {
    if (this.#isStale()) await this.#freshen()
    const now = this.#parts.clock.now()
    const key = hash('sha256', token, 'hex')
    const known = this.#tokens.get(key, now)
    if (known !== undefined) return known.value
    const { principal, until } = await this.#verify(token, key, now)
    this.#tokens.set(key, principal, until)
    return principal
  }

  /** The principal of a name and password. A token serves as password too, for clients that can only do that. */
  async byPassword(user: string, password: string): Promise<Principal | undefined> {
    if (password.startsWith(tokenPrefix) || looksLikeJwt(password)) {
      const principal = await this.byToken(password)
      if (principal !== undefined) return user === '' || user === principal.name ? principal : undefined
    }
    if (password.length > 1024 || user.length > 256) return undefined
    if (this.#isStale()) await this.#freshen()
    const key = createHmac('sha256', this.#verdictKey).update(`${user}\0${password}`).digest('hex')
    const known = this.#passwords.get(key, this.#parts.clock.now())
    if (known !== undefined) return known.value
    const signature = this.#signature
    const record = this.#parts.users?.get(user) ?? (await readUser(this.#parts.dataDir, user))
    const isRight = await this.#passwordCheck.matches(password, record?.passwordHash)
    const principal = isRight && record !== undefined ? principalOf(record) : undefined
    // Checking took a while: what was changed in the meantime must not be covered by an old verdict.
    if (signature === this.#signature) {
      const ms = isRight ? passwordVerdictMs : wrongPasswordVerdictMs
      this.#passwords.set(key, principal, this.#parts.clock.now() + ms)
    }
    return principal
  }

  async #verify(
    token: string,
    key: string,
    now: number,
  ): Promise<{ principal: Principal | undefined; until: number }> {
    const extra = this.#extra.get(key)
    if (extra !== undefined) return { principal: extra, until: now + tokenVerdictMsMax }
    if (this.#admin !== undefined && sameHash(this.#admin, key)) {
      return { principal: administrator, until: now + tokenVerdictMsMax }
    }
    const found = looksLikeJwt(token) ? await this.#verifyJwt(token, now) : await this.#verifyOpaque(key, now)
    return {
      principal: found?.principal,
      until: Math.min(found?.expiresAt ?? now + freshMs, now + tokenVerdictMsMax),
    }
  }

  async #verifyOpaque(key: string, now: number) {
    const record = await readToken(this.#parts.dataDir, key)
    if (record === undefined || record.kind !== 'opaque' || !sameHash(record.hash, key)) return undefined
    const expiresAt = record.expiresAt ?? Number.POSITIVE_INFINITY
    if (expiresAt <= now) return undefined
    const { user, role, groups, email } = record
    const principal: Principal = {
      name: user,
      scheme: 'token',
      role,
      groups,
      ...(email !== undefined ? { email } : {}),
    }
    return { principal, expiresAt }
  }

  async #verifyJwt(token: string, now: number) {
    const { oidc } = this.#parts
    const isForeign = oidc !== undefined && issuerOf(token) === oidc.settings.issuer
    const found = isForeign ? await oidc.verify(token, now) : await verifyJwt(this.#parts.jwtKey, token, now)
    if (found === undefined || found.expiresAt <= now) return undefined
    if (found.jti !== null && (await isRevoked(this.#parts.dataDir, hashOf(found.jti)))) return undefined
    return found
  }

  #isStale(): boolean {
    const age = this.#parts.clock.now() - this.#checkedAt
    // A clock that was set back must not keep verdicts alive.
    return age >= freshMs || age < 0
  }

  #freshen(): Promise<void> {
    this.#checking ??= this.#look().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  async #look(): Promise<void> {
    const { dataDir, clock } = this.#parts
    const file = join(dataDir, adminTokenFile)
    const times = await Promise.all([tokensFolder(dataDir), usersFolder(dataDir), file].map(changedAtNs))
    const signature = times.join(' ')
    // Two changes within one tick of the file system's clock look like one, so a young change counts as a new one.
    const newestMs = Math.max(...times.map(ns => Number(ns / 1_000_000n)))
    const isYoung = clock.now() - newestMs < 2_000
    if (signature !== this.#signature || isYoung) {
      this.#signature = signature
      this.#tokens.clear()
      this.#passwords.clear()
      const token = (await readIfThere(file))?.trim()
      this.#admin = token === undefined || token === '' ? undefined : hashOf(token)
    }
    this.#checkedAt = clock.now()
  }
}

/** Who comes with the admin token. */
export const administrator: Principal = { name: 'admin', scheme: 'token', role: 'admin', groups: [] }

function principalOf({ name, role, groups, email }: UserRecord): Principal {
  return { name, scheme: 'basic', role, groups, ...(email !== undefined ? { email } : {}) }
}

function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

async function changedAtNs(path: string): Promise<bigint> {
  try {
    return (await stat(path, { bigint: true })).mtimeNs
  } catch {
    return 0n // Not there yet.
  }
}
