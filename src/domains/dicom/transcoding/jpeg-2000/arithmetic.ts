// The MQ arithmetic decoder of JPEG 2000 (ITU T.800 annex C).

/** State: the probability of the unlikely symbol, the next states after it and after the likely one, and whether the likely one changes. */
const table: readonly (readonly [q: number, likely: number, unlikely: number, turns: number])[] = [
  [0x5601, 1, 1, 1],
  [0x3401, 2, 6, 0],
  [0x1801, 3, 9, 0],
  [0x0ac1, 4, 12, 0],
  [0x0521, 5, 29, 0],
  [0x0221, 38, 33, 0],
  [0x5601, 7, 6, 1],
  [0x5401, 8, 14, 0],
  [0x4801, 9, 14, 0],
  [0x3801, 10, 14, 0],
  [0x3001, 11, 17, 0],
  [0x2401, 12, 18, 0],
  [0x1c01, 13, 20, 0],
  [0x1601, 29, 21, 0],
  [0x5601, 15, 14, 1],
  [0x5401, 16, 14, 0],
  [0x5101, 17, 15, 0],
  [0x4801, 18, 16, 0],
  [0x3801, 19, 17, 0],
  [0x3401, 20, 18, 0],
  [0x3001, 21, 19, 0],
  [0x2801, 22, 19, 0],
  [0x2401, 23, 20, 0],
  [0x2201, 24, 21, 0],
  [0x1c01, 25, 22, 0],
  [0x1801, 26, 23, 0],
  [0x1601, 27, 24, 0],
  [0x1401, 28, 25, 0],
  [0x1201, 29, 26, 0],
  [0x1101, 30, 27, 0],
  [0x0ac1, 31, 28, 0],
  [0x09c1, 32, 29, 0],
  [0x08a1, 33, 30, 0],
  [0x0521, 34, 31, 0],
  [0x0441, 35, 32, 0],
  [0x02a1, 36, 33, 0],
  [0x0221, 37, 34, 0],
  [0x0141, 38, 35, 0],
  [0x0111, 39, 36, 0],
  [0x0085, 40, 37, 0],
  [0x0049, 41, 38, 0],
  [0x0025, 42, 39, 0],
  [0x0015, 43, 40, 0],
  [0x0009, 44, 41, 0],
  [0x0005, 45, 42, 0],
  [0x0001, 45, 43, 0],
  [0x5601, 46, 46, 0],
]
const probabilities = Uint16Array.from(table, ([q]) => q)
/** Contexts hold 2 × state + likely symbol; these are what they hold next. */
const afterLikely = new Uint8Array(94)
const afterUnlikely = new Uint8Array(94)
for (const [state, [, likely, unlikely, turns]] of table.entries()) {
  for (const symbol of [0, 1]) {
    afterLikely[2 * state + symbol] = 2 * likely + symbol
    afterUnlikely[2 * state + symbol] = 2 * unlikely + (symbol ^ turns)
  }
}

export class ArithmeticDecoder {
  readonly #bytes: Uint8Array
  readonly #end: number
  #at: number
  #c: number
  #a: number
  #count = 0

  /** Decodes the bytes from one place to another; behind them come ones without end. */
  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes
    this.#at = from
    this.#end = to
    this.#c = this.#byteAt(from) << 16
    this.#byteIn()
    this.#c <<= 7
    this.#count -= 7
    this.#a = 0x8000
  }

  /** The next bit, in a context. */
  bit(contexts: Uint8Array, context: number): number {
    const state = contexts[context]!
    const q = probabilities[state >> 1]!
    let symbol = state & 1
    this.#a -= q
    if (this.#c >>> 16 < q) {
      // The lower part, which is the unlikely symbol's unless it is the larger one.
      if (this.#a < q) contexts[context] = afterLikely[state]!
      else {
        symbol ^= 1
        contexts[context] = afterUnlikely[state]!
      }
      this.#a = q
    } else {
      this.#c = (this.#c - (q << 16)) | 0
      if ((this.#a & 0x8000) !== 0) return symbol
      if (this.#a < q) {
        symbol ^= 1
        contexts[context] = afterUnlikely[state]!
      } else contexts[context] = afterLikely[state]!
    }
    do {
      if (this.#count === 0) this.#byteIn()
      this.#a <<= 1
      this.#c <<= 1
      this.#count--
    } while ((this.#a & 0x8000) === 0)
    return symbol
  }

  #byteAt(at: number): number {
    return at < this.#end ? this.#bytes[at]! : 0xff
  }

  #byteIn(): void {
    if (this.#byteAt(this.#at) === 0xff) {
      const next = this.#byteAt(this.#at + 1)
      if (next > 0x8f) {
        this.#c += 0xff00
        this.#count = 8
      } else {
        this.#at++
        this.#c += next << 9
        this.#count = 7
      }
      return
    }
    this.#at++
    this.#c += this.#byteAt(this.#at) << 8
    this.#count = 8
  }
}
