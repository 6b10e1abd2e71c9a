// Writes a raster as a CF NetCDF file that every reader opens: what a published result is.

import { resolveProjection } from '../projection/epsg.ts'
import { gridMappingOf, isGeographic } from '../projection/proj-text.ts'
import { type Cells, type Dtype, isFloatType, makeCells } from '../values/nd-array.ts'
import type { Raster } from '../values/raster.ts'
import {
  type ClassicType,
  type FileDraft,
  numberAttribute,
  textAttribute,
  type VariableDraft,
  writeClassic,
} from './classic-writer.ts'
import type { Attribute } from './grid-file.ts'

/** The names of the dimensions in a published file. */
export function dimensionNames(projection: string): { x: string; y: string } {
  return isGeographic(resolveProjection(projection)) ? { x: 'longitude', y: 'latitude' } : { x: 'x', y: 'y' }
}

export type ResultFormat = 'netcdf-3' | 'netcdf-4'

export interface FileFacts {
  readonly title: string
  readonly history: string
}

/** Writes a classic file; gives its length. Its bytes are also given to `hear`, for a hash. */
export function writeRasterFile(
  path: string,
  raster: Raster,
  facts: FileFacts,
  hear: (bytes: Uint8Array) => void = () => {},
): number {
  return writeClassic(path, draftOf(raster, facts), hear)
}

/** Writes a file of the format that is asked for; as writeRasterFile. */
export async function writeResultFile(
  path: string,
  raster: Raster,
  { format, hear, ...facts }: FileFacts & { format: ResultFormat; hear: (bytes: Uint8Array) => void },
): Promise<number> {
  if (format === 'netcdf-3') return writeRasterFile(path, raster, facts, hear)
  const { writeNetcdf4 } = await import('./netcdf4-writer.ts')
  return writeNetcdf4(path, draftOf(raster, facts), hear)
}

function draftOf(raster: Raster, facts: FileFacts): FileDraft {
  const projection = resolveProjection(raster.extent.projection)
  const { x, y } = dimensionNames(projection)
  const { type, data, fill } = storable(raster)
  const text = (value: string): Attribute => textAttribute(value)
  const variables: VariableDraft[] = [
    coordinate(raster, 'x', x),
    coordinate(raster, 'y', y),
    { name: 'crs', type: 'char', dimensions: [], attributes: gridMapping(projection) },
    {
      name: 'data',
      type,
      dimensions: [y, x],
      attributes: [
        ...(fill === undefined ? [] : [['_FillValue', numberAttribute([fill], type as Dtype)] as const]),
        ['grid_mapping', text('crs')],
      ],
      data,
    },
  ]
  return {
    dimensions: [
      [y, raster.rows],
      [x, raster.columns],
    ],
    attributes: [
      ['Conventions', text('CF-1.8')],
      ['title', text(facts.title)],
      ['history', text(facts.history)],
    ],
    variables,
  }
}

function coordinate(raster: Raster, axis: 'x' | 'y', name: string): VariableDraft {
  const { xmin, xmax, ymin, ymax } = raster.extent
  const length = axis === 'x' ? raster.columns : raster.rows
  const [low, high] = axis === 'x' ? [xmin, xmax] : [ymin, ymax]
  const isRising = axis === 'x' || raster.yIncreasing
  const step = (high - low) / length
  const data = Float64Array.from({ length }, (_, at) =>
    isRising ? low + (at + 0.5) * step : high - (at + 0.5) * step,
  )
  const isDegrees = name === 'longitude' || name === 'latitude'
  const words = isDegrees
    ? { standard: name, long: name, units: axis === 'x' ? 'degrees_east' : 'degrees_north' }
    : { standard: `projection_${axis}_coordinate`, long: `${axis} coordinate of projection`, units: 'm' }
  return {
    name,
    type: 'float64',
    dimensions: [name],
    attributes: [
      ['axis', textAttribute(axis.toUpperCase())],
      ['standard_name', textAttribute(words.standard)],
      ['long_name', textAttribute(words.long)],
      ['units', textAttribute(words.units)],
    ],
    data,
  }
}

function gridMapping(projection: string): (readonly [string, Attribute])[] {
  const mapping = gridMappingOf(projection)
  return [
    ...(mapping === undefined ? [] : [['grid_mapping_name', textAttribute(mapping.name)] as const]),
    ...(mapping?.values ?? []).map(
      ([name, value]) => [name, numberAttribute(typeof value === 'number' ? [value] : value)] as const,
    ),
    ['proj4', textAttribute(projection)],
  ]
}

const fillsOf: Readonly<Record<Exclude<ClassicType, 'char'>, readonly number[]>> = {
  int8: [-127, -128, 127],
  int16: [-32_767, -32_768, 32_767],
  int32: [-2_147_483_647, -2_147_483_648, 2_147_483_647],
  float32: [9.969_209_968_386_869e36, -9.969_209_968_386_869e36, 1e20],
  float64: [9.969_209_968_386_869e36, -9.969_209_968_386_869e36, 1e20],
}

/**
 * The cells in a type that the format has, masked ones filled with a value that no cell has. There is a `fill` when
 * something is masked, and also when a real cell has the value that readers would take for one.
 */
function storable(raster: Raster): {
  type: Exclude<ClassicType, 'char'>
  data: Cells
  fill: number | undefined
} {
  for (const type of typesFor(raster)) {
    const used = usedFills(raster, type)
    const hasMasked = raster.mask?.includes(1) ?? false
    const standard = fillsOf[type][0]!
    // Readers mask the default fill of wider types where no _FillValue stands.
    const needsFill = hasMasked || (type !== 'int8' && used.has(standard))
    if (!needsFill) return { type, data: asType(raster, type, 0), fill: undefined }
    const fill = fillsOf[type].find(value => !used.has(value))
    if (fill !== undefined) return { type, data: asType(raster, type, fill), fill }
  }
  throw new Error('the raster uses every value that could mark its masked cells')
}

function usedFills(raster: Raster, type: Exclude<ClassicType, 'char'>): Set<number> {
  const candidates = fillsOf[type].map(value => (type === 'float32' ? Math.fround(value) : value))
  const used = new Set<number>()
  const { data, mask } = raster
  for (const [index, candidate] of candidates.entries()) {
    for (let at = 0; at < data.length; at++) {
      if (data[at] === candidate && mask?.[at] !== 1) {
        used.add(fillsOf[type][index]!)
        break
      }
    }
  }
  return used
}

/** The types that can hold all its cells, the narrowest first. */
function typesFor(raster: Raster): readonly Exclude<ClassicType, 'char'>[] {
  if (isFloatType(raster.dtype)) return [raster.dtype as 'float32' | 'float64', 'float64']
  const { valid, min, max } = raster.summary()
  const isWithin = (low: number, high: number): boolean => valid === 0 || (min >= low && max <= high)
  const isByte = raster.dtype === 'bool' || raster.dtype === 'int8' || raster.dtype === 'uint8'
  const isShort = isByte || raster.dtype === 'int16'
  const types: Exclude<ClassicType, 'char'>[] = []
  if (isByte && isWithin(-128, 127)) types.push('int8')
  if (isShort && isWithin(-32_768, 32_767)) types.push('int16')
  if (isWithin(-2_147_483_648, 2_147_483_647)) types.push('int32')
  return [...types, 'float64']
}

function asType(raster: Raster, type: Exclude<ClassicType, 'char'>, fill: number): Cells {
  const { data, mask } = raster
  const isSame = raster.dtype === type
  if (isSame && mask === undefined) return data
  const cells = makeCells(type, data.length)
  cells.set(data)
  if (mask) for (let at = 0; at < mask.length; at++) if (mask[at] === 1) cells[at] = fill
  return cells
}
