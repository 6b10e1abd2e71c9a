// One study of 500 instances anonymized by one job, small instances and slices of CT size; both servers in turns. Each
// round's results are deleted before the next, so that both work on the same archive every time.

import { startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, rateFigure, type Suite } from '../suite.ts'
import { OrthancClient } from './client.ts'
import { dicomFiles } from './files.ts'
import { openOrthanc } from './ingest.ts'
import { startRealServer } from './real-server.ts'

const count = 500
const rounds = 3

export const anonymizeBench: Suite = {
  name: 'orthanc-anonymize',
  title: `Anonymizing a study of ${count} instances, beside Orthanc (apt)`,
  run,
}

async function run(): Promise<Figure[]> {
  const real = await startRealServer({ JobsHistorySize: 100 })
  const yard = await startYard({ config: openOrthanc })
  const servers = { theirs: new OrthancClient(real.url), ours: new OrthancClient(yard.url) }
  const figures: Figure[] = []
  try {
    for (const [what, bytes, number] of [
      ['8 kB', 8192, 910],
      ['512 kB', 525_000, 911],
    ] as const) {
      const rates = { theirs: [] as number[], ours: [] as number[] }
      const lags: number[] = []
      for (const name of ['theirs', 'ours'] as const) {
        await servers[name].upload(dicomFiles({ number, count, bytes, perSeries: count / 2 }), 4)
      }
      for (let round = 0; round < rounds; round++) {
        for (const name of ['theirs', 'ours'] as const) {
          const client = servers[name]
          const [study] = await client.json<string[]>('POST', '/tools/find', {
            Level: 'Study',
            Query: { PatientID: `BENCH-${number}-*` },
          })
          const watch = name === 'ours' ? watchLag(client) : undefined
          const { rate, made } = await anonymize(client, study!)
          rates[name].push(rate)
          if (watch) lags.push(await watch.stop())
          await client.send('DELETE', made)
        }
      }
      figures.push(
        rateFigure(what, {
          ours: quantile(rates.ours, 0.5),
          peer: quantile(rates.theirs, 0.5),
          peerName: 'Orthanc',
          unit: 'instances/s',
          atLeast: 1,
        }),
        boundFigure(`${what}, GET /system meanwhile, p99`, {
          value: quantile(lags, 0.5),
          unit: 'ms',
          atMost: 100,
        }),
      )
    }
    return figures
  } finally {
    for (const client of Object.values(servers)) client.close()
    await yard.stop()
    await real.stop()
  }
}

/** How fast a study is anonymized, and where the result is. */
async function anonymize(client: OrthancClient, study: string): Promise<{ rate: number; made: string }> {
  const startedAt = performance.now()
  const { ID: id } = await client.json<{ ID: string }>('POST', `/studies/${study}/anonymize`, {
    Asynchronous: true,
  })
  for (;;) {
    const job = await client.json<{ State: string; Content: { Path: string; InstancesCount: number } }>(
      'GET',
      `/jobs/${id}`,
    )
    if (job.State === 'Success') {
      const rate = (job.Content.InstancesCount / (performance.now() - startedAt)) * 1000
      return { rate, made: job.Content.Path }
    }
    if (job.State === 'Failure') throw new Error(`job ${id} failed`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** Asks a small question all the time, and tells how long the slow answers took. */
function watchLag(client: OrthancClient): { stop(): Promise<number> } {
  const times: number[] = []
  let isOver = false
  const running = (async () => {
    while (!isOver) {
      times.push((await client.send('GET', '/system')).ms)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  })()
  return {
    async stop() {
      isOver = true
      await running
      return quantile(times, 0.99)
    },
  }
}
