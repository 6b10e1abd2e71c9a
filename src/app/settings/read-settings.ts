// Settings from one file (TOML or JSON), then the environment, then flags: each later one wins, member by member.

import { readFile } from 'node:fs/promises'
import { dirname, extname, resolve } from 'node:path'
import { z } from 'zod'
import { isObject } from '../../core/json.ts'
import { type Settings, settingsSchema } from './schema.ts'

/** Settings that cannot be used: one sentence for each thing that is wrong, naming where it is. */
export class SettingsError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'SettingsError'
    this.problems = problems
  }
}

export interface SettingsSources {
  readonly file?: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** From flags: `server.port` → 8080 or its text. */
  readonly flags?: readonly (readonly [path: string, value: unknown])[]
}

/** Reads, merges and checks settings; throws SettingsError with everything that is wrong. */
export async function readSettings(sources: SettingsSources): Promise<Settings> {
  const merged = sources.file === undefined ? {} : await readSettingsFile(sources.file)
  const problems: string[] = []
  for (const [name, value] of Object.entries(sources.env)) {
    if (!name.startsWith('SWITCHYARD_') || value === undefined || otherVariables.has(name)) continue
    const path = settingVariables.get(name)
    if (path === undefined) problems.push(`${name} is not the name of a setting`)
    else put(merged, path, fromText(path, value))
  }
  for (const [path, value] of sources.flags ?? []) {
    if (value === undefined) continue
    const kind = kindOf(path)
    if (kind === undefined) problems.push(`${path} is not a setting`)
    else put(merged, path, typeof value === 'string' ? fromText(path, value) : value)
  }
  const read = settingsSchema.safeParse(merged)
  if (!read.success) problems.push(...read.error.issues.flatMap(sentences))
  if (problems.length > 0 || !read.success) throw new SettingsError(problems)
  return read.data
}

/** The content of a settings file; relative file names in it start from its own folder. */
async function readSettingsFile(file: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new SettingsError([`Cannot read the configuration ${file}: ${(error as Error).message}`])
  }
  const value = await parse(file, text)
  if (!isObject(value)) throw new SettingsError([`The configuration ${file} is not a set of sections`])
  for (const path of filePaths) {
    const at = get(value, path)
    if (typeof at === 'string') put(value, path, resolve(dirname(file), at))
  }
  for (const user of Object.values(
    isObject(get(value, 'auth.users')) ? (get(value, 'auth.users') as object) : {},
  )) {
    if (isObject(user) && typeof user['passwordFile'] === 'string') {
      user['passwordFile'] = resolve(dirname(file), user['passwordFile'])
    }
  }
  const ncdjango = get(value, 'dialects.ncdjango')
  // Its registrations name files at any depth: it is told where all of them start from.
  if (isObject(ncdjango) && ncdjango['folder'] === undefined) ncdjango['folder'] = resolve(dirname(file))
  else if (isObject(ncdjango) && typeof ncdjango['folder'] === 'string')
    ncdjango['folder'] = resolve(dirname(file), ncdjango['folder'])
  return value
}

async function parse(file: string, text: string): Promise<unknown> {
  const isToml = extname(file) === '.toml'
  try {
    return isToml ? (await import('smol-toml')).parse(text) : JSON.parse(text)
  } catch (error) {
    throw new SettingsError([`${file} is not valid ${isToml ? 'TOML' : 'JSON'}: ${(error as Error).message}`])
  }
}

const filePaths = ['data', 'server.tls.cert', 'server.tls.key', 'auth.adminTokenFile']

/** Variables of ours that are no settings. */
const otherVariables = new Set([
  'SWITCHYARD_ADMIN_TOKEN',
  'SWITCHYARD_CONFIG',
  'SWITCHYARD_DIST',
  'SWITCHYARD_SHARED',
  'SWITCHYARD_TOKEN',
  'SWITCHYARD_URL',
])

export type LeafKind = 'text' | 'number' | 'flag' | 'list'

/** The settings that are single values, with what they are: these can be set by a variable or a flag. */
export function settingLeaves(): {
  path: string
  kind: LeafKind
  variable: string
  describe: string
  schema: z.ZodType
}[] {
  const leaves: ReturnType<typeof settingLeaves> = []
  collect(settingsSchema, '', leaves)
  return leaves
}

function collect(schema: z.ZodType, path: string, into: ReturnType<typeof settingLeaves>): void {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodObject) {
    for (const [name, member] of Object.entries(inner.shape)) {
      collect(member as z.ZodType, path === '' ? name : `${path}.${name}`, into)
    }
    return
  }
  if (inner instanceof z.ZodRecord) return
  const kind: LeafKind =
    inner instanceof z.ZodBoolean
      ? 'flag'
      : inner instanceof z.ZodNumber
        ? 'number'
        : inner instanceof z.ZodArray
          ? 'list'
          : 'text'
  const variable = `SWITCHYARD_${path
    .replace(/([A-Z])/g, '_$1')
    .replaceAll('.', '_')
    .toUpperCase()}`
  into.push({ path, kind, variable, describe: schema.description ?? '', schema })
}

/** A schema without its default, optional and transform wrappers. */
export function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrap(schema.unwrap() as z.ZodType)
  }
  return schema instanceof z.ZodPipe ? unwrap(schema.in as z.ZodType) : schema
}

const leavesByPath = new Map(settingLeaves().map(leaf => [leaf.path, leaf]))
const settingVariables = new Map([...leavesByPath.values()].map(leaf => [leaf.variable, leaf.path]))

// Pools and dialects have names of the user's own: their members are taken as they look.
function kindOf(path: string): LeafKind | 'open' | undefined {
  return (
    leavesByPath.get(path)?.kind ??
    (/^(pools|dialects|auth\.users|auth\.oidc\.roles)\../.test(path) ? 'open' : undefined)
  )
}

function fromText(path: string, text: string): unknown {
  switch (kindOf(path)) {
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text
    case 'flag':
      return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text
    case 'list':
      return text === '' ? [] : text.split(',').map(part => part.trim())
    case 'open':
      return looksLikeJson(text) ? JSON.parse(text) : text
    default:
      return text
  }
}

function looksLikeJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false // A word without quotes: it stands for itself.
  }
}

function get(tree: Record<string, unknown>, path: string): unknown {
  let at: unknown = tree
  for (const name of path.split('.')) at = isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined
  return at
}

function put(tree: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop()!
  let at = tree
  for (const name of names) {
    if (!isObject(at[name]) || !Object.hasOwn(at, name))
      at[name] = Object.create(null) as Record<string, unknown>
    at = at[name] as Record<string, unknown>
  }
  at[last] = value
}

function sentences(issue: z.core.$ZodIssue): string[] {
  const where = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => `${where === '' ? key : `${where}.${key}`} is not a setting`)
  }
  return [`${where}: ${issue.message.replace(/^Invalid input: /, '')}`]
}
