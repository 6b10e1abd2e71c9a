// Every setting of the server, with its default and its sentence: docs/reference/config.md is made from this file.
// A dialect's own section is checked by the dialect, which knows what its original's options were called.

import { z } from 'zod'
import { roles } from '../../core/principal.ts'
import { defaultLimits } from '../../http/limits.ts'
import { duration, size } from './quantity.ts'

const count = z.number().int().positive()

const server = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on'),
  port: z.number().int().min(0).max(65_535).default(8080).describe('Port to listen on; 0 picks a free one'),
  publicUrl: z
    .url({ protocol: /^https?$/ })
    .transform(url => url.replace(/\/+$/, ''))
    .optional()
    .describe('Scheme, host and port under which clients reach the server, where a proxy stands before it'),
  hosts: z
    .array(z.string().min(1))
    .default([])
    .describe('Names that clients may use for the server besides its own address; others are refused'),
  origins: z
    .array(z.string().min(1))
    .default([])
    .describe('Origins of web pages that may change things here, such as "https://console.example"'),
  insecureHttp: z
    .boolean()
    .default(false)
    .describe('Allow an address that others can reach without TLS (a proxy before it has TLS)'),
  tls: z
    .strictObject({
      cert: z.string().min(1).describe('File with the certificate and its chain (PEM); read again on SIGHUP'),
      key: z.string().min(1).describe('File with the private key (PEM); read again on SIGHUP'),
    })
    .optional(),
  bodyLimit: size
    .prefault('16MiB')
    .describe('Longest body that is read into memory, where a dialect sets no bound of its own'),
  headerLimit: size.prefault('32KiB').describe('All headers of a request together'),
  connections: count.default(defaultLimits.connections).describe('Connections at the same time'),
  headersTimeout: duration.prefault('20s').describe('Until the headers of a request must be there'),
  requestTimeout: duration.prefault('10m').describe('Until a whole request, body included, must be there'),
  silenceTimeout: duration
    .prefault('1h')
    .describe('How long a connection may be silent in both directions while its request is answered'),
  keepAlive: duration.prefault('72s').describe('How long an idle connection is kept'),
  drain: duration.prefault('10s').describe('How long a stopping server waits for requests in progress'),
})

const user = z
  .strictObject({
    passwordHash: z.string().min(1).optional().describe('As `switchyard user hash` prints it'),
    passwordFile: z.string().min(1).optional().describe('File that holds the password'),
    role: z.enum(roles).default('submitter').describe('What the user may do'),
    groups: z.array(z.string()).default([]).describe('Groups the user belongs to'),
    email: z.string().optional().describe('For notices'),
  })
  .refine(value => (value.passwordHash === undefined) !== (value.passwordFile === undefined), {
    message: 'must have either passwordHash or passwordFile',
  })

const auth = z.strictObject({
  required: z
    .boolean()
    .default(false)
    .describe('Nobody may do anything without credentials, also on loopback (see docs/guides/secure.md)'),
  adminTokenFile: z
    .string()
    .min(1)
    .optional()
    .describe('File that holds the admin token (SWITCHYARD_ADMIN_TOKEN sets it too)'),
  users: z.record(z.string(), user).default({}).describe('Users with passwords, by name'),
  oidc: z
    .strictObject({
      issuer: z.url().describe('The issuer, exactly as in the tokens'),
      audience: z.string().min(1).describe('What the tokens are for: their `aud` must contain it'),
      jwksUrl: z.url().optional().describe("Where the issuer's keys are; discovered unless said"),
      userClaim: z
        .string()
        .min(1)
        .default('preferred_username')
        .describe("Claim with the user's name; `sub` if absent"),
      groupsClaim: z.string().min(1).default('groups').describe('Claim with the groups'),
      roles: z.record(z.string(), z.enum(roles)).default({}).describe('Role of the members of a group'),
      defaultRole: z.enum(roles).default('submitter').describe('Role of everybody else'),
    })
    .optional(),
})

const pool = z.strictObject({
  slots: count.optional().describe('Jobs at the same time; without limit unless said'),
  cpus: z.number().positive().optional().describe('Processors that its jobs share'),
  memory: size.optional().describe('Memory that its jobs share'),
  disk: size.optional().describe('Disk space that its jobs share'),
  fair: z
    .boolean()
    .optional()
    .describe(
      "Owners take turns; rank decides only among one owner's jobs; as the dialect says, else `false`",
    ),
})

const streamLimit = size.optional().describe('The largest output stream of one attempt; 1 GiB unless said')

const executors = z.strictObject({
  function: z
    .strictObject({
      threads: count
        .optional()
        .describe('Worker threads; as many as processors, and at least two, unless said'),
      heap: size.optional().describe('The largest heap of one thread; 1 GiB unless said'),
      grace: duration
        .optional()
        .describe('From the request to stop until a thread is ended; 10 s unless said'),
    })
    .prefault({}),
  process: z
    .strictObject({
      allow: z
        .boolean()
        .default(true)
        .describe("Whether jobs may be plain processes of the server's own user"),
      streamLimit,
    })
    .prefault({}),
  container: z
    .strictObject({
      drivers: z
        .array(z.enum(['rootfs', 'podman', 'docker']))
        .default(['rootfs', 'podman', 'docker'])
        .describe('What may run containers, the preferred first: our own over unpacked images, or an engine'),
      pull: z
        .enum(['missing', 'never'])
        .default('missing')
        .describe('Whether podman and docker may fetch images that they do not have'),
      fetchAllow: z
        .array(z.string().min(1))
        .default([])
        .describe('Private hosts, addresses or networks (CIDR) from which jobs may fetch their inputs'),
      volumes: z
        .record(z.string().min(1), z.string().startsWith('/'))
        .default({})
        .describe('Folders of this machine that jobs may mount, by the name that jobs use'),
      network: z
        .enum(['open', 'none'])
        .default('open')
        .describe(
          "Whether jobs reach the network; `open` over unpacked images is the machine's own, loopback included",
        ),
      streamLimit,
    })
    .prefault({}),
})

const retention = z.strictObject({
  jobs: duration
    .optional()
    .describe('How long ended jobs and flows, and all events, stay in history; for ever unless said'),
})

const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('What is logged'),
})

export const settingsSchema = z.strictObject({
  data: z.string().min(1).optional().describe('The data directory'),
  store: z
    .enum(['sqlite', 'memory'])
    .default('sqlite')
    .describe('Where jobs are kept; `memory` forgets all of them when the server stops'),
  server: server.prefault({}),
  auth: auth.prefault({}),
  pools: z
    .record(z.string().min(1), pool)
    .default({})
    .describe('What jobs compete for; the pool `default` has one slot for each processor unless said'),
  executors: executors.prefault({}),
  retention: retention.prefault({}),
  log: log.prefault({}),
  dialects: z
    .record(z.string(), z.record(z.string(), z.unknown()))
    .default({})
    .describe("Each dialect's own section; `enabled = false` leaves one out, `access` is `open` or `closed`"),
})

/** What may be written in a file. */
export type SettingsInput = z.input<typeof settingsSchema>
/** What the server works with: defaults filled in, sizes in bytes, durations in milliseconds. */
export type Settings = z.output<typeof settingsSchema>
