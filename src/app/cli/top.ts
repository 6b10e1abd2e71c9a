// `switchyard top`: pools and what runs in them, live on a terminal; once where there is none.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { type Client, type ClientOptions, makeClient, withClientOptions } from './client.ts'
import { printTable } from './data-dir-option.ts'
import { harmless, type Page, printJson, ranFor, type ShownJob, stateOf } from './shown.ts'

interface ShownPool {
  readonly name: string
  readonly slots: number | null
  readonly slotsUsed: number
  readonly ready: number
  readonly used: { readonly cpus?: number; readonly memoryBytes?: number }
}

export function add(program: Command): void {
  withClientOptions(
    program
      .command('top')
      .description('Watch the pools and what runs in them (q or Ctrl-C ends)')
      .option('--once', 'print once and end')
      .option('--json', 'once, for scripts'),
  ).action(top)
}

async function top(options: ClientOptions & { once?: boolean; json?: boolean }): Promise<void> {
  const client = await makeClient(options)
  if (options.json === true) return printJson(await look(client))
  if (options.once === true || !process.stdout.isTTY || !process.stdin.isTTY) return print(await look(client))
  let over = false
  const end = () => {
    over = true
  }
  process.once('SIGINT', end)
  process.stdin.setRawMode(true)
  process.stdin.on('data', key => {
    if (key.toString() === 'q' || key[0] === 3) end()
  })
  try {
    while (!over) {
      const seen = await look(client)
      process.stdout.write('\u001b[H\u001b[2J')
      print(seen)
      for (let turn = 0; turn < 10 && !over; turn++) await sleep(100)
    }
  } finally {
    process.stdin.setRawMode(false)
    process.stdin.unref()
  }
}

async function look(client: Client) {
  const [pools, live] = await Promise.all([
    client.json<Page<ShownPool>>('GET', '/yard/v1/pools'),
    client.json<Page<ShownJob>>(
      'GET',
      `/yard/v1/jobs?state=starting,running&limit=${Math.max(10, (process.stdout.rows ?? 40) - 12)}`,
    ),
  ])
  return { pools: pools.items, live: live.items }
}

function print({ pools, live }: Awaited<ReturnType<typeof look>>): void {
  const now = Date.now()
  printTable(
    ['POOL', 'LIVE', 'SLOTS', 'WAITING', 'CPUS', 'MEMORY'],
    pools.map(pool => [
      harmless(pool.name),
      String(pool.slotsUsed),
      pool.slots === null ? '∞' : String(pool.slots),
      String(pool.ready),
      String(pool.used.cpus ?? 0),
      `${Math.round((pool.used.memoryBytes ?? 0) / 2 ** 20)} MiB`,
    ]),
  )
  process.stdout.write('\n')
  printTable(
    ['N', 'DIALECT', 'KIND', 'NAME', 'OWNER', 'STATE', 'RAN'],
    live.map(job => [
      String(job.n),
      job.dialect,
      harmless(job.kind),
      harmless(job.name),
      harmless(job.owner),
      stateOf(job),
      ranFor(job, now),
    ]),
  )
}
