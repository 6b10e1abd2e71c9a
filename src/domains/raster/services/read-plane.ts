// Takes the plane of a variable that is meant out of a file: which index of every other dimension, which way up.

import type { GridFile, GridVariable } from '../netcdf/grid-file.ts'
import { readMasked } from '../netcdf/masked.ts'
import { makeCells } from '../values/nd-array.ts'
import { Raster } from '../values/raster.ts'
import type { ServiceVariable } from './service.ts'
import { nearestStep, timeSteps } from './time-steps.ts'

/** Where the plane of a variable lies in its file. */
export interface Plane {
  readonly variable: GridVariable
  readonly xAxis: number
  readonly yAxis: number
  /** The index in each dimension; 0 for x and y. */
  readonly start: readonly number[]
  readonly rows: number
  readonly columns: number
  readonly yIncreasing: boolean
}

/** Finds the plane at a step in time. */
export async function findPlane(file: GridFile, layer: ServiceVariable, step = 0): Promise<Plane> {
  const variable = file.variables.get(layer.variable)
  if (!variable) throw new Error(`the file has no variable ${layer.variable}`)
  const xAxis = variable.dimensions.indexOf(layer.xDimension)
  const yAxis = variable.dimensions.indexOf(layer.yDimension)
  if (xAxis === -1 || yAxis === -1) throw new Error(`${layer.variable} has no dimensions x and y`)
  const timeAxis = layer.timeDimension === null ? -1 : variable.dimensions.indexOf(layer.timeDimension)
  const start = variable.shape.map((length, axis) =>
    axis === timeAxis ? Math.max(0, Math.min(step, length - 1)) : 0,
  )
  return {
    variable,
    xAxis,
    yAxis,
    start,
    rows: variable.shape[yAxis]!,
    columns: variable.shape[xAxis]!,
    yIncreasing: await isRising(file, layer.yDimension),
  }
}

async function isRising(file: GridFile, name: string): Promise<boolean> {
  const coordinate = file.variables.get(name)
  if (!coordinate || coordinate.dtype === 'char' || (coordinate.shape[0] ?? 0) < 2) return false
  if (coordinate.shape.length !== 1) return false
  const values = await file.read(name, [0], [2])
  return values[1]! > values[0]!
}

/** The step that a timestamp (seconds) means; the first one when there is none. */
export function stepAt(layer: ServiceVariable, timestamp: number | undefined): number {
  if (timestamp === undefined || layer.time === null || layer.timeDimension === null) return 0
  return nearestStep(timeSteps(layer.time), timestamp * 1000)
}

/** The whole plane as a raster. */
export async function readPlane(file: GridFile, layer: ServiceVariable, step: number): Promise<Raster> {
  const plane = await findPlane(file, layer, step)
  const { variable, xAxis, yAxis, rows, columns } = plane
  const count = variable.shape.map((length, axis) => (axis === xAxis || axis === yAxis ? length : 1))
  const array = await readMasked(file, variable, plane.start, count)
  const place = { extent: layer.extent, yIncreasing: plane.yIncreasing, mask: array.mask }
  if (yAxis < xAxis) return new Raster(array.dtype, [rows, columns], array.data, place)
  const data = makeCells(array.dtype, array.size)
  const mask = array.mask && new Uint8Array(array.size)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      data[row * columns + column] = array.data[column * rows + row]!
      if (mask) mask[row * columns + column] = array.mask![column * rows + row]!
    }
  }
  return new Raster(array.dtype, [rows, columns], data, { ...place, mask })
}
