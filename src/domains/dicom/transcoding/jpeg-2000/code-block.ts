// Code-blocks (ITU T.800 annex D): bit planes of coefficients, each in up to three passes, from arithmetic or raw codes.

import { Undecodable } from '../decoded-image.ts'
import { ArithmeticDecoder } from './arithmetic.ts'

/** Bits of the code-block style. */
export const blockStyles = {
  bypass: 1,
  reset: 2,
  terminateAll: 4,
  vertical: 8,
  predictable: 16,
  segmentation: 32,
} as const

/** Bytes that were ended before the next ones began, and how many passes they hold. */
export interface Segment {
  passes: number
  readonly parts: Uint8Array[]
}

export interface BlockFacts {
  readonly width: number
  readonly height: number
  readonly style: number
  /** 0 LL or LH, 1 HL, 2 HH: which neighbours say most. */
  readonly band: 0 | 1 | 2
  /** Bit planes that are not all zero. */
  readonly planes: number
  readonly segments: readonly Segment[]
}

const [runContext, uniformContext] = [17, 18]

/** Coefficients' flags. */
const [significant, refined, visited, negative] = [1, 2, 4, 8]

const cache: { magnitudes: Int32Array; flags: Uint8Array } = {
  magnitudes: new Int32Array(0),
  flags: new Uint8Array(0),
}

/**
 * Decodes a block into `out`, rows `stride` apart: twice the magnitude with what is unknown of it set to its middle,
 * negative where the coefficient is.
 */
export function decodeBlock(facts: BlockFacts, out: Int32Array, at: number, stride: number): void {
  const { width, height } = facts
  if (facts.planes > 30) throw new Undecodable('a code-block has too many bit planes')
  const wide = width + 2
  const size = wide * (height + 2)
  if (cache.flags.length < size) {
    cache.flags = new Uint8Array(size)
    cache.magnitudes = new Int32Array(size)
  }
  const flags = cache.flags.fill(0, 0, size)
  const magnitudes = cache.magnitudes.fill(0, 0, size)
  const passes = new Passes({ ...facts, wide, flags, magnitudes })
  passes.run()
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const place = (y + 1) * wide + x + 1
      const value = magnitudes[place]!
      out[at + y * stride + x] = (flags[place]! & negative) !== 0 ? -value : value
    }
  }
}

type Bits = (context: number) => number

class Passes {
  readonly #facts: BlockFacts & { wide: number; flags: Uint8Array; magnitudes: Int32Array }
  readonly #contexts = new Uint8Array(19)
  readonly #zeroContexts: Uint8Array
  #bit: Bits = () => 0
  #isRaw = false
  #plane: number

  constructor(facts: BlockFacts & { wide: number; flags: Uint8Array; magnitudes: Int32Array }) {
    this.#facts = facts
    this.#zeroContexts = zeroContexts[facts.band]!
    this.#plane = facts.planes - 1
    this.#reset()
  }

  run(): void {
    const { segments, style } = this.#facts
    // The first pass is a clean-up: of the highest plane nothing is known.
    let kind = 2
    let index = 0
    for (const { passes, parts } of segments) {
      const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
      this.#isRaw = (style & blockStyles.bypass) !== 0 && index >= 10 && kind !== 2
      this.#bit = this.#isRaw ? rawBits(bytes) : this.#codedBits(bytes)
      for (let pass = 0; pass < passes; pass++) {
        if (this.#plane < 0) throw new Undecodable('a code-block has more passes than bit planes')
        if (kind === 0) this.#significance()
        else if (kind === 1) this.#refinement()
        else this.#cleanUp()
        if ((style & blockStyles.reset) !== 0) this.#reset()
        if (kind === 2) this.#plane--
        kind = (kind + 1) % 3
        index++
      }
    }
  }

  #reset(): void {
    this.#contexts.fill(0)
    this.#contexts[0] = 2 * 4
    this.#contexts[runContext] = 2 * 3
    this.#contexts[uniformContext] = 2 * 46
  }

  #codedBits(bytes: Uint8Array): Bits {
    const decoder = new ArithmeticDecoder(bytes, 0, bytes.length)
    const contexts = this.#contexts
    return context => decoder.bit(contexts, context)
  }

  /** Calls back for each coefficient in the order of passes: stripes of four rows, column by column. */
  #significance(): void {
    const { width, height, wide, flags } = this.#facts
    for (let top = 0; top < height; top += 4) {
      const bottom = Math.min(top + 4, height)
      for (let x = 1; x <= width; x++) {
        for (let y = top; y < bottom; y++) {
          const at = (y + 1) * wide + x
          if ((flags[at]! & significant) !== 0) continue
          const around = this.#around(at, y === bottom - 1 && bottom === top + 4)
          if (around === 0) continue
          if (this.#bit(this.#isRaw ? 0 : this.#zeroContexts[around]!) === 1) this.#becomes(at, y, top)
          flags[at]! |= visited
        }
      }
    }
  }

  #refinement(): void {
    const { width, height, wide, flags, magnitudes } = this.#facts
    const one = 1 << (this.#plane + 1)
    for (let top = 0; top < height; top += 4) {
      const bottom = Math.min(top + 4, height)
      for (let x = 1; x <= width; x++) {
        for (let y = top; y < bottom; y++) {
          const at = (y + 1) * wide + x
          if ((flags[at]! & (significant | visited)) !== significant) continue
          let context = 16
          if ((flags[at]! & refined) === 0)
            context = this.#around(at, y === bottom - 1 && bottom === top + 4) === 0 ? 14 : 15
          const bit = this.#bit(this.#isRaw ? 0 : context)
          // The bit that stood for the middle is known now, and the one below it stands for the middle.
          magnitudes[at] = (magnitudes[at]! & ~one) | (bit === 1 ? one : 0) | (one >> 1)
          flags[at]! |= refined
        }
      }
    }
  }

  #cleanUp(): void {
    const { width, height, wide, flags, style } = this.#facts
    for (let top = 0; top < height; top += 4) {
      const bottom = Math.min(top + 4, height)
      for (let x = 1; x <= width; x++) {
        let y = top
        if (bottom === top + 4 && this.#isQuiet(top, x)) {
          if (this.#bit(runContext) === 0) continue
          y += this.#bit(uniformContext) * 2 + this.#bit(uniformContext)
          this.#becomes((y + 1) * wide + x, y, top)
          y++
        }
        for (; y < bottom; y++) {
          const at = (y + 1) * wide + x
          if ((flags[at]! & (significant | visited)) !== 0) continue
          const around = this.#around(at, y === bottom - 1 && bottom === top + 4)
          if (this.#bit(this.#zeroContexts[around]!) === 1) this.#becomes(at, y, top)
        }
      }
    }
    for (let at = 0; at < wide * (height + 2); at++) flags[at]! &= ~visited
    if ((style & blockStyles.segmentation) === 0) return
    let mark = 0
    for (let index = 0; index < 4; index++) mark = mark * 2 + this.#bit(uniformContext)
    if (mark !== 10) throw new Undecodable('a code-block is broken')
  }

  /** Whether nothing is known of a whole column of a stripe, nor around it. */
  #isQuiet(top: number, x: number): boolean {
    const { wide, flags } = this.#facts
    for (let y = top; y < top + 4; y++) {
      const at = (y + 1) * wide + x
      if ((flags[at]! & (significant | visited)) !== 0) return false
      if (this.#around(at, y === top + 3) !== 0) return false
    }
    return true
  }

  /**
   * Which neighbours are significant, as a number of eight bits: left, right; above, below; the corners. Where causality
   * is asked for, nothing below the stripe counts.
   */
  #around(at: number, isLastRow: boolean): number {
    const { wide, flags, style } = this.#facts
    const sides = (flags[at - 1]! & 1) | ((flags[at + 1]! & 1) << 1) | ((flags[at - wide]! & 1) << 2)
    const above = ((flags[at - wide - 1]! & 1) << 4) | ((flags[at - wide + 1]! & 1) << 5)
    if (isLastRow && (style & blockStyles.vertical) !== 0) return sides | above
    const below = ((flags[at + wide]! & 1) << 3) | ((flags[at + wide - 1]! & 1) << 6)
    return sides | above | below | ((flags[at + wide + 1]! & 1) << 7)
  }

  /** The coefficient is significant from here on; its sign follows. */
  #becomes(at: number, y: number, top: number): void {
    const { wide, flags, magnitudes, style } = this.#facts
    magnitudes[at] = 3 << this.#plane
    const sign = (place: number): number => {
      const flag = flags[place]!
      return (flag & significant) === 0 ? 0 : (flag & negative) === 0 ? 1 : -1
    }
    let isNegative = 0
    if (this.#isRaw) isNegative = this.#bit(0)
    else {
      const seesBelow = (style & blockStyles.vertical) === 0 || y !== top + 3
      const horizontal = Math.max(-1, Math.min(1, sign(at - 1) + sign(at + 1)))
      const below = seesBelow ? sign(at + wide) : 0
      const vertical = Math.max(-1, Math.min(1, sign(at - wide) + below))
      const kind = horizontal * 3 + vertical
      const turns = kind < 0 ? 1 : 0
      isNegative = this.#bit(signContexts[Math.abs(kind)]!) ^ turns
    }
    flags[at]! |= significant | (isNegative === 1 ? negative : 0)
  }
}

/** By 3 × horizontal + vertical, once its sign is taken off: T.800 table D.3. */
const signContexts = [9, 10, 11, 12, 13] as const

/** Contexts by neighbours, for each kind of band: T.800 table D.1. */
const zeroContexts: readonly Uint8Array[] = [0, 1, 2].map(band =>
  Uint8Array.from({ length: 256 }, (_, around) => {
    const count = (...bits: number[]): number => bits.reduce((sum, bit) => sum + ((around >> bit) & 1), 0)
    const [horizontal, vertical, corners] = [count(0, 1), count(2, 3), count(4, 5, 6, 7)]
    if (band === 2) return ofDiagonal(corners, horizontal + vertical)
    return band === 1 ? ofSides(vertical, horizontal, corners) : ofSides(horizontal, vertical, corners)
  }),
)

function ofSides(first: number, second: number, corners: number): number {
  if (first === 2) return 8
  if (first === 1) return second >= 1 ? 7 : corners >= 1 ? 6 : 5
  if (second === 2) return 4
  if (second === 1) return 3
  return Math.min(corners, 2)
}

function ofDiagonal(corners: number, sides: number): number {
  if (corners >= 3) return 8
  if (corners === 2) return sides >= 1 ? 7 : 6
  if (corners === 1) return 3 + Math.min(sides, 2)
  return Math.min(sides, 2)
}

/** Bits without a code; a byte after FF has seven. Behind the last one come ones. */
function rawBits(bytes: Uint8Array): Bits {
  let at = 0
  let hold = 0
  let count = 0
  return () => {
    if (count === 0) {
      count = hold === 0xff ? 7 : 8
      hold = at < bytes.length ? bytes[at++]! : 0xff
    }
    count--
    return (hold >> count) & 1
  }
}
