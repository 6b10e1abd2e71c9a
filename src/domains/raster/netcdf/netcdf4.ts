// Reads NetCDF-4 (HDF5) files through h5wasm, which is loaded when the first one is opened: on worker threads only.

import { type Cells, type Dtype, sizeOf } from '../values/nd-array.ts'
import type { Attribute, GridFile, GridVariable } from './grid-file.ts'

/** Attributes by which HDF5 keeps dimensions, and which are none of the file's own. */
const hidden = new Set([
  ...['CLASS', 'NAME', 'DIMENSION_LIST', 'REFERENCE_LIST', '_Netcdf4Dimid', '_Netcdf4Coordinates'],
  ...['_NCProperties', '_nc3_strict'],
])
const cellsPerRead = 268_435_456

type Library = typeof import('h5wasm/node')
type H5Dataset = InstanceType<Library['Dataset']>
type H5File = InstanceType<Library['File']>

/** Opens a NetCDF-4 file. */
export async function openNetcdf4(path: string): Promise<GridFile> {
  const library = await import('h5wasm/node')
  await library.ready
  return reading(() => {
    const file = new library.File(path, 'r')
    if (file.file_id <= 0n) throw new Error('it is damaged, or not whole')
    try {
      return describe(file, library)
    } catch (error) {
      file.close()
      throw error
    }
  })
}

/** A file that could not be read. What the library still holds open of it is not known. */
class DamagedFile extends Error {}

/** Damaged files make the library fail in many ways, most of them in words of its own inside. */
function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new DamagedFile(`the file cannot be read as NetCDF-4: ${text.slice(0, 200)}`, { cause: error })
  }
}

/** Whether the library must not be used again in this thread: it may take another file for the damaged one. */
export function isBroken(error: unknown): boolean {
  return error instanceof DamagedFile
}

function describe(file: H5File, library: Library): GridFile {
  const datasets = new Map<string, H5Dataset>()
  for (const name of file.keys()) {
    const item = file.get(name)
    if (item instanceof library.Dataset) datasets.set(name, item)
  }
  const dimensions = new Map<string, number>()
  for (const [name, dataset] of datasets) {
    if (attributeText(dataset, 'CLASS') === 'DIMENSION_SCALE') dimensions.set(name, dataset.shape?.[0] ?? 0)
  }
  const variables = new Map<string, GridVariable>()
  for (const [name, dataset] of datasets) {
    // A dimension without a coordinate variable is a dataset too, and says so in its NAME.
    if (attributeText(dataset, 'NAME')?.startsWith('This is a netCDF dimension but not a netCDF variable'))
      continue
    const dtype = typeOf(dataset)
    if (dtype === undefined) continue
    const shape = [...(dataset.shape ?? [])]
    const names = shape.map((length, axis) => dimensionName(dataset, axis, { length, dimensions, own: name }))
    for (const [axis, length] of shape.entries())
      if (!dimensions.has(names[axis]!)) dimensions.set(names[axis]!, length)
    variables.set(name, { name, dtype, dimensions: names, shape, attributes: attributesOf(dataset.attrs) })
  }
  return {
    format: 'netcdf-4',
    dimensions,
    attributes: attributesOf(file.attrs),
    variables,
    read(name, start, count) {
      const dataset = datasets.get(name)
      const variable = variables.get(name)
      if (!dataset || !variable) throw new Error(`there is no variable ${name}`)
      if (sizeOf(count) > cellsPerRead) throw new Error(`too much of ${name} was asked for at once`)
      const isWhole = start.every((from, axis) => from === 0 && count[axis] === variable.shape[axis])
      return reading(() => {
        const raw =
          isWhole || start.length === 0
            ? dataset.value
            : dataset.slice(start.map((from, axis) => [from, from + count[axis]!] as [number, number]))
        return toCells(raw, variable)
      })
    },
    close: () => {
      file.close()
    },
  }
}

function toCells(raw: unknown, variable: GridVariable): Cells {
  if (raw instanceof BigInt64Array || raw instanceof BigUint64Array) return Float64Array.from(raw, Number)
  if (ArrayBuffer.isView(raw)) return raw as Cells
  if (typeof raw === 'number') return Float64Array.of(raw)
  if (typeof raw === 'bigint') return Float64Array.of(Number(raw))
  throw new Error(`variable ${variable.name} holds something other than numbers`)
}

function dimensionName(
  dataset: H5Dataset,
  axis: number,
  { length, dimensions, own }: { length: number; dimensions: ReadonlyMap<string, number>; own: string },
): string {
  const scales = attachedScales(dataset, axis)
  const first = scales[0]?.replace(/^\//, '')
  if (first !== undefined && dimensions.has(first)) return first
  if (dimensions.get(own) === length && (dataset.shape?.length ?? 0) === 1) return own
  for (const [name, known] of dimensions) if (known === length) return name
  return `${own}_${axis}`
}

function attachedScales(dataset: H5Dataset, axis: number): readonly string[] {
  try {
    return dataset.get_attached_scales(axis)
  } catch {
    return [] // The dataset has none; its axes are then known by their lengths.
  }
}

/** The type of the cells; undefined for what is no grid (texts, compounds). */
function typeOf(dataset: H5Dataset): Dtype | 'char' | undefined {
  const metadata = dataset.metadata
  // H5T classes: 0 integer, 1 float, 3 string.
  if (metadata.type === 3) return 'char'
  if (metadata.type === 1) return metadata.size === 4 ? 'float32' : 'float64'
  if (metadata.type !== 0) return undefined
  if (metadata.size === 8) return 'int64'
  return `${metadata.signed ? '' : 'u'}int${metadata.size * 8}` as Dtype
}

function attributesOf(
  all: Readonly<Record<string, { value: unknown; dtype: unknown }>>,
): Map<string, Attribute> {
  const found = new Map<string, Attribute>()
  for (const [name, attribute] of Object.entries(all)) {
    if (hidden.has(name)) continue
    const read = readAttribute(attribute)
    if (read) found.set(name, read)
  }
  return found
}

function readAttribute(attribute: { value: unknown; dtype: unknown }): Attribute | undefined {
  const { value } = attribute
  if (typeof value === 'string') return { type: 'text', text: value.replace(/\0+$/, '') }
  if (Array.isArray(value) && typeof value[0] === 'string')
    return { type: 'text', text: value.join(' ').replace(/\0+$/, '') }
  const type = attributeType(attribute.dtype)
  if (typeof value === 'number' || typeof value === 'bigint') return { type, values: [Number(value)] }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return { type, values: Array.from(value as Float64Array | BigInt64Array, Number) }
  return undefined
}

/** h5wasm writes types as Python's struct module does: `<f`, `<d`, `<h` … */
function attributeType(dtype: unknown): Dtype {
  const letter = typeof dtype === 'string' ? dtype.at(-1) : undefined
  const types: Readonly<Record<string, Dtype>> = {
    f: 'float32',
    d: 'float64',
    b: 'int8',
    B: 'uint8',
    h: 'int16',
    H: 'uint16',
    i: 'int32',
    I: 'uint32',
  }
  return (letter !== undefined && types[letter]) || 'float64'
}

function attributeText(dataset: H5Dataset, name: string): string | undefined {
  const value = dataset.attrs[name]?.value
  return typeof value === 'string' ? value : undefined
}
