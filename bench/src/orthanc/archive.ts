// Archives of 500 instances, small ones and slices of CT size, streamed and as jobs; and how the main thread fares.

import { readFileSync } from 'node:fs'
import { type RunningYard, startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, rateFigure, type Suite } from '../suite.ts'
import { OrthancClient } from './client.ts'
import { dicomFiles } from './files.ts'
import { openOrthanc } from './ingest.ts'
import { startRealServer } from './real-server.ts'

const count = 500
const rounds = 3
/** Small archives take milliseconds, so that there can be many; the first ones warm both servers up. */
const smallRounds = { warm: 3, measured: 9 }

export const archiveBench: Suite = {
  name: 'orthanc-archive',
  title: `Archives of ${count} instances, beside Orthanc (apt)`,
  run,
}

async function run(): Promise<Figure[]> {
  const real = await startRealServer({ JobsHistorySize: 100 })
  const yard = await startYard({ config: openOrthanc })
  const servers = { theirs: new OrthancClient(real.url), ours: new OrthancClient(yard.url) }
  const figures: Figure[] = []
  try {
    for (const [what, bytes, number] of [
      ['8 kB', 8192, 900],
      ['512 kB', 525_000, 901],
    ] as const) {
      const rates = {
        theirs: { streamed: [] as number[], job: [] as number[] },
        ours: { streamed: [] as number[], job: [] as number[] },
      }
      const firstBytes: number[] = []
      for (const name of ['theirs', 'ours'] as const) {
        await servers[name].upload(dicomFiles({ number, count, bytes, perSeries: 125 }), 4)
      }
      const { warm, measured } = bytes < 100_000 ? smallRounds : { warm: 0, measured: rounds }
      for (let round = -warm; round < measured; round++) {
        for (const name of ['theirs', 'ours'] as const) {
          const client = servers[name]
          const ids = await client.json<string[]>('POST', '/tools/find', {
            Level: 'Patient',
            Query: { PatientID: `BENCH-${number}-*` },
          })
          const streamed = await client.send('POST', '/tools/create-archive', ids)
          const seconds = await jobSeconds(client, ids)
          if (round < 0) continue
          rates[name].streamed.push((count / streamed.ms) * 1000)
          if (name === 'ours') firstBytes.push(streamed.firstByteMs)
          rates[name].job.push(count / seconds)
        }
      }
      for (const way of ['streamed', 'job'] as const) {
        figures.push(
          rateFigure(`${what}, ${way}`, {
            ours: quantile(rates.ours[way], 0.5),
            peer: quantile(rates.theirs[way], 0.5),
            peerName: 'Orthanc',
            unit: 'instances/s',
            atLeast: 2,
          }),
        )
      }
      figures.push(
        boundFigure(`${what}, first byte`, { value: quantile(firstBytes, 0.5), unit: 'ms', atMost: 100 }),
      )
    }
    return [...figures, ...(await manyInstances(yard, servers.ours))]
  } finally {
    for (const client of Object.values(servers)) client.close()
    await yard.stop()
    await real.stop()
  }
}

const many = 10_000

/** A large archive while the server is asked for other things: how it begins, and what it does to the main thread. */
async function manyInstances(yard: RunningYard, client: OrthancClient): Promise<Figure[]> {
  await client.upload(dicomFiles({ number: 902, count: many, bytes: 8192, perSeries: 100 }), 5)
  const ids = await client.json<string[]>('POST', '/tools/find', {
    Level: 'Patient',
    Query: { PatientID: 'BENCH-902-*' },
  })
  await client.send('POST', '/tools/create-archive', ids)
  const before = ownMemory(yard.pid)
  let highest = before
  const watch = setInterval(() => (highest = Math.max(highest, ownMemory(yard.pid))), 20)
  const firstBytes: number[] = []
  const rates: number[] = []
  await loopDelay(client)
  for (let round = 0; round < rounds; round++) {
    const answer = await client.send('POST', '/tools/create-archive', ids)
    firstBytes.push(answer.firstByteMs)
    rates.push((many / answer.ms) * 1000)
  }
  const delayMs = await loopDelay(client)
  clearInterval(watch)
  return [
    boundFigure(`${many} × 8 kB, first byte`, { value: quantile(firstBytes, 0.5), unit: 'ms', atMost: 100 }),
    boundFigure("delay of the server's loop meanwhile, p99", {
      value: delayMs,
      unit: 'ms',
      atMost: 50,
      beside: `${Math.round(quantile(rates, 0.5))} instances/s`,
    }),
    boundFigure('more memory of its own', { value: (highest - before) / 2 ** 20, unit: 'MiB', atMost: 64 }),
  ]
}

/** Resident memory without what is mapped from files: the database is, and its pages are the kernel's to take back. */
function ownMemory(pid: number): number {
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1]) * 1024
}

/** How late the server's loop was since this was asked before: the 99th percentile, in ms. */
async function loopDelay(client: OrthancClient): Promise<number> {
  const { body } = await client.send('GET', '/metrics')
  const found = /^switchyard_event_loop_delay_seconds\{quantile="0.99"\} (\S+)$/m.exec(body.toString())
  if (found === null) throw new Error('the metrics have no event loop delay')
  return Number(found[1]) * 1000
}

async function jobSeconds(client: OrthancClient, ids: readonly string[]): Promise<number> {
  const startedAt = performance.now()
  const { ID: id } = await client.json<{ ID: string }>('POST', '/tools/create-archive', {
    Resources: ids,
    Asynchronous: true,
  })
  for (;;) {
    const { State: state } = await client.json<{ State: string }>('GET', `/jobs/${id}`)
    if (state === 'Success') return (performance.now() - startedAt) / 1000
    if (state === 'Failure') throw new Error(`job ${id} failed`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
