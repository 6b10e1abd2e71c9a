// The compressed blocks of TIFF files, decoded to no more than the image says a block has: what a file says of itself is
// somebody's word, and a few bytes can stand for gigabytes.

import { inflateSync } from 'node:zlib'

/** What a block may come to at most, whatever its image says. */
const blockBytesMax = 512 * 1024 * 1024
const rowsMax = 100_000

/** What is known of an image's blocks; strips have the whole image's width. */
export interface BlockShape {
  readonly tileWidth: number
  readonly tileHeight: number
  readonly planarConfiguration: number
  readonly bitsPerSample: number | ArrayLike<number>
}

/** How many bytes a block has when it is decoded. */
export function blockBytes({
  tileWidth,
  tileHeight,
  planarConfiguration,
  bitsPerSample,
}: BlockShape): number {
  const bits = typeof bitsPerSample === 'number' ? [bitsPerSample] : Array.from(bitsPerSample)
  const perPixel = planarConfiguration === 2 ? Math.max(...bits) : bits.reduce((sum, one) => sum + one, 0)
  // A strip may say that it has all rows there could ever be.
  const bytes = Math.ceil((tileWidth * perPixel) / 8) * Math.min(tileHeight, rowsMax)
  if (!(bytes >= 0 && bytes <= blockBytesMax)) throw new Error('a block of the image is too large')
  return bytes
}

/** Deflate, as zlib writes it. */
export function inflateBlock(block: Uint8Array, bytesMax: number): Uint8Array {
  return inflateSync(block, { maxOutputLength: Math.max(bytesMax, 1) })
}

/** PackBits: runs, and stretches that are copied. */
export function unpackBlock(block: Uint8Array, bytesMax: number): Uint8Array {
  const out = new Sink(bytesMax)
  for (let at = 0; at < block.length && !out.isFull; ) {
    const header = (block[at++]! << 24) >> 24
    if (header === -128) continue
    if (header < 0) out.run(block[at++] ?? 0, 1 - header)
    else {
      out.copy(block.subarray(at, at + header + 1))
      at += header + 1
    }
  }
  return out.bytes
}

const clearCode = 256
const endCode = 257
const codesMax = 4096

/** LZW as TIFF has it: high bits first, and each width given up one code early. */
export function expandBlock(block: Uint8Array, bytesMax: number): Uint8Array {
  const out = new Sink(bytesMax)
  // Each code is another one and a byte behind it.
  const before = new Uint16Array(codesMax)
  const last = new Uint8Array(codesMax)
  const lengths = new Uint16Array(codesMax)
  for (let code = 0; code < clearCode; code++) {
    last[code] = code
    lengths[code] = 1
  }
  const word = new Uint8Array(codesMax)
  const spell = (code: number): Uint8Array => {
    const length = lengths[code]!
    let at = length
    for (let left = code; at > 0; left = before[left]!) word[--at] = last[left]!
    return word.subarray(0, length)
  }
  let [next, width, previous] = [258, 9, -1]
  let [bits, held, at] = [0, 0, 0]
  while (!out.isFull) {
    while (held < width && at < block.length) {
      bits = ((bits << 8) | block[at++]!) & 0xff_ffff
      held += 8
    }
    if (held < width) break
    const code = (bits >>> (held - width)) & ((1 << width) - 1)
    held -= width
    if (code === endCode) break
    if (code === clearCode) {
      ;[next, width, previous] = [258, 9, -1]
      continue
    }
    if (
      code > next ||
      (code === next && previous < 0) ||
      (code >= clearCode && lengths[code] === 0 && code !== next)
    )
      throw new Error('a block of the image is broken')
    if (previous >= 0 && next < codesMax) {
      const first = spell(code < next ? code : previous)[0]!
      before[next] = previous
      last[next] = first
      lengths[next] = lengths[previous]! + 1
      next++
      if (next + 1 >= 1 << width && width < 12) width++
    }
    out.copy(spell(code))
    previous = code
  }
  return out.bytes
}

/** Bytes up to a bound, in memory that grows with what comes. */
class Sink {
  readonly #max: number
  #bytes: Uint8Array
  #length = 0

  constructor(max: number) {
    this.#max = max
    this.#bytes = new Uint8Array(Math.min(max, 65_536))
  }

  get isFull(): boolean {
    return this.#length >= this.#max
  }

  get bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  copy(bytes: Uint8Array): void {
    const count = this.#room(bytes.length)
    this.#bytes.set(bytes.subarray(0, count), this.#length)
    this.#length += count
  }

  run(byte: number, length: number): void {
    const count = this.#room(length)
    this.#bytes.fill(byte, this.#length, this.#length + count)
    this.#length += count
  }

  #room(wanted: number): number {
    const count = Math.min(wanted, this.#max - this.#length)
    if (this.#length + count > this.#bytes.length) {
      const grown = new Uint8Array(
        Math.min(this.#max, Math.max(this.#length + count, this.#bytes.length * 2)),
      )
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    return count
  }
}
