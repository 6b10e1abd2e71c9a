// Reads GeoTIFF files as if they were NetCDF: bands become variables over y and x, the place becomes coordinates.
// The library is loaded when the first such file is opened.

import { open } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import type { GeoTIFF } from 'geotiff'
import { textOfEpsg } from '../projection/epsg.ts'
import { type Cells, cellsMax, type Dtype, makeCells, sizeOf } from '../values/nd-array.ts'
import { lonLat } from '../values/raster.ts'
import type { Attribute, GridFile, GridVariable } from './grid-file.ts'
import { type BlockShape, blockBytes, expandBlock, inflateBlock, unpackBlock } from './tiff-blocks.ts'

type BaseSource = Parameters<typeof GeoTIFF.fromSource>[0]
type Slice = Parameters<BaseSource['fetchSlice']>[0]

const dimensionMax = 100_000

/** Opens a GeoTIFF; its variables are `Band1`, `Band2` …, and `x`, `y` and `crs` beside them. */
export async function openGeotiff(path: string): Promise<GridFile> {
  const { GeoTIFF } = await loadLibrary()
  const source = await openBounded(path)
  try {
    return await gridOf(await GeoTIFF.fromSource(source))
  } catch (error) {
    await source.close()
    throw error
  }
}

async function gridOf(tiff: GeoTIFF): Promise<GridFile> {
  const image = await tiff.getImage()
  const width = image.getWidth()
  const height = image.getHeight()
  if (width > dimensionMax || height > dimensionMax) throw new Error('the image is too large')
  const [xmin, ymin, xmax, ymax] = image.getBoundingBox() as [number, number, number, number]
  const centres = new Map<string, Float64Array>([
    ['x', Float64Array.from({ length: width }, (_, at) => xmin + ((at + 0.5) * (xmax - xmin)) / width)],
    ['y', Float64Array.from({ length: height }, (_, at) => ymax - ((at + 0.5) * (ymax - ymin)) / height)],
  ])
  const keys = (image.getGeoKeys() ?? {}) as Record<string, unknown>
  const projection = projectionOf(keys)
  const nodata = image.getGDALNoData()
  const dtype = typeOf(image.getSampleFormat(), image.getBitsPerSample() as number)
  const attributes = new Map<string, Attribute>([['grid_mapping', { type: 'text', text: 'crs' }]])
  if (nodata !== null) attributes.set('_FillValue', { type: dtype, values: [nodata] })
  const variables = new Map<string, GridVariable>()
  const add = (variable: GridVariable): void => void variables.set(variable.name, variable)
  for (const name of ['x', 'y']) {
    const length = centres.get(name)!.length
    const standard = `projection_${name}_coordinate`
    add({
      name,
      dtype: 'float64',
      dimensions: [name],
      shape: [length],
      attributes: new Map([['standard_name', { type: 'text', text: standard }]]),
    })
  }
  add({
    name: 'crs',
    dtype: 'char',
    dimensions: [],
    shape: [],
    attributes: new Map([['proj4', { type: 'text', text: projection }]]),
  })
  for (let band = 1; band <= image.getSamplesPerPixel(); band++)
    add({ name: `Band${band}`, dtype, dimensions: ['y', 'x'], shape: [height, width], attributes })
  return {
    format: 'geotiff',
    dimensions: new Map([
      ['y', height],
      ['x', width],
    ]),
    attributes: new Map(),
    variables,
    async read(name, start, count) {
      const coordinates = centres.get(name)
      if (coordinates) return coordinates.slice(start[0], start[0]! + count[0]!)
      const band = Number(/^Band(\d+)$/.exec(name)?.[1])
      if (!variables.has(name) || Number.isNaN(band)) throw new Error(`there is no variable ${name}`)
      if (sizeOf(count) === 0) return makeCells(dtype, 0)
      if (sizeOf(count) > cellsMax) throw new Error(`too much of ${name} was asked for at once`)
      const window = [start[1]!, start[0]!, start[1]! + count[1]!, start[0]! + count[0]!]
      const [cells] = (await image.readRasters({ window, samples: [band - 1] })) as unknown as Cells[]
      return cells!
    },
    close: () => {
      void tiff.close()
    },
  }
}

/** By its number; a system of longitudes and latitudes without one by its ellipsoid. */
function projectionOf(keys: Readonly<Record<string, unknown>>): string {
  const userDefined = 32_767
  const code = Number(keys['ProjectedCSTypeGeoKey'] ?? keys['GeographicTypeGeoKey'] ?? 4326)
  if (code === userDefined && keys['GTModelTypeGeoKey'] === 2) {
    const [a, rf] = [keys['GeogSemiMajorAxisGeoKey'], keys['GeogInvFlatteningGeoKey']]
    return typeof a === 'number' && typeof rf === 'number'
      ? `+proj=longlat +a=${a} +rf=${rf} +no_defs`
      : lonLat
  }
  const projection = textOfEpsg(code)
  if (projection === undefined) throw new Error(`the projection EPSG:${code} of the image is not known here`)
  return projection
}

function typeOf(format: unknown, bits: number): Dtype {
  const kind = Array.isArray(format) ? format[0] : format
  if (kind === 3) return bits === 64 ? 'float64' : 'float32'
  const dtype = `${kind === 2 ? '' : 'u'}int${bits}`
  if (!/^u?int(8|16|32)$/.test(dtype)) throw new Error(`pixels of ${bits} bits cannot be read`)
  return dtype as Dtype
}

/**
 * The library brings a Worker for browsers that takes any worker thread for one of its own as soon as it is loaded,
 * and fails. We decode in our own threads and never use it: it is left out.
 */
async function loadLibrary(): Promise<typeof import('geotiff')> {
  const hooks = registerHooks({
    resolve: (name, context, next) =>
      name === 'web-worker'
        ? { url: 'data:text/javascript,export default undefined', format: 'module', shortCircuit: true }
        : next(name, context),
  })
  try {
    const library = await import('geotiff')
    boundDecoders(library)
    return library
  } finally {
    hooks.deregister()
  }
}

// The library's own decoders go on for as long as a block goes on, which can be gigabytes.
function boundDecoders({ addDecoder, BaseDecoder }: typeof import('geotiff')): void {
  const decoderOf = (decode: (block: Uint8Array, bytesMax: number) => Uint8Array) =>
    class extends BaseDecoder {
      override decodeBlock(block: ArrayBufferLike): ArrayBufferLike {
        const bytes = decode(new Uint8Array(block), blockBytes(this.parameters as BlockShape))
        return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
      }
    }
  addDecoder(5, async () => decoderOf(expandBlock))
  addDecoder([8, 32946], async () => decoderOf(inflateBlock))
  addDecoder(32773, async () => decoderOf(unpackBlock))
}

/** The bytes of a file as far as there are any: a place beyond its end has none, however many are asked for. */
async function openBounded(path: string): Promise<BaseSource> {
  const file = await open(path)
  const { size } = await file.stat()
  const fetchSlice = async ({ offset, length }: Slice): Promise<ArrayBuffer> => {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)))
    if (bytes.length > 0) await file.read(bytes, 0, bytes.length, offset)
    return bytes.buffer
  }
  return {
    fileSize: size,
    fetch: slices => Promise.all(slices.map(fetchSlice)),
    fetchSlice: async slice => ({ ...slice, data: await fetchSlice(slice) }),
    close: () => file.close(),
  }
}
