// Finds earlier bytes that come again, and gives up looking the sooner the less it finds: pixels with noise cost it
// next to nothing, headers and drawings get most of what a thorough search would find.

/** DEFLATE's limits (RFC 1951, 3.2.5). */
const lengthMax = 258
const distanceMax = 32 * 1024
/** So many bytes are looked for at once. */
const wordBytes = 4
/** Shorter ones are seldom worth their distance: in noise, where they are many, they cost time and gain next to nothing. */
const lengthMin = 6

const tableBits = 12
/** After so many vain looks, as a power of two, steps become longer by a byte. */
const patienceBits = 4

/** The repeats of one content, in order; the bytes between them are told as they are. Kept for the next content. */
export class Repeats {
  count = 0
  /** Where each stands. */
  at = new Int32Array(256)
  /** How many bytes it has, 4 to 258. */
  length = new Int32Array(256)
  /** How far back they were, 1 to 32 768. */
  distance = new Int32Array(256)
  /** Where four bytes with this hash were last. */
  readonly #seen = new Int32Array(1 << tableBits)

  find(bytes: Uint8Array): void {
    this.count = 0
    const seen = this.#seen.fill(-1)
    const lastStart = bytes.length - wordBytes
    for (let at = 0, told = 0, vain = 0; at <= lastStart; ) {
      const word = wordAt(bytes, at)
      const slot = Math.imul(word, 0x9e3779b1) >>> (32 - tableBits)
      const earlier = seen[slot]!
      seen[slot] = at
      const distance = at - earlier
      if (earlier >= 0 && distance <= distanceMax && wordAt(bytes, earlier) === word) {
        // What was stepped over may belong to it, too.
        let from = at
        while (from > told && from > distance && bytes[from - 1] === bytes[from - 1 - distance]) from--
        const endMax = Math.min(bytes.length, from + lengthMax)
        let end = Math.min(at + wordBytes, endMax)
        while (end < endMax && bytes[end] === bytes[end - distance]) end++
        if (end - from >= lengthMin) {
          this.#note(from, end - from, distance)
          at = end
          told = end
          vain = 0
          continue
        }
      }
      at += 1 + (vain++ >> patienceBits)
    }
  }

  #note(at: number, length: number, distance: number): void {
    if (this.count === this.at.length) {
      this.at = twice(this.at)
      this.length = twice(this.length)
      this.distance = twice(this.distance)
    }
    this.at[this.count] = at
    this.length[this.count] = length
    this.distance[this.count++] = distance
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

function twice(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const more = new Int32Array(2 * numbers.length)
  more.set(numbers)
  return more
}
