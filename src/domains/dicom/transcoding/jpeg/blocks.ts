// Where the coefficients of a frame lie while its scans are read: one plane of blocks for each component.

import { Undecodable } from '../decoded-image.ts'
import type { FrameHeader } from './segments.ts'

export interface Plane {
  readonly h: number
  readonly v: number
  /** Blocks of its own samples, and blocks with what fills up the last units of interleaved scans. */
  readonly blocksWide: number
  readonly blocksHigh: number
  readonly stride: number
  /** Samples that are not filling. */
  readonly columns: number
  readonly rows: number
  /** 64 a block, in natural order. */
  readonly coefficients: Int16Array
  /** The table that its coefficients were divided by, in zigzag order: as it was when its first scan came. */
  quantization: Uint16Array | undefined
}

/** Coefficients beyond this are not held: a frame with odd sampling factors may want more than it has samples. */
const coefficientsMax = 512 * 1024 * 1024

/** Units of an interleaved scan, in each direction. */
export function unitsOf({ rows, columns, components }: FrameHeader) {
  const hMax = Math.max(...components.map(({ h }) => h))
  const vMax = Math.max(...components.map(({ v }) => v))
  return { hMax, vMax, wide: Math.ceil(columns / (8 * hMax)), high: Math.ceil(rows / (8 * vMax)) }
}

/** Room for the coefficients of a frame, one plane a component; Undecodable when they are too many. */
export function makePlanes(frame: FrameHeader): Plane[] {
  const { hMax, vMax, wide, high } = unitsOf(frame)
  const total = frame.components.reduce((sum, { h, v }) => sum + wide * h * high * v * 64, 0)
  if (total > coefficientsMax) throw new Undecodable('the frame is too large')
  return frame.components.map(({ h, v }) => {
    const columns = Math.ceil((frame.columns * h) / hMax)
    const rows = Math.ceil((frame.rows * v) / vMax)
    const stride = wide * h
    return {
      ...{ h, v, stride, columns, rows, quantization: undefined },
      blocksWide: Math.ceil(columns / 8),
      blocksHigh: Math.ceil(rows / 8),
      coefficients: new Int16Array(stride * high * v * 64),
    }
  })
}

/** From the order of the stream to rows of eight. */
export const zigzag = Uint8Array.from([
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46,
  53, 60, 61, 54, 47, 55, 62, 63,
])
