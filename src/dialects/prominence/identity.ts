// Who is asking: the yard's own tokens (they bear the original's claims), tokens of another PROMINENCE server that
// shares its secret with us, and those that a userinfo endpoint knows.

import type { FastifyRequest } from 'fastify'
import { jwtVerify } from 'jose'
import type { Clock } from '../../core/clock.ts'
import { may, type Principal } from '../../core/principal.ts'
import { Refused, refuse } from '../../core/refusal.ts'
import type { Access } from '../dialect.ts'
import type { Settings } from './settings.ts'

export interface Identity {
  /** The caller, who may submit; refuses as `not-authenticated` with the original's words. */
  demand(request: FastifyRequest): Promise<Principal>
  /** The principal of a token, undefined when it is nobody's. */
  byToken(token: string): Promise<Principal | undefined>
}

type Provider = NonNullable<Settings['userinfo']>

const failure = 'Authentication failure'
const noProvider = 'Unable to connect to OIDC server'

/** How long, and for how many tokens, the answer of a userinfo endpoint is remembered. */
const rememberMsMax = 60_000
const rememberedMax = 1_000

/** Recognises callers. */
export function openIdentity({
  access,
  clock,
  settings,
}: {
  access: Access
  clock: Clock
  settings: Settings
}): Identity {
  const secret = settings.tokenSecret === undefined ? undefined : Buffer.from(settings.tokenSecret)
  const askProvider = settings.userinfo && openProvider(settings.userinfo, clock)

  const byToken: Identity['byToken'] = async token =>
    (await knownHere(access, token)) ??
    (secret && (await readSharedToken(token, secret, clock.now()))) ??
    (await askProvider?.(token))

  return {
    byToken,
    async demand(request) {
      // The scheme's word is not looked at: contracts/prominence.md §2.
      const token = /^\S+\s+(\S+)\s*$/.exec(request.headers.authorization ?? '')?.[1]
      const principal =
        (token === undefined ? undefined : await byToken(token)) ?? (await access.recognise(request))
      if (principal === undefined || !may(principal, 'submit')) refuse('not-authenticated', failure)
      return principal
    },
  }
}

async function knownHere(access: Access, token: string): Promise<Principal | undefined> {
  try {
    return await access.byToken(token)
  } catch (error) {
    // The keys of the configured issuer cannot be had: the original tells that as a failed login.
    if (error instanceof Refused && error.refusal.kind === 'unavailable')
      refuse('not-authenticated', noProvider)
    throw error
  }
}

async function readSharedToken(
  token: string,
  secret: Uint8Array,
  now: number,
): Promise<Principal | undefined> {
  try {
    const { payload } = await jwtVerify(token, secret, {
      algorithms: ['HS256'],
      currentDate: new Date(now),
      requiredClaims: ['exp'],
    })
    const { username, groups, email, job } = payload
    // Both must be there: contracts/prominence.md §3.5.
    if (typeof username !== 'string' || username === '' || typeof groups !== 'string') return undefined
    return {
      name: username,
      scheme: 'jwt',
      role: 'submitter',
      groups: groups.split(',').filter(group => group !== ''),
      ...(typeof email === 'string' ? { email } : {}),
      ...(typeof job === 'string' ? { job } : {}),
    }
  } catch {
    return undefined // Not signed with this secret, or over: somebody else may know it.
  }
}

/** Asks a userinfo endpoint who a token belongs to, and remembers the answer for a short time. */
function openProvider(provider: Provider, clock: Clock): (token: string) => Promise<Principal | undefined> {
  const remembered = new Map<string, { principal: Principal; until: number }>()
  return async token => {
    const known = remembered.get(token)
    if (known !== undefined && known.until > clock.now()) return known.principal
    remembered.delete(token)
    const principal = principalOf(await userinfo(token, provider), provider)
    if (principal === undefined) return undefined
    if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value!)
    remembered.set(token, { principal, until: clock.now() + rememberMsMax })
    return principal
  }
}

async function userinfo(token: string, { url, timeoutSeconds }: Provider): Promise<unknown> {
  let response: Response
  try {
    response = await fetch(url, {
      headers: { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    })
  } catch {
    return refuse('not-authenticated', noProvider) // All that the original tells of it.
  }
  return response.ok ? response.json().catch(() => undefined) : undefined
}

function principalOf(answer: unknown, provider: Provider): Principal | undefined {
  const claims = (answer ?? {}) as { readonly [name: string]: unknown }
  const name = claims[provider.usernameFrom]
  const groups = claims[provider.groupsFrom] ?? []
  if (typeof name !== 'string' || name === '' || !Array.isArray(groups)) return undefined
  const entitlements = claims['eduperson_entitlement'] ?? claims['entitlements'] ?? []
  const lacks = (wanted: string) => !Array.isArray(entitlements) || !entitlements.includes(wanted)
  if (provider.requiredEntitlements.some(lacks)) return undefined
  const email = claims['email']
  return {
    name,
    scheme: 'oidc',
    role: 'submitter',
    groups: groups.filter(group => typeof group === 'string'),
    ...(typeof email === 'string' ? { email } : {}),
  }
}
