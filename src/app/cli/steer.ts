// `switchyard cancel`, `retry` and `why`: steering what runs, and finding out why something does not.

import type { Command } from 'commander'
import { type Client, type ClientOptions, makeClient, withClientOptions } from './client.ts'
import { CommandFailed } from './failure.ts'
import { flowPath, harmless, jobPath, printJson, type ShownJob, stateOf } from './shown.ts'

interface SteerOptions extends ClientOptions {
  readonly json?: boolean
  readonly flow?: boolean
  readonly kill?: boolean
}

interface HeldBy {
  readonly text: string
  readonly sinceAt?: number
  readonly untilAt?: number
}

interface Why {
  readonly waiting: boolean
  readonly text: string
  readonly sinceAt?: number
  readonly place?: number
  readonly upstream?: readonly { readonly node: string; readonly state: string }[]
  readonly holders?: readonly HeldBy[]
}

export function add(program: Command): void {
  withClientOptions(
    program
      .command('cancel')
      .description('Cancel jobs (with --flow: flows)')
      .argument('<id...>')
      .option('--flow', 'they are flows')
      .option('--kill', 'end running jobs at once instead of asking them to stop')
      .option('--json', 'for scripts'),
  ).action((ids: string[], options: SteerOptions) =>
    each(ids, options, (client, id) =>
      options.flow === true
        ? client.json('POST', `${flowPath(id)}/cancel`)
        : client.json('POST', `${jobPath(id)}/cancel`, { body: options.kill === true ? { kill: true } : {} }),
    ),
  )
  withClientOptions(
    program
      .command('retry')
      .description(
        'Put failed or cancelled jobs back into their queue (with --flow: run the failed part again)',
      )
      .argument('<id...>')
      .option('--flow', 'they are flows')
      .option('--json', 'for scripts'),
  ).action((ids: string[], options: SteerOptions) =>
    each(ids, options, (client, id) =>
      client.json('POST', options.flow === true ? `${flowPath(id)}/rerun` : `${jobPath(id)}/retry`),
    ),
  )
  withClientOptions(
    program
      .command('why')
      .description(
        'Say why a job, or a node of a suite, does not run: what it waits for, since when, its place in the queue',
      )
      .argument(
        '<id>',
        'a job, a flow when a node is named, or the path of a node of a suite (/suite/family/task)',
      )
      .argument('[node]', 'a node of the flow, by its key, such as work/3')
      .option('--json', 'for scripts'),
  ).action(why)
}

/** Does the same to each; the first that fails is told after all have been tried. */
async function each(
  ids: readonly string[],
  options: SteerOptions,
  act: (client: Client, id: string) => Promise<unknown>,
): Promise<void> {
  const client = await makeClient(options)
  const answers: unknown[] = []
  const failures: CommandFailed[] = []
  for (const id of ids) {
    try {
      const answer = await act(client, id)
      answers.push(answer)
      if (options.json !== true)
        process.stdout.write(
          `${id}  ${options.flow === true ? (answer as { state: string }).state : stateOf(answer as ShownJob)}\n`,
        )
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error
      failures.push(error)
      process.stderr.write(`switchyard: ${id}: ${error.message}\n`)
    }
  }
  if (options.json === true) printJson(answers)
  const first = failures[0]
  if (first !== undefined)
    throw new CommandFailed(`${failures.length} of ${ids.length} refused`, first.exitCode)
}

async function why(id: string, node: string | undefined, options: SteerOptions): Promise<void> {
  const client = await makeClient(options)
  const reason = await client.json<Why>('GET', `${whyPath(id, node)}/why`)
  if (options.json === true) return printJson(reason)
  const { holders = [] } = reason
  if (holders.length > 0) return holders.forEach(printHolder)
  process.stdout.write(`${harmless(reason.text)}\n`)
  if (reason.sinceAt !== undefined) process.stdout.write(`since ${new Date(reason.sinceAt).toISOString()}\n`)
  if (reason.place !== undefined) process.stdout.write(`place ${reason.place} in its pool's queue\n`)
  for (const upstream of reason.upstream ?? [])
    process.stdout.write(`  ${harmless(upstream.node)}: ${upstream.state}\n`)
}

/** What begins with a slash is the path of a suite's node: ids never do. */
function whyPath(id: string, node: string | undefined): string {
  const encode = (path: string) => path.split('/').map(encodeURIComponent).join('/')
  if (node !== undefined) return `${flowPath(id)}/nodes/${encode(node)}`
  return id.startsWith('/') ? `/yard/v1/nodes/suite/${encode(id.replace(/^\/+|\/+$/g, ''))}` : jobPath(id)
}

/** One thing that holds a node, with its times. */
function printHolder({ text, sinceAt, untilAt }: HeldBy): void {
  process.stdout.write(`${harmless(text)}\n`)
  if (sinceAt !== undefined) process.stdout.write(`  since ${new Date(sinceAt).toISOString()}\n`)
  if (untilAt !== undefined) process.stdout.write(`  until ${new Date(untilAt).toISOString()}\n`)
}
