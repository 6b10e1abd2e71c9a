// Archives of 500 instances, small ones and slices of CT size, streamed and as jobs; and how the main thread fares.

import { startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, rateFigure, type Suite } from '../suite.ts'
import { OrthancClient } from './client.ts'
import { dicomFiles } from './files.ts'
import { openOrthanc } from './ingest.ts'
import { startRealServer } from './real-server.ts'

const count = 500
const rounds = 3

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
      for (let round = 0; round < rounds; round++) {
        for (const name of ['theirs', 'ours'] as const) {
          const client = servers[name]
          const ids = await client.json<string[]>('POST', '/tools/find', {
            Level: 'Patient',
            Query: { PatientID: `BENCH-${number}-*` },
          })
          const streamed = await client.send('POST', '/tools/create-archive', ids)
          rates[name].streamed.push((count / streamed.ms) * 1000)
          if (name === 'ours') firstBytes.push(streamed.firstByteMs)
          rates[name].job.push(count / (await jobSeconds(client, ids)))
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
    return figures
  } finally {
    for (const client of Object.values(servers)) client.close()
    await yard.stop()
    await real.stop()
  }
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
