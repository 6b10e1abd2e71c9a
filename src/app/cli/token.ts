// `switchyard token create|ls|revoke`: works on the data directory itself, beside a running server or without one.

import { type Command, Option } from 'commander'
import { type Role, roles } from '../../core/principal.ts'
import { issueJwt } from '../../http/auth/jwt.ts'
import { readSecret } from '../../http/auth/secrets.ts'
import {
  createToken,
  listTokens,
  rememberJwt,
  revokeToken,
  type TokenDraft,
  tokenPrefix,
} from '../../http/auth/token-files.ts'
import { readDuration } from '../settings/quantity.ts'
import { dataOption, existingDataDir, printTable } from './data-dir-option.ts'
import { CommandFailed, exitCodes } from './failure.ts'

interface CreateOptions {
  readonly data?: string
  readonly user: string
  readonly group: readonly string[]
  readonly role: Role
  readonly email?: string
  readonly expires?: string
  readonly jwt?: boolean
  readonly quiet?: boolean
}

export function add(program: Command): void {
  const token = program.command('token').description('Make, list and revoke tokens')
  token
    .command('create')
    .description('Make a token; this is the only time it is shown')
    .requiredOption('--user <name>', 'whose token it is')
    .option('--group <name>', 'a group of the user; may be repeated', collect, [])
    .addOption(new Option('--role <role>', 'what it may do').choices(roles).default('submitter'))
    .option('--email <address>', 'where notices go')
    .option('--expires <time>', 'how long it is good, such as 1d or 12h; for ever (a JWT: 30d) unless said')
    .option('--jwt', 'a signed JWT, for clients that read the token themselves')
    .option('--quiet', 'print the token and nothing else')
    .addOption(dataOption())
    .action(create)
  token
    .command('ls')
    .description('List tokens that were not revoked')
    .option('--json', 'for scripts')
    .addOption(dataOption())
    .action(list)
  token
    .command('revoke')
    .description('Revoke a token; a running server notices within a second')
    .argument('<token>', "its id as `token ls` shows it, the token itself, or a JWT's jti")
    .addOption(dataOption())
    .action(revoke)
}

async function create(options: CreateOptions): Promise<void> {
  if (options.user === '') throw new CommandFailed('--user may not be empty', exitCodes.usage)
  const comma = options.group.find(group => group.includes(',') || group === '')
  if (comma !== undefined) throw new CommandFailed('--group: a name without commas, please', exitCodes.usage)
  const dir = await existingDataDir(options.data, { make: true })
  const now = Date.now()
  const lifeMs = readLife(options.expires, options.jwt === true)
  const draft: TokenDraft = {
    user: options.user,
    role: options.role,
    groups: options.group,
    ...(options.email !== undefined ? { email: options.email } : {}),
    expiresAt: lifeMs === null ? null : now + lifeMs,
  }
  const { token, id } =
    options.jwt === true ? await createJwt(dir, draft, now) : await createOpaque(dir, draft, now)
  if (options.quiet === true) {
    process.stdout.write(`${token}\n`)
    return
  }
  const until =
    draft.expiresAt === null ? 'it does not expire' : `until ${new Date(draft.expiresAt).toISOString()}`
  process.stdout.write(`${token}\n`)
  process.stderr.write(`Token ${id} of ${draft.user}, role ${draft.role}, ${until}. It is not shown again.\n`)
}

async function createOpaque(dir: string, draft: TokenDraft, now: number) {
  const { token, record } = await createToken(dir, draft, now)
  return { token, id: record.id }
}

async function createJwt(dir: string, draft: TokenDraft, now: number) {
  const key = await readSecret(dir, 'jwt')
  const { token, jti } = await issueJwt(key, { ...draft, expiresAt: draft.expiresAt! }, now)
  const record = await rememberJwt(dir, jti, draft, now)
  return { token, id: record.id }
}

async function list(options: { data?: string; json?: boolean }): Promise<void> {
  const tokens = await listTokens(await existingDataDir(options.data))
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(tokens.map(({ hash: _, ...shown }) => shown))}\n`)
    return
  }
  const day = (at: number | null) =>
    at === null ? 'never' : new Date(at).toISOString().slice(0, 16).replace('T', ' ')
  printTable(
    ['id', 'kind', 'user', 'role', 'groups', 'made', 'expires'],
    tokens.map(token => [
      token.id,
      token.kind,
      token.user,
      token.role,
      token.groups.join(','),
      day(token.createdAt),
      day(token.expiresAt),
    ]),
  )
}

async function revoke(which: string, options: { data?: string }): Promise<void> {
  const dir = await existingDataDir(options.data)
  const now = Date.now()
  const byJti = /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(which)
  const revoked = byJti
    ? await revokeToken(dir, { jti: which, expiresAt: null }, now)
    : await revokeToken(dir, which.startsWith(tokenPrefix) ? { token: which } : { id: which }, now)
  if (revoked === undefined) throw new CommandFailed(`There is no token ${which}`, exitCodes.notFound)
  process.stdout.write(`revoked ${revoked}\n`)
}

const jwtLifeMs = 30 * 86_400_000

function readLife(text: string | undefined, isJwt: boolean): number | null {
  if (text === undefined) return isJwt ? jwtLifeMs : null
  const ms = readDuration(text)
  if (ms === undefined || ms === 0) {
    throw new CommandFailed(`--expires ${text}: write a duration such as 12h or 30d`, exitCodes.usage)
  }
  return ms
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}
