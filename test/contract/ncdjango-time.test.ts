// Services with steps in time, made by hand: every interface shows the step that was asked for.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, test } from 'vitest'
import {
  numberAttribute,
  textAttribute,
  writeClassic,
} from '../../src/domains/raster/netcdf/classic-writer.ts'
import { type NcdjangoServer, startNcdjango } from './ncdjango-server.ts'

/** Three months; each step is one value everywhere, 10, 20 and 30. Stored with time last and longitude first. */
function writeTimed(path: string): void {
  const [columns, rows, steps] = [4, 2, 3]
  const data = Float32Array.from({ length: columns * rows * steps }, (_, at) => ((at % steps) + 1) * 10)
  const axis = (name: string, length: number, standard: string, first: number, step: number) => ({
    ...{ name, type: 'float64' as const, dimensions: [name] },
    attributes: [['standard_name', textAttribute(standard)] as const],
    data: Float64Array.from({ length }, (_, at) => first + at * step),
  })
  const time = axis('when', steps, 'time', 0, 31)
  writeClassic(
    path,
    {
      dimensions: [
        ['lon', columns],
        ['lat', rows],
        ['when', steps],
      ],
      attributes: [],
      variables: [
        axis('lon', columns, 'longitude', 0.5, 1),
        axis('lat', rows, 'latitude', 1.5, -1),
        {
          ...time,
          attributes: [...time.attributes, ['units', textAttribute('days since 2000-01-01')]],
          data: Float64Array.of(0, 31, 60),
        },
        {
          ...{ name: 'heat', type: 'float32', dimensions: ['lon', 'lat', 'when'], data },
          attributes: [['_FillValue', numberAttribute([-1], 'float32')]],
        },
      ],
    },
    () => {},
  )
}

describe('a service with steps in time', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-timed-'))
  let server: NcdjangoServer
  let strict: NcdjangoServer
  const second = Date.UTC(2000, 1, 1)
  const day = 86_400_000

  beforeAll(async () => {
    server = await startNcdjango()
    strict = await startNcdjango({ NC_ALLOW_BEST_FIT_TIME_INDEX: false })
    writeTimed(join(folder, 'timed.nc'))
    for (const own of [server, strict]) await serve(own, 'heat', 'standard')
    await serve(server, 'odd', 'noleap')
  })
  afterAll(async () => {
    rmSync(folder, { recursive: true })
    await server.close()
    await strict.close()
  })

  async function serve({ url, token }: NcdjangoServer, name: string, calendar: string): Promise<void> {
    const headers = { authorization: `ApiKey admin:${token}` }
    const form = new FormData()
    form.append('file', new Blob([new Uint8Array(readFileSync(join(folder, 'timed.nc')))]), 'timed.nc')
    const uploaded = await fetch(`${url}/api/admin/upload/`, { method: 'POST', headers, body: form })
    const { uuid } = (await uploaded.json()) as { uuid: string }
    const inspected = await fetch(`${url}/api/admin/temporary-files/${uuid}/inspect/`, { headers })
    const { variables } = (await inspected.json()) as { variables: { heat: { time: object } } }
    assert.deepEqual(variables.heat.time, {
      ...{ dimension: 'when', interval: 1, interval_unit: 'month' },
      extent: ['2000-01-01T00:00:00+00:00', '2000-03-01T00:00:00+00:00'],
    })
    const time = { time_start: '2000-01-01T00:00:00Z', time_end: '2000-03-01', calendar }
    const made = await fetch(`${url}/api/admin/services/`, {
      ...{ method: 'POST', headers: { ...headers, 'content-type': 'application/json' } },
      body: JSON.stringify({
        ...{ name, projection: '+proj=longlat +datum=WGS84 +no_defs', full_extent: [0, 0, 4, 2] },
        ...{ supports_time: true, time_interval: 1, time_interval_units: 'months', ...time },
        tmp_file: `/api/admin/temporary-files/${uuid}/`,
        variables: [
          {
            ...{ index: 0, variable: 'heat', name: 'heat', x_dimension: 'lon', y_dimension: 'lat' },
            ...{ supports_time: true, time_dimension: 'when' },
            renderer: {
              type: 'unique',
              colors: [
                [10, '#010000'],
                [20, '#020000'],
                [30, '#030000'],
              ],
            },
          },
        ],
      }),
    })
    assert.equal(made.status, 201, await made.text())
  }

  /** The red of the picture's middle: 1, 2 or 3 for the step that it shows. */
  async function stepShown(path: string, own = server): Promise<number> {
    const answer = await fetch(own.url + path)
    assert.equal(answer.status, 200, await answer.clone().text())
    const png = PNG.sync.read(Buffer.from(await answer.arrayBuffer()))
    return png.data[((png.height >> 1) * png.width + (png.width >> 1)) * 4]!
  }

  const exported = (time: string): string =>
    `/arcgis/rest/services/heat/MapServer/export?bbox=0,0,4,2&size=8,4&time=${time}`

  test('is exported at the step that is nearest, the first one unless said', async () => {
    assert.equal(await stepShown(exported('')), 1)
    assert.equal(await stepShown(exported(`${second}`)), 2)
    assert.equal(await stepShown(exported(`${second + 10 * day},${second + 90 * day}`)), 2)
    assert.equal(await stepShown(exported(`${second + 20 * day}`)), 3)
    assert.equal(await stepShown(exported('-1')), 1)
    assert.equal((await fetch(server.url + exported('soon'))).status, 400)
  })

  test('is exported at exact steps only, where that is configured', async () => {
    assert.equal(await stepShown(exported(`${second}`), strict), 2)
    const refused = await fetch(strict.url + exported(`${second + 1}`))
    assert.equal(refused.status, 400)
    assert.match(await refused.text(), /time is not one of the time steps/)
  })

  test('answers identify, points and references of jobs by the step', async () => {
    const identify = `/arcgis/rest/services/heat/MapServer/identify?geometry=1,1&time=${second}`
    const { results } = (await (await fetch(server.url + identify)).json()) as {
      results: { value: number }[]
    }
    assert.equal(results[0]!.value, 20)
    const points = await fetch(`${server.url}/data/services/heat/heat/info/values-at-point/?x=1&y=1`)
    assert.deepEqual(await points.json(), { values: [10, 20, 30] })
    for (const [reference, value] of [
      [`service://heat:heat@${second / 1000 + 1}`, 20],
      ['service://heat:heat', 10],
    ] as const) {
      const made = await fetch(`${server.url}/geoprocessing/rest/jobs/`, {
        method: 'POST',
        body: new URLSearchParams({ job: 'demo_raster_info', inputs: JSON.stringify({ data: reference }) }),
      })
      const { uuid } = (await made.json()) as { uuid: string }
      let shown: { status: string; outputs: string }
      do {
        await sleep(20)
        shown = (await (await fetch(`${server.url}/geoprocessing/rest/jobs/${uuid}/`)).json()) as typeof shown
      } while (shown.status !== 'success' && shown.status !== 'failure')
      const { info } = JSON.parse(shown.outputs)
      assert.deepEqual([info.shape, info.min, info.max], [[2, 4], value, value], reference)
    }
  })

  test('is shown by WMS at a TIME, which its capabilities describe', async () => {
    const map = (time: string): string =>
      `/wms/heat?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=heat&STYLES=&CRS=CRS:84&BBOX=0,0,4,2&WIDTH=8&HEIGHT=4&FORMAT=image/png${time}`
    assert.equal(await stepShown(map('')), 1)
    assert.equal(await stepShown(map('&TIME=2000-02')), 2)
    assert.equal(await stepShown(map('&time=2000-03-01T00:00:00.000Z')), 3)
    assert.equal(await stepShown(map('&TIME=2000-02-01/2000-03-01/P1M')), 2)
    const wrong = await fetch(server.url + map('&TIME=yesterday'))
    assert.equal(wrong.status, 400)
    assert.match(await wrong.text(), /code="InvalidDimensionValue"/)
    const info = `${map('&TIME=2000-02-01')}&QUERY_LAYERS=heat&I=4&J=2`.replace('GetMap', 'GetFeatureInfo')
    assert.equal(await (await fetch(server.url + info)).text(), 'heat = 20\n')
    const read = async (version: string): Promise<string> =>
      (await fetch(`${server.url}/wms/heat?SERVICE=WMS&VERSION=${version}&REQUEST=GetCapabilities`)).text()
    const values = '2000-01-01T00:00:00Z/2000-03-01T00:00:00Z/P1M'
    assert.match(
      await read('1.3.0'),
      new RegExp(`<Dimension name="time" units="ISO8601"[^>]*>${values}</Dim`),
    )
    assert.match(await read('1.1.1'), new RegExp(`<Extent name="time" [^>]*>${values}</Extent>`))
  })

  test('has tiles for each of its steps, and none beyond', async () => {
    // A tile of 2.8 degrees, of which the service covers the middle.
    const tile = (step: number): string => `/tiles/heat/heat/7/64/63/${step}.png`
    for (const [step, red] of [1, 2, 3].entries()) assert.equal(await stepShown(tile(step)), red)
    assert.equal((await fetch(server.url + tile(3))).status, 404)
    assert.equal((await fetch(`${server.url}/tiles/heat/nope/7/64/63/0.png`)).status, 404)
  })

  test('with a calendar that we cannot walk through is shown, and refuses only what needs its steps', async () => {
    const service = `${server.url}/arcgis/rest/services/odd/MapServer`
    assert.equal((await fetch(service)).status, 200)
    assert.equal((await fetch(`${service}/layers`)).status, 200)
    assert.equal((await fetch(`${service}/export?size=4,2`)).status, 200)
    const refused = await fetch(`${service}/export?size=4,2&time=${second}`)
    assert.equal(refused.status, 400)
    assert.match(await refused.text(), /calendar noleap/)
    assert.equal((await fetch(`${server.url}/wms/odd?SERVICE=WMS&REQUEST=GetCapabilities`)).status, 200)
  })
})
