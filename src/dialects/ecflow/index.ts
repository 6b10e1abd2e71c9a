// The ecFlow dialect: suites in the definition language, over the REST API of ecflow_http. README.md says what is where.

import { mkdir } from 'node:fs/promises'
import type { Living } from '../../domains/suite/planner/living.ts'
import { followWall, tickMinute } from '../../domains/suite/planner/tick.ts'
import type { Dialect, Kit, OpenDialect } from '../dialect.ts'
import { commandPoolName, JobStarter, jobKind, poolName } from './jobs.ts'
import { Keeper } from './keeper.ts'
import { registerMetrics } from './metrics.ts'
import type { Parts } from './parts.ts'
import { Passwords } from './passwords.ts'
import { jobPath } from './programs.ts'
import { routesOf } from './routes.ts'
import { OpenFolders } from './script-files.ts'
import type { Counters } from './server-calls.ts'
import { readSettings, serverVariables } from './settings.ts'
import { makeSources } from './sources.ts'
import { startTicker } from './ticker.ts'
import { Tokens } from './tokens.ts'
import { Turns } from './turns.ts'
import { Watchers } from './watchers.ts'
import { whiteListFile } from './white-list.ts'
import { nodeKind, suiteExplainer } from './why.ts'

/** The dialect as app/ opens it. */
export const ecflow: Dialect = {
  name: 'ecflow',
  claims: ['/v1'],
  // Reads are open, as the original's are; a suite runs programs of its author's choice, so nothing else is.
  access: { anonymous: ['read'] },
  pools: () => ({ [poolName]: {}, [commandPoolName]: {} }),
  open,
}

async function open(kit: Kit): Promise<OpenDialect> {
  const { clock, log, engine } = kit
  const settings = readSettings(kit.settings, kit.dir)
  for (const sentence of settings.idle) log.info(sentence)
  if (settings.noSsl) log.warn('tokens and passwords are taken without TLS (no_ssl)')
  if (!engine.executors.has(settings.executor))
    log.warn(`dialects.ecflow.executor: there is no executor called ${settings.executor}: no task can run`)
  await mkdir(settings.home, { recursive: true })

  const folders = new OpenFolders(settings.roots)
  const path = jobPath(process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin')
  const starter = new JobStarter({
    engine,
    clock,
    keeper: () => keeper,
    folders,
    home: settings.home,
    executor: settings.executor,
    environment: () => ({
      SWITCHYARD_ECFLOW_URL: kit.publicUrl(),
      PATH: path,
    }),
    scriptMs: settings.scriptMs,
    log,
  })
  const keeper = new Keeper({
    engine,
    records: kit.records,
    clock,
    living: { password: () => makePassword(kit), serverVariables: serverVariables(settings) },
    firstState: settings.state,
    handOver: (tx, living, asks) => starter.handOver(tx, living, asks),
    resumed: () => starter.resume(),
  })
  const counters: Counters = {
    startedAt: clock.now(),
    requests: 0,
    errors: 0,
    reads: 0,
    byName: new Map(),
  }
  const countRequest = registerMetrics(kit.metrics, () => keeper)
  const server = { hosts: [settings.host, settings.machine, 'localhost'], port: settings.port }
  const parts: Parts = {
    settings,
    keeper,
    gate: {
      access: kit.access,
      tokens: new Tokens(settings.tokensFile, () => clock.now()),
      passwords: new Passwords(settings.customPasswdFile, server),
      whiteList: whiteListFile(settings.listsFile),
      noSsl: settings.noSsl,
      closedReads: settings.closedReads,
    },
    loginPasswords: new Passwords(settings.passwdFile, server),
    folders,
    printed: (node, command) => starter.printForReaders(node, command),
    edits: new Turns(1),
    clock,
    counters,
    count: name => {
      counters.byName.set(name, (counters.byName.get(name) ?? 0) + 1)
      countRequest(name)
    },
    localMinute: () => localMinute(clock.now()),
  }
  // With an interval below a minute each poll is one suite minute: that is how days are tried out in seconds.
  const poll = (living: Living) => {
    if (settings.interval < 60) tickMinute(living)
    else
      followWall(living, {
        utcMinute: Math.floor(clock.now() / 60_000),
        localOf: utcMinute => localMinute(utcMinute * 60_000),
      })
  }
  kit.prepare(jobKind, order => starter.prepare(order.spec))
  kit.explain(nodeKind, suiteExplainer(parts, engine))
  const watchers = new Watchers({ clock, keeper, sources: makeSources(folders), log })
  let stopTicker = () => {}
  return {
    routes: routesOf(parts, log),
    async ready() {
      await keeper.load()
      // What was left to do when the server stopped is done now.
      await keeper.change(() => {})
      watchers.start()
      stopTicker = startTicker({
        clock,
        intervalMs: settings.interval * 1000,
        tick: () =>
          keeper.change(poll).catch(error => log.warn({ err: error }, 'a minute of suite time was lost')),
      })
    },
    async close() {
      stopTicker()
      watchers.close()
      starter.close()
    },
  }
}

const passwordLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** Eight random characters, new for each submission. */
function makePassword(kit: Kit): string {
  const bytes = new Uint8Array(8)
  let password = ''
  while (password.length < 8) {
    kit.random(bytes)
    // Bytes beyond the last whole round of the letters would make some letters likelier than others.
    for (const byte of bytes) {
      if (byte < 248 && password.length < 8) password += passwordLetters[byte % passwordLetters.length]
    }
  }
  return password
}

/** The machine's local time in minutes since 1970. */
function localMinute(ms: number): number {
  return Math.floor((ms - new Date(ms).getTimezoneOffset() * 60_000) / 60_000)
}
