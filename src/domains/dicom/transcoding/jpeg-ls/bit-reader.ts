// Bits of JPEG-LS scans: after a byte FF the next one carries seven bits (ITU T.87 A.1).

import { Undecodable } from '../decoded-image.ts'

export class BitReader {
  readonly #bytes: Uint8Array
  #at: number
  #hold = 0
  #count = 0
  #missing = 0

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  /** So many bits, at most 24. */
  bits(count: number): number {
    if (count === 0) return 0
    if (count > 16) return this.bits(count - 16) * 65536 + this.bits(16)
    if (this.#count < count) this.#fill()
    const value = (this.#hold >>> (this.#count - count)) & ((1 << count) - 1)
    this.#take(count)
    return value
  }

  bit(): number {
    return this.bits(1)
  }

  /** How many zeros come before the next one, which is taken, too; throws when there are more than `most`. */
  zeros(most: number): number {
    let zeros = 0
    for (;;) {
      if (this.#count === 0) this.#fill()
      const rest = this.#hold & (this.#count === 32 ? -1 : (1 << this.#count) - 1)
      const here = rest === 0 ? this.#count : this.#count - (32 - Math.clz32(rest))
      zeros += here
      if (zeros > most) throw new Undecodable('a code means nothing')
      if (rest !== 0) {
        this.#take(here + 1)
        return zeros
      }
      this.#take(here)
    }
  }

  /** Drops what is left of the scan; where the marker behind it begins, or the end. */
  endSegment(): number {
    const bytes = this.#bytes
    while (this.#at < bytes.length && !(bytes[this.#at] === 0xff && bytes[this.#at + 1]! >= 0x80)) this.#at++
    return this.#at
  }

  #take(count: number): void {
    this.#count -= count
    if (this.#count < this.#missing) throw new Undecodable('the stream ends too early')
  }

  #fill(): void {
    while (this.#count <= 24) {
      const byte = this.#bytes[this.#at]
      const isEnd = byte === undefined || (byte === 0xff && (this.#bytes[this.#at + 1] ?? 0xff) >= 0x80)
      const size = !isEnd && this.#at > 0 && this.#bytes[this.#at - 1] === 0xff ? 7 : 8
      this.#hold = (this.#hold << size) | (isEnd ? 0 : byte)
      this.#count += size
      if (isEnd) this.#missing += size
      else this.#at++
    }
  }
}
