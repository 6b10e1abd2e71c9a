// Compressed frames to native ones, by their transfer syntax: RLE, the JPEG family, JPEG-LS and JPEG 2000.

import { type DecodedImage, Undecodable } from './decoded-image.ts'
import { decodeJpeg } from './jpeg/decode-jpeg.ts'
import { decodeJpeg2000 } from './jpeg-2000/decode-jpeg-2000.ts'
import { decodeJpegLs } from './jpeg-ls/decode-jpeg-ls.ts'
import { frameSize, type PixelShape, unpackFrame } from './rle.ts'

export const rle = '1.2.840.10008.1.2.5'

type Codec = (bytes: Uint8Array, shape: PixelShape, isYbr: boolean) => DecodedImage

/** Syntaxes by their last numbers, below 1.2.840.10008.1.2.4. */
const codecs: Readonly<Record<string, Codec>> = {
  // Baseline, extended, and the retired ones that are extended or lossless, too.
  ...each(['50', '51', '53', '55', '57', '70'], decodeJpeg),
  ...each(['80', '81'], decodeJpegLs),
  // Part 2 is read as far as the stream needs nothing of it.
  ...each(['90', '91', '92', '93'], decodeJpeg2000),
}

function each(numbers: readonly string[], codec: Codec): Record<string, Codec> {
  return Object.fromEntries(numbers.map(number => [`1.2.840.10008.1.2.4.${number}`, codec]))
}

/** Whether frames of a syntax can be decoded at all. */
export function isDecodable(transferSyntax: string): boolean {
  return transferSyntax === rle || codecs[transferSyntax] !== undefined
}

export interface NativeFrame {
  /** In little endian. */
  readonly bytes: Uint8Array
  /** Colours lie pixel by pixel now, whatever the data set said. */
  readonly isByPixel: boolean
  readonly isTurnedToRgb: boolean
  readonly isLossy: boolean
}

/** One frame as native pixel data. Undefined when it is broken, or not as the data set says. */
export function decodeFrame(
  bytes: Uint8Array,
  transferSyntax: string,
  { shape, isYbr }: { shape: PixelShape; isYbr: boolean },
): NativeFrame | undefined {
  if (transferSyntax === rle) {
    const frame = unpackFrame(bytes, shape)
    return frame && { bytes: frame, isByPixel: !shape.isPlanar, isTurnedToRgb: false, isLossy: false }
  }
  try {
    const image = codecs[transferSyntax]?.(bytes, shape, isYbr)
    const native = image && nativeBytes(image, shape)
    if (!native) return undefined
    const { isTurnedToRgb, isLossy } = image
    return { bytes: native, isByPixel: true, isTurnedToRgb, isLossy }
  } catch (error) {
    // Whatever a broken stream led to: it cannot be decoded, and stays as it is.
    if (error instanceof Undecodable || error instanceof RangeError) return undefined
    throw error
  }
}

/** Samples in as many bytes as the data set has room for. */
function nativeBytes({ data }: DecodedImage, shape: PixelShape): Uint8Array | undefined {
  const { bytesPerSample } = shape
  if (data.BYTES_PER_ELEMENT > bytesPerSample || bytesPerSample > 2) return undefined
  const wide = data.BYTES_PER_ELEMENT === bytesPerSample ? data : Uint16Array.from(data)
  // Node runs on little endian machines only.
  const bytes = new Uint8Array(wide.buffer, wide.byteOffset, wide.byteLength)
  return bytes.length === frameSize(shape) ? bytes : undefined
}
