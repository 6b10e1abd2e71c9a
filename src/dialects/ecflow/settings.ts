// The dialect's settings, under the names that the original's options have. What has no meaning here is accepted,
// and said so once.

import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import type { Json } from '../../core/json.ts'

const port = z.union([z.string(), z.number()]).transform(value => String(value))

/** The section as it is written; docs/reference/ecflow-settings.md explains it. */
export const ecflowSettings = z.strictObject({
  /** Root of scripts, jobs and outputs; a folder of its own in the data directory unless given. */
  home: z.string().min(1).optional(),
  /** Seconds between polls; below 60 each poll is one minute of suite time. */
  interval: z.coerce.number().int().min(1).max(60).default(60),
  ecflow_host: z.string().min(1).default('localhost'),
  ecflow_port: port.default('3141'),
  tokens_file: z.string().min(1).optional(),
  lists_file: z.string().min(1).optional(),
  passwd_file: z.string().min(1).optional(),
  custom_passwd_file: z.string().min(1).optional(),
  /** Changes by people need TLS unless this is set, or they come from this machine. */
  no_ssl: z.boolean().default(false),
  /** Whether reading needs credentials too; the original lets everybody read. */
  closed_reads: z.boolean().default(false),
  /** Whether to start running, shut down or halted; what the server was before wins. */
  state: z.enum(['RUNNING', 'SHUTDOWN', 'HALTED']).default('RUNNING'),
  /** Folders, besides ECF_HOME, in which scripts, includes and outputs may be read; `/` opens everything. */
  roots: z.array(z.string().min(1)).default([]),
  /** What runs jobs. */
  executor: z.string().min(1).default('process'),
  /** Longest time that a blocked or waiting child command is kept open. */
  block_seconds: z.number().min(0).max(600).default(60),
  /** Longest time that a command which prints a script (ECF_FETCH, ECF_SCRIPT_CMD) may take. */
  script_seconds: z.number().min(1).max(3600).default(60),
  polling_interval: z.coerce.number().optional(),
  max_polling_interval: z.coerce.number().optional(),
  cert_directory: z.string().optional(),
  verbose: z.boolean().optional(),
  http: z.boolean().optional(),
})

/** What is accepted because the original has it, and why it does nothing here. */
export const idleSettings = [
  { name: 'polling_interval', why: 'there is no second server to poll' },
  { name: 'max_polling_interval', why: 'there is no second server to poll' },
  { name: 'cert_directory', why: 'server.tls names the certificate and its key' },
  { name: 'verbose', why: 'log.level says how much is logged' },
  { name: 'http', why: 'log.level says how much is logged' },
] as const

export interface Settings {
  readonly home: string
  readonly interval: number
  readonly host: string
  readonly port: string
  readonly machine: string
  readonly tokensFile: string
  readonly listsFile: string
  readonly passwdFile: string
  readonly customPasswdFile: string
  readonly noSsl: boolean
  readonly closedReads: boolean
  readonly state: 'RUNNING' | 'SHUTDOWN' | 'HALTED'
  readonly roots: readonly string[]
  readonly executor: string
  readonly blockMs: number
  readonly scriptMs: number
  /** Sentences about settings that are accepted and do nothing. */
  readonly idle: readonly string[]
}

/** Reads the dialect's section of the configuration; throws with every mistake named. */
export function readSettings(section: Json, dir: string): Settings {
  const read = ecflowSettings.safeParse(section ?? {})
  if (!read.success) {
    const problems = read.error.issues.map(
      issue => `dialects.ecflow.${issue.path.join('.')}: ${issue.message}`,
    )
    throw new Error(problems.join('\n'))
  }
  const given = read.data
  const home = resolve(given.home ?? join(dir, 'home'))
  const machine = hostname()
  const base = `${machine}.${given.ecflow_port}.ecf`
  const file = (name: string | undefined, usual: string) => resolve(home, name ?? usual)
  const idle = idleSettings.filter(({ name }) => given[name] !== undefined)
  return {
    home,
    interval: given.interval,
    host: given.ecflow_host,
    port: given.ecflow_port,
    machine,
    tokensFile: file(given.tokens_file, 'api-tokens.json'),
    listsFile: file(given.lists_file, `${base}.lists`),
    passwdFile: file(given.passwd_file, `${base}.passwd`),
    customPasswdFile: file(given.custom_passwd_file, `${base}.custom_passwd`),
    noSsl: given.no_ssl,
    closedReads: given.closed_reads,
    state: given.state,
    roots: [home, ...given.roots.map(root => resolve(root))],
    executor: given.executor,
    blockMs: given.block_seconds * 1000,
    scriptMs: given.script_seconds * 1000,
    idle: idle.map(({ name, why }) => `dialects.ecflow.${name} has no effect: ${why}`),
  }
}

/** The server's own variables, in the order in which clients see them. */
export function serverVariables(settings: Settings): { name: string; value: string }[] {
  const { home, machine, port: number } = settings
  const base = `${machine}.${number}.ecf`
  const pairs: [string, string][] = [
    ['ECF_MICRO', '%'],
    ['ECF_HOME', home],
    ['ECF_JOB_CMD', '%ECF_JOB% 1> %ECF_JOBOUT% 2>&1'],
    ['ECF_KILL_CMD', 'kill -15 %ECF_RID%'],
    ['ECF_STATUS_CMD', 'ps --pid %ECF_RID% -f > %ECF_JOB%.stat 2>&1'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's own substitution
    ['ECF_URL_CMD', '${BROWSER:=firefox} -new-tab %ECF_URL_BASE%/%ECF_URL%'],
    ['ECF_URL_BASE', 'https://confluence.ecmwf.int'],
    ['ECF_URL', 'display/ECFLOW/ecflow+home'],
    ['ECF_LOG', `${home}/${base}.log`],
    ['ECF_INTERVAL', String(settings.interval)],
    ['ECF_LISTS', `${base}.lists`],
    ['ECF_PASSWD', `${base}.passwd`],
    ['ECF_CUSTOM_PASSWD', `${base}.custom_passwd`],
    ['ECF_CHECK', `${home}/${base}.check`],
    ['ECF_CHECKOLD', `${home}/${base}.check.b`],
    ['ECF_CHECKINTERVAL', '120'],
    ['ECF_CHECKMODE', 'CHECK_ON_TIME'],
    ['ECF_TRIES', '2'],
    ['ECF_VERSION', '5.17.0'],
    ['ECF_PORT', number],
    ['ECF_HOST', settings.host],
    ['ECF_CHECK_CMD', 'ps --pid %ECF_RID% -f'],
    ['ECF_PID', String(process.pid)],
  ]
  return pairs.map(([name, value]) => ({ name, value }))
}
