// `switchyard ls` and `switchyard show`: what there is, and one thing whole.

import type { Command } from 'commander'
import { type Client, type ClientOptions, makeClient, withClientOptions } from './client.ts'
import { printTable } from './data-dir-option.ts'
import { CommandFailed, exitCodes } from './failure.ts'
import {
  flowPath,
  harmless,
  jobPath,
  listAll,
  type Page,
  printJson,
  ranFor,
  type ShownFlow,
  type ShownJob,
  stateOf,
  timeOf,
} from './shown.ts'

interface ListOptions extends ClientOptions {
  readonly state?: string
  readonly dialect?: string
  readonly owner?: string
  readonly name?: string
  readonly label?: readonly string[]
  readonly limit: string
  readonly flows?: boolean
  readonly json?: boolean
}

export function add(program: Command): void {
  withClientOptions(
    program
      .command('ls')
      .description('List jobs of all dialects, newest first')
      .option('--flows', 'flows instead of jobs')
      .option('--state <states>', 'only these, joined by commas')
      .option('--dialect <name>', 'only of this dialect')
      .option('--owner <name>', 'only of this owner')
      .option('--name <name>', 'only with this name')
      .option('--label <key=value...>', 'only with these labels')
      .option('-n, --limit <count>', 'how many', '20')
      .option('--json', 'for scripts'),
  ).action(list)
  withClientOptions(
    program
      .command('show')
      .description('Show a job, by id, place or dialect:ref (with --flow: a flow and its nodes)')
      .argument('<id>')
      .option('--flow', 'it is a flow')
      .option('--json', 'for scripts'),
  ).action(show)
}

async function list(options: ListOptions): Promise<void> {
  const client = await makeClient(options)
  const query = new URLSearchParams()
  const enough = readLimit(options.limit)
  for (const name of ['state', 'dialect', 'owner', 'name'] as const) {
    const value = options[name]
    if (value !== undefined) query.set(name, value)
  }
  for (const label of options.label ?? []) query.append('label', label)
  const now = Date.now()
  if (options.flows === true) {
    const flows = await listAll<ShownFlow>(client, '/yard/v1/flows', query, enough)
    if (options.json === true) return printJson(flows)
    return printTable(
      ['N', 'ID', 'DIALECT', 'NAME', 'STATE', 'DONE', 'STARTED', 'RAN'],
      flows.map(flow => [
        String(flow.n),
        flow.id,
        flow.dialect,
        harmless(flow.name),
        flow.state,
        `${flow.progress.done}/${flow.progress.total}`,
        timeOf(flow.startedAt, now),
        ranFor(flow, now),
      ]),
    )
  }
  const jobs = await listAll<ShownJob>(client, '/yard/v1/jobs', query, enough)
  if (options.json === true) return printJson(jobs)
  printTable(
    ['N', 'ID', 'DIALECT', 'REF', 'KIND', 'NAME', 'STATE', 'STARTED', 'RAN'],
    jobs.map(job => [
      String(job.n),
      job.id,
      job.dialect,
      harmless(job.ref ?? '-'),
      harmless(job.kind),
      harmless(job.name),
      stateOf(job),
      timeOf(job.startedAt, now),
      ranFor(job, now),
    ]),
  )
}

function readLimit(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new CommandFailed(`--limit ${text}: it is a number from 1`, exitCodes.usage)
  return Number(text)
}

async function show(id: string, options: ClientOptions & { flow?: boolean; json?: boolean }): Promise<void> {
  const client = await makeClient(options)
  if (options.flow === true) return showFlow(client, id, options.json === true)
  const job = await client.json<Record<string, unknown>>('GET', jobPath(id))
  if (options.json === true) return printJson(job)
  const attempts = await client.json<Page<ShownAttempt>>('GET', `${jobPath(id)}/attempts`)
  const outputs = await client.json<Page<Record<string, unknown>>>('GET', `${jobPath(id)}/outputs`)
  printFacts({ ...job, outputs: outputs.items })
  if (attempts.items.length > 0) printAttempts(attempts.items)
}

interface ShownAttempt {
  readonly number: number
  readonly result: string
  readonly reason: string | null
  readonly exitCode: number | null
  readonly startedAt: number | null
  readonly endedAt: number
  readonly message: string | null
}

function printAttempts(attempts: readonly ShownAttempt[]): void {
  const now = Date.now()
  process.stdout.write('\n')
  printTable(
    ['ATTEMPT', 'RESULT', 'EXIT', 'STARTED', 'RAN', 'MESSAGE'],
    attempts.map(attempt => [
      String(attempt.number),
      attempt.reason === null ? attempt.result : `${attempt.result} (${attempt.reason})`,
      attempt.exitCode === null ? '-' : String(attempt.exitCode),
      timeOf(attempt.startedAt, now),
      ranFor(attempt, now),
      harmless(attempt.message ?? '-'),
    ]),
  )
}

async function showFlow(client: Client, id: string, asJson: boolean): Promise<void> {
  const flow = await client.json<Record<string, unknown>>('GET', flowPath(id))
  const nodes = await listAll<{ key: string; state: string; job: number | null; runs: number }>(
    client,
    `${flowPath(id)}/nodes`,
    new URLSearchParams(),
  )
  if (asJson) return printJson({ ...flow, nodes })
  printFacts(flow)
  process.stdout.write('\n')
  printTable(
    ['NODE', 'STATE', 'JOB', 'RUNS'],
    nodes.map(node => [
      harmless(node.key),
      node.state,
      node.job === null ? '-' : String(node.job),
      String(node.runs),
    ]),
  )
}

/** One line a fact; instants are read by people here. */
function printFacts(facts: Record<string, unknown>): void {
  const rows = Object.entries(facts)
    .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => [name, shown(name, value)])
  printTable(['FACT', 'VALUE'], rows)
}

function shown(name: string, value: unknown): string {
  if (typeof value === 'number' && name.endsWith('At')) return new Date(value).toISOString()
  return harmless(typeof value === 'string' ? value : JSON.stringify(value))
}
