// Draws layers onto an image: the cell under each pixel, its colour, bottom layer first.

import type { GridFile } from '../netcdf/grid-file.ts'
import { numbersOf } from '../netcdf/grid-file.ts'
import { blanksOf } from '../netcdf/masked.ts'
import { openGrid } from '../netcdf/open-grid.ts'
import { findPlane, type Plane } from '../services/read-plane.ts'
import type { ServiceVariable } from '../services/service.ts'
import type { Cells, Dtype } from '../values/nd-array.ts'
import type { Extent } from '../values/raster.ts'
import type { Rgba } from './colour.ts'
import { paletteOf, readRenderer } from './renderer.ts'
import { mapPixels } from './warp.ts'

export interface LayerOrder {
  /** The file with the grid. */
  readonly path: string
  readonly layer: ServiceVariable
  /** In the web form; the layer's own unless given. */
  readonly renderer: unknown
  readonly step: number
}

export interface ImageOrder {
  /** The top layer first. */
  readonly layers: readonly LayerOrder[]
  readonly box: Extent
  readonly width: number
  readonly height: number
}

/** A picture by palette, or by colours where a palette is too small. */
export type Picture =
  | {
      readonly width: number
      readonly height: number
      readonly palette: readonly Rgba[]
      readonly places: Uint8Array
    }
  | { readonly width: number; readonly height: number; readonly rgba: Uint8Array }

const clear: Rgba = [255, 255, 255, 0]
/** Windows of compressed files that are read at once: larger ones are refused. */
const windowCellsMax = 67_108_864
/** How much of a larger window is unpacked at a time. */
const bandCells = 16_777_216

/** Draws the layers of an image over each other; with a palette where one layer has at most 256 colours. */
export async function paint(order: ImageOrder): Promise<Picture> {
  const { width, height } = order
  if (order.layers.length === 1) {
    const { colours, places } = await paintLayer(order.layers[0]!, order)
    if (colours.length <= 256) return { width, height, palette: colours, places: Uint8Array.from(places) }
  }
  const rgba = new Uint8Array(width * height * 4)
  for (let at = 0; at < rgba.length; at += 4) rgba.set(clear, at)
  for (const layer of [...order.layers].reverse()) {
    const { colours, places } = await paintLayer(layer, order)
    for (let pixel = 0; pixel < places.length; pixel++) blendOver(rgba, pixel * 4, colours[places[pixel]!]!)
  }
  return { width, height, rgba }
}

function blendOver(rgba: Uint8Array, at: number, [r, g, b, a]: Rgba): void {
  if (a === 0) return
  const under = rgba[at + 3]!
  if (a === 255 || under === 0) {
    rgba[at] = r
    rgba[at + 1] = g
    rgba[at + 2] = b
    rgba[at + 3] = a
    return
  }
  const rest = (under * (255 - a)) / 255
  const total = a + rest
  rgba[at] = (r * a + rgba[at]! * rest) / total
  rgba[at + 1] = (g * a + rgba[at + 1]! * rest) / total
  rgba[at + 2] = (b * a + rgba[at + 2]! * rest) / total
  rgba[at + 3] = total
}

async function paintLayer(
  order: LayerOrder,
  image: ImageOrder,
): Promise<{ colours: readonly Rgba[]; places: Uint16Array }> {
  const { colours, place } = paletteOf(readRenderer(order.renderer))
  const { width, height } = image
  const places = new Uint16Array(width * height)
  const file = await openGrid(order.path)
  try {
    const plane = await findPlane(file, order.layer, order.step)
    const { rows, columns, yIncreasing } = plane
    const mapping = mapPixels({ extent: order.layer.extent, rows, columns, yIncreasing }, image)
    const source = await RowSource.open(file, plane, mapping)
    if (!source) return { colours, places }
    const see = sightOf(plane, place)
    if (mapping.type === 'tables') {
      for (let j = 0; j < height; j++) {
        const row = mapping.rows[j]!
        if (row === -1) continue
        if (j > 0 && mapping.rows[j - 1] === row) {
          places.copyWithin(j * width, (j - 1) * width, j * width)
          continue
        }
        const cells = source.row(row)
        for (let i = 0, at = j * width; i < width; i++, at++) {
          const column = mapping.columns[i]!
          if (column !== -1) places[at] = see(cells[column - source.firstColumn]!)
        }
      }
    } else {
      for (let at = 0; at < places.length; at++) {
        const row = mapping.rows[at]!
        const column = mapping.columns[at]!
        if (row !== -1 && column !== -1) places[at] = see(source.row(row)[column - source.firstColumn]!)
      }
    }
    return { colours, places }
  } finally {
    file.close()
  }
}

/** From a raw cell to a place in the palette: what is blank shows nothing, what is scaled is scaled. */
function sightOf(plane: Plane, place: (value: number) => number): (raw: number) => number {
  const { attributes } = plane.variable
  const { values, min, max } = blanksOf(plane.variable.dtype as Dtype, attributes)
  const scale = numbersOf(attributes, 'scale_factor')?.[0] ?? 1
  const offset = numbersOf(attributes, 'add_offset')?.[0] ?? 0
  const [blankA, blankB, ...blanks] = [...values, Number.NaN, Number.NaN]
  const others = new Set(blanks)
  return raw => {
    if (raw === blankA || raw === blankB || raw < min || raw > max || others.has(raw)) return 0
    return place(raw * scale + offset)
  }
}

/** The rows of a plane, read when they are needed: only those that the image shows, and only its columns. */
class RowSource {
  readonly firstColumn: number
  readonly #file: GridFile
  readonly #plane: Plane
  readonly #columnCount: number
  readonly #rows = new Map<number, Cells>()
  readonly #window: { firstRow: number; cells: Cells } | undefined
  #heldCells = 0
  #lastRow = -1
  #lastCells: Cells | undefined

  private constructor(
    file: GridFile,
    plane: Plane,
    part: {
      firstColumn: number
      columnCount: number
      window: { firstRow: number; cells: Cells } | undefined
    },
  ) {
    this.#file = file
    this.#plane = plane
    this.firstColumn = part.firstColumn
    this.#columnCount = part.columnCount
    this.#window = part.window
  }

  /** Undefined when the image shows nothing of the plane. */
  static async open(
    file: GridFile,
    plane: Plane,
    mapping: { columns: Int32Array; rows: Int32Array },
  ): Promise<RowSource | undefined> {
    const [firstColumn, lastColumn] = rangeOf(mapping.columns)
    const [firstRow, lastRow] = rangeOf(mapping.rows)
    if (lastColumn === -1 || lastRow === -1) return undefined
    const columnCount = lastColumn - firstColumn + 1
    // A classic file gives rows one by one; a compressed one is unpacked once, for the window that is shown.
    if (file.format === 'netcdf-3')
      return new RowSource(file, plane, { firstColumn, columnCount, window: undefined })
    const rowCount = lastRow - firstRow + 1
    const source = (window?: { firstRow: number; cells: Cells }) =>
      new RowSource(file, plane, { firstColumn, columnCount, window })
    if (rowCount * columnCount <= windowCellsMax) {
      const cells = await readWindow(file, plane, { firstRow, rowCount, firstColumn, columnCount })
      return source({ firstRow, cells })
    }
    const strided = source()
    await strided.#take(new Set(mapping.rows), { firstRow, lastRow })
    return strided
  }

  /** Unpacks a window that is too large band by band, and keeps only the rows that the image shows. */
  async #take(
    wanted: ReadonlySet<number>,
    { firstRow, lastRow }: { firstRow: number; lastRow: number },
  ): Promise<void> {
    const columnCount = this.#columnCount
    const bandRows = Math.max(1, Math.floor(bandCells / columnCount))
    for (let from = firstRow; from <= lastRow; from += bandRows) {
      const rowCount = Math.min(bandRows, lastRow - from + 1)
      const rows = Array.from({ length: rowCount }, (_, index) => index).filter(index =>
        wanted.has(from + index),
      )
      this.#heldCells += rows.length * columnCount
      if (this.#heldCells > windowCellsMax)
        throw new Error('this much of a compressed grid cannot be drawn at once')
      if (rows.length === 0) continue
      const { firstColumn } = this
      const cells = await readWindow(this.#file, this.#plane, {
        firstRow: from,
        rowCount,
        firstColumn,
        columnCount,
      })
      for (const row of rows)
        this.#rows.set(from + row, cells.slice(row * columnCount, (row + 1) * columnCount))
    }
  }

  row(row: number): Cells {
    if (row === this.#lastRow) return this.#lastCells!
    const cells = this.#window ? this.#ofWindow(row, this.#window) : this.#read(row)
    this.#lastRow = row
    this.#lastCells = cells
    return cells
  }

  #ofWindow(row: number, { firstRow, cells }: { firstRow: number; cells: Cells }): Cells {
    const from = (row - firstRow) * this.#columnCount
    return cells.subarray(from, from + this.#columnCount)
  }

  #read(row: number): Cells {
    const known = this.#rows.get(row)
    if (known) return known
    const { start, count } = part(this.#plane, {
      firstRow: row,
      rowCount: 1,
      firstColumn: this.firstColumn,
      columnCount: this.#columnCount,
    })
    const cells = this.#file.read(this.#plane.variable.name, start, count) as Cells
    if (this.#heldCells > windowCellsMax) {
      this.#rows.clear()
      this.#heldCells = 0
    }
    this.#rows.set(row, cells)
    this.#heldCells += cells.length
    return cells
  }
}

async function readWindow(
  file: GridFile,
  plane: Plane,
  window: Record<'firstRow' | 'rowCount' | 'firstColumn' | 'columnCount', number>,
): Promise<Cells> {
  const { start, count } = part(plane, window)
  const raw = await file.read(plane.variable.name, start, count)
  return plane.yAxis < plane.xAxis ? raw : transpose(raw, window.columnCount, window.rowCount)
}

function part(
  plane: Plane,
  {
    firstRow,
    rowCount,
    firstColumn,
    columnCount,
  }: Record<'firstRow' | 'rowCount' | 'firstColumn' | 'columnCount', number>,
): { start: number[]; count: number[] } {
  const start = [...plane.start]
  const count = start.map(() => 1)
  start[plane.yAxis] = firstRow
  count[plane.yAxis] = rowCount
  start[plane.xAxis] = firstColumn
  count[plane.xAxis] = columnCount
  return { start, count }
}

function transpose(cells: Cells, columns: number, rows: number): Cells {
  const turned = cells.slice()
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      turned[row * columns + column] = cells[column * rows + row]!
  return turned
}

function rangeOf(indices: Int32Array): [first: number, last: number] {
  let [first, last] = [Number.POSITIVE_INFINITY, -1]
  for (const index of indices) {
    if (index === -1) continue
    if (index < first) first = index
    if (index > last) last = index
  }
  return [first, last]
}
