// Opaque tokens and what is known of JWTs, as files in DIR/tokens: one small file each, written in one step, so that
// the command line can add and revoke them beside a running server. Only the SHA-256 of a token is ever stored.

import { hash, randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { roles } from '../../core/principal.ts'
import { isErrno, makePrivate, readIfThere, writePrivate } from './private-file.ts'

const tokenRecord = z.strictObject({
  /** Short name for people, printed by `token ls`. */
  id: z.string(),
  kind: z.enum(['opaque', 'jwt']),
  /** SHA-256 of the token, or of a JWT's jti, in hex; also the file's name. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  user: z.string(),
  role: z.enum(roles),
  groups: z.array(z.string()),
  email: z.string().optional(),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
})
export type TokenRecord = z.infer<typeof tokenRecord>

export interface TokenDraft {
  readonly user: string
  readonly role: TokenRecord['role']
  readonly groups: readonly string[]
  readonly email?: string
  readonly expiresAt: number | null
}

/** Opaque tokens begin so: people and secret scanners can tell what they have found. */
export const tokenPrefix = 'sy_'

/** SHA-256 of a text, in hex: how tokens and JWT ids are named on disk. */
export function hashOf(text: string): string {
  return hash('sha256', text, 'hex')
}

/** Where the tokens of a data directory are kept. */
export function tokensFolder(dataDir: string): string {
  return join(dataDir, 'tokens')
}

/** Makes an opaque token of 32 random bytes; this is the only time it can be seen. */
export async function createToken(
  dataDir: string,
  draft: TokenDraft,
  now: number,
): Promise<{ token: string; record: TokenRecord }> {
  const token = tokenPrefix + randomBytes(32).toString('base64url')
  const record = await keepToken(dataDir, 'opaque', hashOf(token), draft, now)
  return { token, record }
}

/** Writes down a JWT that was issued to a person, so that it can be listed and revoked. */
export async function rememberJwt(
  dataDir: string,
  jti: string,
  draft: TokenDraft,
  now: number,
): Promise<TokenRecord> {
  return keepToken(dataDir, 'jwt', hashOf(jti), draft, now)
}

/** The record that is kept under a hash; undefined when there is none. */
export async function readToken(dataDir: string, hash: string): Promise<TokenRecord | undefined> {
  const file = join(tokensFolder(dataDir), `${hash}.json`)
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  const read = tokenRecord.safeParse(parse(text))
  if (!read.success || read.data.hash !== hash)
    throw new Error(`The token file ${file} is damaged; remove it`)
  return read.data
}

/** All tokens that are not revoked, oldest first. */
export async function listTokens(dataDir: string): Promise<TokenRecord[]> {
  const records: TokenRecord[] = []
  for (const name of await namesIn(tokensFolder(dataDir))) {
    const record = /^[0-9a-f]{64}\.json$/.test(name) ? await readToken(dataDir, name.slice(0, 64)) : undefined
    if (record !== undefined) records.push(record)
  }
  return records.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
}

/**
 * Revokes a token by its id, its own text, or a JWT's jti; a running server notices within a second. Says what was
 * revoked; undefined when there is nothing of that name.
 */
export async function revokeToken(
  dataDir: string,
  which: { id: string } | { token: string } | { jti: string; expiresAt: number | null },
  now: number,
): Promise<string | undefined> {
  if ('jti' in which) {
    await markRevoked(dataDir, hashOf(which.jti), which.expiresAt, now)
    return which.jti
  }
  const records = await listTokens(dataDir)
  const found =
    'id' in which
      ? records.find(record => record.id === which.id)
      : records.find(record => record.hash === hashOf(which.token))
  if (found === undefined) return undefined
  // A JWT is valid by its signature alone, so its revocation has to be remembered until it would have ended.
  if (found.kind === 'jwt') await markRevoked(dataDir, found.hash, found.expiresAt, now)
  await rm(join(tokensFolder(dataDir), `${found.hash}.json`), { force: true })
  return found.id
}

/** Whether the JWT whose jti has this hash was revoked. */
export async function isRevoked(dataDir: string, hash: string): Promise<boolean> {
  return (await readIfThere(join(tokensFolder(dataDir), `${hash}.revoked`))) !== undefined
}

/** Removes what ended more than a day ago: expired tokens, and marks of JWTs that could not be used any more. */
export async function pruneTokens(dataDir: string, now: number): Promise<void> {
  const folder = tokensFolder(dataDir)
  for (const name of await namesIn(folder)) {
    const text = await readIfThere(join(folder, name))
    const { expiresAt } = (parse(text ?? '') ?? {}) as { expiresAt?: unknown }
    if (typeof expiresAt === 'number' && expiresAt < now - 86_400_000)
      await rm(join(folder, name), { force: true })
  }
}

async function keepToken(
  dataDir: string,
  kind: TokenRecord['kind'],
  hash: string,
  draft: TokenDraft,
  now: number,
): Promise<TokenRecord> {
  const record: TokenRecord = {
    id: hash.slice(0, 12),
    kind,
    hash,
    user: draft.user,
    role: draft.role,
    groups: [...draft.groups],
    ...(draft.email !== undefined ? { email: draft.email } : {}),
    createdAt: now,
    expiresAt: draft.expiresAt,
  }
  if (!(await makePrivate(join(tokensFolder(dataDir), `${hash}.json`), JSON.stringify(record)))) {
    throw new Error(`There already is a token with the id ${record.id}`)
  }
  return record
}

async function markRevoked(
  dataDir: string,
  hash: string,
  expiresAt: number | null,
  now: number,
): Promise<void> {
  const file = join(tokensFolder(dataDir), `${hash}.revoked`)
  await writePrivate(file, JSON.stringify({ revokedAt: now, expiresAt }))
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter(name => !name.startsWith('.')).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // A damaged file: the caller's schema says so.
  }
}
