// A variable of any size, read in pieces that fit into memory.

import type { NdArray } from '../values/nd-array.ts'
import { sizeOf } from '../values/nd-array.ts'
import type { GridFile, GridVariable } from './grid-file.ts'
import { readMasked } from './masked.ts'

const blockCells = 4_194_304
/** Looking through more takes too long: compressed files can claim any number of cells. */
const searchedMax = 2 ** 32

/** All cells of a variable, masked and scaled, in pieces of some millions along its first axes. */
export async function* readBlocks(file: GridFile, variable: GridVariable): AsyncGenerator<NdArray> {
  const size = sizeOf(variable.shape)
  if (!(size <= searchedMax))
    throw new Error(
      `variable ${variable.name} claims ${size} cells; at most ${searchedMax} are looked through`,
    )
  yield* readPart(file, variable, [], blockCells)
}

/** What lies at these indices of the first axes, cut along the next one. */
async function* readPart(
  file: GridFile,
  variable: GridVariable,
  at: readonly number[],
  cellsMax: number,
): AsyncGenerator<NdArray> {
  const { shape } = variable
  const axis = at.length
  const rest = shape.slice(axis + 1)
  const cellsEach = sizeOf(rest)
  if (shape.length === axis || (shape[axis] ?? 0) * cellsEach <= cellsMax) {
    yield await readMasked(
      file,
      variable,
      [...at, ...shape.slice(axis).map(() => 0)],
      [...at.map(() => 1), ...shape.slice(axis)],
    )
    return
  }
  const length = shape[axis]!
  if (cellsEach > cellsMax) {
    for (let index = 0; index < length; index++) yield* readPart(file, variable, [...at, index], cellsMax)
    return
  }
  const step = Math.max(1, Math.floor(cellsMax / cellsEach))
  for (let from = 0; from < length; from += step) {
    yield await readMasked(
      file,
      variable,
      [...at, from, ...rest.map(() => 0)],
      [...at.map(() => 1), Math.min(step, length - from), ...rest],
    )
  }
}

/** The least and the greatest of all cells that count; undefined when there are none. */
export async function rangeOfVariable(
  file: GridFile,
  variable: GridVariable,
): Promise<{ min: number; max: number } | undefined> {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for await (const block of readBlocks(file, variable)) {
    const summary = block.summary()
    if (summary.valid === 0) continue
    min = Math.min(min, summary.min)
    max = Math.max(max, summary.max)
  }
  return min <= max ? { min, max } : undefined
}
