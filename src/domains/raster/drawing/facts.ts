// Questions about the values of a layer: range, classes, unique values, and what is at a place.

import { readMasked } from '../netcdf/masked.ts'
import { openGrid } from '../netcdf/open-grid.ts'
import { makeTransform } from '../projection/transform.ts'
import { findPlane, stepAt } from '../services/read-plane.ts'
import type { ServiceVariable } from '../services/service.ts'
import { type BreaksMethod, classBreaks } from './class-breaks.ts'

export interface LayerPlace {
  readonly path: string
  readonly layer: ServiceVariable
}

export type FactsOrder = LayerPlace &
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

export async function answerFacts(order: FactsOrder): Promise<Record<string, unknown>> {
  if (order.what === 'values') return { values: await valuesAt(order) }
  const sorted = await sortedValues(order)
  const [min, max] = sorted.length === 0 ? [null, null] : [sorted[0]!, sorted[sorted.length - 1]!]
  if (order.what === 'range') return { min, max }
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

/** All values of the variable, of every time, that count. */
async function sortedValues({ path, layer, what }: FactsOrder): Promise<Float64Array> {
  const file = await openGrid(path)
  try {
    const variable = file.variables.get(layer.variable)
    if (!variable) throw new Error(`the file has no variable ${layer.variable}`)
    const start = variable.shape.map(() => 0)
    const array = await readMasked(file, variable, start, variable.shape)
    if (what === 'range') {
      const { valid, min, max } = array.summary()
      return valid === 0 ? new Float64Array(0) : Float64Array.of(min, max)
    }
    const values = new Float64Array(array.size)
    let used = 0
    for (let index = 0; index < array.size; index++) {
      const value = array.data[index]!
      if (array.mask?.[index] !== 1 && !Number.isNaN(value)) values[used++] = value
    }
    return values.subarray(0, used).sort()
  } finally {
    file.close()
  }
}

/** One value for each step in time, or for one step; none outside of the grid. */
async function valuesAt(order: Extract<FactsOrder, { what: 'values' }>): Promise<(number | null)[]> {
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
