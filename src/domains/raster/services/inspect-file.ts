// Describes a file of grids to whoever is about to make a service of it: dimensions, variables with their ranges, what
// lies where on earth and when. See contracts/ncdjango.md §4.6.

import { rangeOfVariable } from '../netcdf/blocks.ts'
import type { Attribute, Attributes, GridFile, GridVariable } from '../netcdf/grid-file.ts'
import { textOf } from '../netcdf/grid-file.ts'
import { openGrid } from '../netcdf/open-grid.ts'
import { lonLat } from '../values/raster.ts'
import { axisOf, extentOf, projectionOf } from './describe-file.ts'
import { readTimeUnits, type TimeUnits } from './time-units.ts'

/** What the original calls longitudes and latitudes of a file that names no projection. */
const lonLatOfVariables = '+proj=longlat +ellps=WGS84 +datum=WGS84 +no_defs'
/** Variables beyond are not described: a file with more is none of ours. */
const variablesMax = 1000
/** Longer coordinates are not looked through for even steps. */
const coordinateCellsMax = 1_000_000

/** Opens and describes a file. */
export async function inspectFile(path: string): Promise<Record<string, unknown>> {
  const file = await openGrid(path)
  try {
    const variables: Record<string, unknown> = {}
    for (const variable of [...file.variables.values()].slice(0, variablesMax)) {
      if (variable.dtype === 'char' || variable.shape.length === 0 || variable.shape.includes(0)) continue
      variables[variable.name] = await describe(file, variable)
    }
    return {
      attributes: showAttributes(file.attributes),
      dimensions: Object.fromEntries([...file.dimensions].map(([name, length]) => [name, { length }])),
      variables,
    }
  } finally {
    file.close()
  }
}

/** The dimensions of each variable of a file: enough to tell whether a service can be made of them. */
export async function layoutOf(path: string): Promise<Record<string, readonly string[]>> {
  const file = await openGrid(path)
  try {
    return Object.fromEntries([...file.variables].map(([name, { dimensions }]) => [name, dimensions]))
  } finally {
    file.close()
  }
}

function showAttributes(attributes: Attributes): Record<string, unknown> {
  const show = (attribute: Attribute): unknown => {
    if (attribute.type === 'text') return attribute.text
    return attribute.values.length === 1 ? finite(attribute.values[0]!) : attribute.values.map(finite)
  }
  return Object.fromEntries([...attributes].map(([name, attribute]) => [name, show(attribute)]))
}

/** JSON has no words for the others. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

async function describe(file: GridFile, variable: GridVariable): Promise<Record<string, unknown>> {
  const { attributes, dimensions, name } = variable
  const range = await rangeOfVariable(file, variable)
  const facts: Record<string, unknown> = {
    attributes: showAttributes(attributes),
    dimensions,
    data_type: variable.dtype,
    name: textOf(attributes, 'long_name') ?? textOf(attributes, 'standard_name') ?? name,
    min: range ? finite(range.min) : null,
    max: range ? finite(range.max) : null,
  }
  if (dimensions.length === 1 && dimensions[0] === name) {
    const interval = evenStep(await coordinate(file, name))
    return interval === undefined ? facts : { ...facts, interval }
  }
  const named = (axis: string): string | undefined =>
    dimensions.find(dimension => axisOf(file, dimension) === axis)
  const [x, y, time] = [named('x'), named('y'), named('time')]
  if (x !== undefined && y !== undefined) Object.assign(facts, await placeOf(file, variable, { x, y }))
  if (time !== undefined) facts['time'] = await timeOf(file, time)
  return facts
}

async function placeOf(
  file: GridFile,
  variable: GridVariable,
  { x, y }: { x: string; y: string },
): Promise<Record<string, unknown>> {
  const extent = await extentOf(file, variable, { x, y })
  if (!extent) return {}
  const projection = projectionOf(file, variable)
  const [columns, rows] = [x, y].map(name => variable.shape[variable.dimensions.indexOf(name)]!)
  return {
    proj4: projection === lonLat ? lonLatOfVariables : projection,
    spatial_grid: {
      extent: {
        xmin: extent.xmin,
        ymin: extent.ymin,
        xmax: extent.xmax,
        ymax: extent.ymax,
        proj4: projection,
      },
      x_dimension: x,
      x_resolution: (extent.xmax - extent.xmin) / columns!,
      y_dimension: y,
      y_resolution: (extent.ymax - extent.ymin) / rows!,
    },
  }
}

async function timeOf(file: GridFile, dimension: string): Promise<Record<string, unknown> | null> {
  const values = await coordinate(file, dimension)
  const units = readTimeUnits(file.variables.get(dimension)?.attributes)
  if (values.length === 0 || !units) return null
  const instants = Array.from(values, value => units.instant(value))
  const show = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}+00:00`
  const isShown = instants.every(at => Math.abs(at) <= 8.64e15)
  return {
    dimension,
    extent: isShown ? [show(instants[0]!), show(instants[instants.length - 1]!)] : null,
    ...stepOf(values, instants, units),
  }
}

/** Even steps in the file's own unit, or months and years, which are uneven in days. */
function stepOf(
  values: ArrayLike<number>,
  instants: readonly number[],
  units: TimeUnits,
): Record<string, unknown> {
  const interval = evenStep(values)
  if (interval !== undefined) return { interval, interval_unit: units.unit }
  const months = instants.map(at => {
    const date = new Date(at)
    return date.getUTCFullYear() * 12 + date.getUTCMonth()
  })
  const step = evenStep(months)
  if (step === undefined || step === 0) return { interval: null, interval_unit: null }
  return step % 12 === 0
    ? { interval: step / 12, interval_unit: 'year' }
    : { interval: step, interval_unit: 'month' }
}

async function coordinate(file: GridFile, name: string): Promise<ArrayLike<number>> {
  const variable = file.variables.get(name)
  const length = variable?.shape[0] ?? 0
  if (!variable || variable.dtype === 'char' || variable.shape.length !== 1 || length > coordinateCellsMax)
    return []
  return file.read(name, [0], [length])
}

/** The step between neighbours, when it is the same everywhere. */
function evenStep(values: ArrayLike<number>): number | undefined {
  if (values.length < 2) return undefined
  const step = (values[values.length - 1]! - values[0]!) / (values.length - 1)
  for (let index = 1; index < values.length; index++)
    if (!(Math.abs(values[index]! - values[index - 1]! - step) <= Math.abs(step) * 1e-5)) return undefined
  return Math.abs(step)
}
