// Element-wise results that are not computed yet: a tree of steps over arrays of one shape, worked off block by block,
// so that `a + b * 2` needs no array for `b * 2`.

import { isFloat, numberOf } from '../values/float.ts'
import {
  type Cells,
  type Dtype,
  isFloatType,
  makeCells,
  NdArray,
  shapeText,
  sizeOf,
} from '../values/nd-array.ts'
import { placedLike, Raster } from '../values/raster.ts'
import { bitLoops, blockSize, compareLoops, loops32, loops64 } from './kernels.ts'
import { simd } from './simd.ts'
import { ExpressionFault, type Operator } from './tree.ts'

/** A block of operands: where its cells are. */
interface Block {
  data: Cells
  from: number
}

export class Field {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly mask: Uint8Array | undefined
  readonly place: Raster | undefined
  /** The cells [from, from + count), in the field's own type. */
  readonly block: (from: number, count: number) => Block
  /** Writes them where they are wanted, sparing a copy. */
  readonly fill: (from: number, count: number, out: Cells, at: number) => void

  constructor(parts: {
    dtype: Dtype
    shape: readonly number[]
    mask: Uint8Array | undefined
    place: Raster | undefined
    block: Field['block']
    fill: Field['fill']
  }) {
    this.dtype = parts.dtype
    this.shape = parts.shape
    this.mask = parts.mask
    this.place = parts.place
    this.block = parts.block
    this.fill = parts.fill
  }

  /** Computes all cells. */
  array(): NdArray {
    const size = sizeOf(this.shape)
    const data = makeCells(this.dtype, size)
    for (let from = 0; from < size; from += blockSize) {
      this.fill(from, Math.min(blockSize, size - from), data, from)
    }
    return placedLike(new NdArray(this.dtype, this.shape, data, this.mask), this.place)
  }
}

/** An array as a field whose cells are computed already. */
export function fieldOf(array: NdArray): Field {
  return new Field({
    dtype: array.dtype,
    shape: array.shape,
    mask: array.mask,
    place: array instanceof Raster ? array : undefined,
    block: from => ({ data: array.data, from }),
    fill: (from, count, out, at) => out.set(array.data.subarray(from, from + count), at),
  })
}

type Scalar = { readonly value: number; readonly dtype: Dtype }
type Operand = Field | Scalar

/** One operator over fields, or over a field and a scalar (a number or boolean). */
export function combine(op: Operator, left: unknown, right: unknown): Field {
  const a = operandOf(left)
  const b = operandOf(right)
  const shape = broadcastShape(a, b)
  const x = a instanceof Field ? stretch(a, shape) : a
  const y = b instanceof Field ? stretch(b, shape) : b
  const common = promote(x, y)
  const place = placeOf(x, shape) ?? placeOf(y, shape)
  const mask = joinMasks(x instanceof Field ? x.mask : undefined, y instanceof Field ? y.mask : undefined)
  const facts = { shape, mask, place }
  const compare = compareLoops[op]
  if (compare) return step(facts, { dtype: 'bool', work: 'float64', gives: 'bool' }, x, y, compare as AnyLoop)
  if (op === 'and' || op === 'or') {
    if (isFloatType(common))
      throw new ExpressionFault('TypeError', `${op} needs arrays of booleans or integers`)
    return step(facts, { dtype: common, work: 'float64' }, x, y, bitLoops[op] as AnyLoop)
  }
  if (common === 'bool') {
    if (op === '+') return step(facts, { dtype: 'bool', work: 'float64' }, x, y, bitLoops.or as AnyLoop)
    if (op === '*') return step(facts, { dtype: 'bool', work: 'float64' }, x, y, bitLoops.and as AnyLoop)
    if (op === '-') throw new ExpressionFault('TypeError', 'booleans cannot be subtracted')
  }
  const dtype = op === '/' && !isFloatType(common) ? 'float64' : common === 'bool' ? 'int8' : common
  const work = dtype === 'float32' && loops32[op] ? 'float32' : 'float64'
  const loop = simd?.loop(work, op) ?? (work === 'float32' ? loops32[op] : loops64[op])
  return step(facts, { dtype, work }, x, y, loop as AnyLoop)
}

/** Room for a block in which steps work: where the vector instructions reach it, as long as there is some. */
function workspace(dtype: Dtype): Cells {
  const region = dtype === 'float32' || dtype === 'float64' ? simd?.region(dtype) : undefined
  return region ?? makeCells(dtype, blockSize)
}

type AnyLoop = (a: Cells, ai: number, b: Cells, bi: number, out: Cells, o: number, n: number) => void

/** Works in the loop's type `work`; what the loop `gives` becomes the field's `dtype`. */
function step(
  facts: { shape: readonly number[]; mask: Uint8Array | undefined; place: Raster | undefined },
  { dtype, work, gives = work }: { dtype: Dtype; work: 'float32' | 'float64'; gives?: Dtype },
  left: Operand,
  right: Operand,
  loop: AnyLoop,
): Field {
  const a = source(left, work)
  const b = source(right, work)
  const isDirect = gives === dtype
  const scratch = workspace(gives)
  const result = isDirect ? scratch : makeCells(dtype, blockSize)
  return new Field({
    ...facts,
    dtype,
    block(from, count) {
      const x = a(from, count)
      const y = b(from, count)
      loop(x.data, x.from, y.data, y.from, scratch, 0, count)
      if (!isDirect) convert(scratch, count, result, 0, dtype)
      return { data: result, from: 0 }
    },
    fill(from, count, out, at) {
      const x = a(from, count)
      const y = b(from, count)
      if (isDirect) loop(x.data, x.from, y.data, y.from, out, at, count)
      else {
        loop(x.data, x.from, y.data, y.from, scratch, 0, count)
        convert(scratch, count, out, at, dtype)
      }
    },
  })
}

function convert(from: Cells, count: number, out: Cells, at: number, dtype: Dtype): void {
  if (dtype === 'bool') for (let i = 0; i < count; i++) out[at + i] = from[i] === 0 ? 0 : 1
  // Division by zero among integers gives 0, as numpy has it.
  else if (!isFloatType(dtype)) for (let i = 0; i < count; i++) out[at + i] = wholeNumber(from[i]!)
  else out.set(count === from.length ? from : from.subarray(0, count), at)
}

function wholeNumber(value: number): number {
  return Number.isFinite(value) ? Math.trunc(value) : 0
}

/** Gives blocks of an operand in the type that a loop works in. */
function source(operand: Operand, work: 'float32' | 'float64'): (from: number, count: number) => Block {
  const isSame =
    operand instanceof Field && (operand.dtype === work || (work === 'float64' && operand.dtype === 'int64'))
  if (isSame) return operand.block
  const scratch = workspace(work)
  const block: Block = { data: scratch, from: 0 }
  if (!(operand instanceof Field)) {
    scratch.fill(operand.value)
    return () => block
  }
  return (from, count) => {
    const { data, from: at } = operand.block(from, count)
    scratch.set(data.subarray(at, at + count))
    return block
  }
}

function operandOf(value: unknown): Operand {
  if (value instanceof Field) return value
  if (value instanceof NdArray) return fieldOf(value)
  if (typeof value === 'boolean') return { value: Number(value), dtype: 'bool' }
  const number = numberOf(value)
  if (number === undefined)
    throw new ExpressionFault('TypeError', 'an array can be combined with numbers only')
  return { value: number, dtype: isFloat(value) ? 'float64' : 'int64' }
}

const kinds: Readonly<Record<Dtype, number>> = {
  bool: 0,
  int8: 1,
  uint8: 1,
  int16: 1,
  uint16: 1,
  int32: 1,
  uint32: 1,
  int64: 1,
  float32: 2,
  float64: 2,
}

/** The type of a result, as numpy finds it: a scalar changes the kind, and only its value the width. */
function promote(a: Operand, b: Operand): Dtype {
  if (a instanceof Field && b instanceof Field) return promoteTypes(a.dtype, b.dtype)
  const [field, scalar] = a instanceof Field ? [a, b as Scalar] : [b as Field, a as Scalar]
  const kind = kinds[scalar.dtype]
  if (kind < kinds[field.dtype] || kind === 0) return field.dtype
  if (kind === 2) {
    if (isFloatType(field.dtype)) return field.dtype
    return /^u?int(8|16)$/.test(field.dtype) || field.dtype === 'bool' ? 'float32' : 'float64'
  }
  if (field.dtype === 'bool') return 'int64'
  return fits(scalar.value, field.dtype) ? field.dtype : promoteTypes(field.dtype, smallest(scalar.value))
}

const ranges: Readonly<Partial<Record<Dtype, readonly [number, number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32_768, 32_767],
  uint16: [0, 65_535],
  int32: [-2_147_483_648, 2_147_483_647],
  uint32: [0, 4_294_967_295],
  int64: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
}

function fits(value: number, dtype: Dtype): boolean {
  const range = ranges[dtype]
  return range !== undefined && value >= range[0] && value <= range[1]
}

function smallest(value: number): Dtype {
  return (['int8', 'int16', 'int32', 'int64'] as const).find(dtype => fits(value, dtype)) ?? 'int64'
}

/** The type that holds both, as numpy's result_type says. */
export function promoteTypes(a: Dtype, b: Dtype): Dtype {
  if (a === b || b === 'bool') return a
  if (a === 'bool') return b
  const [bitsA, bitsB] = [bitsOf(a), bitsOf(b)]
  if (isFloatType(a) || isFloatType(b)) {
    if (isFloatType(a) && isFloatType(b)) return 'float64'
    const [float, whole] = isFloatType(a) ? [a, bitsB] : [b, bitsA]
    return float === 'float32' && whole <= 16 ? 'float32' : 'float64'
  }
  const isUnsignedA = a.startsWith('u')
  const isUnsignedB = b.startsWith('u')
  if (isUnsignedA === isUnsignedB) return bitsA >= bitsB ? a : b
  const [unsigned, signed] = isUnsignedA ? [bitsA, bitsB] : [bitsB, bitsA]
  return `int${Math.min(64, unsigned < signed ? signed : unsigned * 2)}` as Dtype
}

function bitsOf(dtype: Dtype): number {
  return Number(/\d+/.exec(dtype)?.[0] ?? 8)
}

/** The mask of what either mask hides; undefined when neither hides anything. */
export function joinMasks(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const joined = new Uint8Array(a.length)
  for (let index = 0; index < joined.length; index++) joined[index] = a[index]! | b[index]!
  return joined
}

function placeOf(operand: Operand, shape: readonly number[]): Raster | undefined {
  const place = operand instanceof Field ? operand.place : undefined
  return place && shape.length === 2 && place.rows === shape[0] && place.columns === shape[1]
    ? place
    : undefined
}

function broadcastShape(a: Operand, b: Operand): readonly number[] {
  if (!(a instanceof Field)) return (b as Field).shape
  if (!(b instanceof Field)) return a.shape
  const length = Math.max(a.shape.length, b.shape.length)
  return Array.from({ length }, (_, index) => {
    const x = a.shape[index - length + a.shape.length] ?? 1
    const y = b.shape[index - length + b.shape.length] ?? 1
    if (x !== y && x !== 1 && y !== 1) {
      throw new ExpressionFault(
        'ValueError',
        `arrays of shapes ${shapeText(a.shape)} and ${shapeText(b.shape)} do not go together`,
      )
    }
    return x === 1 ? y : x
  })
}

/** The field with its cells repeated along the axes in which it has a length of one. */
function stretch(field: Field, shape: readonly number[]): Field {
  if (field.shape.length === shape.length && field.shape.every((length, axis) => length === shape[axis]))
    return field
  const array = field.array()
  const size = sizeOf(shape)
  const data = makeCells(array.dtype, size)
  const mask = array.mask && new Uint8Array(size)
  const shift = shape.length - array.shape.length
  for (let index = 0; index < size; index++) {
    let rest = index
    let from = 0
    let step = 1
    for (let axis = shape.length - 1; axis >= shift; axis--) {
      const own = array.shape[axis - shift]!
      from += (own === 1 ? 0 : rest % shape[axis]!) * step
      step *= own
      rest = Math.floor(rest / shape[axis]!)
    }
    data[index] = array.data[from]!
    if (mask) mask[index] = array.mask![from]!
  }
  return fieldOf(new NdArray(array.dtype, shape, data, mask))
}
