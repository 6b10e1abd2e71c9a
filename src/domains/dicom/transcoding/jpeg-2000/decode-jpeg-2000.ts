// JPEG 2000 part 1 (ITU T.800): reversible and irreversible, any tiling, progression and code-block style.

import { checkShape, type DecodedImage, type FrameShape, makeSamples, Undecodable } from '../decoded-image.ts'
import { blockStyles, decodeBlock } from './code-block.ts'
import { readCodestream, type Sizes } from './codestream.ts'
import { readPackets } from './packets.ts'
import { makeTile, type Subband, type Tile, type TileComponent } from './tile.ts'
import { type Field, joinBands, makeField } from './wavelet.ts'

/** The frame of a codestream, or of a JP2 file. Throws Undecodable. */
export function decodeJpeg2000(bytes: Uint8Array, wanted: FrameShape): DecodedImage {
  const { sizes, tiles } = readCodestream(bytes)
  const [first] = sizes.components
  if (sizes.components.some(({ dx, dy }) => dx !== 1 || dy !== 1))
    throw new Undecodable('components of different sizes are not decoded here')
  if (sizes.components.some(({ bits, isSigned }) => bits !== first!.bits || isSigned !== first!.isSigned))
    throw new Undecodable('components of different depths are not decoded here')
  const shape = { rows: sizes.y1 - sizes.y0, columns: sizes.x1 - sizes.x0, samples: sizes.components.length }
  checkShape(shape, wanted)
  const { bits, isSigned } = first!
  const data = makeSamples(isSigned ? 16 : bits, shape.rows * shape.columns * shape.samples)
  let area = 0
  let isTurned = false
  let isLossy = false
  for (const entry of tiles) {
    const tile = makeTile(sizes, entry)
    area += (tile.x1 - tile.x0) * (tile.y1 - tile.y0)
    readPackets(tile, entry.parts.length === 1 ? entry.parts[0]! : Buffer.concat(entry.parts))
    if (tile.components.some(({ style }) => !style.isReversible)) isLossy = true
    const fields = tile.components.map(component => decodeComponent(component, bits))
    if (tile.coding.order!.turnsColours) {
      turnColours(tile, fields)
      isTurned = true
    }
    for (const [index, field] of fields.entries()) place(field, { index, sizes, bits, isSigned, data })
  }
  if (area !== shape.rows * shape.columns) throw new Undecodable('a tile is missing')
  return { ...shape, bits, data, isTurnedToRgb: isTurned, isLossy }
}

/** Samples of a component in one tile, before they are moved up. */
function decodeComponent(component: TileComponent, bits: number): Field {
  const { isReversible } = component.style
  let low: Field | undefined
  for (const [level, resolution] of component.resolutions.entries()) {
    const fields = resolution.bands.map(band => makeField(band, isReversible))
    for (const precinct of resolution.precincts.values()) {
      for (const [index, { band, blocks }] of precinct.entries()) {
        for (const block of blocks) {
          if (block.segments.length === 0) continue
          decodeInto(fields[index]!, { block, band, component, bits })
        }
      }
    }
    if (level === 0) low = fields[0]!
    else {
      const [hl, lh, hh] = fields as [Field, Field, Field]
      low = joinBands(resolution, { low: low!, hl, lh, hh }, isReversible)
    }
  }
  return low!
}

/** What a band adds to the depth of samples: T.800 table E.1. */
const gains = [0, 1, 1, 2] as const
const kinds = [0, 1, 0, 2] as const
let coded = new Int32Array(0)

function decodeInto(
  field: Field,
  facts: {
    block: Parameters<typeof areaOf>[0] & {
      zeroPlanes: number
      segments: Parameters<typeof decodeBlock>[0]['segments']
    }
    band: Subband
    component: TileComponent
    bits: number
  },
): void {
  const { block, band, component, bits } = facts
  const { width, height } = areaOf(block)
  const { style, quantization, shift } = component
  const planes = quantization.guardBits + band.exponent - 1 + shift - block.zeroPlanes
  if (coded.length < width * height) coded = new Int32Array(width * height)
  const how = { width, height, style: style.blockStyle & ~blockStyles.predictable, band: kinds[band.kind]! }
  decodeBlock({ ...how, planes, segments: block.segments }, coded, 0, width)
  const step = style.isReversible
    ? 0.5
    : 0.5 * 2 ** (bits + gains[band.kind]! - band.exponent) * (1 + band.mantissa / 2048)
  const stride = field.x1 - field.x0
  for (let y = 0; y < height; y++) {
    const to = (block.y0 - field.y0 + y) * stride + block.x0 - field.x0
    for (let x = 0; x < width; x++) {
      const value = moved(coded[y * width + x]!, shift)
      // Whole coefficients are cut towards zero: half of one is not known.
      field.values[to + x] = style.isReversible ? Math.trunc(value * step) : value * step
    }
  }
}

function areaOf({ x0, y0, x1, y1 }: { x0: number; y0: number; x1: number; y1: number }) {
  return { width: x1 - x0, height: y1 - y0 }
}

/** A region of interest lies above all else; it is moved back. */
function moved(value: number, shift: number): number {
  if (shift === 0 || Math.abs(value) < 2 ** (shift + 1)) return value
  return value < 0 ? -(-value >> shift) : value >> shift
}

/** The first three components from luminance and two differences: T.800 annex G. */
function turnColours({ components }: Tile, fields: readonly Field[]): void {
  const [y, b, r] = fields.map(({ values }) => values)
  if (!y || !b || !r || y.length !== b.length || y.length !== r.length)
    throw new Undecodable('colours are turned of components that are no colours')
  const isReversible = components[0]!.style.isReversible
  if (components.slice(0, 3).some(({ style }) => style.isReversible !== isReversible))
    throw new Undecodable('colours are turned of components that were coded differently')
  for (let at = 0; at < y.length; at++) {
    const [luminance, blue, red] = [y[at]!, b[at]!, r[at]!]
    if (isReversible) {
      const green = luminance - ((blue + red) >> 2)
      y[at] = red + green
      b[at] = green
      r[at] = blue + green
    } else {
      y[at] = luminance + 1.402 * red
      b[at] = luminance - 0.344136 * blue - 0.714136 * red
      r[at] = luminance + 1.772 * blue
    }
  }
}

/** Samples as they are shown, into the frame. */
function place(
  field: Field,
  to: { index: number; sizes: Sizes; bits: number; isSigned: boolean; data: Uint8Array | Uint16Array },
): void {
  const { index, sizes, bits, isSigned, data } = to
  const count = sizes.components.length
  const width = sizes.x1 - sizes.x0
  const offset = isSigned ? 0 : 2 ** (bits - 1)
  const [least, most] = isSigned ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1]
  let from = 0
  for (let y = field.y0; y < field.y1; y++) {
    let at = ((y - sizes.y0) * width + field.x0 - sizes.x0) * count + index
    for (let x = field.x0; x < field.x1; x++, at += count) {
      const value = Math.round(field.values[from++]!) + offset
      data[at] = value < least ? least : value > most ? most : value
    }
  }
}
