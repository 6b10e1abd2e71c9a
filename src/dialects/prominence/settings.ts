// The dialect's section of the configuration. The original's own option names are accepted beside ours.

import { z } from 'zod'
import { isObject, type Json } from '../../core/json.ts'

/** What each of the original's options is called here. */
const originalNames: Readonly<Record<string, string>> = {
  MAX_CONTENT_LENGTH: 'bodyBytesMax',
  WORKFLOW_MAX_IDLE: 'workflowPendingMax',
  DEFAULT_MAX_RUNTIME: 'walltimeSecondsDefault',
  DEFAULT_DISK_GB: 'diskGbDefault',
  KV_MAX_BYTES: 'kvBytesMax',
  ENABLE_EXEC: 'exec',
  ENABLE_SNAPSHOTS: 'snapshots',
  ENABLE_DATA: 'data',
  ENABLE_KV: 'kv',
  EXEC_TIMEOUT: 'execSecondsMax',
  JOB_TOKEN_SECRET: 'tokenSecret',
}

const seconds = z.number().int().positive()
const bytes = z.number().int().positive()

const schema = z.strictObject({
  /** What this installation is called in `execution.site`, and what placement policies are compared with. */
  site: z.string().min(1).default('Local'),
  region: z.string().optional(),
  /** The pool that jobs compete in, and the executor that runs them. */
  pool: z.string().min(1).default('prominence'),
  executor: z.string().min(1).default('container'),
  bodyBytesMax: bytes.default(64 * 1024 * 1024),
  workflowPendingMax: z.number().int().min(0).default(20),
  workflowJobsMax: z.number().int().positive().default(100_000),
  walltimeSecondsDefault: seconds.default(43_200),
  diskGbDefault: z.number().int().positive().default(10),
  kvBytesMax: bytes.default(16_000),
  exec: z.boolean().default(true),
  snapshots: z.boolean().default(true),
  data: z.boolean().default(true),
  kv: z.boolean().default(true),
  execSecondsMax: seconds.default(30),
  uploadBytesMax: bytes.default(100 * 1024 * 1024 * 1024),
  leaveInQueueDaysMax: z.number().positive().default(90),
  /** Also recognises tokens that another PROMINENCE server signed with this secret. */
  tokenSecret: z.string().min(16).optional(),
  /** How long a token from the device login is good. */
  tokenSeconds: seconds.default(30 * 86_400),
  /** Per user; unlimited unless said. */
  quota: z
    .strictObject({
      storedBytes: bytes.optional(),
      waitingJobs: z.number().int().positive().optional(),
      runningJobs: z.number().int().positive().optional(),
      jobs: z.number().int().positive().optional(),
    })
    .prefault({}),
  /** Hosts (names, addresses, or networks in CIDR form) that may be fetched from although they are private. */
  fetchAllow: z.array(z.string()).default([]),
  /** Whom to ask about tokens that neither this server nor its configured issuer signed. */
  userinfo: z
    .strictObject({
      url: z.url(),
      usernameFrom: z.string().default('preferred_username'),
      groupsFrom: z.string().default('groups'),
      requiredEntitlements: z.array(z.string()).default([]),
      timeoutSeconds: seconds.default(30),
    })
    .optional(),
  smtp: z
    .strictObject({
      host: z.string().min(1),
      port: z.number().int().min(1).max(65_535).default(25),
      from: z.string().min(3),
      /** `none`, `starttls` (refused when the server has it not) or `tls` from the first byte. */
      security: z.enum(['none', 'starttls', 'tls']).default('starttls'),
      user: z.string().optional(),
      password: z.string().optional(),
    })
    .optional(),
})

export type Settings = z.output<typeof schema>

/** The settings, with defaults; throws an error that names what is wrong. */
export function readSettings(section: Json): Settings {
  const given: { [name: string]: unknown } = {}
  for (const [name, value] of Object.entries(isObject(section) ? section : {})) {
    // These two are the host's, and stand in the same section.
    if (name === 'enabled' || name === 'access') continue
    const flags = new Set(['ENABLE_EXEC', 'ENABLE_SNAPSHOTS', 'ENABLE_DATA', 'ENABLE_KV'])
    given[originalNames[name] ?? name] = flags.has(name) ? isOn(value) : value
  }
  const read = schema.safeParse(given)
  if (read.success) return read.data
  const faults = read.error.issues.map(
    ({ path, message }) => `${['prominence', ...path].join('.')}: ${message}`,
  )
  throw new Error(`The configuration cannot be used: ${faults.join('; ')}`)
}

/** The original writes its switches as text: `True`, `False`. */
function isOn(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() === 'true' : value
}
