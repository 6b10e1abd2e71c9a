// Pictures as files: PNG by palette or by colours, JPEG, WebP, GIF and BMP.

import { crc32, deflateSync } from 'node:zlib'
import type { Rgba } from './colour.ts'
import { encodeGif } from './gif.ts'
import type { Picture } from './paint.ts'

export type ImageFormat = 'png' | 'png8' | 'jpeg' | 'gif' | 'bmp' | 'webp'

export const mediaTypes: Readonly<Record<ImageFormat, string>> = {
  png: 'image/png',
  png8: 'image/png',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  bmp: 'image/bmp',
  webp: 'image/webp',
}

/** The bytes of a picture. Without `isTransparent`, and in JPEG and BMP, it lies on white. */
export async function encodePicture(
  picture: Picture,
  { format, isTransparent }: { format: ImageFormat; isTransparent: boolean },
): Promise<Uint8Array> {
  const ground = isTransparent && format !== 'jpeg' && format !== 'bmp' ? picture : onWhite(picture)
  if (format === 'png') return encodePng(ground)
  if (format === 'png8') return encodePng(toPalette(ground))
  if (format === 'gif') return encodeGif(toPalette(ground))
  const rgba = toRgba(ground)
  if (format === 'bmp') return encodeBmp(rgba, picture.width, picture.height)
  if (format === 'webp') return (await import('./webp.ts')).encodeWebp(rgba, picture.width, picture.height)
  const { default: jpeg } = await import('jpeg-js')
  return jpeg.encode({ data: rgba, width: picture.width, height: picture.height }, 90).data
}

function onWhite(picture: Picture): Picture {
  const over = ([r, g, b, a]: Rgba): Rgba => {
    const mix = (part: number): number => Math.round((part * a + 255 * (255 - a)) / 255)
    return [mix(r), mix(g), mix(b), 255]
  }
  if ('palette' in picture) return { ...picture, palette: picture.palette.map(over) }
  const rgba = Uint8Array.from(picture.rgba)
  for (let at = 0; at < rgba.length; at += 4)
    rgba.set(over([rgba[at]!, rgba[at + 1]!, rgba[at + 2]!, rgba[at + 3]!]), at)
  return { ...picture, rgba }
}

function toRgba(picture: Picture): Uint8Array {
  if ('rgba' in picture) return picture.rgba
  const rgba = new Uint8Array(picture.width * picture.height * 4)
  for (const [pixel, place] of picture.places.entries()) rgba.set(picture.palette[place]!, pixel * 4)
  return rgba
}

/** At most 256 colours, of which one is transparent: what is at most half opaque counts as such. */
function toPalette(picture: Picture): Extract<Picture, { palette: unknown }> {
  const source = toRgba(picture)
  const levels = [0, 2, 3, 4] as const
  for (const shift of levels) {
    const found = new Map<number, number>()
    const palette: Rgba[] = []
    const places = new Uint8Array(picture.width * picture.height)
    let fits = true
    for (let pixel = 0, at = 0; pixel < places.length && fits; pixel++, at += 4) {
      const isClear = source[at + 3]! <= 128
      const round = (part: number): number => (part >> shift) << shift
      const key = isClear
        ? -1
        : (round(source[at]!) << 16) | (round(source[at + 1]!) << 8) | round(source[at + 2]!)
      let place = found.get(key)
      if (place === undefined) {
        place = palette.length
        fits = place < 256
        found.set(key, place)
        palette.push(isClear ? [255, 255, 255, 0] : [source[at]!, source[at + 1]!, source[at + 2]!, 255])
      }
      places[pixel] = place
    }
    if (fits) return { width: picture.width, height: picture.height, palette, places }
  }
  // Five bits of colour at most: 3 × 3 × 2 bits always fit.
  const palette = Array.from(
    { length: 255 },
    (_, at): Rgba => [(at >> 5) * 36, ((at >> 2) & 7) * 36, (at & 3) * 85, 255],
  )
  const places = new Uint8Array(picture.width * picture.height)
  for (let pixel = 0, at = 0; pixel < places.length; pixel++, at += 4) {
    const place = ((source[at]! >> 5) << 5) | ((source[at + 1]! >> 5) << 2) | (source[at + 2]! >> 6)
    places[pixel] = source[at + 3]! <= 128 ? 255 : Math.min(254, place)
  }
  return { width: picture.width, height: picture.height, palette: [...palette, [255, 255, 255, 0]], places }
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

/** A PNG: eight bits of palette, or of each colour. */
export function encodePng(picture: Picture): Uint8Array {
  const { width, height } = picture
  const bytesPerPixel = 'palette' in picture ? 1 : 4
  const source = 'palette' in picture ? picture.places : picture.rgba
  const stride = width * bytesPerPixel
  const lines = Buffer.alloc((stride + 1) * height)
  for (let row = 0; row < height; row++)
    lines.set(source.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1)
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 'palette' in picture ? 3 : 6], 8)
  const chunks = [chunk('IHDR', head)]
  if ('palette' in picture) {
    chunks.push(chunk('PLTE', Uint8Array.from(picture.palette.flatMap(colour => colour.slice(0, 3)))))
    const alphas = picture.palette.map(colour => colour[3])
    if (alphas.some(alpha => alpha !== 255)) chunks.push(chunk('tRNS', Uint8Array.from(alphas)))
  }
  chunks.push(chunk('IDAT', deflateSync(lines, { level: 1 })), chunk('IEND', new Uint8Array(0)))
  return Buffer.concat([signature, ...chunks])
}

function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(data.length + 12)
  out.writeUInt32BE(data.length, 0)
  out.write(type, 4, 'latin1')
  out.set(data, 8)
  out.writeUInt32BE(crc32(out.subarray(4, data.length + 8)), data.length + 8)
  return out
}

function encodeBmp(rgba: Uint8Array, width: number, height: number): Uint8Array {
  const stride = Math.ceil((width * 3) / 4) * 4
  const out = Buffer.alloc(54 + stride * height)
  out.write('BM', 0, 'latin1')
  out.writeUInt32LE(out.length, 2)
  out.writeUInt32LE(54, 10)
  out.writeUInt32LE(40, 14)
  out.writeInt32LE(width, 18)
  out.writeInt32LE(height, 22)
  out.writeUInt16LE(1, 26)
  out.writeUInt16LE(24, 28)
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (row * width + column) * 4
      const to = 54 + (height - 1 - row) * stride + column * 3
      out[to] = rgba[from + 2]!
      out[to + 1] = rgba[from + 1]!
      out[to + 2] = rgba[from]!
    }
  }
  return out
}
