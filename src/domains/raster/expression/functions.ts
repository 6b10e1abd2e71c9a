// The functions of the map-algebra language: rounding, statistics that leave out NaN and masked cells, masks, casts.

import { Float, isFloat, numberOf } from '../values/float.ts'
import { castArray, type Dtype, isFloatType, makeCells, NdArray } from '../values/nd-array.ts'
import { placedLike, Raster } from '../values/raster.ts'
import { ExpressionFault } from './tree.ts'

type Call = (args: readonly unknown[]) => unknown

const casts: Readonly<Record<string, Dtype>> = {
  int: 'int64',
  int8: 'int8',
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  float: 'float64',
  float16: 'float32',
  float32: 'float32',
  float64: 'float64',
}

const functions: Readonly<Record<string, Call>> = {
  abs: rounding('abs', Math.abs),
  floor: rounding('floor', Math.floor),
  ceil: rounding('ceil', Math.ceil),
  min: statistic('min', values => least(values)),
  max: statistic('max', values => greatest(values)),
  mean: statistic('mean', values => mean(values)),
  median: statistic('median', values => median(values)),
  std: statistic('std', values => Math.sqrt(variance(values))),
  var: statistic('var', values => variance(values)),
  mask: ([array, condition]) => {
    if (!(array instanceof NdArray)) throw wrong('mask needs an array as the first of its arguments')
    return maskWhere(array, condition)
  },
  get_mask: ([array]) => {
    if (!(array instanceof NdArray)) throw wrong('get_mask needs an array')
    const mask = array.mask?.slice() ?? new Uint8Array(array.size)
    return placedLike(new NdArray('bool', array.shape, mask), array instanceof Raster ? array : undefined)
  },
  ...Object.fromEntries(Object.entries(casts).map(([name, dtype]) => [name, cast(name, dtype)])),
}

/** Names that are functions, and cannot be used for anything else. */
export const functionNames: ReadonlySet<string> = new Set(Object.keys(functions))

/** Calls a function of the language. */
export function callFunction(name: string, args: readonly unknown[]): unknown {
  const call = functions[name]
  if (!call || !functionNames.has(name)) throw wrong(`there is no function ${name}`)
  const [least, most] = name === 'mask' ? [2, 2] : isStatistic(name) ? [1, 2] : [1, 1]
  if (args.length < least || args.length > most)
    throw wrong(`${name} takes ${least === most ? least : `${least} to ${most}`} arguments`)
  return call(args)
}

/** The array, masked also where the condition is true. */
export function maskWhere(array: NdArray, condition: unknown): NdArray {
  const mask = array.mask?.slice() ?? new Uint8Array(array.size)
  if (condition instanceof NdArray) {
    if (condition.size !== array.size) throw wrong('the condition of a mask has another shape than the array')
    // A condition that is unknown (masked) hides nothing by itself; the array's own mask does.
    for (let index = 0; index < mask.length; index++)
      if (condition.data[index] !== 0 && condition.mask?.[index] !== 1) mask[index] = 1
  } else if (typeof condition === 'boolean' || numberOf(condition) !== undefined) {
    if (condition === true || (numberOf(condition) ?? 0) !== 0) mask.fill(1)
  } else throw wrong('the condition of a mask must be an array or a boolean')
  return placedLike(
    new NdArray(array.dtype, array.shape, array.data, mask),
    array instanceof Raster ? array : undefined,
  )
}

function wrong(text: string): ExpressionFault {
  return new ExpressionFault('TypeError', text)
}

function isStatistic(name: string): boolean {
  return ['min', 'max', 'mean', 'median', 'std', 'var'].includes(name)
}

function rounding(name: string, round: (value: number) => number): Call {
  return ([value]) => {
    if (value instanceof NdArray) {
      const keepsType = name === 'abs' || isFloatType(value.dtype)
      const dtype = keepsType ? value.dtype : 'float64'
      const data = makeCells(dtype, value.size)
      for (let index = 0; index < data.length; index++) data[index] = round(value.data[index]!)
      return placedLike(
        new NdArray(dtype, value.shape, data, value.mask),
        value instanceof Raster ? value : undefined,
      )
    }
    const number = typeof value === 'boolean' ? Number(value) : numberOf(value)
    if (number === undefined) throw wrong(`${name} needs a number or an array`)
    const rounded = round(number)
    if (name !== 'abs' && !Number.isFinite(rounded)) throw wrong(`${name} of ${number} is no whole number`)
    return name === 'abs' && isFloat(value) ? new Float(rounded) : rounded
  }
}

function cast(name: string, dtype: Dtype): Call {
  return ([value]) => {
    if (value instanceof NdArray) {
      const result = castArray(value, dtype)
      if (name !== 'float16') return replaced(value, result)
      const data = Float32Array.from(result.data, halfPrecision)
      return replaced(value, new NdArray('float32', value.shape, data, value.mask))
    }
    const number =
      typeof value === 'boolean'
        ? Number(value)
        : typeof value === 'string'
          ? numberFromText(name, value)
          : numberOf(value)
    if (number === undefined) throw wrong(`${name} needs a number or an array`)
    if (isFloatType(dtype)) return new Float(number)
    if (!Number.isFinite(number)) throw wrong(`${number} cannot become a whole number`)
    return Math.trunc(number)
  }
}

function numberFromText(name: string, text: string): number {
  const number = Number(text)
  if (text.trim() === '' || Number.isNaN(number)) throw wrong(`${name} cannot read '${text}'`)
  return number
}

function replaced(from: NdArray, result: NdArray): NdArray {
  return placedLike(
    new NdArray(result.dtype, result.shape, result.data, from.mask),
    from instanceof Raster ? from : undefined,
  )
}

/** A number with the 11 significant bits that a half-precision float has. */
function halfPrecision(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value))))
  const unit = 2 ** (exponent - 10)
  const scaled = value / unit
  const floor = Math.floor(scaled)
  const rest = scaled - floor
  const whole = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
  const rounded = whole * unit
  return Math.abs(rounded) >= 65_520 ? Math.sign(value) * Number.POSITIVE_INFINITY : rounded
}

/** Over all cells, or along one axis. */
function statistic(name: string, compute: (values: Float64Array) => number): Call {
  const keepsType = name === 'min' || name === 'max'
  return ([array, axis]) => {
    if (!(array instanceof NdArray)) throw wrong(`${name} needs an array`)
    if (axis === undefined || axis === null) {
      const quick = keepsType ? quickExtreme(array, name) : undefined
      const result = quick ?? compute(valuesOf(array, 0, 1, array.size))
      const isWhole = keepsType && !isFloatType(array.dtype) && !Number.isNaN(result)
      return isWhole ? (array.dtype === 'bool' ? result !== 0 : result) : new Float(result)
    }
    return alongAxis(array, axis, { keepsType, compute })
  }
}

function quickExtreme(array: NdArray, name: string): number {
  return name === 'min' ? array.min() : array.max()
}

function alongAxis(
  array: NdArray,
  asked: unknown,
  how: { keepsType: boolean; compute: (values: Float64Array) => number },
): NdArray {
  const given = numberOf(asked)
  const count = array.shape.length
  const axis = given !== undefined && given < 0 ? given + count : given
  if (axis === undefined || !Number.isInteger(axis) || axis < 0 || axis >= count)
    throw wrong(`an array of ${count} dimensions has no axis ${String(given)}`)
  const length = array.shape[axis]!
  const inner = array.shape.slice(axis + 1).reduce((size, own) => size * own, 1)
  const outer = array.size / Math.max(1, length * inner)
  const dtype = how.keepsType ? array.dtype : array.dtype === 'float32' ? 'float32' : 'float64'
  const shape = array.shape.filter((_, index) => index !== axis)
  const data = makeCells(dtype, outer * inner)
  const mask = array.mask && new Uint8Array(data.length)
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const values = valuesOf(array, o * length * inner + i, inner, length)
      const at = o * inner + i
      if (values.length === 0 && mask) mask[at] = 1
      else data[at] = how.compute(values)
    }
  }
  return new NdArray(dtype, shape, data, mask)
}

/** The cells that count among `count` cells, `step` apart. */
function valuesOf(array: NdArray, from: number, step: number, count: number): Float64Array {
  const values = new Float64Array(count)
  let used = 0
  for (let index = 0, at = from; index < count; index++, at += step) {
    const value = array.data[at]!
    if (array.mask?.[at] === 1 || Number.isNaN(value)) continue
    values[used++] = value
  }
  return values.subarray(0, used)
}

function least(values: Float64Array): number {
  let least = Number.NaN
  for (const value of values) if (!(value >= least)) least = value
  return least
}

function greatest(values: Float64Array): number {
  let greatest = Number.NaN
  for (const value of values) if (!(value <= greatest)) greatest = value
  return greatest
}

function mean(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return values.length === 0 ? Number.NaN : sum / values.length
}

function variance(values: Float64Array): number {
  const middle = mean(values)
  let sum = 0
  for (const value of values) sum += (value - middle) ** 2
  return values.length === 0 ? Number.NaN : sum / values.length
}

function median(values: Float64Array): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.slice().sort()
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}
