// Arrays of numbers with a type, a shape and a mask, after numpy's masked arrays: what map algebra works on.

import { Float } from './float.ts'

export const dtypes = [
  'bool',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'float32',
  'float64',
] as const
export type Dtype = (typeof dtypes)[number]

export type Cells =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array

/** At most this many cells in one array: 2 GiB of doubles. */
export const cellsMax = 268_435_456

export class NdArray {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** Row by row. `int64` is kept in doubles: exact up to 2^53. */
  readonly data: Cells
  /** 1 where the cell does not count; undefined when all do. */
  readonly mask: Uint8Array | undefined

  constructor(dtype: Dtype, shape: readonly number[], data: Cells, mask?: Uint8Array) {
    const size = sizeOf(shape)
    if (data.length !== size)
      throw new Error(`an array of shape ${shapeText(shape)} has ${data.length} cells`)
    if (mask !== undefined && mask.length !== size) throw new Error('a mask has another size than its array')
    this.dtype = dtype
    this.shape = shape
    this.data = data
    this.mask = mask
  }

  get size(): number {
    return this.data.length
  }

  /** The cell as a number, a boolean, or null where it is masked. Floats are wrapped, so that JSON shows them so. */
  cell(index: number): number | boolean | Float | null {
    if (this.mask?.[index] === 1) return null
    const value = this.data[index]!
    if (this.dtype === 'bool') return value !== 0
    return isFloatType(this.dtype) ? new Float(value) : value
  }

  /** Nested lists, row by row; masked cells and NaN are null. */
  toLists(): unknown {
    const build = (axis: number, from: number, step: number): unknown => {
      if (axis === this.shape.length) {
        const value = this.cell(from)
        return value instanceof Float && !Number.isFinite(value.value) ? null : value
      }
      const length = this.shape[axis]!
      const inner = length === 0 ? 0 : step / length
      return Array.from({ length }, (_, index) => build(axis + 1, from + index * inner, inner))
    }
    return build(0, 0, this.size)
  }

  /** What counts, summed up in one pass. Masked cells and NaN are left out. */
  summary(): { valid: number; masked: number; min: number; max: number; sum: number } {
    const { data, mask } = this
    let valid = 0
    let masked = 0
    let min = Number.POSITIVE_INFINITY
    let max = Number.NEGATIVE_INFINITY
    let sum = 0
    for (let index = 0; index < data.length; index++) {
      if (mask !== undefined && mask[index] === 1) {
        masked++
        continue
      }
      const value = data[index]!
      if (Number.isNaN(value)) continue
      valid++
      if (value < min) min = value
      if (value > max) max = value
      sum += value
    }
    return { valid, masked, min, max, sum }
  }

  /** The least value that counts; NaN when none does. */
  min(): number {
    const { valid, min } = this.summary()
    return valid === 0 ? Number.NaN : min
  }

  /** The greatest value that counts; NaN when none does. */
  max(): number {
    const { valid, max } = this.summary()
    return valid === 0 ? Number.NaN : max
  }

  /** The mean of what counts; NaN when nothing does. */
  mean(): number {
    const { valid, sum } = this.summary()
    return valid === 0 ? Number.NaN : sum / valid
  }
}

/** Whether numbers of a type may have fractions. */
export function isFloatType(dtype: Dtype): boolean {
  return dtype === 'float32' || dtype === 'float64'
}

/** Fresh cells of a type, all zero. */
export function makeCells(dtype: Dtype, length: number): Cells {
  if (length > cellsMax) throw new Error(`an array of ${length} cells is too large; ${cellsMax} are allowed`)
  switch (dtype) {
    case 'bool':
    case 'uint8':
      return new Uint8Array(length)
    case 'int8':
      return new Int8Array(length)
    case 'int16':
      return new Int16Array(length)
    case 'uint16':
      return new Uint16Array(length)
    case 'int32':
      return new Int32Array(length)
    case 'uint32':
      return new Uint32Array(length)
    case 'float32':
      return new Float32Array(length)
    case 'int64':
    case 'float64':
      return new Float64Array(length)
  }
}

/** How many numbers an array of a shape has. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1)
}

/** A shape as numpy writes it: `(2, 3)`, `(2,)`. */
export function shapeText(shape: readonly number[]): string {
  return `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`
}

/** An array from nested lists of numbers, booleans and nulls (masked), as numpy.array makes one. */
export function fromLists(lists: unknown): NdArray {
  const shape: number[] = []
  for (let level = lists; Array.isArray(level); level = level[0]) {
    shape.push(level.length)
    if (shape.length > 32) throw new Error('lists are nested more than 32 levels deep')
  }
  if (shape.length === 0) throw new Error('a list is needed to make an array')
  const flat: unknown[] = []
  const collect = (level: unknown, axis: number): void => {
    if (axis === shape.length) {
      flat.push(level)
      return
    }
    if (!Array.isArray(level) || level.length !== shape[axis])
      throw new Error('the lists are not of the same length')
    for (const item of level) collect(item, axis + 1)
  }
  collect(lists, 0)
  let dtype: Dtype = flat.length > 0 && flat.every(item => typeof item === 'boolean') ? 'bool' : 'int64'
  for (const item of flat) {
    if (item instanceof Float || (typeof item === 'number' && !Number.isInteger(item))) dtype = 'float64'
    else if (item !== null && typeof item !== 'number' && typeof item !== 'boolean')
      throw new Error('an array can be made of numbers only')
  }
  if (flat.length === 0) dtype = 'float64'
  const data = makeCells(dtype, flat.length)
  const mask = flat.includes(null) ? new Uint8Array(flat.length) : undefined
  for (const [index, item] of flat.entries()) {
    if (item === null) mask![index] = 1
    else data[index] = item instanceof Float ? item.value : Number(item)
  }
  return new NdArray(dtype, shape, data, mask)
}

/** The same cells as another type, truncating towards zero where floats become integers. */
export function castArray(array: NdArray, dtype: Dtype): NdArray {
  if (array.dtype === dtype) return array
  const data = makeCells(dtype, array.size)
  const { data: from } = array
  if (dtype === 'bool')
    for (let index = 0; index < from.length; index++) data[index] = from[index] === 0 ? 0 : 1
  else if (dtype === 'int64' && isFloatType(array.dtype))
    for (let index = 0; index < from.length; index++) data[index] = Math.trunc(from[index]!)
  else data.set(from)
  return new NdArray(dtype, array.shape, data, array.mask)
}
