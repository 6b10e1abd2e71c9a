// Questions about the values of a layer: range, classes, unique values, and what is at a place.

import { rangeOfVariable, readBlocks } from '../netcdf/blocks.ts'
import type { GridFile, GridVariable } from '../netcdf/grid-file.ts'
import { readMasked } from '../netcdf/masked.ts'
import { openGrid } from '../netcdf/open-grid.ts'
import { makeTransform } from '../projection/transform.ts'
import { inspectFile, layoutOf } from '../services/inspect-file.ts'
import { findPlane, stepAt } from '../services/read-plane.ts'
import type { ServiceVariable } from '../services/service.ts'
import { sizeOf } from '../values/nd-array.ts'
import { type BreaksMethod, classBreaks } from './class-breaks.ts'

export interface LayerPlace {
  readonly path: string
  readonly layer: ServiceVariable
}

export type FactsOrder =
  | { readonly what: 'file'; readonly path: string }
  | { readonly what: 'layout'; readonly path: string }
  | LayerFactsOrder

export type LayerFactsOrder = LayerPlace &
  (
    | { readonly what: 'range' }
    | { readonly what: 'classify'; readonly method: BreaksMethod; readonly breaks: number }
    | { readonly what: 'unique'; readonly max: number }
    | {
        readonly what: 'values'
        readonly x: number
        readonly y: number
        readonly projection: string
        readonly step?: number
      }
  )

/** Sorting more values than this would take too much memory. */
const sortedMax = 67_108_864

/** Answers a question about a file, or about the values of a layer; may look through a whole grid. */
export async function answerFacts(order: FactsOrder): Promise<Record<string, unknown>> {
  if (order.what === 'file') return inspectFile(order.path)
  if (order.what === 'layout') return layoutOf(order.path)
  if (order.what === 'values') return { values: await valuesAt(order) }
  if (order.what === 'range') return rangeOf(order)
  const sorted = await sortedValues(order)
  const min = sorted[0] ?? null
  if (order.what === 'classify')
    return { breaks: sorted.length === 0 ? [] : classBreaks(sorted, order.method, order.breaks), min }
  const unique: number[] = []
  let count = 0
  for (let index = 0; index < sorted.length; index++) {
    if (index > 0 && sorted[index] === sorted[index - 1]) continue
    count++
    if (unique.length < order.max) unique.push(sorted[index]!)
  }
  return { num_values: count, values: unique }
}

async function rangeOf({ path, layer }: LayerPlace): Promise<Record<string, unknown>> {
  const file = await openGrid(path)
  try {
    return (await rangeOfVariable(file, variableOf(file, layer))) ?? { min: null, max: null }
  } finally {
    file.close()
  }
}

function variableOf(file: GridFile, layer: ServiceVariable): GridVariable {
  const variable = file.variables.get(layer.variable)
  if (!variable) throw new Error(`the file has no variable ${layer.variable}`)
  return variable
}

/** All values of the variable, of every time, that count. */
async function sortedValues({ path, layer }: LayerPlace): Promise<Float64Array> {
  const file = await openGrid(path)
  try {
    const variable = variableOf(file, layer)
    const size = sizeOf(variable.shape)
    if (size > sortedMax)
      throw new Error(`the variable has ${size} values; at most ${sortedMax} can be classified`)
    const values = new Float64Array(size)
    let used = 0
    for await (const block of readBlocks(file, variable)) {
      for (let index = 0; index < block.size; index++) {
        const value = block.data[index]!
        if (block.mask?.[index] !== 1 && !Number.isNaN(value)) values[used++] = value
      }
    }
    return values.subarray(0, used).sort()
  } finally {
    file.close()
  }
}

/** One value for each step in time, or for one step; none outside of the grid. */
async function valuesAt(order: Extract<LayerFactsOrder, { what: 'values' }>): Promise<(number | null)[]> {
  const { layer } = order
  const file = await openGrid(order.path)
  try {
    const [x, y] = makeTransform(order.projection, layer.extent.projection)(order.x, order.y)
    const plane = await findPlane(file, layer, order.step ?? stepAt(layer, undefined))
    const { xmin, xmax, ymin, ymax } = layer.extent
    const column = Math.floor((x - xmin) / ((xmax - xmin) / plane.columns))
    const south = Math.floor((y - ymin) / ((ymax - ymin) / plane.rows))
    if (!(column >= 0 && column < plane.columns && south >= 0 && south < plane.rows)) return []
    const row = plane.yIncreasing ? south : plane.rows - 1 - south
    const { variable } = plane
    const timeAxis = layer.timeDimension === null ? -1 : variable.dimensions.indexOf(layer.timeDimension)
    const start = [...plane.start]
    const count = start.map(() => 1)
    start[plane.xAxis] = column
    start[plane.yAxis] = row
    if (timeAxis !== -1 && order.step === undefined) {
      start[timeAxis] = 0
      count[timeAxis] = variable.shape[timeAxis]!
    }
    const array = await readMasked(file, variable, start, count)
    return Array.from(array.data, (value, index) =>
      array.mask?.[index] === 1 || !Number.isFinite(value) ? null : value,
    )
  } finally {
    file.close()
  }
}
