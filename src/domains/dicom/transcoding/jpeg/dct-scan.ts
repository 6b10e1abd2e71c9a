// One scan of a DCT process (ITU T.81 annexes F and G): coefficients of the scan's components, all at once (sequential)
// or bit by bit and band by band (progressive).

import { Undecodable } from '../decoded-image.ts'
import { BitReader } from './bit-reader.ts'
import { type Plane, unitsOf, zigzag } from './blocks.ts'
import { type HuffmanTable, readSigned } from './huffman.ts'
import type { FrameHeader, ScanHeader, Tables } from './segments.ts'

interface Parts {
  readonly frame: FrameHeader
  readonly scan: ScanHeader
  readonly tables: Tables
  readonly planes: readonly Plane[]
}

/** One component while its scan is read. */
interface Channel {
  readonly plane: Plane
  readonly dc: HuffmanTable | undefined
  readonly ac: HuffmanTable | undefined
  /** The last DC value, from which the next one differs. */
  dcBefore: number
}

/** Fills the planes; where the segment behind the scan begins. */
export function decodeDctScan(bytes: Uint8Array, { frame, scan, tables, planes }: Parts): number {
  const channels = scan.components.map(({ index, dc, ac }): Channel => {
    const plane = planes[index]!
    plane.quantization ??= tables.quantization[frame.components[index]!.quantization]
    return { plane, dc: tables.dc[dc], ac: tables.ac[ac], dcBefore: 0 }
  })
  const bits = new BitReader(bytes, scan.at)
  const decoder = new BlockDecoder(bits, scan, frame.kind === 0xc2)
  const units = unitsOf(frame)
  let sinceRestart = 0
  let restarts = 0
  const unit = (decode: () => void): void => {
    if (tables.restartInterval > 0 && sinceRestart === tables.restartInterval) {
      bits.restart(restarts++ % 8)
      for (const channel of channels) channel.dcBefore = 0
      decoder.restart()
      sinceRestart = 0
    }
    decode()
    sinceRestart++
  }
  const [only] = channels
  if (channels.length === 1) {
    const { blocksWide, blocksHigh, stride } = only!.plane
    for (let y = 0; y < blocksHigh; y++)
      for (let x = 0; x < blocksWide; x++) unit(() => decoder.decode(only!, (y * stride + x) * 64))
    return bits.endSegment()
  }
  for (let y = 0; y < units.high; y++) {
    for (let x = 0; x < units.wide; x++) {
      unit(() => {
        for (const channel of channels) {
          const { h, v, stride } = channel.plane
          for (let row = 0; row < v; row++)
            for (let column = 0; column < h; column++)
              decoder.decode(channel, ((y * v + row) * stride + x * h + column) * 64)
        }
      })
    }
  }
  return bits.endSegment()
}

class BlockDecoder {
  readonly #bits: BitReader
  readonly #scan: ScanHeader
  readonly #isProgressive: boolean
  /** Blocks that are still known to have nothing more in this band. */
  #emptyBlocks = 0

  constructor(bits: BitReader, scan: ScanHeader, isProgressive: boolean) {
    const { from, to, low, components } = scan
    if (
      isProgressive &&
      (from > to || to > 63 || low > 13 || (from === 0 && to !== 0) || (from > 0 && components.length > 1))
    )
      throw new Undecodable('a progressive scan has a band that may not be')
    this.#bits = bits
    this.#scan = scan
    this.#isProgressive = isProgressive
  }

  restart(): void {
    this.#emptyBlocks = 0
  }

  /** Reads the block whose coefficients begin at a place. */
  decode(channel: Channel, at: number): void {
    if (!this.#isProgressive) {
      this.#dc(channel, at, 0)
      this.#sequential(channel, at)
      return
    }
    const { from, high, low } = this.#scan
    if (from === 0) {
      if (high === 0) this.#dc(channel, at, low)
      else if (this.#bits.bit() === 1) channel.plane.coefficients[at]! |= 1 << low
    } else if (high === 0) this.#band(channel, at)
    else this.#refine(channel, at)
  }

  #dc(channel: Channel, at: number, low: number): void {
    const length = need(channel.dc).read(this.#bits)
    if (length > 15) throw new Undecodable('a DC difference is too long')
    channel.dcBefore += readSigned(this.#bits, length)
    channel.plane.coefficients[at] = channel.dcBefore << low
  }

  #sequential(channel: Channel, at: number): void {
    const table = need(channel.ac)
    const { coefficients } = channel.plane
    for (let index = 1; index < 64; ) {
      const symbol = table.read(this.#bits)
      const length = symbol & 15
      if (length === 0) {
        if (symbol !== 0xf0) return
        index += 16
        continue
      }
      index += symbol >> 4
      if (index > 63) throw new Undecodable('a block has more than 64 coefficients')
      coefficients[at + zigzag[index++]!] = readSigned(this.#bits, length)
    }
  }

  /** The first time that a band comes: T.81 G.1.2.2. */
  #band(channel: Channel, at: number): void {
    if (this.#emptyBlocks > 0) {
      this.#emptyBlocks--
      return
    }
    const table = need(channel.ac)
    const { from, to, low } = this.#scan
    const { coefficients } = channel.plane
    for (let index = from; index <= to; ) {
      const symbol = table.read(this.#bits)
      const [run, length] = [symbol >> 4, symbol & 15]
      if (length === 0) {
        if (run < 15) {
          this.#emptyBlocks = (1 << run) - 1 + this.#bits.bits(run)
          return
        }
        index += 16
        continue
      }
      index += run
      if (index > to) throw new Undecodable('a band has more coefficients than it may')
      coefficients[at + zigzag[index++]!] = readSigned(this.#bits, length) << low
    }
  }

  /** One more bit of a band: T.81 G.1.2.3. */
  #refine(channel: Channel, at: number): void {
    const table = need(channel.ac)
    const { from, to, low } = this.#scan
    const { coefficients } = channel.plane
    let index = from
    if (this.#emptyBlocks === 0) {
      while (index <= to) {
        const symbol = table.read(this.#bits)
        let run = symbol >> 4
        let fresh = 0
        if ((symbol & 15) !== 0) fresh = this.#bits.bit() === 1 ? 1 << low : -1 << low
        else if (run < 15) {
          this.#emptyBlocks = (1 << run) + this.#bits.bits(run)
          break
        }
        // Passes over so many zeros, and refines what is not zero on the way.
        for (; index <= to; index++) {
          const place = at + zigzag[index]!
          if (coefficients[place] !== 0) this.#correct(coefficients, place, low)
          else if (run-- === 0) break
        }
        if (fresh !== 0) {
          if (index > to) throw new Undecodable('a band has more coefficients than it may')
          coefficients[at + zigzag[index]!] = fresh
        }
        index++
      }
    }
    if (this.#emptyBlocks === 0) return
    for (; index <= to; index++) {
      const place = at + zigzag[index]!
      if (coefficients[place] !== 0) this.#correct(coefficients, place, low)
    }
    this.#emptyBlocks--
  }

  #correct(coefficients: Int16Array, place: number, low: number): void {
    if (this.#bits.bit() === 0) return
    const value = coefficients[place]!
    if ((Math.abs(value) & (1 << low)) === 0) coefficients[place] = value + (value > 0 ? 1 << low : -1 << low)
  }
}

function need(table: HuffmanTable | undefined): HuffmanTable {
  if (!table) throw new Undecodable('a Huffman table is missing')
  return table
}
