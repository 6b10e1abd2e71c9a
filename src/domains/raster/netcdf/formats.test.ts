import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { diceOf } from '../../../../test/simulation/random.ts'
import { findLayers } from '../services/describe-file.ts'
import { readPlane } from '../services/read-plane.ts'
import { makeRaster } from '../tasks/demo.ts'
import type { Raster } from '../values/raster.ts'
import { openGrid } from './open-grid.ts'
import { writeRasterFile, writeResultFile } from './publish.ts'

const hasGdal = existsSync('/usr/bin/gdal_translate')

describe('files of grids', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-formats-'))
  const classic = join(folder, 'classic.nc')
  let source: Raster
  beforeAll(() => {
    source = makeRaster({
      width: 7,
      height: 5,
      extent: [-120, 30, -113, 35],
      mask_above: 30,
      dtype: 'float32',
    })
    writeRasterFile(classic, source, { title: 't', history: 'h' })
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  async function first(path: string): Promise<{ raster: Raster; format: string }> {
    const file = await openGrid(path)
    try {
      const [layer] = await findLayers(file)
      assert.ok(layer, 'the file has a grid')
      return { raster: await readPlane(file, layer, 0), format: file.format }
    } finally {
      file.close()
    }
  }

  function assertSame(raster: Raster): void {
    // Files may lie the other way up: the cells are compared where they lie on earth.
    const rows = raster.toLists() as number[][]
    assert.deepEqual(raster.yIncreasing ? rows.reverse() : rows, source.toLists())
    for (const edge of ['xmin', 'ymin', 'xmax', 'ymax'] as const)
      assert.ok(Math.abs(raster.extent[edge] - source.extent[edge]) < 1e-9, edge)
  }

  test('are read as they were written', async () => {
    const { raster, format } = await first(classic)
    assert.equal(format, 'netcdf-3')
    assertSame(raster)
  })

  for (const [name, format, words] of [
    ['nc4.nc', 'netcdf-4', ['-of', 'netCDF', '-co', 'FORMAT=NC4C', '-co', 'COMPRESS=DEFLATE']],
    ['cdf5.nc', 'netcdf-3', ['-of', 'netCDF', '-co', 'FORMAT=NC2']],
    ['grid.tif', 'geotiff', ['-of', 'GTiff', '-co', 'COMPRESS=DEFLATE', '-co', 'TILED=YES']],
    ['lzw.tif', 'geotiff', ['-of', 'GTiff', '-co', 'COMPRESS=LZW']],
    ['packbits.tif', 'geotiff', ['-of', 'GTiff', '-co', 'COMPRESS=PACKBITS', '-co', 'TILED=YES']],
    ['plain.tif', 'geotiff', ['-of', 'GTiff']],
  ] as const) {
    test.skipIf(!hasGdal)(
      `are read as other programs write them: ${name} (skipped without GDAL)`,
      async () => {
        const path = join(folder, name)
        execFileSync('gdal_translate', ['-q', ...words, `NETCDF:"${classic}":data`, path])
        const read = await first(path)
        assert.equal(read.format, format)
        assertSame(read.raster)
      },
    )
  }

  for (const [name, change] of [
    ['degrees', {}],
    ['metres', { projection: '+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs', dtype: 'int16' }],
    ['south-up', { y_increasing: true, dtype: 'float64' }],
  ] as const) {
    test.skipIf(!hasGdal)(`are written as NetCDF-4 that ncdump and gdalinfo take: ${name}`, async () => {
      const path = join(folder, `${name}.nc`)
      const raster = makeRaster({
        ...{ width: 7, height: 5, extent: [-120, 30, -113, 35], mask_above: 30, dtype: 'float32' },
        ...change,
      })
      const hash = createHash('sha256')
      const facts = {
        title: 'grüner',
        history: 'h',
        format: 'netcdf-4',
        hear: (b: Uint8Array) => hash.update(b),
      } as const
      const sizeBytes = await writeResultFile(path, raster, facts)
      const written = readFileSync(path)
      assert.equal(sizeBytes, written.length)
      assert.equal(hash.digest('hex'), createHash('sha256').update(written).digest('hex'))
      const header = execFileSync('ncdump', ['-h', '-s', path], { encoding: 'utf8' })
      assert.match(header, /data:grid_mapping = "crs"|data :grid_mapping = "crs"/)
      assert.match(header, /_DeflateLevel = 4/)
      assert.match(header, /:title = "grüner"/)
      assert.doesNotMatch(header, /string /, 'texts are not of the type string')
      const info = JSON.parse(
        execFileSync('gdalinfo', ['-json', '-stats', `NETCDF:"${path}":data`], { encoding: 'utf8' }),
      )
      assert.deepEqual([info.bands[0].minimum, info.bands[0].maximum], [0, 30])
      assert.deepEqual(info.cornerCoordinates.upperLeft, [-120, 35])
      const read = await first(path)
      assert.equal(read.format, 'netcdf-4')
      assert.deepEqual(read.raster.toLists(), raster.toLists())
      assert.equal(read.raster.yIncreasing, raster.yIncreasing)
    })
  }

  for (const compression of ['LZW', 'PACKBITS', 'DEFLATE'])
    test.skipIf(!hasGdal)(
      `are read where they do not repeat, by blocks of many codes: ${compression}`,
      async () => {
        const dice = diceOf(5)
        const bytes = Uint8Array.from({ length: 300 * 200 }, () => (dice.chance(0.5) ? 7 : dice.below(256)))
        const text = `ncols 300\nnrows 200\nxllcorner 0\nyllcorner 0\ncellsize 0.1\n${bytes.join(' ')}\n`
        const [grid, path] = [join(folder, 'noise.asc'), join(folder, 'noise.tif')]
        writeFileSync(grid, text)
        const predictor = compression === 'PACKBITS' ? [] : ['-co', 'PREDICTOR=2']
        const words = ['-ot', 'Byte', '-a_srs', 'EPSG:4326', '-co', `COMPRESS=${compression}`, ...predictor]
        execFileSync('gdal_translate', ['-q', ...words, grid, path])
        const file = await openGrid(path)
        assert.deepEqual(Uint8Array.from((await file.read('Band1', [0, 0], [200, 300])) as Uint8Array), bytes)
        file.close()
      },
    )

  test.skipIf(!hasGdal)(
    'whose block lies about its length are read as far as there is something',
    async () => {
      const path = join(folder, 'lying.tif')
      execFileSync('gdal_translate', ['-q', '-co', 'COMPRESS=PACKBITS', `NETCDF:"${classic}":data`, path])
      const bytes = readFileSync(path)
      const directory = bytes.readUInt32LE(4)
      for (let at = directory + 2; at < directory + 2 + 12 * bytes.readUInt16LE(directory); at += 12)
        // StripByteCounts: one number, which is four gigabytes.
        if (bytes.readUInt16LE(at) === 279) bytes.writeUInt32LE(0xffff_fff0, at + 8)
      writeFileSync(path, bytes)
      const file = await openGrid(path)
      const [height, width] = file.variables.get('Band1')!.shape
      const cells = await file.read('Band1', [0, 0], [height!, width!])
      assert.equal(cells.length, height! * width!)
      file.close()
    },
  )

  test('that lie about their size, or are cut off, are refused when they are opened', async () => {
    const path = join(folder, 'short.nc')
    writeRasterFile(path, source, { title: 't', history: 'h' })
    truncateSync(path, 700)
    await assert.rejects(openGrid(path), /beyond the end|ends within/)
    const noise = join(folder, 'noise.nc')
    writeFileSync(noise, Buffer.concat([Buffer.from('CDF\u0002'), Buffer.alloc(64, 0x7f)]))
    await assert.rejects(openGrid(noise))
    writeFileSync(noise, 'nothing of the kind')
    await assert.rejects(openGrid(noise), /neither NetCDF nor GeoTIFF/)
  })
})
