// Raw cells made meaningful, as netCDF4-python does it: fill and missing values masked, values outside the valid range
// masked, scale and offset applied.

import { type Cells, type Dtype, isFloatType, makeCells, NdArray } from '../values/nd-array.ts'
import { type Attributes, type GridFile, type GridVariable, numbersOf, textOf } from './grid-file.ts'

/** What the library fills cells with that were never written. 1-byte types have none: every value may be real. */
export const defaultFills: Readonly<Partial<Record<Dtype, number>>> = {
  int16: -32_767,
  uint16: 65_535,
  int32: -2_147_483_647,
  uint32: 4_294_967_295,
  int64: -(2 ** 63),
  float32: 9.969_209_968_386_869e36,
  float64: 9.969_209_968_386_869e36,
}

/** Reads a part of a variable, masked and scaled. */
export async function readMasked(
  file: GridFile,
  variable: GridVariable,
  start: readonly number[],
  count: readonly number[],
): Promise<NdArray> {
  if (variable.dtype === 'char') throw new Error(`variable ${variable.name} holds text`)
  const raw = await file.read(variable.name, start, count)
  return maskAndScale(raw, variable, count)
}

/** The array that raw cells of a variable stand for. */
export function maskAndScale(raw: Cells, variable: GridVariable, shape: readonly number[]): NdArray {
  const { attributes } = variable
  const isUnsigned = textOf(attributes, '_Unsigned') === 'true' && /^int(8|16|32)$/.test(variable.dtype)
  const dtype = (isUnsigned ? `u${variable.dtype}` : variable.dtype) as Dtype
  const cells = isUnsigned ? reinterpret(raw, dtype) : raw
  const mask = maskOf(cells, dtype, attributes)
  const scale = numbersOf(attributes, 'scale_factor')?.[0]
  const offset = numbersOf(attributes, 'add_offset')?.[0]
  if ((scale === undefined || scale === 1) && (offset === undefined || offset === 0))
    return new NdArray(dtype, shape, cells, mask)
  const target = scaledType(dtype, attributes)
  const data = makeCells(target, cells.length)
  const factor = scale ?? 1
  const plus = offset ?? 0
  for (let index = 0; index < data.length; index++) data[index] = cells[index]! * factor + plus
  return new NdArray(target, shape, data, mask)
}

function scaledType(dtype: Dtype, attributes: Attributes): Dtype {
  const types = ['scale_factor', 'add_offset'].map(name => attributes.get(name)?.type)
  const isSingle = types.every(type => type === undefined || type === 'float32')
  return isSingle && (dtype === 'float32' || /8|16/.test(dtype)) ? 'float32' : 'float64'
}

function reinterpret(cells: Cells, dtype: Dtype): Cells {
  const { buffer, byteOffset, length } = cells
  if (dtype === 'uint8') return new Uint8Array(buffer as ArrayBuffer, byteOffset, length)
  if (dtype === 'uint16') return new Uint16Array(buffer as ArrayBuffer, byteOffset, length)
  return new Uint32Array(buffer as ArrayBuffer, byteOffset, length)
}

/** Values that mean "nothing here", and the range outside of which they do. */
export interface Blanks {
  readonly values: readonly number[]
  readonly hasNaN: boolean
  readonly min: number
  readonly max: number
}

/** Which stored values of a variable stand for none, by its attributes. */
export function blanksOf(dtype: Dtype, attributes: Attributes): Blanks {
  const fill = numbersOf(attributes, '_FillValue')
  const implied = fill === undefined ? defaultFills[dtype] : undefined
  const values = [
    ...(fill ?? []),
    ...(numbersOf(attributes, 'missing_value') ?? []),
    ...(implied === undefined ? [] : [implied]),
  ]
  const range = numbersOf(attributes, 'valid_range')
  const hasRange = range?.length === 2
  const own = dtype === 'float32' ? values.map(Math.fround) : values
  return {
    values: own.filter(value => !Number.isNaN(value)),
    hasNaN: values.some(Number.isNaN),
    min: (hasRange ? range[0] : numbersOf(attributes, 'valid_min')?.[0]) ?? Number.NEGATIVE_INFINITY,
    max: (hasRange ? range[1] : numbersOf(attributes, 'valid_max')?.[0]) ?? Number.POSITIVE_INFINITY,
  }
}

function maskOf(cells: Cells, dtype: Dtype, attributes: Attributes): Uint8Array | undefined {
  const { values, hasNaN, min, max } = blanksOf(dtype, attributes)
  const hasRange = min !== Number.NEGATIVE_INFINITY || max !== Number.POSITIVE_INFINITY
  let mask: Uint8Array | undefined
  const hide = (index: number): void => {
    mask ??= new Uint8Array(cells.length)
    mask[index] = 1
  }
  for (const value of values)
    for (let index = 0; index < cells.length; index++) if (cells[index] === value) hide(index)
  if (hasNaN && isFloatType(dtype))
    for (let index = 0; index < cells.length; index++) if (Number.isNaN(cells[index])) hide(index)
  if (hasRange)
    for (let index = 0; index < cells.length; index++)
      if (cells[index]! < min || cells[index]! > max) hide(index)
  return mask
}
