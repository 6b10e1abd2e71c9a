// Uploads of small instances from five clients, beside the real server; and the same with many stored already.

import { startYard } from '../processes.ts'
import { type Figure, quantile, rateFigure, type Suite } from '../suite.ts'
import { OrthancClient } from './client.ts'
import { dicomFiles } from './files.ts'
import { startRealServer } from './real-server.ts'

const clients = 5
const bytes = 8192
const rounds = 5
/** `ORTHANC_BENCH_STORED` says how many are stored for the second figure; 100 000 take some minutes. */
const stored = Number(process.env['ORTHANC_BENCH_STORED'] ?? 100_000)

export const ingestBench: Suite = {
  name: 'orthanc-ingest',
  title: `Uploads of ${bytes} bytes from ${clients} clients, beside Orthanc (apt) with its default options`,
  run,
}

async function run(): Promise<Figure[]> {
  const real = await startRealServer()
  const yard = await startYard({ config: openOrthanc })
  const [theirs, ours] = [new OrthancClient(real.url), new OrthancClient(yard.url)]
  try {
    let number = 0
    const measure = async (client: OrthancClient): Promise<number> =>
      client.upload([...dicomFiles({ number: number++, count: 1000, bytes, perSeries: 50 })], clients)
    await measure(theirs)
    await measure(ours)
    const rates = { theirs: [] as number[], ours: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      rates.theirs.push(await measure(theirs))
      rates.ours.push(await measure(ours))
    }
    for (let left = stored - number * 1000; left > 0; left -= 1000) await measure(ours)
    const beside = await besideFewStored(ours, measure)
    return [
      rateFigure('instances stored', {
        ours: quantile(rates.ours, 0.5),
        peer: quantile(rates.theirs, 0.5),
        peerName: 'Orthanc',
        unit: '/s',
        atLeast: 1.15,
      }),
      rateFigure(`the same with ${stored} stored`, {
        ours: quantile(beside.many, 0.5),
        peer: quantile(beside.few, 0.5),
        peerName: 'ours, few stored',
        unit: '/s',
        atLeast: 0.9,
      }),
    ]
  } finally {
    theirs.close()
    ours.close()
    await yard.stop()
    await real.stop()
  }
}

/** In turns with a fresh server of ours, because the machine may be another one than some minutes ago. */
async function besideFewStored(
  full: OrthancClient,
  measure: (client: OrthancClient) => Promise<number>,
): Promise<{ few: number[]; many: number[] }> {
  const yard = await startYard({ config: openOrthanc })
  const fresh = new OrthancClient(yard.url)
  const rates = { few: [] as number[], many: [] as number[] }
  try {
    await measure(fresh)
    await measure(fresh)
    for (let round = 0; round < rounds * 2; round++) {
      rates.many.push(await measure(full))
      rates.few.push(await measure(fresh))
    }
    return rates
  } finally {
    fresh.close()
    await yard.stop()
  }
}

/** Our server with the paths of Orthanc open to loopback. */
export const openOrthanc = '[dialects.orthanc]\naccess = "open"\nJobsHistorySize = 5000\n'
