// Which cell of a grid each pixel of an image shows: its centre is taken to the grid's projection. Two tables where
// the axes do not mix; else an adaptive mesh, exact at its knots and refined until it is off by less than a tenth of
// a cell.

import { resolveProjection } from '../projection/epsg.ts'
import { isGeographic } from '../projection/proj-text.ts'
import { isSeparable, makeTransform, type Transform } from '../projection/transform.ts'
import type { Extent } from '../values/raster.ts'

export interface Grid {
  readonly extent: Extent
  readonly rows: number
  readonly columns: number
  readonly yIncreasing: boolean
}

export interface Target {
  readonly box: Extent
  readonly width: number
  readonly height: number
}

/** Cells by pixel: column and row of the grid, -1 outside. */
export type Mapping =
  | { readonly type: 'tables'; readonly columns: Int32Array; readonly rows: Int32Array }
  | { readonly type: 'pixels'; readonly columns: Int32Array; readonly rows: Int32Array }

const blockSize = 32
const toleranceCells = 0.1

/** Which cell of a grid each pixel of an image shows. */
export function mapPixels(grid: Grid, target: Target): Mapping {
  const { box, width, height } = target
  const placing = new Placing(grid)
  const stepX = (box.xmax - box.xmin) / width
  const stepY = (box.ymax - box.ymin) / height
  const back = makeTransform(box.projection, grid.extent.projection)
  if (isSeparable(box.projection, grid.extent.projection)) {
    const columns = new Int32Array(width)
    const rows = new Int32Array(height)
    const [middleX, middleY] = [(box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2]
    for (let i = 0; i < width; i++)
      columns[i] = placing.column(back(box.xmin + (i + 0.5) * stepX, middleY)[0])
    for (let j = 0; j < height; j++) rows[j] = placing.row(back(middleX, box.ymax - (j + 0.5) * stepY)[1])
    return { type: 'tables', columns, rows }
  }
  const columns = new Int32Array(width * height)
  const rows = new Int32Array(width * height)
  const exact: Transform = (i, j) => {
    const [x, y] = back(box.xmin + (i + 0.5) * stepX, box.ymax - (j + 0.5) * stepY)
    return [placing.columnAt(x), placing.rowAt(y)]
  }
  const mesh = new Mesh({ exact, width, height, columns, rows, placing })
  for (let j = 0; j < height; j += blockSize) {
    for (let i = 0; i < width; i += blockSize)
      mesh.fill(i, j, Math.min(blockSize, width - i), Math.min(blockSize, height - j))
  }
  return { type: 'pixels', columns, rows }
}

/** Places in the grid's projection as cells. */
class Placing {
  readonly #grid: Grid
  readonly #cellWidth: number
  readonly #cellHeight: number
  readonly #isGlobe: boolean

  constructor(grid: Grid) {
    const { extent } = grid
    this.#grid = grid
    this.#cellWidth = (extent.xmax - extent.xmin) / grid.columns
    this.#cellHeight = (extent.ymax - extent.ymin) / grid.rows
    this.#isGlobe = isGeographic(resolveProjection(extent.projection))
  }

  /** Not yet cut to a whole number. */
  columnAt(x: number): number {
    const { xmin } = this.#grid.extent
    // Longitudes come round: the one that is meant lies within a turn from the grid's western edge.
    const turned = this.#isGlobe && (x < xmin || x >= xmin + 360) ? x - Math.floor((x - xmin) / 360) * 360 : x
    return (turned - xmin) / this.#cellWidth
  }

  rowAt(y: number): number {
    return (this.#grid.extent.ymax - y) / this.#cellHeight
  }

  column(x: number): number {
    return this.wholeColumn(this.columnAt(x))
  }

  row(y: number): number {
    return this.wholeRow(this.rowAt(y))
  }

  wholeColumn(at: number): number {
    const column = Math.floor(at)
    return column >= 0 && column < this.#grid.columns ? column : -1
  }

  wholeRow(at: number): number {
    const { rows, yIncreasing } = this.#grid
    const row = Math.floor(at)
    if (!(row >= 0 && row < rows)) return -1
    return yIncreasing ? rows - 1 - row : row
  }
}

class Mesh {
  readonly #parts: {
    exact: Transform
    width: number
    height: number
    columns: Int32Array
    rows: Int32Array
    placing: Placing
  }

  constructor(parts: {
    exact: Transform
    width: number
    height: number
    columns: Int32Array
    rows: Int32Array
    placing: Placing
  }) {
    this.#parts = parts
  }

  /** The depth is bounded: a block is halved until it is four pixels wide, and then every pixel is exact. */
  fill(i: number, j: number, width: number, height: number): void {
    const { exact } = this.#parts
    if (width <= 4 || height <= 4) {
      for (let y = j; y < j + height; y++) for (let x = i; x < i + width; x++) this.#put(x, y, exact(x, y))
      return
    }
    const [right, bottom] = [i + width - 1, j + height - 1]
    const corners = [exact(i, j), exact(right, j), exact(i, bottom), exact(right, bottom)] as const
    const at = (fx: number, fy: number): readonly [number, number] => [
      blend(corners, 0, fx, fy),
      blend(corners, 1, fx, fy),
    ]
    for (const [fx, fy] of probes) {
      const [column, row] = exact(i + (width - 1) * fx, j + (height - 1) * fy)
      const [guessColumn, guessRow] = at(fx, fy)
      if (!(Math.abs(column - guessColumn) <= toleranceCells && Math.abs(row - guessRow) <= toleranceCells)) {
        const [halfWidth, halfHeight] = [width >> 1, height >> 1]
        this.fill(i, j, halfWidth, halfHeight)
        this.fill(i + halfWidth, j, width - halfWidth, halfHeight)
        this.fill(i, j + halfHeight, halfWidth, height - halfHeight)
        this.fill(i + halfWidth, j + halfHeight, width - halfWidth, height - halfHeight)
        return
      }
    }
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) this.#put(i + x, j + y, at(x / (width - 1), y / (height - 1)))
  }

  #put(i: number, j: number, [column, row]: readonly [number, number]): void {
    const { columns, rows, placing, width } = this.#parts
    const at = j * width + i
    columns[at] = placing.wholeColumn(column)
    rows[at] = placing.wholeRow(row)
  }
}

const probes: readonly (readonly [number, number])[] = [
  [0.5, 0.5],
  [0.5, 0],
  [0, 0.5],
  [1, 0.5],
  [0.5, 1],
]

function blend(corners: readonly (readonly [number, number])[], part: 0 | 1, fx: number, fy: number): number {
  const top = corners[0]![part] + (corners[1]![part] - corners[0]![part]) * fx
  const bottom = corners[2]![part] + (corners[3]![part] - corners[2]![part]) * fx
  return top + (bottom - top) * fy
}
