// docs/reference/config.md, made from the schema so that it cannot fall behind. scripts/write-reference.ts writes it.

import { z } from 'zod'
import { settingLeaves, unwrap } from './read-settings.ts'
import { settingsSchema } from './schema.ts'

/** The page about all settings. */
export function settingsReference(): string {
  const variables = new Map(settingLeaves().map(leaf => [leaf.path, leaf.variable]))
  const lines = [
    '# Settings',
    '',
    '<!-- Made from src/app/settings/schema.ts by scripts/write-reference.ts: change it there. -->',
    '',
    'Settings come from one file (`serve --config FILE` or `SWITCHYARD_CONFIG`; TOML or JSON), then from the environment,',
    'then from flags. Each later source wins, setting by setting. `serve --set NAME=VALUE` sets any of them;',
    '`serve --print-config` shows what would be used, and `serve --check-config` only checks. A name that is not below is',
    'an error, and the error names it.',
    '',
    'Sizes are written as `64MiB`, `1.5GB` or a number of bytes; durations as `250ms`, `30s`, `10m`, `1h30m` or `2d`. Lists',
    'in the environment are separated by commas. File names in a file start from its own folder.',
    '',
  ]
  for (const [section, settings] of sections()) {
    lines.push(`## ${section}`, '', '| setting | default | meaning |', '| --- | --- | --- |')
    for (const { path, schema, describe } of settings) {
      const variable = variables.get(path)
      const name = variable === undefined ? `\`${path}\`` : `\`${path}\`<br>\`${variable}\``
      lines.push(`| ${name} | ${defaultOf(schema)} | ${describe.replaceAll('|', '\\|')}${kindOf(schema)} |`)
    }
    lines.push('')
  }
  lines.push(
    '## Variables that are no settings',
    '',
    '| variable | meaning |',
    '| --- | --- |',
    '| `SWITCHYARD_ADMIN_TOKEN` | The admin token, instead of a random one in the data directory |',
    '| `SWITCHYARD_CONFIG` | The settings file, as `--config` |',
    '| `SWITCHYARD_URL`, `SWITCHYARD_TOKEN` | For commands that talk to a server: its address, and the token to come with |',
    '| `SWITCHYARD_DIST` | `1`: run what was built although a source is newer |',
    '',
    '## An example',
    '',
    '```toml',
    'data = "/var/lib/switchyard"',
    '',
    '[server]',
    'host = "0.0.0.0"',
    'port = 8080',
    'publicUrl = "https://yard.example"',
    'tls = { cert = "/etc/switchyard/cert.pem", key = "/etc/switchyard/key.pem" }',
    '',
    '[auth]',
    'required = true',
    '',
    '[pools.default]',
    'slots = 16',
    'memory = "48GiB"',
    '',
    '[retention]',
    'jobs = "90d"',
    '```',
    '',
  )
  return lines.join('\n')
}

interface Described {
  readonly path: string
  readonly schema: z.ZodType
  readonly describe: string
}

/** What the server itself reads in a dialect's section. */
const dialectMembers: readonly Described[] = [
  {
    path: 'dialects.NAME.enabled',
    schema: z.boolean().default(true),
    describe: 'Whether the dialect is served',
  },
  {
    path: 'dialects.NAME.access',
    schema: z.enum(['open', 'closed']),
    describe:
      "`open`: callers without credentials may do what the dialect's own documents allow them; see docs/guides/secure.md",
  },
  {
    path: 'dialects.NAME.…',
    schema: z.unknown(),
    describe: "Everything else is the dialect's own; its README lists it",
  },
]

/** Settings by section, in the order of the schema; names of the user's own are shown as NAME. */
function sections(): Map<string, Described[]> {
  const found = new Map<string, Described[]>()
  const walk = (schema: z.ZodType, path: string) => {
    const inner = unwrap(schema)
    if (inner instanceof z.ZodObject) {
      for (const [name, member] of Object.entries(inner.shape)) walk(member as z.ZodType, join(path, name))
      return
    }
    const value = inner instanceof z.ZodRecord ? (inner.valueType as z.ZodType) : undefined
    if (value !== undefined && unwrap(value) instanceof z.ZodObject) {
      walk(value, join(path, 'NAME'))
      return
    }
    const section = path.includes('.') ? path.slice(0, path.indexOf('.')) : 'general'
    const settings = found.get(section) ?? []
    if (path === 'dialects') {
      settings.push(...dialectMembers)
      found.set(section, settings)
      return
    }
    const shown = inner instanceof z.ZodRecord ? join(path, 'NAME') : path
    settings.push({ path: shown, schema, describe: schema.description ?? '' })
    found.set(section, settings)
  }
  walk(settingsSchema, '')
  return found
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function defaultOf(schema: z.ZodType): string {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    const value = schema.def.defaultValue
    if (Array.isArray(value) && value.length === 0) return 'none'
    if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) return 'none'
    return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
  }
  return ''
}

function kindOf(schema: z.ZodType): string {
  const inner = unwrap(schema)
  const choices = inner instanceof z.ZodArray ? unwrap(inner.element as z.ZodType) : inner
  if (!(choices instanceof z.ZodEnum)) return ''
  return ` (${choices.options.map(option => `\`${option}\``).join(', ')})`
}
