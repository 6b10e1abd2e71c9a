// OpenLayers itself, in headless Chromium, opens a published result in each of the ways that it has for our interfaces.
// Every pixel that it shows is compared with an independent rendering of the same cells.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type NcdjangoServer, startNcdjango } from '../contract/ncdjango-server.ts'
import { hasChromium, openPage } from './browser.ts'

const [width, height] = [512, 256]
/** A field of 12 × 9 cells, whose values are their numbers; every fifth is masked. */
const field = { west: -17, south: 33, east: 19, north: 60, columns: 12, rows: 9 }
const edge = 20_037_508.342_789_244

interface Shown {
  readonly width: number
  readonly height: number
  /** RGBA in base64. */
  readonly pixels: string
}

/** Each a map of its own: the layer, and the view. */
const maps = {
  tiles: `new Tile({ source: new XYZ({ url: base + '/tiles/' + service + '/{z}/{x}/{y}.png', ...plain }) })`,
  wmsTiles: `new Tile({ source: new TileWMS({ url: base + '/wms/' + service, params: { LAYERS: 'data' }, ...plain }) })`,
  wmsImage: `new Image({ source: new ImageWMS({ url: base + '/wms/' + service, params: { LAYERS: 'data', VERSION: '1.1.1' }, ratio: 1, ...plain }) })`,
  wmsDegrees: `new Image({ source: new ImageWMS({ url: base + '/wms/' + service, params: { LAYERS: 'data', FORMAT: 'image/webp' }, ratio: 1, ...plain }) })`,
  arcgisImage: `new Image({ source: new ImageArcGISRest({ url: base + '/arcgis/rest/services/' + service + '/MapServer', ratio: 1, ...plain }) })`,
  arcgisTiles: `new Tile({ source: new TileArcGISRest({ url: base + '/arcgis/rest/services/' + service + '/MapServer', ...plain }) })`,
  arcgisDegrees: `new Image({ source: new ImageArcGISRest({ url: base + '/arcgis/rest/services/' + service + '/MapServer', ratio: 1, ...plain }) })`,
} as const
type Name = keyof typeof maps

/** Degrees in a pixel of the maps in degrees; the others are at level 4 of Web Mercator. */
const degreesEach = 0.1
const centreDegrees = [1, 46.5] as const

function script(base: string, service: string): string {
  const layers = Object.entries(maps).map(([name, layer]) => `${name}: () => ${layer}`)
  return `
import Map from 'ol/Map.js'
import View from 'ol/View.js'
import Image from 'ol/layer/Image.js'
import Tile from 'ol/layer/Tile.js'
import ImageArcGISRest from 'ol/source/ImageArcGISRest.js'
import ImageWMS from 'ol/source/ImageWMS.js'
import TileArcGISRest from 'ol/source/TileArcGISRest.js'
import TileWMS from 'ol/source/TileWMS.js'
import XYZ from 'ol/source/XYZ.js'
const base = ${JSON.stringify(base)}
const service = ${JSON.stringify(service)}
const plain = { crossOrigin: 'anonymous', interpolate: false, transition: 0 }
const layers = { ${layers.join(',\n')} }
const mercator = { projection: 'EPSG:3857', center: [0, ${edge} - 5.5 * 2 * ${edge} / 16], resolution: 2 * ${edge} / 4096 }
const degrees = { projection: 'EPSG:4326', center: ${JSON.stringify(centreDegrees)}, resolution: ${degreesEach} }
const shown = {}
for (const [name, layer] of Object.entries(layers)) {
  const target = document.createElement('div')
  target.style.cssText = 'width:${width}px;height:${height}px'
  document.body.append(target)
  const view = new View(name.endsWith('Degrees') ? degrees : mercator)
  const map = new Map({ target, controls: [], layers: [layer()], view, pixelRatio: 1 })
  await new Promise(done => map.once('rendercomplete', done))
  const canvas = target.querySelector('canvas')
  const sheet = document.createElement('canvas')
  sheet.width = ${width}
  sheet.height = ${height}
  const context = sheet.getContext('2d')
  const place = /matrix\\((.*)\\)/.exec(canvas.style.transform)?.[1].split(',').map(Number) ?? [1, 0, 0, 1, 0, 0]
  context.setTransform(...place)
  context.imageSmoothingEnabled = false
  context.drawImage(canvas, 0, 0)
  const { data } = context.getImageData(0, 0, ${width}, ${height})
  let text = ''
  for (let at = 0; at < data.length; at += 4096) text += String.fromCharCode(...data.subarray(at, at + 4096))
  shown[name] = { width: canvas.width, height: canvas.height, pixels: btoa(text) }
  map.setTarget(undefined)
  target.remove()
}
await fetch('/answer', { method: 'POST', body: JSON.stringify(shown) })
`
}

/** The value under a place, null where nothing is, undefined where two cells meet. */
function valueAt(longitude: number, latitude: number): number | null | undefined {
  const { west, south, east, north, columns, rows } = field
  const [x, y] = [
    ((longitude - west) / (east - west)) * columns,
    ((north - latitude) / (north - south)) * rows,
  ]
  const isEdge = [x, y].some(at => Math.abs(at - Math.round(at)) < 1e-9)
  if (isEdge) return undefined
  const [column, row] = [Math.floor(x), Math.floor(y)]
  if (column < 0 || column >= columns || row < 0 || row >= rows) return null
  const value = row * columns + column
  return value > maskAbove ? null : value
}

const maskAbove = 96

function placeOf(name: Name, i: number, j: number): [longitude: number, latitude: number] {
  if (name.endsWith('Degrees')) {
    const [longitude, latitude] = centreDegrees
    return [longitude + (i + 0.5 - width / 2) * degreesEach, latitude - (j + 0.5 - height / 2) * degreesEach]
  }
  // Level 4 has 4096 pixels; the map begins with the seventh tile to the east and the fifth to the south.
  const longitude = ((1792 + i + 0.5) / 4096) * 360 - 180
  const latitude = (Math.atan(Math.sinh(Math.PI * (1 - (2 * (1280 + j + 0.5)) / 4096))) * 180) / Math.PI
  return [longitude, latitude]
}

/** Red at 0 to blue at 100 through the wheel's long way (HSV, 90 steps), worked out by itself. */
function colourOf(value: number): readonly number[] {
  const hue = ((Math.trunc((value * 89) / 100) / 89) * 240) / 60
  const sector = Math.floor(hue)
  const part = hue - sector
  const ramp = [
    [1, part, 0],
    [1 - part, 1, 0],
    [0, 1, part],
    [0, 1 - part, 1],
    [part, 0, 1],
  ][sector]!
  return ramp.map(channel => Math.trunc(channel * 255))
}

describe.skipIf(!hasChromium)('OpenLayers (skipped without Chromium)', () => {
  let server: NcdjangoServer
  let service = ''
  let shown: Readonly<Record<Name, Shown>>
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-openlayers-'))
  beforeAll(async () => {
    server = await startNcdjango()
    const { west, south, east, north, columns, rows } = field
    const inputs = { width: columns, height: rows, extent: [west, south, east, north], mask_above: maskAbove }
    const made = await fetch(`${server.url}/geoprocessing/rest/jobs/`, {
      method: 'POST',
      body: new URLSearchParams({ job: 'demo_raster_stretched', inputs: JSON.stringify(inputs) }),
    })
    service = `${((await made.json()) as { uuid: string }).uuid}/raster_out`
    while ((await fetch(`${server.url}/arcgis/rest/services/${service}/MapServer`)).status !== 200)
      await sleep(20)
    shown = await openPage({
      script: script(server.url, service),
      profileDir: join(folder, 'profile'),
      imports: { rbush: '/rbush/index.js', quickselect: '/quickselect/index.js' },
      timeoutMs: 100_000,
    })
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  for (const name of Object.keys(maps) as Name[]) {
    test(`shows each cell where it is and in its colour: ${name}`, () => {
      const pixels = Buffer.from(shown[name].pixels, 'base64')
      assert.equal(pixels.length, width * height * 4)
      let [cells, blanks] = [0, 0]
      for (let j = 0; j < height; j++) {
        for (let i = 0; i < width; i++) {
          const value = valueAt(...placeOf(name, i, j))
          if (value === undefined) continue
          const at = (j * width + i) * 4
          const came = [...pixels.subarray(at, at + 4)]
          if (value === null) assert.equal(came[3], 0, `pixel ${i},${j}: nothing was wanted, ${came} came`)
          else assert.deepEqual(came, [...colourOf(value), 255], `pixel ${i},${j} shows ${value}`)
          if (value === null) blanks++
          else cells++
        }
      }
      assert.ok(cells > 50_000 && blanks > 10_000, `${cells} pixels with cells and ${blanks} without`)
    })
  }
})
