// What is published: odd rasters become maps that real programs read, and their services say what they are.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type NcdjangoServer, startNcdjango } from './ncdjango-server.ts'

const hasGdal = existsSync('/usr/bin/gdalinfo') && existsSync('/usr/bin/ncdump')
const mercator = '+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m +no_defs'

for (const resultFormat of ['netcdf-3', 'netcdf-4'] as const) {
  describe.skipIf(!hasGdal)(`published as ${resultFormat} (skipped without GDAL)`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-publish-'))
    let server: NcdjangoServer
    beforeAll(async () => {
      server = await startNcdjango({ resultFormat })
    })
    afterAll(async () => {
      rmSync(folder, { recursive: true })
      await server.close()
    })

    async function publish(inputs: object, job = 'demo_raster'): Promise<string> {
      const body = new URLSearchParams({ job, inputs: JSON.stringify(inputs) })
      const made = await fetch(`${server.url}/geoprocessing/rest/jobs/`, { method: 'POST', body })
      const { uuid } = (await made.json()) as { uuid: string }
      for (;;) {
        const answer = await fetch(`${server.url}/geoprocessing/rest/jobs/${uuid}/`)
        const { status, outputs } = (await answer.json()) as { status: string; outputs: string }
        assert.notEqual(status, 'failure', JSON.stringify(inputs))
        if (status === 'success') return Object.values(JSON.parse(outputs))[0] as string
        await sleep(20)
      }
    }

    async function fileOf(
      service: string,
    ): Promise<{ header: string; info: { bands: { noDataValue?: number }[] } }> {
      const file = join(folder, 'result.nc')
      const answer = await fetch(`${server.url}/data/services/${service}/dataset.nc`)
      writeFileSync(file, Buffer.from(await answer.arrayBuffer()))
      const run = promisify(execFile)
      const { stdout: header } = await run('ncdump', ['-h', '-k', file]).then(async ({ stdout }) => ({
        stdout: stdout + (await run('ncdump', ['-h', file])).stdout,
      }))
      const { stdout } = await run('gdalinfo', ['-json', `NETCDF:"${file}":data`])
      return { header, info: JSON.parse(stdout) }
    }

    async function facts(service: string, what: string): Promise<Record<string, unknown>> {
      const answer = await fetch(`${server.url}/data/services/${service}/data/info/${what}/`)
      return (await answer.json()) as Record<string, unknown>
    }

    async function draw(service: string): Promise<PNG> {
      const url = `${server.url}/arcgis/rest/services/${service}/MapServer/export?size=40,40`
      const answer = await fetch(url)
      assert.equal(answer.status, 200, await answer.clone().text())
      return PNG.sync.read(Buffer.from(await answer.arrayBuffer()))
    }

    test('the file is of the format that is configured', async () => {
      const { header } = await fileOf(await publish({}))
      assert.match(header, resultFormat === 'netcdf-3' ? /^64-bit offset/ : /^netCDF-4/)
      assert.match(header, /:Conventions = "CF-1\.8"/)
    })

    test('a raster whose cells are all masked is a map of nothing', async () => {
      const service = await publish({ width: 3, height: 3, offset: 10, mask_above: 0 })
      // A function that asks such a raster for its least and greatest value gets no numbers.
      await publish({ width: 3, height: 3, offset: 10, mask_above: 0 }, 'demo_raster_fn')
      assert.deepEqual(await facts(service, 'range'), { min: null, max: null })
      assert.deepEqual(await facts(service, 'unique'), { num_values: 0, values: [] })
      const png = await draw(service)
      for (let at = 3; at < png.data.length; at += 4) assert.equal(png.data[at], 0)
      await fileOf(service)
    })

    test('a raster of one value is drawn, without holes', async () => {
      const service = await publish({ pattern: 'const', offset: 7 })
      const png = await draw(service)
      for (let at = 3; at < png.data.length; at += 4) assert.equal(png.data[at], 255)
      assert.deepEqual(await facts(service, 'range'), { min: 7, max: 7 })
    })

    for (const dtype of ['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'float64']) {
      test(`cells of ${dtype} keep their values and their mask, whatever marks the masked ones`, async () => {
        // 0 to 120, of which those above 100 are masked.
        const service = await publish({ width: 11, height: 11, dtype, mask_above: 100 })
        assert.deepEqual(await facts(service, 'range'), { min: 0, max: 100 })
        assert.equal((await facts(service, 'unique'))['num_values'], 101)
        const { header, info } = await fileOf(service)
        assert.match(header, /data ?:_FillValue/)
        assert.ok(info.bands[0]!.noDataValue !== undefined)
      })
    }

    test('bytes that use every value are widened, and marked by none of them when one is masked', async () => {
      const whole = await publish({ width: 16, height: 16, dtype: 'uint8' })
      assert.deepEqual(await facts(whole, 'range'), { min: 0, max: 255 })
      const inputs = { array_in: `service://${whole}:data`, expression: 'x == 0' }
      const service = await publish(inputs, 'demo_mask_by_expression')
      assert.deepEqual(await facts(service, 'range'), { min: 1, max: 255 })
      const { info } = await fileOf(service)
      assert.ok(!(info.bands[0]!.noDataValue! >= 0 && info.bands[0]!.noDataValue! <= 255))
    })

    test('a raster in Web Mercator, and one in Albers, lie where they belong', async () => {
      for (const projection of [
        mercator,
        '+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +x_0=0 +y_0=0 +datum=NAD83 +units=m +no_defs',
      ]) {
        const service = await publish({ extent: [-1000, 2000, 3000, 6000], projection })
        const { header } = await fileOf(service)
        assert.match(header, /projection_x_coordinate/)
        const url = `${server.url}/arcgis/rest/services/${service}/MapServer/identify?geometry=-800,5800`
        const { results } = (await (await fetch(url)).json()) as { results: { value: number }[] }
        assert.equal(results[0]!.value, 0, 'the first cell is in the north-west')
      }
    })
  })
}
