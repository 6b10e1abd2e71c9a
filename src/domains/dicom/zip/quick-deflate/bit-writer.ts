// Writes bits as DEFLATE packs them: the first ones lowest in a byte (RFC 1951, 3.1.1).

/** A buffer for one stream of bits at a time, kept for the next. */
export class BitWriter {
  #bytes = new Uint8Array(0)
  #at = 0
  #waiting = 0
  #waitingBits = 0

  /** Begins anew, with room for so many bytes and no check of it afterwards. */
  begin(bytesMax: number): void {
    if (this.#bytes.length < bytesMax + 4) this.#bytes = new Uint8Array(bytesMax + 4)
    this.#at = 0
    this.#waiting = 0
    this.#waitingBits = 0
  }

  /** Adds up to 16 bits. */
  put(value: number, bits: number): void {
    this.#waiting |= value << this.#waitingBits
    this.#waitingBits += bits
    this.#bytes[this.#at] = this.#waiting
    this.#bytes[this.#at + 1] = this.#waiting >>> 8
    // Two bytes are done, or none: counted and not asked, for whether they are is a guess that goes wrong half of the time.
    const done = this.#waitingBits >>> 4
    this.#at += 2 * done
    this.#waiting >>>= 16 * done
    this.#waitingBits &= 15
  }

  /** Adds a code with its length above bit 15 (`Alphabet.codes`). */
  putCode(code: number): void {
    this.put(code & 0xffff, code >>> 16)
  }

  /** Adds the codes of some bytes: the innermost loop, which keeps everything in registers. */
  putCodesOf(bytes: Uint8Array, from: number, to: number, codes: Uint32Array): void {
    const out = this.#bytes
    let at = this.#at
    let waiting = this.#waiting
    let waitingBits = this.#waitingBits
    for (let index = from; index < to; index++) {
      const code = codes[bytes[index]!]!
      waiting |= (code & 0xffff) << waitingBits
      waitingBits += code >>> 16
      out[at] = waiting
      out[at + 1] = waiting >>> 8
      const done = waitingBits >>> 4
      at += 2 * done
      waiting >>>= 16 * done
      waitingBits &= 15
    }
    this.#at = at
    this.#waiting = waiting
    this.#waitingBits = waitingBits
  }

  /** Everything that was written, until writing begins anew. */
  end(): Uint8Array {
    this.#bytes[this.#at] = this.#waiting
    this.#bytes[this.#at + 1] = this.#waiting >>> 8
    return this.#bytes.subarray(0, this.#at + Math.ceil(this.#waitingBits / 8))
  }
}
