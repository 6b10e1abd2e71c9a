// Planes of coefficients to samples colour by pixel: inverse DCT, smaller planes enlarged, and red, green and blue made
// of luminance and colour differences (ITU T.871).

import { Undecodable } from '../decoded-image.ts'
import { type Plane, unitsOf, zigzag } from './blocks.ts'
import { inverseDct } from './inverse-dct.ts'
import type { FrameHeader } from './segments.ts'

type Samples = Uint8Array | Uint16Array

/** The samples of a frame, colour by pixel. */
export function joinPlanes(frame: FrameHeader, planes: readonly Plane[], turnsToRgb: boolean): Samples {
  const { rows, columns, bits, components } = frame
  const { hMax, vMax } = unitsOf(frame)
  const full = planes.map(plane =>
    enlarge(samplesOf(plane, bits), plane, { hMax, vMax, rows, columns, bits }),
  )
  const count = components.length
  const out = bits <= 8 ? new Uint8Array(rows * columns * count) : new Uint16Array(rows * columns * count)
  for (const [index, { samples, stride }] of full.entries()) {
    for (let y = 0; y < rows; y++) {
      let to = y * columns * count + index
      for (let from = y * stride, end = from + columns; from < end; from++, to += count)
        out[to] = samples[from]!
    }
  }
  if (turnsToRgb) toRgb(out, bits)
  return out
}

interface Enlarged {
  readonly samples: Samples
  readonly stride: number
}

/** The plane's own samples, with those that fill up its last blocks. */
function samplesOf(plane: Plane, bits: number): Enlarged {
  const { coefficients, quantization, blocksWide, blocksHigh, stride: blocksStride } = plane
  if (!quantization) throw new Undecodable('a quantization table is missing')
  const steps = new Uint16Array(64)
  for (let index = 0; index < 64; index++) steps[zigzag[index]!] = quantization[index]!
  const stride = blocksWide * 8
  const samples =
    bits <= 8 ? new Uint8Array(stride * blocksHigh * 8) : new Uint16Array(stride * blocksHigh * 8)
  for (let y = 0; y < blocksHigh; y++) {
    for (let x = 0; x < blocksWide; x++) {
      const to = { out: samples, at: y * 8 * stride + x * 8, stride, bits }
      inverseDct(coefficients, (y * blocksStride + x) * 64, steps, to)
    }
  }
  return { samples, stride }
}

interface Size {
  readonly hMax: number
  readonly vMax: number
  readonly rows: number
  readonly columns: number
  readonly bits: number
}

/** To the frame's size. Halved widths are interpolated (three quarters of the nearer sample), other ratios repeated. */
function enlarge(from: Enlarged, plane: Plane, size: Size): Enlarged {
  const [x, y] = [size.hMax / plane.h, size.vMax / plane.v]
  if (x === 1 && y === 1) return from
  if (x === 2 && y === 1 && plane.columns > 2) return doubleWidth(from, plane, size)
  if (x === 2 && y === 2 && plane.columns > 2) return doubleBoth(from, plane, size)
  const { rows, columns } = size
  const samples = size.bits <= 8 ? new Uint8Array(rows * columns) : new Uint16Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    const at = Math.floor(row / y) * from.stride
    for (let column = 0; column < columns; column++)
      samples[row * columns + column] = from.samples[at + Math.floor(column / x)]!
  }
  return { samples, stride: columns }
}

function doubleWidth({ samples, stride }: Enlarged, plane: Plane, { bits }: Size): Enlarged {
  const wide = plane.columns * 2
  const out = bits <= 8 ? new Uint8Array(wide * plane.rows) : new Uint16Array(wide * plane.rows)
  const last = plane.columns - 1
  for (let row = 0; row < plane.rows; row++) {
    const at = row * stride
    for (let x = 0; x <= last; x++) {
      const near = 3 * samples[at + x]!
      const to = row * wide + 2 * x
      out[to] = x === 0 ? samples[at]! : (near + samples[at + x - 1]! + 1) >> 2
      out[to + 1] = x === last ? samples[at + last]! : (near + samples[at + x + 1]! + 2) >> 2
    }
  }
  return { samples: out, stride: wide }
}

function doubleBoth({ samples, stride }: Enlarged, plane: Plane, { bits, rows }: Size): Enlarged {
  const wide = plane.columns * 2
  const out = bits <= 8 ? new Uint8Array(wide * rows) : new Uint16Array(wide * rows)
  const last = plane.columns - 1
  const lines = new Int32Array(plane.columns)
  for (let row = 0; row < rows; row++) {
    const near = row >> 1
    const far = Math.min(Math.max(near + (row % 2 === 0 ? -1 : 1), 0), plane.rows - 1)
    for (let x = 0; x <= last; x++) lines[x] = 3 * samples[near * stride + x]! + samples[far * stride + x]!
    for (let x = 0; x <= last; x++) {
      const to = row * wide + 2 * x
      const value = lines[x]!
      out[to] = x === 0 ? (value * 4 + 8) >> 4 : (value * 3 + lines[x - 1]! + 8) >> 4
      out[to + 1] = x === last ? (value * 4 + 7) >> 4 : (value * 3 + lines[x + 1]! + 7) >> 4
    }
  }
  return { samples: out, stride: wide }
}

/** Fractions of 2¹⁶, as the usual decoders round them. */
const fraction = { redCr: 91881, blueCb: 116130, greenCb: 22554, greenCr: 46802 }

function toRgb(out: Samples, bits: number): void {
  const most = (1 << bits) - 1
  const middle = 1 << (bits - 1)
  const clamp = (value: number): number => (value < 0 ? 0 : value > most ? most : value)
  for (let at = 0; at < out.length; at += 3) {
    const luminance = out[at]!
    const blue = out[at + 1]! - middle
    const red = out[at + 2]! - middle
    out[at] = clamp(luminance + ((fraction.redCr * red + 32768) >> 16))
    out[at + 1] = clamp(luminance + ((-fraction.greenCb * blue - fraction.greenCr * red + 32768) >> 16))
    out[at + 2] = clamp(luminance + ((fraction.blueCb * blue + 32768) >> 16))
  }
}
