// The tokens file: who may change things by showing a token. Contract ecflow §2.3.

import { createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { isObject } from '../../core/json.ts'
import { type Role, roles } from '../../core/principal.ts'
import { WatchedFile } from './watched-file.ts'

const derive = promisify(pbkdf2)

export interface TokenEntry {
  readonly method: 'sha256' | 'pbkdf2'
  readonly iterations: number
  readonly salt: string
  readonly hash: Buffer
  readonly description: string
  readonly expiresAt: number
  readonly revokedAt: number
  /** Ours: paths that the token may write to; everything without it. */
  readonly paths: readonly string[] | undefined
  /** Ours: what the token may do, in the yard's words; viewer and submitter may only read here. */
  readonly role: Role
}

const iterationsUsual = 260_000
/** More would make a guess at the door cost the server seconds. */
const iterationsMax = 5_000_000

/** The entries of a tokens file. One that cannot be read is skipped, not fatal. */
export function readTokens(text: string): TokenEntry[] {
  const list: unknown = JSON.parse(text)
  if (!Array.isArray(list)) throw new Error('the tokens file is not a JSON array')
  return list.map(readEntry).filter(entry => entry !== undefined)
}

function readEntry(value: unknown): TokenEntry | undefined {
  if (!isObject(value) || typeof value['hash'] !== 'string') return undefined
  const [method = '', salt = '', hex = ''] = value['hash'].split('$')
  const expiresAt = readTime(value['expires_at'])
  const revokedAt = readTime(value['revoked_at'])
  if (!/^[0-9a-f]{64}$/i.test(hex) || expiresAt === undefined || revokedAt === undefined) return undefined
  const match = /^(sha256)$|^pbkdf2:sha256(?::(\d{1,8}))?$/.exec(method)
  if (!match) return undefined
  const iterations = match[2] === undefined ? iterationsUsual : Number(match[2])
  if (iterations < 1 || iterations > iterationsMax) return undefined
  const paths = value['paths']
  // A role that is not known must not be more than was meant: the entry is skipped like one that cannot be read.
  const role = roles.find(it => it === (value['role'] ?? 'operator'))
  if (role === undefined) return undefined
  return {
    method: match[1] ? 'sha256' : 'pbkdf2',
    iterations,
    salt,
    hash: Buffer.from(hex, 'hex'),
    description: typeof value['description'] === 'string' ? value['description'] : '',
    expiresAt,
    revokedAt,
    paths: Array.isArray(paths) ? paths.filter(path => typeof path === 'string') : undefined,
    role,
  }
}

/** Epoch ms of `YYYY-MM-DDTHH:MM:SSZ`; never when missing or empty; undefined when it cannot be read. */
function readTime(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return Number.POSITIVE_INFINITY
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value)) return undefined
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : at
}

/** How many tokens are remembered as good, so that a slow hash is computed once and not at each request. */
const rememberedMax = 1000
const remembersMs = 20_000

/** The tokens file, looked at again every 20 s. */
export class Tokens {
  readonly #file: WatchedFile<TokenEntry[]>
  readonly #now: () => number
  #good = new Map<string, { entry: TokenEntry; until: number; of: TokenEntry[] }>()

  constructor(path: string, now: () => number) {
    this.#now = now
    this.#file = new WatchedFile({ path, read: readTokens, absent: [], now, lookMs: 20_000 })
  }

  reload(): Promise<boolean> {
    return this.#file.reload()
  }

  /** The entry of a token that is valid now. */
  async find(token: string): Promise<TokenEntry | undefined> {
    const entries = await this.#file.get()
    const now = this.#now()
    const known = this.#good.get(token)
    if (known && known.of === entries && known.until > now)
      return isValid(known.entry, now) ? known.entry : undefined
    let found: TokenEntry | undefined
    // Cheap hashes first: most tokens have one, and then the dear ones are never computed.
    for (const entry of [...entries].sort((one, other) => costOf(one) - costOf(other))) {
      const hash = await hashOf(entry, token)
      if (!timingSafeEqual(hash, entry.hash) || !isValid(entry, now)) continue
      found = entry
      break
    }
    if (found) {
      if (this.#good.size >= rememberedMax) this.#good = new Map()
      this.#good.set(token, { entry: found, until: now + remembersMs, of: entries })
    }
    return found
  }
}

/** A revocation in the future does not bite yet (observed). */
function isValid(entry: TokenEntry, now: number): boolean {
  return now < entry.expiresAt && now < entry.revokedAt
}

function costOf(entry: TokenEntry): number {
  return entry.method === 'sha256' ? 0 : entry.iterations
}

async function hashOf(entry: TokenEntry, token: string): Promise<Buffer> {
  if (entry.method === 'sha256') return createHmac('sha256', entry.salt).update(token).digest()
  return derive(token, entry.salt, entry.iterations, 32, 'sha256')
}
