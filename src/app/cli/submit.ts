// `switchyard submit FILE|-`: a job, a list of jobs, or a flow, as JSON.

import { readFile } from 'node:fs/promises'
import cliProgress from 'cli-progress'
import type { Command } from 'commander'
import { isObject } from '../../core/json.ts'
import { type Client, type ClientOptions, makeClient, textOf, withClientOptions } from './client.ts'
import { CommandFailed, exitCodes } from './failure.ts'
import {
  flowPath,
  harmless,
  jobPath,
  printJson,
  type ShownFlow,
  type ShownJob,
  stateOf,
  waitFor,
} from './shown.ts'

interface SubmitOptions extends ClientOptions {
  readonly wait?: boolean
  readonly json?: boolean
  readonly key?: string
}

export function add(program: Command): void {
  withClientOptions(
    program
      .command('submit')
      .description('Submit a job, a list of jobs, or a flow (an object with steps)')
      .argument('<file>', 'JSON file, or - for standard input')
      .option('--wait', 'wait for the end; the exit code says whether all succeeded')
      .option('--key <text>', 'Idempotency-Key: repeating the command submits nothing twice')
      .option('--json', 'for scripts'),
  ).action(submit)
}

async function submit(file: string, options: SubmitOptions): Promise<void> {
  const document = await readDocument(file)
  const client = await makeClient(options)
  const headers = options.key === undefined ? {} : { 'idempotency-key': options.key }
  if (isObject(document) && 'steps' in document) {
    const flow = await client.json<ShownFlow>('POST', '/yard/v1/flows', { body: document, headers })
    await finishFlow(client, flow, options)
  } else if (Array.isArray(document)) {
    const answer = await client.json<{ jobs: { id: string }[] }>('POST', '/yard/v1/jobs/batch', {
      body: { jobs: document },
      headers,
    })
    await finishJobs(
      client,
      answer.jobs.map(job => job.id),
      options,
    )
  } else {
    const job = await client.json<ShownJob>('POST', '/yard/v1/jobs', { body: document, headers })
    await finishJobs(client, [job.id], options)
  }
}

async function readDocument(file: string): Promise<unknown> {
  const text =
    file === '-'
      ? await textOf(process.stdin)
      : await readFile(file, 'utf8').catch(error => {
          throw new CommandFailed(`${file} cannot be read: ${error.code ?? error.message}`, exitCodes.usage)
        })
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CommandFailed(`${file} is not JSON: ${(error as Error).message}`, exitCodes.usage)
  }
}

async function finishJobs(client: Client, ids: readonly string[], options: SubmitOptions): Promise<void> {
  if (options.wait !== true) return printIds(ids, options)
  const bar = barOf(ids.length)
  const jobs: ShownJob[] = []
  try {
    for (const id of ids) {
      jobs.push(await waitFor<ShownJob>(client, jobPath(id)))
      bar.update(jobs.length)
    }
  } catch (error) {
    // The server went away: the jobs are there all the same, and are to be found again.
    printIds(ids, options)
    throw error
  } finally {
    bar.stop()
  }
  if (options.json === true) printJson(jobs)
  else for (const job of jobs) process.stdout.write(`${job.id}  ${stateOf(job)}${messageOf(job)}\n`)
  if (jobs.some(job => job.state !== 'succeeded')) throw new CommandFailed('not all of them succeeded')
}

function printIds(ids: readonly string[], options: SubmitOptions): void {
  if (options.json === true) printJson(ids.map(id => ({ id })))
  else process.stdout.write(`${ids.join('\n')}\n`)
}

/** What was said about the end of a job; of an exit code its state says all. */
function messageOf({ state, reason, message }: ShownJob): string {
  return state === 'succeeded' || reason === 'exit' || message === null ? '' : `: ${harmless(message)}`
}

async function finishFlow(client: Client, flow: ShownFlow, options: SubmitOptions): Promise<void> {
  let ended = flow
  if (options.wait === true) {
    const bar = barOf(flow.progress.total)
    ended = await waitFor<ShownFlow>(client, flowPath(flow.id), ({ progress }) =>
      bar.update(progress.done + progress.failed),
    )
      .catch(error => {
        printIds([flow.id], options)
        throw error
      })
      .finally(() => bar.stop())
  }
  if (options.json === true) printJson(ended)
  else process.stdout.write(options.wait === true ? `${ended.id}  ${ended.state}\n` : `${ended.id}\n`)
  if (options.wait === true && ended.state !== 'succeeded') throw new CommandFailed(`the flow ${ended.state}`)
}

/** A bar on a terminal, and silence elsewhere. */
export function barOf(total: number): { update(done: number): void; stop(): void } {
  if (!process.stderr.isTTY || total < 2) return { update: () => {}, stop: () => {} }
  const bar = new cliProgress.SingleBar(
    { format: '{bar} {value} of {total}', stream: process.stderr, hideCursor: true },
    cliProgress.Presets.shades_classic,
  )
  bar.start(total, 0)
  return bar
}
