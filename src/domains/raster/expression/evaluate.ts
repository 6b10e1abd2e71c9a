// Walks the tree of an expression with values for its names. Arrays are combined lazily (field.ts); everything else
// follows Python: operand-returning and/or, whole and floating numbers kept apart, remainders with the divisor's sign.

import { Float, isFloat, numberOf } from '../values/float.ts'
import { NdArray } from '../values/nd-array.ts'
import { placedLike, Raster } from '../values/raster.ts'
import { combine, Field } from './field.ts'
import { callFunction } from './functions.ts'
import { simd } from './simd.ts'
import { ExpressionFault, type Node, type Operator } from './tree.ts'

/** What the names of an expression stand for. */
export type Names = ReadonlyMap<string, unknown>

/** The value of an expression: a number, Float, boolean, string, list, object or array. */
export function evaluate(node: Node, names: Names): unknown {
  const mark = simd?.mark() ?? 0
  try {
    const value = walk(node, names)
    return value instanceof Field ? value.array() : value
  } finally {
    simd?.release(mark)
  }
}

function walk(node: Node, names: Names): unknown {
  switch (node.type) {
    case 'literal':
      return node.value
    case 'name':
      if (!names.has(node.name))
        throw new ExpressionFault(
          'ExecutionError',
          `The expression is invalid (name '${node.name}' is not defined)`,
        )
      return names.get(node.name)
    case 'call':
      return callFunction(
        node.name,
        node.args.map(arg => evaluate(arg, names)),
      )
    case 'index':
      return itemOf(evaluate(node.of, names), evaluate(node.by, names))
    case 'plus':
    case 'negate':
      return signed(node.type, walk(node.of, names))
    case 'binary':
      return binary(node.op, walk(node.left, names), () => walk(node.right, names))
  }
}

function isArray(value: unknown): value is NdArray | Field {
  return value instanceof NdArray || value instanceof Field
}

function signed(sign: 'plus' | 'negate', value: unknown): unknown {
  if (isArray(value)) return sign === 'plus' ? value : combine('*', value, -1)
  const number = typeof value === 'boolean' ? Number(value) : numberOf(value)
  if (number === undefined) throw typeFault('a sign needs a number')
  const result = sign === 'plus' ? number : -number
  return isFloat(value) ? new Float(result) : result === 0 ? 0 : result
}

function binary(op: Operator, left: unknown, right: () => unknown): unknown {
  if (op === 'and' || op === 'or') return logical(op, left, right)
  const other = right()
  if (isArray(left) || isArray(other)) return combine(op, left, other)
  if (op === '==') return isEqual(left, other)
  if (op === '+' && typeof left === 'string' && typeof other === 'string') return left + other
  if (op === '+' && Array.isArray(left) && Array.isArray(other)) return [...left, ...other]
  if (typeof left === 'string' && typeof other === 'string' && isComparison(op))
    return compare(op, left, other)
  const a = typeof left === 'boolean' ? Number(left) : numberOf(left)
  const b = typeof other === 'boolean' ? Number(other) : numberOf(other)
  if (a === undefined || b === undefined) throw typeFault(`${op} cannot be used on these values`)
  if (isComparison(op)) return compare(op, a, b)
  return arithmetic(op, a, b, { isFloating: isFloat(left) || isFloat(other) })
}

function logical(op: 'and' | 'or', left: unknown, right: () => unknown): unknown {
  const other = right()
  if (isArray(left) && isArray(other)) return combine(op, left, other)
  const isTrue = truth(left instanceof Field ? left.array() : left)
  return (op === 'and') === isTrue ? other : left
}

/** What Python's bool() says. */
export function truth(value: unknown): boolean {
  if (value instanceof NdArray) {
    if (value.size > 1)
      throw new ExpressionFault('ValueError', 'an array of more than one cell is neither true nor false')
    return value.size === 1 && value.data[0] !== 0
  }
  if (value instanceof Float) return value.value !== 0
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return value !== undefined && value !== null && value !== '' && value !== 0 && value !== false
}

function isComparison(op: Operator): boolean {
  return op === '<' || op === '<=' || op === '>' || op === '>='
}

function compare(op: Operator, a: number | string, b: number | string): boolean {
  if (op === '<') return a < b
  if (op === '<=') return a <= b
  return op === '>' ? a > b : a >= b
}

function isEqual(a: unknown, b: unknown): boolean {
  const x = typeof a === 'boolean' ? Number(a) : (numberOf(a) ?? a)
  const y = typeof b === 'boolean' ? Number(b) : (numberOf(b) ?? b)
  if (Array.isArray(x) && Array.isArray(y))
    return x.length === y.length && x.every((item, index) => isEqual(item, y[index]))
  return x === y
}

function arithmetic(op: Operator, a: number, b: number, { isFloating }: { isFloating: boolean }): unknown {
  const give = (value: number): unknown => (isFloating ? new Float(value) : value)
  switch (op) {
    case '+':
      return give(a + b)
    case '-':
      return give(a - b)
    case '*':
      return give(a * b)
    case '/':
      if (b === 0) throw new ExpressionFault('ValueError', 'division by zero')
      return new Float(a / b)
    case '%': {
      if (b === 0) throw new ExpressionFault('ValueError', 'modulo by zero')
      const rest = a % b
      return give(rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest + 0)
    }
    case '**': {
      if (a === 0 && b < 0)
        throw new ExpressionFault('ValueError', 'zero cannot be raised to a negative power')
      const value = a ** b
      if (Number.isNaN(value) && !Number.isNaN(a) && !Number.isNaN(b))
        throw new ExpressionFault('ValueError', 'the power is not a real number')
      return b < 0 && !isFloating ? new Float(value) : give(value)
    }
    default:
      throw typeFault(`${op} is no arithmetic`)
  }
}

/** `of[by]`: lists and arrays by whole numbers, objects by their own names. */
function itemOf(of: unknown, by: unknown): unknown {
  if (of instanceof NdArray || Array.isArray(of) || typeof of === 'string') {
    if (typeof by !== 'number' || !Number.isInteger(by)) throw typeFault('a list is indexed by whole numbers')
    const length = of instanceof NdArray ? (of.shape[0] ?? 0) : of.length
    const at = by < 0 ? by + length : by
    if (at < 0 || at >= length) throw new ExpressionFault('ValueError', `the index ${by} is out of range`)
    return of instanceof NdArray ? subArray(of, at) : of[at]
  }
  if (typeof of === 'object' && of !== null && (typeof by === 'string' || typeof by === 'number')) {
    if (!Object.hasOwn(of, by)) throw new ExpressionFault('ValueError', `there is no item ${by}`)
    return (of as Record<string, unknown>)[by]
  }
  throw typeFault('this value has no items')
}

function subArray(array: NdArray, at: number): unknown {
  const shape = array.shape.slice(1)
  if (shape.length === 0) return array.cell(at)
  const size = array.size / array.shape[0]!
  return new NdArray(
    array.dtype,
    shape,
    array.data.slice(at * size, (at + 1) * size),
    array.mask?.slice(at * size, (at + 1) * size),
  )
}

function typeFault(text: string): ExpressionFault {
  return new ExpressionFault('TypeError', text)
}

/** The result with the place of the first raster among the operands, where the shapes agree. */
export function placedAmong(value: unknown, operands: Iterable<unknown>): unknown {
  if (!(value instanceof NdArray) || value instanceof Raster) return value
  for (const operand of operands) {
    if (operand instanceof Raster) return placedLike(value, operand)
  }
  return value
}
