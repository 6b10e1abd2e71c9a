// Real clients open published results: GDAL by WMS, by ArcGIS REST, by tiles and by the file itself; Leaflet's way of
// laying tiles out, in a headless browser. What they show is compared with an independent rendering of the same cells.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type NcdjangoServer, startNcdjango } from '../contract/ncdjango-server.ts'

const run = promisify(execFile)
const hasGdal = existsSync('/usr/bin/gdal_translate')
const hasNcdump = existsSync('/usr/bin/ncdump')
const hasChromium = existsSync('/usr/bin/chromium')
const red = [255, 0, 0]
const blue = [0, 0, 255]
/** A chessboard of 4 × 3 cells of ten degrees: the north-western one is red. */
const extent = { west: -20, south: 30, east: 20, north: 60 }

function cellColour(longitude: number, latitude: number): number[] | undefined {
  const [column, row] = [
    Math.floor((longitude - extent.west) / 10),
    Math.floor((extent.north - latitude) / 10),
  ]
  if (column < 0 || column > 3 || row < 0 || row > 2) return undefined
  return (column + row) % 2 === 0 ? red : blue
}

describe('clients', () => {
  let server: NcdjangoServer
  let service: string
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-maps-'))
  beforeAll(async () => {
    server = await startNcdjango()
    const { west, south, east, north } = extent
    const inputs = { width: 4, height: 3, extent: [west, south, east, north], pattern: 'checker' }
    const made = await fetch(`${server.url}/geoprocessing/rest/jobs/`, {
      method: 'POST',
      body: new URLSearchParams({ job: 'demo_raster_unique', inputs: JSON.stringify(inputs) }),
    })
    const { uuid } = (await made.json()) as { uuid: string }
    service = `${uuid}/raster_out`
    while ((await fetch(`${server.url}/arcgis/rest/services/${service}/MapServer`)).status !== 200)
      await sleep(20)
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Has GDAL make a PNG of a source; without the proxies and caches of the machine. */
  async function translate(source: string, name: string, ...words: string[]): Promise<PNG> {
    const file = join(folder, name)
    const env = { ...process.env, GDAL_DEFAULT_WMS_CACHE_PATH: join(folder, 'cache'), GDAL_PAM_ENABLED: 'NO' }
    await run('gdal_translate', ['-q', '-of', 'PNG', ...words, source, file], { env, timeout: 60_000 })
    return PNG.sync.read(readFileSync(file))
  }

  /** Each pixel of a picture of a box in degrees, but for `rim` pixels around the cells' edges. */
  function assertCells(
    png: PNG,
    box: typeof extent,
    { tolerance, rim }: { tolerance: number; rim: number },
  ): void {
    let compared = 0
    for (let j = 0; j < png.height; j++) {
      for (let i = 0; i < png.width; i++) {
        const place = (di: number, dj: number) =>
          cellColour(
            box.west + ((i + 0.5 + di) * (box.east - box.west)) / png.width,
            box.north - ((j + 0.5 + dj) * (box.north - box.south)) / png.height,
          )
        const wanted = place(0, 0)
        if (wanted === undefined || [-rim, rim].some(d => place(d, 0) !== wanted || place(0, d) !== wanted))
          continue
        const came = [...png.data.subarray((j * png.width + i) * 4, (j * png.width + i) * 4 + 3)]
        const isClose = came.every((part, index) => Math.abs(part - wanted[index]!) <= tolerance)
        assert.ok(isClose, `pixel ${i},${j}: ${wanted} was wanted, ${came} came`)
        compared++
      }
    }
    assert.ok(compared > 1000, `only ${compared} pixels could be compared`)
  }

  test.skipIf(!hasGdal)('GDAL opens the WMS by its capabilities (skipped without GDAL)', async () => {
    const { stdout } = await run('gdalinfo', [
      `WMS:${server.url}/wms/${service}?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetCapabilities`,
    ])
    const source =
      /SUBDATASET_1_NAME=(.*)/.exec(stdout)?.[1] ??
      `WMS:${server.url}/wms/${service}?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS=data&SRS=EPSG:4326&BBOX=-20,30,20,60`
    const { west, south, east, north } = extent
    const png = await translate(
      source,
      'wms.png',
      '-projwin',
      `${west}`,
      `${north}`,
      `${east}`,
      `${south}`,
      '-outsize',
      '200',
      '150',
    )
    assertCells(png, extent, { tolerance: 60, rim: 10 })
  })

  test.skipIf(!hasGdal)('GDAL opens the map server as ArcGIS clients do (skipped without GDAL)', async () => {
    const { west, south, east, north } = extent
    const xml = join(folder, 'ags.xml')
    writeFileSync(
      xml,
      `<GDAL_WMS><Service name="AGS"><ServerUrl>${server.url}/arcgis/rest/services/${service}/MapServer</ServerUrl><SRS>EPSG:4326</SRS><ImageFormat>png</ImageFormat></Service><DataWindow><UpperLeftX>${west}</UpperLeftX><UpperLeftY>${north}</UpperLeftY><LowerRightX>${east}</LowerRightX><LowerRightY>${south}</LowerRightY><SizeX>400</SizeX><SizeY>300</SizeY></DataWindow><Projection>EPSG:4326</Projection><BlockSizeX>400</BlockSizeX><BlockSizeY>300</BlockSizeY><BandsCount>3</BandsCount></GDAL_WMS>`,
    )
    assertCells(await translate(xml, 'ags.png'), extent, { tolerance: 0, rim: 1 })
  })

  test.skipIf(!hasGdal)('GDAL lays the tiles out where the cells are (skipped without GDAL)', async () => {
    const xml = join(folder, 'tms.xml')
    const edge = 20_037_508.342_789_244
    writeFileSync(
      xml,
      `<GDAL_WMS><Service name="TMS"><ServerUrl>${server.url}/tiles/${service}/\${z}/\${x}/\${y}.png</ServerUrl></Service><DataWindow><UpperLeftX>-${edge}</UpperLeftX><UpperLeftY>${edge}</UpperLeftY><LowerRightX>${edge}</LowerRightX><LowerRightY>-${edge}</LowerRightY><TileLevel>4</TileLevel><TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin></DataWindow><Projection>EPSG:3857</Projection><BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>4</BandsCount></GDAL_WMS>`,
    )
    const tile = await translate(xml, 'tiles.png', '-srcwin', '1792', '1280', '512', '256')
    let compared = 0
    for (let j = 0; j < tile.height; j++) {
      for (let i = 0; i < tile.width; i++) {
        const longitude = ((1792 + i + 0.5) / 4096) * 360 - 180
        const latitude = (Math.atan(Math.sinh(Math.PI * (1 - (2 * (1280 + j + 0.5)) / 4096))) * 180) / Math.PI
        const wanted = cellColour(longitude, latitude)
        const came = [...tile.data.subarray((j * tile.width + i) * 4, (j * tile.width + i) * 4 + 4)]
        assert.deepEqual(wanted === undefined ? came[3] : came.slice(0, 3), wanted ?? 0, `pixel ${i},${j}`)
        compared++
      }
    }
    assert.equal(compared, 512 * 256)
  })

  test.skipIf(!hasGdal || !hasNcdump)(
    'ncdump and gdalinfo read the file (skipped without them)',
    async () => {
      const file = join(folder, 'result.nc')
      const answer = await fetch(`${server.url}/data/services/${service}/dataset.nc`)
      assert.equal(answer.headers.get('content-type'), 'application/x-netcdf')
      writeFileSync(file, Buffer.from(await answer.arrayBuffer()))
      const { stdout } = await run('ncdump', [file])
      assert.match(stdout, /longitude = -15, -5, 5, 15 ;/)
      assert.match(stdout, /data =\s+0, 1, 0, 1,\s+1, 0, 1, 0,\s+0, 1, 0, 1 ;/)
      const info = JSON.parse((await run('gdalinfo', ['-json', file])).stdout) as { geoTransform: number[] }
      assert.deepEqual(info.geoTransform, [-20, 10, 0, 60, 0, -10])
    },
  )

  test.skipIf(!hasChromium)(
    'a browser shows the tiles of another origin (skipped without Chromium)',
    async () => {
      // A page that lays tiles out and paints them onto a canvas: reading that back is what CORS has to allow.
      const page = join(folder, 'map.html')
      const shot = join(folder, 'shot.png')
      const tiles = [7, 8].map(
        (x, index) =>
          `<img crossorigin="anonymous" style="left:${index * 256}px" src="${server.url}/tiles/${service}/4/${x}/5.png">`,
      )
      writeFileSync(
        page,
        `<style>body{margin:0;background:#fff}img{position:absolute;top:0}</style>${tiles.join('')}`,
      )
      const words = [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--hide-scrollbars',
        '--force-device-scale-factor=1',
      ]
      const more = [
        `--user-data-dir=${join(folder, 'profile')}`,
        '--window-size=512,256',
        '--virtual-time-budget=8000',
      ]
      await run('chromium', [...words, ...more, `--screenshot=${shot}`, `file://${page}`], {
        timeout: 90_000,
      })
      const png = PNG.sync.read(readFileSync(shot))
      for (let j = 0; j < 250; j += 3) {
        for (let i = 0; i < 512; i += 3) {
          const longitude = ((1792 + i + 0.5) / 4096) * 360 - 180
          const latitude =
            (Math.atan(Math.sinh(Math.PI * (1 - (2 * (1280 + j + 0.5)) / 4096))) * 180) / Math.PI
          const came = [...png.data.subarray((j * png.width + i) * 4, (j * png.width + i) * 4 + 3)]
          assert.deepEqual(came, cellColour(longitude, latitude) ?? [255, 255, 255], `pixel ${i},${j}`)
        }
      }
    },
  )
})
