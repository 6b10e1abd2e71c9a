// The pixels of a data set without compression, whatever they are in, and what changes in its attributes with them.

import { declaredCount, fragmentsByFrame, joinFragments } from '../frames.ts'
import { type DataSet, find } from '../reading/data-set.ts'
import { numberOf, readLittleEndian, textOf, type Values } from '../reading/value.ts'
import { type Tag, tags } from '../tag.ts'
import { plainSyntaxes } from '../writing/convert.ts'
import { decodeFrame, isDecodable } from './decode-frame.ts'
import { frameSize, type PixelShape } from './rle.ts'

/** More is not held in memory, packed or unpacked. */
export const pixelBytesMax = 1024 * 1024 * 1024

export interface NativePixels {
  /** In little endian. */
  readonly bytes: Uint8Array
  readonly vr: string
  /** Undefined when the attributes do not tell, or do not fit. */
  readonly shape: PixelShape | undefined
  /** Attributes that say something else now, with their texts. */
  readonly changes: ReadonlyMap<Tag, string>
}

/** Pixels that are still to be decoded: plain data, so that another thread can do it. */
export interface PackedPixels {
  readonly transferSyntax: string
  readonly frames: readonly Uint8Array[]
  readonly shape: PixelShape
  readonly interpretation: string
}

/** The pixels of a data set as they stand; undefined where there are none, `unknown` where nobody here can decode them. */
export function pixelsOf(set: DataSet, values: Values): NativePixels | PackedPixels | 'unknown' | undefined {
  const element = find(set.elements, tags.PixelData)
  const isPlain = plainSyntaxes.has(set.transferSyntax)
  if (!element) return isPlain ? undefined : 'unknown'
  const shape = shapeOf(set, values)
  if (!element.fragments) {
    if (!isPlain) return 'unknown'
    return { bytes: readLittleEndian(element, values), vr: element.vr, shape, changes: new Map() }
  }
  const { transferSyntax } = set
  const count = declaredCount(set, values)
  if (!isDecodable(transferSyntax) || !shape || count * frameSize(shape) > pixelBytesMax) return 'unknown'
  const frames = fragmentsByFrame(set, element, count)?.map(fragments => joinFragments(set, fragments))
  if (!frames?.every(frame => frame !== undefined)) return 'unknown'
  const interpretation = textOf(set.elements, tags.PhotometricInterpretation, values)?.trim() ?? ''
  return { transferSyntax, frames, shape, interpretation }
}

/** How many samples are to be decoded, which tells where it is better done. */
export function packedSamples({ frames, shape }: PackedPixels): number {
  return frames.length * shape.rows * shape.columns * shape.samples
}

/** Decodes all frames; undefined when one is broken, or not as the data set says. */
export function unpackPixels(packed: PackedPixels): NativePixels | undefined {
  const { transferSyntax, frames, shape, interpretation } = packed
  const isYbr = interpretation === 'YBR_FULL' || interpretation === 'YBR_FULL_422'
  const size = frameSize(shape)
  // Room for all frames at once, and for the byte that makes their length even.
  const bytes = new Uint8Array(frames.length * size + ((frames.length * size) % 2))
  const changes = new Map<Tag, string>()
  let isPlanar = shape.isPlanar
  for (const [index, stream] of frames.entries()) {
    const frame = decodeFrame(stream, transferSyntax, { shape, isYbr })
    if (!frame) return undefined
    bytes.set(frame.bytes, index * size)
    if (frame.isTurnedToRgb && interpretation !== 'RGB') changes.set(tags.PhotometricInterpretation, 'RGB')
    if (frame.isByPixel) isPlanar = false
    if (frame.isLossy) changes.set(tags.LossyImageCompression, '01')
  }
  if (isPlanar !== shape.isPlanar) changes.set(tags.PlanarConfiguration, '0')
  return { bytes, vr: shape.bytesPerSample > 1 ? 'OW' : 'OB', shape: { ...shape, isPlanar }, changes }
}

function shapeOf(set: DataSet, values: Values): PixelShape | undefined {
  const read = (tag: number, otherwise: number): number => numberOf(set.elements, tag, values) ?? otherwise
  const bytesPerSample = read(tags.BitsAllocated, 0) / 8
  const shape = {
    rows: read(tags.Rows, 0),
    columns: read(tags.Columns, 0),
    samples: read(tags.SamplesPerPixel, 1),
    bytesPerSample,
    isPlanar: read(tags.PlanarConfiguration, 0) === 1,
  }
  const isWhole = bytesPerSample === 1 || bytesPerSample === 2 || bytesPerSample === 4
  const size = frameSize(shape)
  return isWhole && size > 0 && size <= pixelBytesMax ? shape : undefined
}
