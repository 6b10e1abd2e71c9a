// `switchyard serve`: runs the server until it is told to stop.

import { type Command, Option } from 'commander'
import type { Settings } from '../settings/schema.ts'
import { CommandFailed, exitCodes } from './failure.ts'

interface ServeOptions {
  readonly data?: string
  readonly port?: string
  readonly host?: string
  readonly config?: string
  readonly memory?: boolean
  readonly auth: boolean
  readonly insecureHttp?: boolean
  readonly logLevel?: string
  readonly set: readonly string[]
  readonly orthancConfig?: string
  readonly jobs: boolean
  readonly printConfig?: boolean
  readonly checkConfig?: boolean
}

export function add(program: Command): void {
  program
    .command('serve')
    .description('Run the server; prints `ready http://HOST:PORT` when it answers')
    .option('--data <dir>', 'data directory, made when it is missing (or SWITCHYARD_DATA)')
    .option('--port <number>', 'port to listen on; 0 picks a free one')
    .option('--host <address>', 'address to listen on; loopback unless said')
    .addOption(new Option('--config <file>', 'settings, TOML or JSON').env('SWITCHYARD_CONFIG'))
    .option('--memory', 'keep jobs in memory only: all are forgotten when the server stops')
    .option('--no-auth', 'everybody may do everything; on a loopback address only')
    .option('--insecure-http', 'allow an address that others can reach without TLS')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent')
    .option('--set <name=value>', 'any setting, such as pools.default.slots=4', collect, [])
    .option('--orthanc-config <file>', "Orthanc's own JSON configuration, a file or a folder of them")
    .option('--no-jobs', 'the Orthanc dialect starts with an empty list of jobs; those of before are lost')
    .option('--print-config', 'print the settings that would be used, and end')
    .option('--check-config', 'check the settings, and end')
    .action(serve)
}

async function serve(options: ServeOptions): Promise<void> {
  const settings = await settingsOf(options)
  if (options.checkConfig === true) {
    process.stdout.write('The configuration is good.\n')
    return
  }
  if (options.printConfig === true) {
    process.stdout.write(`${JSON.stringify(settings, undefined, 2)}\n`)
    return
  }
  const dataPath = settings.data
  if (dataPath === undefined) {
    throw new CommandFailed(
      'Say where the data directory is: --data DIR, or SWITCHYARD_DATA',
      exitCodes.usage,
    )
  }
  await run(settings, dataPath, options)
}

async function run(settings: Settings, dataPath: string, options: ServeOptions): Promise<void> {
  const { startServer } = await import('../server.ts')
  const { makeAdapters } = await import('../adapters.ts')
  const { makeLog } = await import('../log.ts')
  const { systemClock } = await import('../clocks.ts')
  const { dialects } = await import('../../dialects/index.ts')
  const log = makeLog(settings.log.level)

  // Whatever was not foreseen: memory cannot be trusted any more, the store can. Stop, and start from there.
  const die = (error: unknown) => {
    log.fatal({ err: error }, 'stopping because of a bug')
    process.exit(70)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)

  const asked = Promise.withResolvers<string>()
  const starting = startServer({
    settings,
    dataPath,
    env: process.env,
    noAuth: !options.auth,
    log,
    clock: systemClock(),
    dialects,
    adapters: makeAdapters,
    stop: why => asked.resolve(why),
    tell: sentence => process.stderr.write(`${sentence}\n`),
  })
  const stopped = Promise.race([whenToldToStop(), asked.promise])
  const server = await Promise.race([starting, stopped.then(() => undefined)]).catch(error => {
    throw new CommandFailed(error instanceof Error ? error.message : String(error))
  })
  if (server === undefined) {
    // Nobody has been answered yet, and what is on the disk is as good as after a kill.
    log.info('stopped before it was ready')
    process.exit(exitCodes.ok)
  }
  process.on('SIGHUP', () => {
    server.host.reloadTls().then(
      () => log.info('TLS files read again'),
      error => log.error({ err: error }, 'the TLS files could not be used; the old ones stay'),
    )
  })
  process.stdout.write(`ready ${server.url}\n`)
  tidyMemoryWhenIdle()
  const signal = await stopped
  log.info({ signal }, 'stopping')
  await server.close()
  log.info('stopped')
  // Whatever a library left open must not keep a stopped server alive.
  process.exit(exitCodes.ok)
}

/**
 * Starting leaves a third of the heap behind as garbage, which an idle server would keep: nothing makes V8 collect where
 * nothing is allocated. So it is collected once, when nothing is going on: under load it would cost a tenth of the rate.
 * bin/switchyard gives us the collector by `--expose-gc`.
 */
function tidyMemoryWhenIdle(): void {
  let before = performance.eventLoopUtilization()
  const timer = setInterval(() => {
    const { utilization } = performance.eventLoopUtilization(before)
    before = performance.eventLoopUtilization()
    if (utilization > idleShare) return
    clearInterval(timer)
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  }, idleWindowMs)
  timer.unref()
}

const idleWindowMs = 1_000
const idleShare = 0.02

/** Resolves at the first SIGTERM or SIGINT; at the second one the process ends at once. */
function whenToldToStop(): Promise<string> {
  return new Promise(resolve => {
    let told = false
    const hear = (signal: string) => {
      if (told) process.exit(exitCodes.failed)
      told = true
      resolve(signal)
    }
    process.on('SIGTERM', hear)
    process.on('SIGINT', hear)
  })
}

async function settingsOf(options: ServeOptions): Promise<Settings> {
  const { readSettings, SettingsError } = await import('../settings/read-settings.ts')
  const flags: [string, unknown][] = [
    ['data', options.data],
    ['server.port', options.port],
    ['server.host', options.host],
    ['log.level', options.logLevel],
    ['store', options.memory === true ? 'memory' : undefined],
    ['server.insecureHttp', options.insecureHttp],
    ['dialects.orthanc.configuration', options.orthancConfig],
    ['dialects.orthanc.ForgetJobs', options.jobs ? undefined : true],
  ]
  for (const setting of options.set) {
    const equals = setting.indexOf('=')
    if (equals < 1) throw new CommandFailed(`--set ${setting}: write it as name=value`, exitCodes.usage)
    flags.push([setting.slice(0, equals), setting.slice(equals + 1)])
  }
  try {
    return await readSettings({
      ...(options.config !== undefined ? { file: options.config } : {}),
      env: process.env,
      flags,
    })
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    throw new CommandFailed(
      `the configuration cannot be used:\n  ${error.problems.join('\n  ')}`,
      exitCodes.usage,
    )
  }
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}
