// Ten uploads of 200 MB at once: how much memory they take. And the list of a thousand jobs.

import { rssOf, startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, rateFigure, type Suite } from '../suite.ts'
import { OrthancClient } from './client.ts'
import { dicomFiles } from './files.ts'
import { openOrthanc } from './ingest.ts'
import { startRealServer } from './real-server.ts'

const uploads = 10
const bytes = 200 * 1024 * 1024

export const uploadsBench: Suite = {
  name: 'orthanc-uploads',
  title: `${uploads} uploads of 200 MB at once, and GET /jobs?expand with 1 000 jobs`,
  run,
}

async function run(): Promise<Figure[]> {
  const yard = await startYard({ config: openOrthanc })
  const real = await startRealServer({ JobsHistorySize: 5000 })
  const [ours, theirs] = [new OrthancClient(yard.url), new OrthancClient(real.url)]
  try {
    const [small] = dicomFiles({ number: 950, count: 1, bytes: 8192, perSeries: 1 })
    await ours.send('POST', '/instances', small!)
    const before = rssOf(yard.pid)
    let highest = before
    const watch = setInterval(() => (highest = Math.max(highest, rssOf(yard.pid))), 20)
    const startedAt = performance.now()
    await Promise.all(
      Array.from({ length: uploads }, (_, index) => ours.send('POST', '/instances', large(951 + index))),
    )
    clearInterval(watch)
    const rate = (uploads * bytes) / 1e6 / ((performance.now() - startedAt) / 1000)

    const times = { ours: [] as number[], theirs: [] as number[] }
    for (const [name, client] of Object.entries({ ours, theirs })) {
      const { body } = await client.send('POST', '/instances', small!)
      const { ParentStudy: study } = JSON.parse(body.toString()) as { ParentStudy: string }
      for (let done = 0; done < 1000; done += 20) {
        await Promise.all(
          Array.from({ length: 20 }, () =>
            client.send('POST', `/studies/${study}/archive`, { Asynchronous: true }),
          ),
        )
      }
      while (
        (await client.json<{ State: string }[]>('GET', '/jobs?expand')).some(
          ({ State }) => State !== 'Success',
        )
      ) {
        await new Promise(resolve => setTimeout(resolve, 200))
      }
      for (let round = 0; round < 15; round++) {
        times[name as 'ours' | 'theirs'].push((await client.send('GET', '/jobs?expand')).ms)
      }
    }
    const perSecond = (values: readonly number[]): number => 1000 / quantile(values, 0.5)
    return [
      boundFigure('more resident memory', {
        value: (highest - before) / 2 ** 20,
        unit: 'MiB',
        atMost: 200,
        beside: `${Math.round(rate)} MB/s in all`,
      }),
      rateFigure('GET /jobs?expand, 1 000 jobs', {
        ours: perSecond(times.ours),
        peer: perSecond(times.theirs),
        peerName: 'Orthanc',
        unit: '/s',
        atLeast: 1,
      }),
    ]
  } finally {
    ours.close()
    theirs.close()
    await yard.stop()
    await real.stop()
  }
}

/** A large file, sent as it is made: this process must not be what runs out of memory. */
async function* large(number: number): AsyncGenerator<Uint8Array> {
  const [head] = dicomFiles({ number, count: 1, bytes: 700, perSeries: 1 })
  const opening = Buffer.from(head!)
  // PixelData is the last element: its length is in the four bytes before its value.
  const at = opening.lastIndexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00]))
  const pixelBytes = bytes - at - 12
  opening.writeUInt32LE(pixelBytes, at + 8)
  yield opening.subarray(0, at + 12)
  const block = Buffer.alloc(1024 * 1024, 7)
  for (let left = pixelBytes; left > 0; left -= block.length)
    yield block.subarray(0, Math.min(left, block.length))
}
