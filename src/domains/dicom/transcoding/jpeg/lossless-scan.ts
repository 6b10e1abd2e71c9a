// One scan of the lossless process (ITU T.81 annex H): each sample is predicted from its neighbours, and the difference
// is what the stream holds.

import { Undecodable } from '../decoded-image.ts'
import { BitReader } from './bit-reader.ts'
import { type HuffmanTable, readSigned } from './huffman.ts'
import type { FrameHeader, ScanHeader, Tables } from './segments.ts'

interface Parts {
  readonly frame: FrameHeader
  readonly scan: ScanHeader
  readonly tables: Tables
  /** Colour by pixel. */
  readonly data: Uint8Array | Uint16Array
}

/** Fills in the samples of the scan's components; where the segment behind it begins. */
export function decodeLosslessScan(bytes: Uint8Array, { frame, scan, tables, data }: Parts): number {
  const { rows, columns, components } = frame
  const predictor = scan.from
  if (predictor < 1 || predictor > 7) throw new Undecodable(`the predictor ${predictor} is not one of a scan`)
  const { low } = scan
  if (low >= frame.bits) throw new Undecodable('the point transform leaves nothing')
  const { restartInterval } = tables
  if (restartInterval % columns !== 0) throw new Undecodable('a restart comes within a line')
  const bits = new BitReader(bytes, scan.at)
  const count = components.length
  const lineStep = columns * count
  const first = 1 << (frame.bits - low - 1)
  const channels = scan.components.map(({ index, dc }) => {
    const table = tables.dc[dc]
    if (!table) throw new Undecodable('a Huffman table is missing')
    // Lines without the point transform: what predictions are made of.
    return { index, table, line: new Uint16Array(columns), before: new Uint16Array(columns) }
  })
  let restarts = 0
  let isFirstLine = true
  for (let y = 0; y < rows; y++) {
    if (restartInterval > 0 && y > 0 && (y * columns) % restartInterval === 0) {
      bits.restart(restarts++ % 8)
      isFirstLine = true
    }
    for (const channel of channels) [channel.line, channel.before] = [channel.before, channel.line]
    for (let x = 0; x < columns; x++) {
      for (const { index, table, line, before } of channels) {
        const kind = isFirstLine ? 1 : predictor
        const guess =
          x === 0
            ? isFirstLine
              ? first
              : before[0]!
            : predict(kind, line[x - 1]!, before[x]!, before[x - 1]!)
        // The line keeps it modulo 2¹⁶, as the differences are meant.
        line[x] = guess + readDifference(bits, table)
        data[y * lineStep + x * count + index] = line[x]! << low
      }
    }
    isFirstLine = false
  }
  return bits.endSegment()
}

function readDifference(bits: BitReader, table: HuffmanTable): number {
  const length = table.read(bits)
  if (length > 16) throw new Undecodable('a difference is too long')
  return length === 16 ? 32768 : readSigned(bits, length)
}

function predict(kind: number, left: number, above: number, corner: number): number {
  switch (kind) {
    case 1:
      return left
    case 2:
      return above
    case 3:
      return corner
    case 4:
      return left + above - corner
    case 5:
      return left + ((above - corner) >> 1)
    case 6:
      return above + ((left - corner) >> 1)
    default:
      return (left + above) >> 1
  }
}
