// `switchyard ncdjango cleanup`: what the original's management command did, asked of a running server.

import type { Command } from 'commander'
import { type ClientOptions, makeClient, withClientOptions } from './client.ts'
import { CommandFailed, exitCodes } from './failure.ts'
import { printJson } from './shown.ts'

interface CleanupOptions extends ClientOptions {
  readonly maxAge?: string
  readonly json?: boolean
}

export function add(program: Command): void {
  const ncdjango = program.command('ncdjango').description('Map services of the ncdjango dialect')
  withClientOptions(
    ncdjango
      .command('cleanup')
      .description('Delete temporary map services that are too old, and their files')
      .option('--max-age <seconds>', 'older ones go, 0 for all; as configured unless said')
      .option('--json', 'for scripts'),
  ).action(cleanUp)
}

async function cleanUp(options: CleanupOptions): Promise<void> {
  const { maxAge } = options
  if (maxAge !== undefined && !/^\d+(\.\d+)?$/.test(maxAge))
    throw new CommandFailed(`--max-age ${maxAge}: it is a number of seconds`, exitCodes.usage)
  const client = await makeClient(options)
  const query = maxAge === undefined ? '' : `?max-age=${maxAge}`
  const answer = await client.json<{ removed: number }>('POST', `/geoprocessing/rest/cleanup${query}`)
  if (options.json === true) printJson(answer)
  else process.stdout.write(`Removed ${answer.removed} ${answer.removed === 1 ? 'service' : 'services'}.\n`)
}
