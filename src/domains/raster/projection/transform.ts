// Coordinates from one projection into another, through proj4, and what can be known of a pair of projections.

import proj4 from 'proj4'
import type { Extent } from '../values/raster.ts'
import { resolveProjection } from './epsg.ts'
import { isGeographic, projParameters } from './proj-text.ts'

export type Transform = (x: number, y: number) => readonly [x: number, y: number]

/** The latitude at which Web Mercator's square ends. */
const mercatorLatitude = 85.051_128_779_806_6

const same: Transform = (x, y) => [x, y]

/** A function from one projection to another; places that have no counterpart become NaN. Throws for bad projections. */
export function makeTransform(from: string, to: string): Transform {
  const [source, target] = [resolveProjection(from), resolveProjection(to)]
  if (source === target) return same
  const converter = proj4(source, target)
  const clamps = isGeographic(source) && isMercator(target)
  return (x, y) => {
    const latitude = clamps ? Math.max(-mercatorLatitude, Math.min(mercatorLatitude, y)) : y
    if (!Number.isFinite(x) || !Number.isFinite(latitude)) return [Number.NaN, Number.NaN]
    try {
      const [a, b] = converter.forward([x, latitude])
      return [a!, b!]
    } catch {
      return [Number.NaN, Number.NaN] // proj4 throws for some places outside of a projection.
    }
  }
}

/** Whether proj4 understands a projection. */
export function isProjection(text: string): boolean {
  try {
    makeTransform(text, '+proj=longlat +datum=WGS84 +no_defs')(0, 0)
    return true
  } catch {
    return false
  }
}

function isMercator(text: string): boolean {
  return projParameters(text).get('proj') === 'merc'
}

/** Whether x depends on x alone and y on y alone: then one table for columns and one for rows are enough. */
export function isSeparable(from: string, to: string): boolean {
  const [source, target] = [resolveProjection(from), resolveProjection(to)]
  if (source === target) return true
  return [source, target].every(
    text => (isGeographic(text) || isMercator(text)) && !projParameters(text).has('towgs84'),
  )
}

/** The box around a box in another projection: the outer bounds of a 9 × 9 grid of its points. */
export function projectExtent(extent: Extent, to: string): Extent {
  const transform = makeTransform(extent.projection, to)
  let [xmin, ymin, xmax, ymax] = [Infinity, Infinity, -Infinity, -Infinity]
  for (let i = 0; i <= 8; i++) {
    for (let j = 0; j <= 8; j++) {
      const [x, y] = transform(
        i === 8 ? extent.xmax : extent.xmin + ((extent.xmax - extent.xmin) * i) / 8,
        j === 8 ? extent.ymax : extent.ymin + ((extent.ymax - extent.ymin) * j) / 8,
      )
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue
      xmin = Math.min(xmin, x)
      ymin = Math.min(ymin, y)
      xmax = Math.max(xmax, x)
      ymax = Math.max(ymax, y)
    }
  }
  if (xmin > xmax) throw new Error('the box lies outside of the projection')
  return { xmin, ymin, xmax, ymax, projection: to }
}
