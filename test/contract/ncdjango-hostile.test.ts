// What nobody should send: parameters without sense, files that lie about themselves, jobs that want too much. The
// answer says what is wrong, never 500, and the next request is answered as if nothing had been.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { writeResultFile } from '../../src/domains/raster/netcdf/publish.ts'
import { makeRaster } from '../../src/domains/raster/tasks/demo.ts'
import { diceOf } from '../simulation/random.ts'
import { type NcdjangoServer, startNcdjango } from './ncdjango-server.ts'

interface Shown {
  readonly uuid: string
  readonly status: string
  readonly outputs: string
}

describe('hostile requests', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-hostile-'))
  let server: NcdjangoServer
  let service: string
  beforeAll(async () => {
    server = await startNcdjango()
    const { outputs } = await run('demo_raster', { width: 6, height: 4, extent: [-10, 30, 20, 50] })
    service = JSON.parse(outputs).raster_out
  })
  afterAll(async () => {
    rmSync(folder, { recursive: true })
    await server.close()
  })

  async function run(job: string, inputs: object): Promise<Shown> {
    const body = new URLSearchParams({ job, inputs: JSON.stringify(inputs) })
    const made = await fetch(`${server.url}/geoprocessing/rest/jobs/`, { method: 'POST', body })
    assert.equal(made.status, 201, await made.clone().text())
    const { uuid } = (await made.json()) as Shown
    for (;;) {
      const shown = (await (await fetch(`${server.url}/geoprocessing/rest/jobs/${uuid}/`)).json()) as Shown
      if (shown.status === 'success' || shown.status === 'failure') return shown
      await sleep(20)
    }
  }

  async function assertAlive(): Promise<void> {
    const answer = await fetch(`${server.url}/tiles/${service}/2/2/1.png`)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'image/png')
  }

  test('parameters of maps without sense are refused or drawn, and nothing breaks', async () => {
    const numbers = [
      '0',
      '-1',
      '1e308',
      '-1e308',
      'NaN',
      'Infinity',
      '1e-320',
      '90',
      '181',
      '9'.repeat(400),
      'x',
      '',
    ]
    const projections = [
      '4326',
      '3857',
      '102100',
      '5070',
      '32633',
      '3031',
      '27700',
      '999999',
      '{"wkid":3413}',
      '-1',
      '{}',
    ]
    const odd = [
      '{',
      '[]',
      'null',
      '"',
      '%00',
      '\u0000',
      '../../etc/passwd',
      '<script>',
      'a'.repeat(5000),
      '{"0":{}}',
    ]
    const dice = diceOf(7)
    const number = (): string => dice.pick(numbers)!
    const box = (): string =>
      dice.chance(0.3) ? dice.pick(odd)! : [number(), number(), number(), number()].join(',')
    const paths: readonly (() => string)[] = [
      () =>
        `/arcgis/rest/services/${service}/MapServer/export?${new URLSearchParams({
          ...{ bbox: box(), bboxSR: dice.pick(projections)!, imageSR: dice.pick(projections)! },
          ...{ size: dice.chance(0.5) ? '20,10' : `${number()},${number()}`, time: number() },
          ...(dice.chance(0.3) ? { styles: dice.pick(odd)!, layers: dice.pick(odd)! } : {}),
        })}`,
      () =>
        `/arcgis/rest/services/${service}/MapServer/identify?${new URLSearchParams({
          ...{
            geometry: dice.chance(0.5) ? `${number()},${number()}` : dice.pick(odd)!,
            sr: dice.pick(projections)!,
          },
        })}`,
      () =>
        `/wms/${service}?${new URLSearchParams({
          ...{
            service: 'WMS',
            request: dice.pick(['GetMap', 'GetFeatureInfo', 'GetLegendGraphic'])!,
            bbox: box(),
          },
          ...{
            version: dice.pick(['1.1.1', '1.3.0', '9'])!,
            layers: dice.pick(['data', ...odd])!,
            i: number(),
          },
          ...{
            crs: `EPSG:${dice.pick(projections)}`,
            width: number(),
            height: '20',
            query_layers: 'data',
            j: '1',
          },
          ...{ format: dice.pick(['image/png', 'image/webp', ...odd])!, time: dice.pick(odd)! },
        })}`,
      () =>
        `/data/services/${service}/data/info/${dice.pick(['values-at-point', 'classify', 'unique', 'range', 'x'])}/?${new URLSearchParams(
          {
            ...{ x: number(), y: number(), projection: dice.pick(projections)!, breaks: number() },
            method: dice.pick(['jenks', 'EQUAL', 'quantile', ...odd])!,
          },
        )}`,
      () => `/tiles/${service}/${dice.below(40)}/${dice.below(99)}/${dice.below(99)}.png`,
    ]
    for (let count = 0; count < 400; count++) {
      const path = dice.pick(paths)!()
      const answer = await fetch(server.url + path)
      const text = await answer.text()
      assert.ok(
        answer.status < 500 || answer.status === 501,
        `${path}: ${answer.status} ${text.slice(0, 300)}`,
      )
    }
    await assertAlive()
  })

  test.skipIf(!existsSync('/usr/bin/gdal_translate'))(
    'files that were cut, damaged or made up are refused, and other files are still read (skipped without GDAL)',
    async () => {
      const raster = makeRaster({ width: 7, height: 5, extent: [-120, 30, -113, 35], dtype: 'float32' })
      const facts = { title: 't', history: 'h', hear: () => {} }
      const files = { 'a.nc': 'netcdf-3', 'b.nc': 'netcdf-4' } as const
      for (const [name, format] of Object.entries(files))
        await writeResultFile(join(folder, name), raster, { ...facts, format })
      const tif = join(folder, 'c.tif')
      execFileSync('gdal_translate', ['-q', '-of', 'GTiff', `NETCDF:"${join(folder, 'a.nc')}":data`, tif])
      const dice = diceOf(11)
      const statuses = new Map<number, number>()
      for (const name of ['a.nc', 'b.nc', 'c.tif']) {
        const whole = readFileSync(join(folder, name))
        for (let count = 0; count < 20; count++) {
          const status = await inspect(name, damaged(whole, dice))
          assert.ok(status === 200 || status === 400, `${name} number ${count}: ${status}`)
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
        assert.equal(await inspect(name, whole), 200, `${name} is read after its damaged kin`)
      }
      assert.ok((statuses.get(400) ?? 0) > 15, 'most of them were damaged')
      await assertAlive()
    },
    120_000,
  )

  async function inspect(name: string, bytes: Buffer): Promise<number> {
    const headers = { authorization: `ApiKey admin:${server.token}` }
    const form = new FormData()
    form.append('file', new Blob([new Uint8Array(bytes)]), name)
    const uploaded = await fetch(`${server.url}/api/admin/upload/`, { method: 'POST', headers, body: form })
    const { uuid } = (await uploaded.json()) as { uuid: string }
    const answer = await fetch(`${server.url}/api/admin/temporary-files/${uuid}/inspect/`, { headers })
    await answer.text()
    return answer.status
  }

  function damaged(whole: Buffer, dice: ReturnType<typeof diceOf>): Buffer {
    const bytes = Buffer.from(whole)
    if (dice.chance(0.35)) return bytes.subarray(0, 4 + dice.below(bytes.length - 4))
    const isLie = dice.chance(0.5)
    const head = Math.min(bytes.length, 1500) - 4
    // Lengths that are far too great are what readers trip over.
    if (isLie)
      bytes.writeUInt32BE(dice.pick([0xffff_ffff, 0x7fff_ffff, 0x1000_0000])!, 4 + dice.below(head - 4))
    else for (let count = 0; count < 3; count++) bytes[4 + dice.below(head - 4)] = dice.below(256)
    return bytes
  }

  test('jobs that want more than there is fail, and say so to their operator', async () => {
    const source = `service://${service}:data`
    for (const [job, inputs] of [
      ['demo_raster', { width: 1e9, height: 1e9 }],
      ['demo_raster', { width: -1, height: 5 }],
      ['demo_raster', { width: 2, height: 2, extent: [1, 2] }],
      ['demo_raster', { width: 2, height: 2, extent: ['nan', 0, 'inf', 1] }],
      ['demo_raster', { width: 2, height: 2, projection: '+proj=nonsense' }],
      ['demo_apply_expression', { array_in: source, expression: `${'('.repeat(5000)}x${')'.repeat(5000)}` }],
      ['demo_apply_expression', { array_in: source, expression: `x${' + x'.repeat(50_000)}` }],
      ['demo_apply_expression', { array_in: source, expression: 'x.constructor' }],
      ['demo_apply_expression', { array_in: source, expression: 'constructor(x)' }],
      ['demo_apply_expression', { array_in: 'service://__proto__:data', expression: 'x' }],
      ['demo_clip', { data: source, row_start: -1e300, row_stop: 'inf', col_start: 0, col_stop: 1 }],
    ] as const) {
      const { status, outputs, uuid } = await run(job, inputs)
      assert.deepEqual([status, outputs], ['failure', '{}'], JSON.stringify(inputs).slice(0, 100))
      const ended = await server.server.engine.job({ dialect: 'ncdjango', ref: uuid })
      assert.ok((ended?.message ?? '') !== '', `${job} says nothing of why it failed`)
    }
    await assertAlive()
  })
})
