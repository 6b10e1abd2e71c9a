// Finds the layers of a file by the CF conventions: which variables are grids, their axes, their place and projection.

import type { GridFile, GridVariable } from '../netcdf/grid-file.ts'
import { numbersOf, textOf } from '../netcdf/grid-file.ts'
import { resolveProjection } from '../projection/epsg.ts'
import { projTextOf } from '../projection/proj-text.ts'
import { type Extent, lonLat } from '../values/raster.ts'
import type { ServiceVariable } from './service.ts'

const xNames = new Set(['longitude', 'lon', 'long', 'x'])
const yNames = new Set(['latitude', 'lat', 'y'])
const timeNames = new Set(['time', 'year', 'years'])

/** Which axis a dimension is: by its coordinate's standard name, else by its own. */
export function axisOf(file: GridFile, dimension: string): 'x' | 'y' | 'time' | undefined {
  const coordinate = file.variables.get(dimension)
  const standard = coordinate && textOf(coordinate.attributes, 'standard_name')
  if (standard === 'longitude' || standard === 'projection_x_coordinate') return 'x'
  if (standard === 'latitude' || standard === 'projection_y_coordinate') return 'y'
  if (standard === 'time') return 'time'
  const name = dimension.toLowerCase()
  if (xNames.has(name)) return 'x'
  if (yNames.has(name)) return 'y'
  return timeNames.has(name) ? 'time' : undefined
}

/** A layer for each variable that is a grid, in order; with a renderer from black to white over 0 to 1. */
export async function findLayers(file: GridFile): Promise<ServiceVariable[]> {
  const layers: ServiceVariable[] = []
  for (const variable of file.variables.values()) {
    if (variable.dtype === 'char' || variable.shape.length < 2 || variable.shape.includes(0)) continue
    const named = (axis: string): string | undefined =>
      variable.dimensions.find(dimension => axisOf(file, dimension) === axis)
    const [x, y] = [named('x'), named('y')]
    if (x === undefined || y === undefined) continue
    const extent = await extentOf(file, variable, { x, y })
    if (!extent) continue
    layers.push({
      index: layers.length,
      variable: variable.name,
      name: textOf(variable.attributes, 'long_name') ?? variable.name,
      description: null,
      xDimension: x,
      yDimension: y,
      timeDimension: named('time') ?? null,
      extent,
      time: null,
      renderer: {
        type: 'stretched',
        colors: [
          [0, '#000'],
          [1, '#FFF'],
        ],
      },
    })
  }
  return layers
}

/** The centres of the cells, widened by half a cell; undefined without coordinates. */
export async function extentOf(
  file: GridFile,
  variable: GridVariable,
  { x, y }: { x: string; y: string },
): Promise<Extent | undefined> {
  const [xs, ys] = [await edges(file, x), await edges(file, y)]
  if (!xs || !ys) return undefined
  return { xmin: xs[0], ymin: ys[0], xmax: xs[1], ymax: ys[1], projection: projectionOf(file, variable) }
}

async function edges(file: GridFile, name: string): Promise<readonly [number, number] | undefined> {
  const coordinate = file.variables.get(name)
  const length = coordinate?.shape[0] ?? 0
  if (coordinate?.shape.length !== 1 || length === 0) return undefined
  const values = await file.read(name, [0], [length])
  const [first, last] = [values[0]!, values[length - 1]!]
  const half = length > 1 ? Math.abs(last - first) / (length - 1) / 2 : 0.5
  return [Math.min(first, last) - half, Math.max(first, last) + half]
}

/** The projection of a variable, as a PROJ.4 text: its own, its grid mapping's, else degrees on WGS 84. */
export function projectionOf(file: GridFile, variable: GridVariable): string {
  const own = textOf(variable.attributes, 'proj4')
  if (own !== undefined) return resolveProjection(own)
  const mapping = file.variables.get(textOf(variable.attributes, 'grid_mapping') ?? '')
  if (mapping) {
    const text = textOf(mapping.attributes, 'proj4') ?? textOf(mapping.attributes, 'proj4_string')
    if (text !== undefined) return resolveProjection(text)
    const name = textOf(mapping.attributes, 'grid_mapping_name')
    const found = name && projTextOf(name, key => numbersOf(mapping.attributes, key))
    if (found) return found
  }

  return lonLat
}
