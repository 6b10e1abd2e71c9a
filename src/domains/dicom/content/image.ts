// PNG and JPEG images to native pixel data: 8-bit grey, 16-bit grey or 8-bit RGB; alpha is dropped.

import { inflateSync } from 'node:zlib'
import jpeg from 'jpeg-js'
import { PNG } from 'pngjs'
import { Refused, refuse } from '../../../core/refusal.ts'

export interface Pixels {
  readonly rows: number
  readonly columns: number
  readonly samples: 1 | 3
  readonly bits: 8 | 16
  /** Little endian, colour by pixel. */
  readonly bytes: Uint8Array
}

/** Larger images are refused before anything is decoded: a PNG of a few kB may unfold to gigabytes. */
export const pixelsMax = 50_000_000

/** How many pixels an image says that it has; for deciding where to decode it. */
export function imageSize(mediaType: string, bytes: Uint8Array): number {
  const size = mediaType === 'image/png' ? pngSize(bytes) : jpegFrame(bytes)
  return size.width * size.height
}

/** Decodes an image. Takes its time: large ones belong on a worker thread (decode-aside.ts). */
export function decodeImage(mediaType: string, bytes: Uint8Array): Pixels {
  const pixels = imageSize(mediaType, bytes)
  if (pixels === 0 || pixels > pixelsMax)
    refuseImage(`has ${pixels} pixels, and at most ${pixelsMax} are allowed`)
  try {
    return mediaType === 'image/png' ? decodePng(bytes) : decodeJpeg(bytes)
  } catch (error) {
    if (error instanceof Refused) throw error
    return refuseImage(`cannot be decoded: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function refuseImage(why: string): never {
  refuse('bad-field', `The image ${why}`, { field: 'Content', facts: { fault: 'bad-content' } })
}

function pngSize(bytes: Uint8Array): { width: number; height: number; bits: number; isGrey: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length < 33 || view.getUint32(0) !== 0x89504e47 || view.getUint32(12) !== 0x49484452) {
    refuseImage('is not a PNG file')
  }
  const color = view.getUint8(25)
  return {
    width: view.getUint32(16),
    height: view.getUint32(20),
    bits: view.getUint8(24),
    isGrey: color === 0 || color === 4,
  }
}

function decodePng(bytes: Uint8Array): Pixels {
  const { bits, isGrey } = pngSize(bytes)
  if (bits === 16 && !isGrey) refuseImage('has 16 bits per colour, which is not supported')
  checkPngData(bytes)
  const isDeep = bits === 16
  const image = PNG.sync.read(Buffer.from(bytes), { skipRescale: isDeep } as object)
  const { width, height } = image
  const data = image.data as unknown as Uint8Array | Uint16Array
  const count = width * height
  if (isDeep) {
    const words = new Uint8Array(count * 2)
    const view = new DataView(words.buffer)
    for (let i = 0; i < count; i++) view.setUint16(i * 2, data[i * 4]!, true)
    return { rows: height, columns: width, samples: 1, bits: 16, bytes: words }
  }
  return pick({ width, height, stride: 4, isGrey, data })
}

const samplesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }

/** The decoder takes broken or missing data for black pixels: they are looked at before. */
function checkPngData(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const { width, height, bits } = pngSize(bytes)
  const isInterlaced = view.getUint8(28) === 1
  const parts: Uint8Array[] = []
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at)
    if (view.getUint32(at + 4) === 0x49444154) parts.push(bytes.subarray(at + 8, at + 8 + length))
    at += 12 + length
  }
  const rowBytes = 1 + Math.ceil((width * bits * (samplesOf[view.getUint8(25)] ?? 4)) / 8)
  // Interlaced rows are shorter and more: there are at most twice as many filter bytes.
  const most = rowBytes * height + (isInterlaced ? 2 * height + 64 : 0)
  const data = inflateSync(Buffer.concat(parts), { maxOutputLength: most + 1 })
  if (isInterlaced ? data.length === 0 : data.length !== most) refuseImage('is not as long as it says')
}

function decodeJpeg(bytes: Uint8Array): Pixels {
  const { components } = jpegFrame(bytes)
  const image = jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    maxResolutionInMP: 64,
    maxMemoryUsageInMB: 1024,
  })
  return pick({
    width: image.width,
    height: image.height,
    stride: 3,
    isGrey: components === 1,
    data: image.data,
  })
}

function pick(image: {
  width: number
  height: number
  stride: number
  isGrey: boolean
  data: Uint8Array | Uint16Array
}): Pixels {
  const { width, height, stride, isGrey, data } = image
  const samples = isGrey ? 1 : 3
  const bytes = new Uint8Array(width * height * samples)
  for (let from = 0, to = 0; to < bytes.length; from += stride) {
    for (let i = 0; i < samples; i++) bytes[to++] = data[from + i]!
  }
  return { rows: height, columns: width, samples, bits: 8, bytes }
}

/** The frame header of a JPEG file: the first start-of-frame marker. */
function jpegFrame(bytes: Uint8Array): { width: number; height: number; components: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) refuseImage('is not a JPEG file')
  let at = 2
  while (at + 10 <= bytes.length) {
    if (bytes[at] !== 0xff) refuseImage('is not a JPEG file')
    const marker = bytes[at + 1]!
    if (marker === 0xff) {
      at++
      continue
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
    if (isFrame) {
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7), components: bytes[at + 9]! }
    }
    at += 2 + view.getUint16(at + 2)
  }
  return refuseImage('has no frame header')
}
