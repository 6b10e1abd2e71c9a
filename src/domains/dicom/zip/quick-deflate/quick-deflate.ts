// Deflates small contents quickly: one block with codes of its own, and no long look for repeats. Where bytes are noise,
// as pixels of detectors are, that is nearly as short as what zlib makes of them, in less than half of its time.
// Own code because zlib was two thirds of what an archive of small files costs (docs/decisions/059).

import { BitWriter } from './bit-writer.ts'
import { codeBitsMax, makeAlphabet, PrefixCoder } from './prefix-code.ts'
import { distances, lengths } from './ranges.ts'
import { Repeats } from './repeats.ts'

/** The symbol that ends a block; below it are bytes, behind it lengths. */
const endOfBlock = 256
/** `BFINAL` and `BTYPE` of a last block that brings its codes (RFC 1951, 3.2.3). */
const lastBlockWithCodes = 0b101
/** Symbols that tell lengths of codes: 0 to 15 are these, the others repeat (3.2.7). In the order of their own lengths. */
const tellingOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
const tellingBitsMax = 7
const sameAgain = { symbol: 16, least: 3, most: 6 }
const fewZeros = { symbol: 17, least: 3, most: 10 }
const manyZeros = { symbol: 18, least: 11, most: 138 }
/** How many extra bits each of these symbols has. */
const repeatBits = Uint8Array.from([...Array(16).fill(0), 2, 3, 7])

/** Deflates contents of less than 2^30 bytes. It keeps its tables, so one should serve many contents. */
export class QuickDeflater {
  readonly #repeats = new Repeats()
  readonly #coder = new PrefixCoder()
  readonly #out = new BitWriter()
  readonly #letters = makeAlphabet(endOfBlock + 1 + lengths.base.length)
  readonly #distances = makeAlphabet(distances.base.length)
  readonly #telling = makeAlphabet(tellingOrder.length)
  /** The lengths of all codes in a row, and how they are told (`tellLengths`). */
  readonly #lengths = new Uint8Array(this.#letters.bits.length + this.#distances.bits.length)
  readonly #told = new Uint8Array(2 * this.#lengths.length)
  /** Every second byte is counted here: counting in turns waits less for the count before. */
  readonly #oddCounts = new Uint32Array(endOfBlock)

  /** The content as a raw DEFLATE stream, to be read before the next call. It may be longer than the content. */
  deflate(bytes: Uint8Array): Uint8Array {
    this.#repeats.find(bytes)
    this.#count(bytes)
    this.#coder.makeCodes(this.#letters, codeBitsMax)
    this.#coder.makeCodes(this.#distances, codeBitsMax)
    // A byte takes two at most, a repeat of four bytes or more fewer than seven; the codes are told in some hundred.
    this.#out.begin(2 * bytes.length + 1024)
    this.#out.put(lastBlockWithCodes, 3)
    this.#tellCodes()
    this.#write(bytes)
    return this.#out.end()
  }

  #count(bytes: Uint8Array): void {
    const { count, at, length, distance } = this.#repeats
    const letters = this.#letters.counts.fill(0)
    const odd = this.#oddCounts.fill(0)
    const far = this.#distances.counts.fill(0)
    let from = 0
    for (let index = 0; index < count; index++) {
      countBytes(bytes, from, at[index]!, letters, odd)
      letters[endOfBlock + 1 + lengths.symbolOf(length[index]!)]!++
      far[distances.symbolOf(distance[index]!)]!++
      from = at[index]! + length[index]!
    }
    countBytes(bytes, from, bytes.length, letters, odd)
    for (let byte = 0; byte < endOfBlock; byte++) letters[byte]! += odd[byte]!
    letters[endOfBlock] = 1
  }

  /** The lengths of all codes, told by codes of their own (RFC 1951, 3.2.7). */
  #tellCodes(): void {
    const letters = usedOf(this.#letters.bits, endOfBlock + 1)
    const far = usedOf(this.#distances.bits, 1)
    this.#lengths.set(letters)
    this.#lengths.set(far, letters.length)
    const told = tellLengths(this.#lengths.subarray(0, letters.length + far.length), this.#told)
    const { counts, bits, codes } = this.#telling
    counts.fill(0)
    for (let index = 0; index < told; index += 2) counts[this.#told[index]!]!++
    this.#coder.makeCodes(this.#telling, tellingBitsMax)
    let orders = tellingOrder.length
    while (orders > 4 && bits[tellingOrder[orders - 1]!] === 0) orders--
    const out = this.#out
    out.put(letters.length - (endOfBlock + 1), 5)
    out.put(far.length - 1, 5)
    out.put(orders - 4, 4)
    for (let index = 0; index < orders; index++) out.put(bits[tellingOrder[index]!]!, 3)
    for (let index = 0; index < told; index += 2) {
      const symbol = this.#told[index]!
      out.putCode(codes[symbol]!)
      out.put(this.#told[index + 1]!, repeatBits[symbol]!)
    }
  }

  #write(bytes: Uint8Array): void {
    const { count, at, length, distance } = this.#repeats
    const out = this.#out
    const { codes } = this.#letters
    let from = 0
    for (let index = 0; index < count; index++) {
      out.putCodesOf(bytes, from, at[index]!, codes)
      const long = lengths.symbolOf(length[index]!)
      out.putCode(codes[endOfBlock + 1 + long]!)
      out.put(length[index]! - lengths.base[long]!, lengths.extraBits[long]!)
      const far = distances.symbolOf(distance[index]!)
      out.putCode(this.#distances.codes[far]!)
      out.put(distance[index]! - distances.base[far]!, distances.extraBits[far]!)
      from = at[index]! + length[index]!
    }
    out.putCodesOf(bytes, from, bytes.length, codes)
    out.putCode(codes[endOfBlock]!)
  }
}

function countBytes(bytes: Uint8Array, from: number, to: number, even: Uint32Array, odd: Uint32Array): void {
  let at = from
  for (; at + 1 < to; at += 2) {
    even[bytes[at]!]!++
    odd[bytes[at + 1]!]!++
  }
  if (at < to) even[bytes[at]!]!++
}

/** Without the last symbols that do not occur, but at least so many. */
function usedOf(bits: Uint8Array, least: number): Uint8Array {
  return bits.subarray(0, Math.max(least, bits.findLastIndex(length => length > 0) + 1))
}

/**
 * Lengths one after the other, with what comes several times in a row told as such: pairs of a symbol and the value of its
 * extra bits. Returns how many numbers these are.
 */
function tellLengths(lengths: Uint8Array, told: Uint8Array): number {
  let count = 0
  for (let at = 0; at < lengths.length; ) {
    const length = lengths[at]!
    let again = 1
    while (lengths[at + again] === length) again++
    at += again
    if (length > 0) {
      told[count++] = length
      told[count++] = 0
      again--
    }
    while (again >= sameAgain.least) {
      const how = length > 0 ? sameAgain : again >= manyZeros.least ? manyZeros : fewZeros
      const times = Math.min(again, how.most)
      told[count++] = how.symbol
      told[count++] = times - how.least
      again -= times
    }
    for (; again > 0; again--) {
      told[count++] = length
      told[count++] = 0
    }
  }
  return count
}
