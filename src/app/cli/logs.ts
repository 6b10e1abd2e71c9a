// `switchyard logs [-f] ID`: what a job prints, from the beginning, and on while it runs.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { type ClientOptions, makeClient, withClientOptions } from './client.ts'
import { jobPath, type ShownJob } from './shown.ts'

interface LogOptions extends ClientOptions {
  readonly follow?: boolean
  readonly err?: boolean
  readonly attempt?: string
}

/** How often a log that is followed is looked at. */
const followMs = 300

export function add(program: Command): void {
  withClientOptions(
    program
      .command('logs')
      .description('Print what a job wrote to standard output')
      .argument('<id>')
      .option('-f, --follow', 'go on while it runs')
      .option('--err', 'standard error instead')
      .option('--attempt <number>', 'an earlier attempt'),
  ).action(logs)
}

async function logs(id: string, options: LogOptions): Promise<void> {
  const client = await makeClient(options)
  const stream = options.err === true ? 'err' : 'out'
  const attempt = options.attempt === undefined ? '' : `&attempt=${options.attempt}`
  let offset = 0
  for (;;) {
    // The state is read first: when it has ended, what is read afterwards is all there is.
    const job = await client.json<ShownJob>('GET', jobPath(id))
    const hasEnded = ['succeeded', 'failed', 'cancelled'].includes(job.state)
    if (job.attempts > 0) {
      const answer = await client.stream('GET', `${jobPath(id)}/logs/${stream}?offset=${offset}${attempt}`)
      for await (const chunk of answer.body) {
        offset += (chunk as Buffer).length
        if (!process.stdout.write(chunk as Buffer))
          await new Promise(resolve => process.stdout.once('drain', resolve))
      }
    }
    if (options.follow !== true || hasEnded) return
    await sleep(followMs)
  }
}
