// A world for tests of the process executor: one on a folder of its own, and ways to watch what it does.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Outcome } from '../../../core/job.ts'
import type { Json } from '../../../core/json.ts'
import type { Report } from '../../executor.ts'
import type { ProcessExecutorOptions } from '../process-executor.ts'
import { makeExecutor } from './sample-executor.ts'

let yardCount = 0

/** An open process executor; `await using` ends what runs and removes the folder. */
export async function aProcessYard(options: Partial<ProcessExecutorOptions> = {}, folder = newFolder()) {
  const executor = makeExecutor(join(folder, 'spool'), options)
  const reports: Report[] = []
  const waiters = new Set<() => void>()
  await executor.open(some => {
    reports.push(...some)
    for (const waiter of waiters) waiter()
  })
  const prefix = `yard${process.pid}-${yardCount++}`
  const ids: string[] = []
  const first = <T extends Report['type']>(id: string, ...types: T[]) =>
    new Promise<Extract<Report, { type: T }>>(resolve => {
      const look = () => {
        const found = reports.find(report => report.id === id && (types as string[]).includes(report.type))
        if (!found) return
        waiters.delete(look)
        resolve(found as Extract<Report, { type: T }>)
      }
      waiters.add(look)
      look()
    })
  const ends = (id: string) => reports.filter(report => report.id === id && report.type === 'ended')
  return {
    executor,
    folder,
    ends,
    submit(spec: Json): string {
      const id = `${prefix}-${ids.length}.1`
      ids.push(id)
      executor.start([
        { id, job: id, dialect: 'test', kind: 'process', owner: '', spec, needs: null, runMsMax: null },
      ])
      return id
    },
    start(orders: [id: string, spec: Json][]): void {
      executor.start(
        orders.map(([id, spec]) => ({
          id,
          job: id,
          dialect: 'test',
          kind: 'process',
          owner: '',
          spec,
          needs: null,
          runMsMax: null,
        })),
      )
    },
    begin: (id: string) => first(id, 'began', 'ended'),
    end: async (id: string): Promise<Outcome> => (await first(id, 'ended')).outcome,
    text: async (id: string, stream = 'out') =>
      Buffer.from((await executor.read(id, stream, 0, 10_000_000))?.bytes ?? []).toString(),
    async [Symbol.asyncDispose]() {
      for (const id of ids) executor.stop(id, 'kill', 'kill')
      await Promise.all(ids.filter(id => ends(id).length === 0).map(id => first(id, 'ended')))
      await executor.close()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** A spec that runs a shell script. */
export function sh(script: string) {
  return { argv: ['sh', '-c', script] }
}

export function lines(text: string): string[] {
  return text.trimEnd().split('\n')
}

/** The process that keeps this attempt. */
export function keeperOf(folder: string, id: string): number {
  const table = readFileSync(join(folder, 'spool', 'attempts'), 'utf8')
  return Number(table.slice(table.indexOf(`S ${id} `)).split(' ')[2])
}

export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z'
  } catch {
    return false
  }
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'switchyard-process-'))
}
