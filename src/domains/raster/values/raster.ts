// A raster: a two-dimensional array that knows where on earth its cells are.

import { type Cells, type Dtype, makeCells, NdArray } from './nd-array.ts'

/** A box in the units of a projection, which is a PROJ.4 text. */
export interface Extent {
  readonly xmin: number
  readonly ymin: number
  readonly xmax: number
  readonly ymax: number
  readonly projection: string
}

/** Longitude and latitude on the WGS 84 ellipsoid. */
export const lonLat = '+proj=longlat +datum=WGS84 +no_defs'

export class Raster extends NdArray {
  readonly extent: Extent
  /** Whether row 0 is the southern one. */
  readonly yIncreasing: boolean

  constructor(
    dtype: Dtype,
    shape: readonly [number, number],
    data: Cells,
    place: { extent: Extent; yIncreasing?: boolean; mask?: Uint8Array | undefined },
  ) {
    super(dtype, shape, data, place.mask)
    this.extent = place.extent
    this.yIncreasing = place.yIncreasing ?? false
  }

  get rows(): number {
    return this.shape[0]!
  }

  get columns(): number {
    return this.shape[1]!
  }

  /** The cell that holds a place, as row and column; null when x is outside. Rows are counted as they are stored. */
  index(x: number, y: number): readonly [row: number, column: number] | null {
    const { xmin, xmax, ymin, ymax } = this.extent
    if (!(x >= xmin && x < xmax)) return null
    const column = Math.floor((x - xmin) / ((xmax - xmin) / this.columns))
    const fromSouth = Math.floor((y - ymin) / ((ymax - ymin) / this.rows))
    return [this.yIncreasing ? fromSouth : this.rows - 1 - fromSouth, Math.min(column, this.columns - 1)]
  }

  /** Some rows and columns; the extent shrinks by whole cells. Ends are as in Python: negative ones count backwards. */
  slice(part: { rows?: readonly [number, number]; columns?: readonly [number, number] }): Raster {
    const [row0, row1] = bounds(part.rows, this.rows)
    const [column0, column1] = bounds(part.columns, this.columns)
    const height = row1 - row0
    const width = column1 - column0
    const data = makeCells(this.dtype, width * height)
    const mask = this.mask && new Uint8Array(width * height)
    for (let row = 0; row < height; row++) {
      const from = (row0 + row) * this.columns + column0
      data.set(this.data.subarray(from, from + width), row * width)
      mask?.set(this.mask!.subarray(from, from + width), row * width)
    }
    const { xmin, xmax, ymin, ymax, projection } = this.extent
    const cellWidth = (xmax - xmin) / this.columns
    const cellHeight = (ymax - ymin) / this.rows
    const south = this.yIncreasing ? row0 : this.rows - row1
    const north = this.yIncreasing ? this.rows - row1 : row0
    const extent = {
      xmin: xmin + column0 * cellWidth,
      ymin: ymin + south * cellHeight,
      xmax: xmax - (this.columns - column1) * cellWidth,
      ymax: ymax - north * cellHeight,
      projection,
    }
    return new Raster(this.dtype, [height, width], data, { extent, yIncreasing: this.yIncreasing, mask })
  }
}

function bounds(range: readonly [number, number] | undefined, length: number): [number, number] {
  const clip = (end: number): number =>
    Math.max(0, Math.min(length, Math.trunc(end < 0 ? end + length : end)))
  const from = clip(range?.[0] ?? 0)
  return [from, Math.max(from, clip(range?.[1] ?? length))]
}

/** The array with a raster's place, when its shape still is the raster's. */
export function placedLike(array: NdArray, place: Raster | undefined): NdArray {
  if (place === undefined || array.shape.length !== 2) return array
  if (array.shape[0] !== place.rows || array.shape[1] !== place.columns) return array
  const { extent, yIncreasing } = place
  return new Raster(array.dtype, [place.rows, place.columns], array.data, {
    extent,
    yIncreasing,
    mask: array.mask,
  })
}
