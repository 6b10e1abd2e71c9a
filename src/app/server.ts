// One running server: data directory, credentials, store, executors, engine, dialects and the HTTP host, started in
// the order in which they need each other, and stopped in the opposite one.

import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Clock } from '../core/clock.ts'
import type { AttemptId } from '../core/ids.ts'
import { refuse } from '../core/refusal.ts'
import type { Talk, Talks } from '../core/talk.ts'
import type { Answerer, FunctionModule } from '../core/work.ts'
import type { Dialect, Kit, OpenDialect } from '../dialects/dialect.ts'
import type { Engine } from '../engine/engine.ts'
import { YardEngine } from '../engine/yard-engine.ts'
import type { Executor } from '../executors/executor.ts'
import { accessOf, local } from '../http/auth/access.ts'
import { administrator, Keyring } from '../http/auth/keyring.ts'
import { OidcIssuer } from '../http/auth/oidc.ts'
import { readSecret } from '../http/auth/secrets.ts'
import { pruneTokens, tokenPrefix } from '../http/auth/token-files.ts'
import { listUsers } from '../http/auth/user-files.ts'
import { hostGuard } from '../http/guard.ts'
import { type Host, makeHost } from '../http/host.ts'
import type { Store } from '../store/store.ts'
import { adminRoutes } from './admin.ts'
import { isWeakToken, makeAdminToken, readAdminToken } from './admin-token.ts'
import { systemRandom } from './clocks.ts'
import { configuredUsers } from './configured-users.ts'
import { type DataDir, makeDataDir } from './data-dir.ts'
import { decideExposure, type Exposure } from './exposure.ts'
import { addHealthRoutes } from './health.ts'
import { type Metrics, makeMetrics } from './metrics.ts'
import { removeServerFile, writeServerFile } from './server-file.ts'
import {
  dialectPools,
  limitsOf,
  namesOf,
  originsOf,
  poolsOf,
  sectionOf,
  withoutUndefined,
} from './settings/handed-on.ts'
import { SettingsError } from './settings/read-settings.ts'
import type { Settings } from './settings/schema.ts'
import { sweepBlobs } from './sweep-blobs.ts'
import { Undo } from './undo.ts'
import { version } from './version.ts'

export interface ServerParts {
  readonly settings: Settings
  readonly dataPath: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly noAuth: boolean
  readonly log: Logger
  readonly clock: Clock
  readonly dialects: readonly Dialect[]
  /** Makes the store, which has taken the data directory, and the executors, which the engine opens. */
  readonly adapters: (facts: AdapterFacts) => Promise<{ store: Store; executors: readonly Executor[] }>
  /** A client that may asks for the server's end; the server closes by itself when nobody else sees to it. */
  readonly stop?: (why: string) => void
  /** Sentences for the person who starts the server, on stderr. */
  readonly tell: (sentence: string) => void
}

export interface AdapterFacts {
  readonly settings: Settings
  readonly dir: DataDir
  readonly log: Logger
  readonly clock: Clock
  /** What the function executor can run, by kind. */
  readonly work: Readonly<Record<string, FunctionModule>>
  /** What the talk executor can run: dialects add to it as they open. */
  readonly talks: Talks
  /** Answers what functions ask. */
  readonly answer: (name: string, question: unknown, attempt: AttemptId) => Promise<unknown>
}

export interface Server {
  readonly url: string
  readonly host: Host
  readonly engine: Engine
  readonly dir: DataDir
  /** Finishes requests in progress, then closes everything. May be called again: it is the same closing. */
  close(): Promise<void>
}

/** Starts a server; resolves when it answers and takes jobs. Whatever fails, nothing is left behind running. */
export async function startServer(parts: ServerParts): Promise<Server> {
  const { settings, log } = parts
  const dialects = enabledDialects(settings, parts.dialects)
  const dir = await makeDataDir(parts.dataPath)
  const { exposure, adminToken } = await settleAccess(parts, dir, dialects)
  const closing = new Undo()
  try {
    const metrics = makeMetrics()
    closing.add(async () => metrics.close())
    const talks: Talks = new Map()
    const answerers = new Map<string, Answerer>()
    const adapters = await parts.adapters({
      settings,
      dir,
      log,
      clock: parts.clock,
      work: workOf(dialects),
      talks,
      answer: async (name, question, attempt) => {
        const answerer = answerers.get(name)
        if (!answerer) throw new Error(`nobody answers what ${name} asks`)
        return answerer(question, attempt)
      },
    })
    closing.add(() => adapters.store.close())
    const engine = makeEngine({ ...parts, dialects }, adapters, metrics)
    metrics.watch(engine)
    let isEngineStarted = false
    closing.add(async () => {
      if (isEngineStarted) await engine.close()
    })

    const runToken = tokenPrefix + randomBytes(32).toString('base64url')
    const jwtKey = await readSecret(dir.path, 'jwt')
    const keyring = new Keyring({
      dataDir: dir.path,
      clock: parts.clock,
      jwtKey,
      extraTokens: [runToken, ...(adminToken === undefined ? [] : [adminToken])].map(token => ({
        token,
        principal: administrator,
      })),
      users: await configuredUsers(settings),
      ...(settings.auth.oidc !== undefined
        ? { oidc: new OidcIssuer(withoutUndefined(settings.auth.oidc)) }
        : {}),
    })
    const accessFor = (name: string, rule: Dialect['access']) =>
      accessOf({
        keyring,
        jwtKey,
        rule,
        isOpen: exposure.isOpen(name),
        now: parts.clock.now,
        ...(parts.noAuth ? { everybody: local } : {}),
      })

    // Until the engine has recovered the port is taken, and everything says 503: dialects in their own shape.
    let state: 'starting' | 'ready' | 'stopping' = 'starting'
    const checkHost = hostGuard({
      bind: settings.server.host,
      hosts: [...settings.server.hosts, ...namesOf(settings.server.publicUrl)],
      origins: [...settings.server.origins, ...originsOf(settings.server.publicUrl)],
    })
    const host = await makeHost({
      log,
      limits: limitsOf(settings),
      ...(settings.server.tls !== undefined ? { tls: settings.server.tls } : {}),
      guard: request => {
        checkHost(request)
        if (state === 'starting' && request.routeOptions.config.dialect !== undefined) {
          refuse('unavailable', 'The server is still starting')
        }
      },
      ...straysTo(dialects),
      observe: facts => {
        metrics.answered(facts)
        if (log.isLevelEnabled('debug')) log.debug(facts, 'answered')
      },
    })
    addHealthRoutes(host.root, {
      registry: metrics.registry,
      access: accessFor('metrics', { anonymous: [] }),
      version,
      isMetricsOpen: exposure.isLoopback,
      isStarting: () => state === 'starting',
      notReady: () =>
        state !== 'ready' ? `the server is ${state}` : engine.up ? undefined : 'the store takes no writes',
    })

    host.mount(
      'admin',
      ['/yard/admin'],
      adminRoutes({
        access: accessFor('admin', { anonymous: [] }),
        store: adapters.store,
        dir,
        now: parts.clock.now,
      }),
    )

    let closed: Promise<void> | undefined
    const close = (): Promise<void> => {
      state = 'stopping'
      closed ??= removeServerFile(dir).then(() => closing.run())
      return closed
    }

    let url = ''
    const open: OpenDialect[] = []
    for (const dialect of dialects) {
      const kit = await makeKit(dialect, {
        parts,
        dir,
        engine,
        store: adapters.store,
        metrics,
        access: accessFor(dialect.name, dialect.access),
        url: () => url,
        stop: parts.stop ?? (() => void close()),
        talks,
        answerers,
      })
      const opened = await dialect.open(kit)
      open.push(opened)
      host.mount(dialect.name, opened.claims ?? dialect.claims, opened.routes)
      closing.add(async () => opened.close?.())
    }
    closing.add(() => host.close())

    const listening = await host.listen({ host: settings.server.host, port: settings.server.port })
    url = listening.url
    isEngineStarted = true
    await engine.start()
    for (const dialect of open) await dialect.ready?.()
    const certificate = settings.server.tls?.cert
    await writeServerFile(dir, {
      url,
      pid: process.pid,
      token: runToken,
      startedAt: parts.clock.now(),
      ...(certificate !== undefined ? { certificate: resolve(certificate) } : {}),
    })
    closing.add(sweepBlobs(adapters.store, log))
    state = 'ready'
    log.info({ url, dataDir: dir.path, dialects: dialects.map(dialect => dialect.name), version }, 'ready')

    return { url, host, engine, dir, close }
  } catch (error) {
    await closing.run().catch(failure => log.error({ err: failure }, 'closing after a failed start'))
    throw error
  }
}

function enabledDialects(settings: Settings, all: readonly Dialect[]): Dialect[] {
  const names = new Set(all.map(dialect => dialect.name))
  const unknown = Object.keys(settings.dialects).filter(name => !names.has(name))
  if (unknown.length > 0) {
    throw new SettingsError(
      unknown.map(name => `dialects.${name} is not a dialect; there are ${[...names].join(', ')}`),
    )
  }
  return all.filter(dialect => settings.dialects[dialect.name]?.['enabled'] !== false)
}

async function settleAccess(
  parts: ServerParts,
  dir: DataDir,
  dialects: readonly Dialect[],
): Promise<{ exposure: Exposure; adminToken: string | undefined }> {
  const adminToken = await readAdminToken(parts.settings, parts.env)
  const exposure = decideExposure(parts.settings, {
    dialects: dialects.map(dialect => dialect.name),
    hasAdminToken: adminToken !== undefined,
    hasUsers: (await listUsers(dir.path)).length > 0,
    noAuth: parts.noAuth,
  })
  if (adminToken !== undefined && isWeakToken(adminToken)) {
    if (!exposure.isLoopback)
      throw new Error('The admin token is too short for an address that others can reach')
    parts.tell('The admin token has fewer than 16 characters: it can be guessed.')
  }
  if (adminToken === undefined && !exposure.isAuthConfigured && !parts.noAuth) {
    const { file, isNew } = await makeAdminToken(dir.path)
    if (isNew) parts.tell(`The admin token is in ${file}`)
  }
  await pruneTokens(dir.path, parts.clock.now())
  return { exposure, adminToken }
}

function makeEngine(
  parts: ServerParts,
  adapters: { store: Store; executors: readonly Executor[] },
  metrics: Metrics,
): Engine {
  const { settings, log } = parts
  return new YardEngine({
    store: adapters.store,
    executors: adapters.executors,
    clock: parts.clock,
    random: systemRandom,
    pools: poolsOf(settings, dialectPools(settings, parts.dialects)),
    ...(settings.retention.jobs !== undefined ? { retainMs: settings.retention.jobs } : {}),
    defer: setImmediate,
    steady: () => performance.now(),
    observe: {
      ...metrics.engine,
      health: (state, why) => {
        if (state === 'up') log.info('the store takes writes')
        else log.error({ why }, 'the store failed; nothing is accepted until it works again')
      },
      trouble: error => log.warn({ err: error }, 'something in the background failed and is tried again'),
    },
  })
}

/** A server with one dialect beside our own is a stand-in for that original: paths unknown to both are answered its way. */
function straysTo(dialects: readonly Dialect[]): { strays?: string } {
  const [only, ...others] = dialects.filter(dialect => dialect.name !== 'native')
  return only === undefined || others.length > 0 ? {} : { strays: only.name }
}

interface KitParts {
  readonly parts: ServerParts
  readonly dir: DataDir
  readonly engine: Engine
  readonly store: Store
  readonly metrics: Metrics
  readonly access: Kit['access']
  readonly url: () => string
  readonly stop: (why: string) => void
  readonly talks: Talks
  readonly answerers: Map<string, Answerer>
}

async function makeKit(
  dialect: Dialect,
  { parts, dir, engine, store, metrics, access, url, stop, talks, answerers }: KitParts,
): Promise<Kit> {
  const folder = join(dir.dialects, dialect.name)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { publicUrl } = parts.settings.server
  return {
    engine,
    records: engine.records,
    blobs: store.blobs,
    clock: parts.clock,
    random: systemRandom,
    log: parts.log.child({ dialect: dialect.name }),
    metrics: metrics.registry,
    settings: sectionOf(parts.settings, dialect.name),
    access,
    dir: folder,
    publicUrl: (request?: FastifyRequest) =>
      publicUrl ?? (request?.host ? `${request.protocol}://${request.host}` : url()),
    secret: name => readSecret(dir.path, name),
    stop,
    draft: (kind, drafter) => engine.drafter(kind, drafter),
    prepare: (kind, preparer) => engine.preparer(dialect.name, kind, preparer),
    complete: (kind, completer) => engine.completer(dialect.name, kind, completer),
    explain: (kind, explainer) => engine.explainer(kind, explainer),
    forget: forgetter => engine.forgetter(dialect.name, forgetter),
    talk: (name, talk) => void talks.set(name, ownTalk(dialect.name, engine, talk)),
    answer: (kind, answerer) => void answerers.set(kind, answerer),
  }
}

/** A talk calls other machines on behalf of its dialect: another's jobs may not use it to call whom they like. */
function ownTalk(dialect: string, engine: Engine, talk: Talk): Talk {
  return async (input, tools) => {
    const job = await engine.job({ id: tools.job })
    if (job?.dialect !== dialect) throw new Error(`this talk is for jobs of the dialect ${dialect} alone`)
    return talk(input, tools)
  }
}

/** A function may ask its dialect for what only that may do, so it is for jobs of that dialect alone. */
function workOf(dialects: readonly Dialect[]): Record<string, FunctionModule> {
  return Object.fromEntries(
    dialects.flatMap(({ name: dialect, work }) =>
      Object.entries(work ?? {}).map(([name, module]) => [name, { ...module, dialect }]),
    ),
  )
}
