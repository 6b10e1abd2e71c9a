// Huffman tables of JPEG (ITU T.81 annexes C and F): short codes by a table of nine bits, longer ones by their lengths.

import { Undecodable } from '../decoded-image.ts'
import type { BitReader } from './bit-reader.ts'

const fastBits = 9

export class HuffmanTable {
  /** Length × 256 + symbol, by the next nine bits; 0 for longer codes. */
  readonly #fast = new Uint16Array(1 << fastBits)
  /** By length: the first code that is too large for it, moved up to 16 bits. */
  readonly #limits = new Int32Array(18)
  /** By length: what added to a code gives the place of its symbol. */
  readonly #offsets = new Int32Array(17)
  readonly #symbols: Uint8Array

  /** `counts` are the numbers of codes of 1 to 16 bits, `symbols` what they mean, in order. */
  constructor(counts: Uint8Array, symbols: Uint8Array) {
    this.#symbols = symbols
    let code = 0
    let at = 0
    for (let length = 1; length <= 16; length++) {
      const count = counts[length - 1]!
      this.#offsets[length] = at - code
      if (length <= fastBits) {
        const copies = 1 << (fastBits - length)
        for (let index = 0; index < count; index++) {
          const from = (code + index) * copies
          this.#fast.fill((length << 8) | symbols[at + index]!, from, from + copies)
        }
      }
      code += count
      at += count
      if (code > 1 << length) throw new Undecodable('a Huffman table has more codes than fit')
      this.#limits[length] = code << (16 - length)
      code <<= 1
    }
    this.#limits[17] = 0x10000
  }

  read(bits: BitReader): number {
    const next = bits.peek()
    const fast = this.#fast[next >>> (16 - fastBits)]!
    if (fast !== 0) {
      bits.skip(fast >>> 8)
      return fast & 0xff
    }
    for (let length = fastBits + 1; length <= 16; length++) {
      if (next >= this.#limits[length]!) continue
      bits.skip(length)
      return this.#symbols[(next >>> (16 - length)) + this.#offsets[length]!]!
    }
    throw new Undecodable('a Huffman code means nothing')
  }
}

/** A number of so many bits whose highest bit tells its sign: T.81 F.2.2.1, EXTEND. */
export function readSigned(bits: BitReader, length: number): number {
  if (length === 0) return 0
  const value = bits.bits(length)
  return value < 1 << (length - 1) ? value - (1 << length) + 1 : value
}
