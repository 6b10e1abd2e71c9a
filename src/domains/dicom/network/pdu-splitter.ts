// Cuts the bytes of a connection into PDUs. No PDU is gathered that is longer than it may be: its length is looked at
// before its body has come.

import { InvalidPdu, pduTypes } from './pdu.ts'

/** Association requests with all 128 contexts and every syntax are about half of this. */
const associateBytesMax = 512 * 1024
const shortBytesMax = 64

export class PduSplitter {
  readonly #dataBytesMax: number
  #chunks: Buffer[] = []
  #length = 0

  /** `dataBytesMax` is the longest P-DATA that we announced. */
  constructor(dataBytesMax: number) {
    this.#dataBytesMax = dataBytesMax
  }

  /** Bytes that wait for the rest of their PDU. */
  get waitingBytes(): number {
    return this.#length
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  /** The next whole PDU; undefined until it has come. Throws InvalidPdu for one that may not be. */
  next(): { readonly type: number; readonly body: Buffer } | undefined {
    if (this.#length < 6) return undefined
    const head = this.#front(6)
    const type = head[0]!
    const length = head.readUInt32BE(2)
    const most = this.#mostOf(type)
    if (length > most)
      throw new InvalidPdu(`a PDU of type ${type} with ${length} bytes, and ${most} are allowed`)
    if (this.#length < 6 + length) return undefined
    const whole = this.#front(6 + length)
    this.#drop(6 + length)
    return { type, body: whole.subarray(6) }
  }

  #mostOf(type: number): number {
    if (type === pduTypes.data) return this.#dataBytesMax
    if (type === pduTypes.associateRq || type === pduTypes.associateAc) return associateBytesMax
    if (type === 0 || type > pduTypes.abort) throw new InvalidPdu(`a PDU of the unknown type ${type}`, 1)
    return shortBytesMax
  }

  /** The first bytes, which are there, as one piece. Chunks are joined only where a PDU spans several. */
  #front(length: number): Buffer {
    const first = this.#chunks[0]!
    if (first.length >= length) return first.subarray(0, length)
    // All at once: joining chunk by chunk would copy a slow PDU again and again.
    let count = 0
    let sum = 0
    while (sum < length) sum += this.#chunks[count++]!.length
    const joined = Buffer.concat(this.#chunks.slice(0, count), sum)
    this.#chunks.splice(0, count, joined)
    return joined.subarray(0, length)
  }

  #drop(length: number): void {
    const first = this.#chunks[0]!
    this.#length -= length
    if (first.length === length) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(length)
  }
}
