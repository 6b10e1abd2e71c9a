// GIF files: a palette with at most one transparent entry, and pixels packed by LZW.

import type { Picture } from './paint.ts'

/** A picture of at most 256 colours as GIF. */
export function encodeGif(picture: Extract<Picture, { palette: unknown }>): Uint8Array {
  const { width, height, palette, places } = picture
  const bits = Math.max(2, Math.ceil(Math.log2(Math.max(2, palette.length))))
  const table = Buffer.alloc(3 * (1 << bits))
  for (const [index, colour] of palette.entries()) table.set(colour.slice(0, 3), index * 3)
  const head = Buffer.alloc(13)
  head.write('GIF89a', 0, 'latin1')
  head.writeUInt16LE(width, 6)
  head.writeUInt16LE(height, 8)
  head[10] = 0xf0 | (bits - 1)
  const clear = palette.findIndex(colour => colour[3] === 0)
  const control = clear === -1 ? [] : [Buffer.from([0x21, 0xf9, 4, 1, 0, 0, clear, 0])]
  const frame = Buffer.alloc(11)
  frame[0] = 0x2c
  frame.writeUInt16LE(width, 5)
  frame.writeUInt16LE(height, 7)
  frame[10] = bits
  return Buffer.concat([
    head,
    table,
    ...control,
    frame,
    ...blocks(pack(places, bits)),
    Buffer.from([0, 0x3b]),
  ])
}

function blocks(bytes: Uint8Array): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 255) {
    const part = bytes.subarray(at, at + 255)
    parts.push(Buffer.from([part.length]), Buffer.from(part))
  }
  return parts
}

/** LZW with codes of growing width, least significant bit first. */
function pack(places: Uint8Array, bits: number): Uint8Array {
  const clear = 1 << bits
  const out = new Uint8Array(places.length * 2 + 1024)
  let used = 0
  let held = 0
  let heldBits = 0
  let width = bits + 1
  let next = clear + 2
  let codes = new Map<number, number>()
  const put = (code: number): void => {
    held |= code << heldBits
    heldBits += width
    while (heldBits >= 8) {
      out[used++] = held & 0xff
      held >>>= 8
      heldBits -= 8
    }
  }
  put(clear)
  let prefix = places[0] ?? 0
  for (let at = 1; at < places.length; at++) {
    const place = places[at]!
    const key = (prefix << 8) | place
    const known = codes.get(key)
    if (known !== undefined) {
      prefix = known
      continue
    }
    put(prefix)
    if (next === 4096) {
      put(clear)
      codes = new Map()
      next = clear + 2
      width = bits + 1
    } else {
      if (next === 1 << width) width++
      codes.set(key, next++)
    }
    prefix = place
  }
  put(prefix)
  put(clear + 1)
  if (heldBits > 0) out[used++] = held & 0xff
  return out.subarray(0, used)
}
