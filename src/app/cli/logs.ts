// `switchyard logs [-f] ID`: what a job prints, from the beginning, and on while it runs.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { type Answer, type Client, type ClientOptions, makeClient, withClientOptions } from './client.ts'
import { CommandFailed, exitCodes } from './failure.ts'
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
  const only = options.attempt === undefined ? undefined : readAttempt(options.attempt)
  let attempt = only
  let offset = 0
  for (;;) {
    // The state is read first: when it has ended, what is read afterwards is all there is.
    const job = await client.json<ShownJob>('GET', jobPath(id))
    const hasEnded = ['succeeded', 'failed', 'cancelled'].includes(job.state)
    const isFollowed = options.follow === true
    attempt ??= job.attempts === 0 ? undefined : isFollowed && !hasEnded ? 1 : job.attempts
    if (attempt !== undefined && (attempt <= job.attempts || !isFollowed)) {
      const answer = await client.ask(
        'GET',
        `${jobPath(id)}/logs/${stream}?offset=${offset}&attempt=${attempt}`,
      )
      offset += await printed(client, answer, { mayBeAbsent: isFollowed && !hasEnded })
    }
    if (!isFollowed) return
    if (attempt !== undefined && attempt < job.attempts) {
      // That attempt is over, and what was read afterwards is all of it.
      if (only !== undefined) return
      attempt++
      offset = 0
      continue
    }
    if (hasEnded) return
    await sleep(followMs)
  }
}

function readAttempt(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new CommandFailed(`--attempt ${text}: it is a number`, exitCodes.usage)
  return Number(text)
}

/** Prints what came and says how much it was. An attempt that is only just starting may have no stream yet. */
async function printed(
  client: Client,
  answer: Answer,
  { mayBeAbsent }: { mayBeAbsent: boolean },
): Promise<number> {
  if (mayBeAbsent && answer.status === 404) {
    answer.body.resume()
    return 0
  }
  let bytes = 0
  for await (const chunk of (await client.good(answer)).body) {
    bytes += (chunk as Buffer).length
    if (!process.stdout.write(chunk as Buffer))
      await new Promise(resolve => process.stdout.once('drain', resolve))
  }
  return bytes
}
