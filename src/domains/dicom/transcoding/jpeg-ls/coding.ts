// The model of JPEG-LS (ITU T.87 annex A): what contexts have learnt, and how differences are read with it.

import { Undecodable } from '../decoded-image.ts'
import type { BitReader } from './bit-reader.ts'

export interface Parameters {
  readonly most: number
  readonly near: number
  /** Thresholds of gradients, and the count at which contexts forget half of what they learnt. */
  readonly t1: number
  readonly t2: number
  readonly t3: number
  readonly reset: number
}

/** The parameters that hold where the stream names none: T.87 C.2.4.1.1. */
export function defaultParameters(most: number, near: number): Parameters {
  const clamp = (value: number, least: number): number => (value > most || value < least ? least : value)
  let [t1, t2, t3] = [0, 0, 0]
  if (most >= 128) {
    const factor = Math.floor((Math.min(most, 4095) + 128) / 256)
    t1 = clamp(factor + 2 + 3 * near, near + 1)
    t2 = clamp(factor * 4 + 3 + 5 * near, t1)
    t3 = clamp(factor * 17 + 4 + 7 * near, t2)
  } else {
    const factor = Math.floor(256 / (most + 1))
    t1 = clamp(Math.max(2, Math.floor(3 / factor) + 3 * near), near + 1)
    t2 = clamp(Math.max(3, Math.floor(7 / factor) + 5 * near), t1)
    t3 = clamp(Math.max(4, Math.floor(21 / factor) + 7 * near), t2)
  }
  return { most, near, t1, t2, t3, reset: 64 }
}

/** Lengths of run codes. */
export const runBits = Uint8Array.from([
  0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
])

const contextCount = 365

/** What one scan has learnt so far. */
export class Model {
  readonly parameters: Parameters
  /** The step of what is kept: 1 when nothing is lost. */
  readonly step: number
  readonly #range: number
  readonly #rangeBits: number
  readonly #limit: number
  /** Regular contexts, then the two of broken-off runs. */
  readonly #a: Int32Array
  readonly #b = new Int32Array(contextCount)
  readonly #c = new Int32Array(contextCount)
  readonly #n = new Int32Array(contextCount + 2).fill(1)
  readonly #negatives = new Int32Array(2)
  readonly #regions: Int8Array

  constructor(parameters: Parameters) {
    const { most, near } = parameters
    this.parameters = parameters
    this.step = 2 * near + 1
    this.#range = Math.floor((most + 2 * near) / this.step) + 1
    this.#rangeBits = Math.ceil(Math.log2(this.#range))
    const bits = Math.max(2, Math.ceil(Math.log2(most + 1)))
    this.#limit = 2 * (bits + Math.max(8, bits))
    this.#a = new Int32Array(contextCount + 2).fill(Math.max(2, Math.floor((this.#range + 32) / 64)))
    this.#regions = regionsOf(parameters)
  }

  /** Gradients as one number: 0 for a flat neighbourhood; its sign is that of the context. */
  contextOf(d1: number, d2: number, d3: number): number {
    const { most } = this.parameters
    const regions = this.#regions
    return 81 * regions[d1 + most]! + 9 * regions[d2 + most]! + regions[d3 + most]!
  }

  /** A sample of a regular context (not 0), guessed from its neighbours. */
  regular(bits: BitReader, context: number, guess: number): number {
    const sign = context < 0 ? -1 : 1
    const at = context * sign
    const [a, n] = [this.#a, this.#n]
    const predicted = this.#clamp(guess + sign * this.#c[at]!)
    let k = 0
    while (n[at]! << k < a[at]!) k++
    const code = this.#read(bits, k, this.#limit)
    let error = (code & 1) === 0 ? code >> 1 : -((code + 1) >> 1)
    if (this.parameters.near === 0 && k === 0 && 2 * this.#b[at]! <= -n[at]!) error = -error - 1
    a[at]! += Math.abs(error)
    this.#b[at]! += error * this.step
    this.#learn(at)
    return this.#correct(predicted, sign * error)
  }

  /** The sample that broke a run off. `isLevel`: what is left of it and above it are the same. */
  broken(
    bits: BitReader,
    neighbours: { left: number; above: number; isLevel: boolean; runIndex: number },
  ): number {
    const { left, above, isLevel, runIndex } = neighbours
    const type = isLevel ? 1 : 0
    const at = contextCount + type
    const [a, n] = [this.#a, this.#n]
    const weight = isLevel ? a[at]! + (n[at]! >> 1) : a[at]!
    let k = 0
    while (n[at]! << k < weight) k++
    const code = this.#read(bits, k, this.#limit - runBits[runIndex]! - 1)
    const folded = code + type
    const isMapped = (folded & 1) === 1
    const size = (folded + 1) >> 1
    const isNegative = (k !== 0 || 2 * this.#negatives[type]! >= n[at]!) === isMapped
    const error = isNegative ? -size : size
    if (error < 0) this.#negatives[type]!++
    a[at]! += (code + 1 - type) >> 1
    if (n[at] === this.parameters.reset) {
      a[at]! >>= 1
      n[at]! >>= 1
      this.#negatives[type]! >>= 1
    }
    n[at]!++
    if (isLevel) return this.#correct(left, error)
    return this.#correct(above, left > above ? -error : error)
  }

  /** A Golomb code; very long ones are cut off and followed by the number itself. */
  #read(bits: BitReader, k: number, limit: number): number {
    if (k > 24) throw new Undecodable('a code is too long')
    const most = limit - this.#rangeBits - 1
    const zeros = bits.zeros(most)
    return zeros < most ? zeros * 2 ** k + bits.bits(k) : bits.bits(this.#rangeBits) + 1
  }

  #learn(at: number): void {
    const [a, b, c, n] = [this.#a, this.#b, this.#c, this.#n]
    if (n[at] === this.parameters.reset) {
      a[at]! >>= 1
      b[at]! >>= 1
      n[at]! >>= 1
    }
    n[at]!++
    if (b[at]! <= -n[at]!) {
      b[at] = Math.max(b[at]! + n[at]!, 1 - n[at]!)
      if (c[at]! > -128) c[at]!--
    } else if (b[at]! > 0) {
      b[at] = Math.min(b[at]! - n[at]!, 0)
      if (c[at]! < 127) c[at]!++
    }
  }

  #correct(predicted: number, error: number): number {
    const { most, near } = this.parameters
    const value = predicted + error * this.step
    if (value < -near) return this.#clamp(value + this.#range * this.step)
    if (value > most + near) return this.#clamp(value - this.#range * this.step)
    return this.#clamp(value)
  }

  #clamp(value: number): number {
    const { most } = this.parameters
    return value < 0 ? 0 : value > most ? most : value
  }
}

/** The region of every possible difference, -4 to 4, from -most on. */
function regionsOf({ most, near, t1, t2, t3 }: Parameters): Int8Array {
  const regions = new Int8Array(2 * most + 1)
  for (let size = 0; size <= most; size++) {
    const region = size <= near ? 0 : size < t1 ? 1 : size < t2 ? 2 : size < t3 ? 3 : 4
    regions[most + size] = region
    regions[most - size] = -region
  }
  return regions
}
