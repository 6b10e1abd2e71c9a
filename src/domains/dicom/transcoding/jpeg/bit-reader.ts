// Bits of entropy-coded JPEG segments: stuffed zeros are dropped, and a marker ends them.

import { Undecodable } from '../decoded-image.ts'

export class BitReader {
  readonly #bytes: Uint8Array
  /** The next byte, or the FF of the marker that ended the segment. */
  #at: number
  #hold = 0
  #count = 0
  /** Bits that were never there: a segment may be short of a few while it is peeked at, but not when they are used. */
  #missing = 0

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  /** The next 16 bits, without taking them. */
  peek(): number {
    if (this.#count < 16) this.#fill()
    return (this.#hold >>> (this.#count - 16)) & 0xffff
  }

  /** Takes bits that were peeked at. */
  skip(count: number): void {
    this.#count -= count
    if (this.#count < this.#missing) throw new Undecodable('the stream ends too early')
  }

  bits(count: number): number {
    if (count === 0) return 0
    const value = this.peek() >>> (16 - count)
    this.skip(count)
    return value
  }

  bit(): number {
    return this.bits(1)
  }

  /** Drops what is left of the segment; where the marker behind it begins, or the end. */
  endSegment(): number {
    this.#count = 0
    this.#missing = 0
    this.#hold = 0
    const bytes = this.#bytes
    while (this.#at < bytes.length && !isMarker(bytes, this.#at)) this.#at++
    return this.#at
  }

  /** Passes a restart marker with this number (0-7), and begins anew behind it. */
  restart(number: number): void {
    const at = this.endSegment()
    if (this.#bytes[at + 1] !== 0xd0 + number) throw new Undecodable('a restart marker is missing')
    this.#at = at + 2
  }

  #fill(): void {
    while (this.#count <= 16) {
      let byte = 0
      if (this.#at >= this.#bytes.length || isMarker(this.#bytes, this.#at)) this.#missing += 8
      else {
        byte = this.#bytes[this.#at]!
        this.#at += byte === 0xff ? 2 : 1
      }
      this.#hold = (this.#hold << 8) | byte
      this.#count += 8
    }
  }
}

/** FF and anything but a stuffed zero. */
function isMarker(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xff && bytes[at + 1] !== 0
}
