// Maps of a published grid of 4000 × 4000 float32 cells: exports beside GDAL's warp and the real ncdjango's figure,
// tiles drawn and from the cache, the server's loop meanwhile, and the memory of a raster job.

import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '../load.ts'
import { freshDir, type RunningYard, rssOf, startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, rateFigure, type Suite } from '../suite.ts'

/** What the real one takes for the same image, as measured for the contract (its whole request, in ms). */
const realExportMs = 410
const gridBytes = 64_000_000
const box = '-13914936,2875744,-7235766,6446275'

export const mapsBench: Suite = {
  name: 'ncdjango-maps',
  title: 'maps of a published grid of 4000 × 4000 float32 cells',
  run,
}

async function run(): Promise<Figure[]> {
  const yard = await startYard()
  try {
    const client = new Client(yard.url, yard.token)
    const inputs = { width: 4000, height: 4000, extent: [-125, 25, -65, 50], dtype: 'float32' }
    const service = await publish(client, 'demo_raster', inputs, 'raster_out')
    const exports = await exportTimes(client, service)
    await loopDelay(client)
    const drawn = await tileRate(client, { service, count: 300, isFresh: true })
    const kept = await tileRate(client, { service, count: 6000, isFresh: false })
    const delayMs = await loopDelay(client)
    const warp = await warpTimes(yard, service)
    const memory = await jobMemory(yard, client, service)
    const exportMs = quantile(exports, 0.5)
    return [
      boundFigure('512 px export to Web Mercator, whole request', {
        value: exportMs,
        unit: 'ms',
        atMost: 30,
      }),
      rateFigure('512 px exports', {
        ours: 1000 / exportMs,
        peer: 1000 / realExportMs,
        peerName: 'real ncdjango (contract)',
        unit: '/s',
        atLeast: 5,
      }),
      ...(warp === undefined
        ? []
        : [
            rateFigure('512 px exports', {
              ours: 1000 / exportMs,
              peer: 1000 / warp,
              peerName: 'gdalwarp, its whole run',
              unit: '/s',
              atLeast: 1,
            }),
          ]),
      boundFigure('tiles, each drawn', { value: drawn, unit: '/s', atLeast: 40 }),
      boundFigure('tiles from the cache', { value: kept, unit: '/s', atLeast: 1500 }),
      boundFigure("delay of the server's loop meanwhile, p99", { value: delayMs, unit: 'ms', atMost: 50 }),
      boundFigure('memory of a job on 64 MB, above the idle server', {
        value: memory / gridBytes,
        unit: '× its size',
        atMost: 4,
      }),
    ]
  } finally {
    await yard.stop()
  }
}

async function publish(client: Client, job: string, inputs: object, output: string): Promise<string> {
  const made = await client.ask(
    'POST',
    '/geoprocessing/rest/jobs/',
    JSON.stringify({ job, inputs: JSON.stringify(inputs) }),
  )
  const { uuid } = JSON.parse(made.body) as { uuid: string }
  for (;;) {
    const { status, outputs } = JSON.parse(
      (await client.ask('GET', `/geoprocessing/rest/jobs/${uuid}/`)).body,
    ) as { status: string; outputs: string }
    if (status === 'failure') throw new Error(`${job} failed`)
    if (status === 'success') return (JSON.parse(outputs) as Record<string, string>)[output]!
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Each box is a little different, so that none comes from the cache. */
async function exportTimes(client: Client, service: string): Promise<number[]> {
  const times: number[] = []
  const [west, ...others] = box.split(',')
  for (let round = 0; round < 40; round++) {
    const bbox = [Number(west) - round, ...others].join(',')
    const path = `/arcgis/rest/services/${service}/MapServer/export?bbox=${bbox}&bboxSR=3857&imageSR=3857&size=512,512&format=png32`
    const { ms, status } = await client.ask('GET', path)
    if (status !== 200) throw new Error(`an export was answered with ${status}`)
    if (round >= 8) times.push(ms)
  }
  return times
}

/** Asks for tiles over the data, eight at a time. */
async function tileRate(
  client: Client,
  { service, count, isFresh }: { service: string; count: number; isFresh: boolean },
): Promise<number> {
  // Level 10 has thousands of tiles over the data; level 4 has a few, which are drawn once and then kept.
  const place = (index: number): string =>
    isFresh ? `10/${160 + (index % 150)}/${360 + Math.floor(index / 150)}` : `4/${3 + (index % 2)}/6`
  let next = 0
  const startedAt = performance.now()
  const go = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const { status } = await client.ask('GET', `/tiles/${service}/${place(index)}.png`)
      if (status !== 200) throw new Error(`a tile was answered with ${status}`)
    }
  }
  await Promise.all(Array.from({ length: 8 }, go))
  return (count * 1000) / (performance.now() - startedAt)
}

/** How late the server's loop was since this was asked before: the 99th percentile, in ms. */
async function loopDelay(client: Client): Promise<number> {
  const { body } = await client.ask('GET', '/metrics')
  const found = /^switchyard_event_loop_delay_seconds\{quantile="0.99"\} (\S+)$/m.exec(body)
  if (found === null) throw new Error('the metrics have no event loop delay')
  return Number(found[1]) * 1000
}

/** GDAL's warp of the same file to the same image, as a command; undefined where it is not installed. */
async function warpTimes(yard: RunningYard, service: string): Promise<number | undefined> {
  if (!existsSync('/usr/bin/gdalwarp')) return undefined
  const folder = freshDir('warp')
  const file = join(folder, 'grid.nc')
  const answer = await fetch(`${yard.url}/data/services/${service}/dataset.nc`)
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()))
  const [west, south, east, north] = box.split(',') as [string, string, string, string]
  const times: number[] = []
  for (let round = 0; round < 6; round++) {
    const words = [
      '-q',
      '-overwrite',
      '-t_srs',
      'EPSG:3857',
      '-te',
      west,
      south,
      east,
      north,
      '-ts',
      '512',
      '512',
    ]
    const startedAt = performance.now()
    execFileSync('gdalwarp', [...words, `NETCDF:"${file}":data`, join(folder, 'out.tif')])
    if (round > 0) times.push(performance.now() - startedAt)
  }
  return quantile(times, 0.5)
}

async function jobMemory(yard: RunningYard, client: Client, service: string): Promise<number> {
  const before = rssOf(yard.pid)
  let highest = before
  const watch = setInterval(() => (highest = Math.max(highest, rssOf(yard.pid))), 10)
  const inputs = { array_in: `service://${service}:data`, expression: 'x * 2 + 1' }
  await publish(client, 'demo_apply_expression', inputs, 'array_out')
  clearInterval(watch)
  return highest - before
}
