// The inner loops of map algebra. Each handles one block with arrays of one type, and is written out for that type:
// the engine compiles a loop well only as long as it always meets the same kind of array.

import type { Operator } from './tree.ts'

/** How many cells are worked on at a time: few enough for the processor's second cache, many enough that a call is cheap. */
export const blockSize = 8192

/** out[o + i] = a[ai + i] ∘ b[bi + i] for i below n. */
type Loop<T, R> = (a: T, ai: number, b: T, bi: number, out: R, o: number, n: number) => void

export const loops32: Partial<Record<Operator, Loop<Float32Array, Float32Array>>> = {
  '+': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! + b[bi + i]!
  },
  '-': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! - b[bi + i]!
  },
  '*': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! * b[bi + i]!
  },
  '/': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! / b[bi + i]!
  },
}

export const loops64: Partial<Record<Operator, Loop<Float64Array, Float64Array>>> = {
  '+': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! + b[bi + i]!
  },
  '-': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! - b[bi + i]!
  },
  '*': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! * b[bi + i]!
  },
  '/': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! / b[bi + i]!
  },
  '**': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! ** b[bi + i]!
  },
  // The sign is the divisor's, as in Python.
  '%': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) {
      const by = b[bi + i]!
      const rest = a[ai + i]! % by
      out[o + i] = rest !== 0 && rest < 0 !== by < 0 ? rest + by : rest
    }
  },
}

/** Bitwise for integers, and the same as logical for booleans. */
export const bitLoops: Partial<Record<Operator, Loop<Float64Array, Float64Array>>> = {
  and: (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! & b[bi + i]!
  },
  or: (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! | b[bi + i]!
  },
}

export const compareLoops: Partial<Record<Operator, Loop<Float64Array, Uint8Array>>> = {
  '<': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! < b[bi + i]! ? 1 : 0
  },
  '<=': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! <= b[bi + i]! ? 1 : 0
  },
  '>': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! > b[bi + i]! ? 1 : 0
  },
  '>=': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! >= b[bi + i]! ? 1 : 0
  },
  '==': (a, ai, b, bi, out, o, n) => {
    for (let i = 0; i < n; i++) out[o + i] = a[ai + i]! === b[bi + i]! ? 1 : 0
  },
}
