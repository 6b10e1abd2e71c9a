// The markers of a JPEG 2000 codestream (ITU T.800 annex A): sizes, coding styles and quantization as objects, and the
// bytes of each tile. A JP2 file around it is looked through for the codestream.

import { Undecodable } from '../decoded-image.ts'

export interface ComponentSize {
  readonly bits: number
  readonly isSigned: boolean
  /** Samples of the reference grid for each of its own. */
  readonly dx: number
  readonly dy: number
}

export interface Sizes {
  /** The image and the tiles on the reference grid. */
  readonly x0: number
  readonly y0: number
  readonly x1: number
  readonly y1: number
  readonly tileX0: number
  readonly tileY0: number
  readonly tileWidth: number
  readonly tileHeight: number
  readonly components: readonly ComponentSize[]
}

/** How one component is coded. */
export interface CodingStyle {
  /** How often it was halved. */
  readonly levels: number
  /** Sizes of code-blocks, as powers of two. */
  readonly blockWidth: number
  readonly blockHeight: number
  readonly blockStyle: number
  readonly isReversible: boolean
  /** Sizes of precincts by resolution, as powers of two. */
  readonly precincts: readonly { readonly x: number; readonly y: number }[]
}

export interface Quantization {
  /** 0 none, 1 one step for all, 2 a step for each subband. */
  readonly style: number
  readonly guardBits: number
  readonly steps: readonly { readonly exponent: number; readonly mantissa: number }[]
}

/** What holds for a whole tile. */
export interface Order {
  readonly progression: number
  readonly layers: number
  readonly turnsColours: boolean
  readonly hasPacketStarts: boolean
  readonly hasHeaderEnds: boolean
}

/** A change of the progression: which packets come next. */
export interface OrderChange {
  readonly resolutionFrom: number
  readonly componentFrom: number
  readonly layersTo: number
  readonly resolutionTo: number
  readonly componentTo: number
  readonly progression: number
}

/** How the components of a tile, or of all tiles, are coded; by component where it differs. */
export interface Coding {
  order: Order | undefined
  style: CodingStyle | undefined
  styles: Map<number, CodingStyle>
  quantization: Quantization | undefined
  quantizations: Map<number, Quantization>
  /** Regions of interest: how far their coefficients were moved up. */
  shifts: Map<number, number>
  changes: OrderChange[]
}

export interface TileData {
  readonly index: number
  readonly coding: Coding
  readonly parts: Uint8Array[]
}

export interface Codestream {
  readonly sizes: Sizes
  readonly tiles: readonly TileData[]
}

const tilesMax = 65_535
const boxBytes = 8
/** Each change passes over all packets again. */
const changesMax = 64

/** Reads the markers. Throws Undecodable. */
export function readCodestream(bytes: Uint8Array): Codestream {
  const stream = withoutBoxes(bytes)
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length)
  if (stream.length < 4 || view.getUint16(0) !== 0xff4f) throw new Undecodable('the stream is not JPEG 2000')
  const main = emptyCoding()
  const tiles = new Map<number, TileData>()
  let sizes: Sizes | undefined
  for (let at = 2; at + 2 <= stream.length; ) {
    const marker = view.getUint16(at)
    if (marker === 0xffd9) break
    const body = bodyAt(stream, at)
    if (marker === 0xff90) {
      if (!sizes) throw new Undecodable('a tile comes before the sizes')
      at = readTilePart(stream, at, { sizes, main, tiles })
      continue
    }
    if (marker === 0xff51) sizes = readSizes(body)
    else takeCoding(main, marker, body)
    at += 2 + 2 + body.length
  }
  if (!sizes) throw new Undecodable('the stream has no sizes')
  return { sizes, tiles: [...tiles.values()] }
}

function withoutBoxes(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length < 12 || view.getUint32(0) !== 12 || view.getUint32(4) !== 0x6a502020) return bytes
  for (let at = 0; at + boxBytes <= bytes.length; ) {
    const length = view.getUint32(at)
    const end = length === 0 ? bytes.length : at + length
    if (view.getUint32(at + 4) === 0x6a703263)
      return bytes.subarray(at + boxBytes, Math.min(end, bytes.length))
    if (length !== 0 && length < boxBytes) break
    at = end
  }
  throw new Undecodable('the JP2 file has no codestream')
}

function bodyAt(stream: Uint8Array, at: number): Uint8Array {
  const length = at + 4 <= stream.length ? (stream[at + 2]! << 8) | stream[at + 3]! : 0
  if (length < 2 || at + 2 + length > stream.length) throw new Undecodable('a marker segment is cut off')
  return stream.subarray(at + 4, at + 2 + length)
}

function emptyCoding(): Coding {
  return {
    ...{ order: undefined, style: undefined, quantization: undefined },
    ...{ styles: new Map(), quantizations: new Map(), shifts: new Map(), changes: [] },
  }
}

/** A tile begins with what holds for all, and may say otherwise. */
function copyOf(main: Coding): Coding {
  return {
    ...main,
    styles: new Map(main.styles),
    quantizations: new Map(main.quantizations),
    shifts: new Map(main.shifts),
    changes: [...main.changes],
  }
}

function readTilePart(
  stream: Uint8Array,
  start: number,
  { sizes, main, tiles }: { sizes: Sizes; main: Coding; tiles: Map<number, TileData> },
): number {
  const body = bodyAt(stream, start)
  if (body.length < 8) throw new Undecodable('a tile-part is cut off')
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const index = view.getUint16(0)
  const length = view.getUint32(2)
  const end = length === 0 ? endOfStream(stream) : start + length
  if (end > stream.length || end < start + 14 || index >= tilesOf(sizes))
    throw new Undecodable('a tile-part is cut off, or belongs to no tile')
  let tile = tiles.get(index)
  if (!tile) {
    tile = { index, coding: copyOf(main), parts: [] }
    tiles.set(index, tile)
  }
  let at = start + 4 + body.length
  let hasOwnChanges = false
  for (;;) {
    if (at + 2 > end) throw new Undecodable('a tile-part is cut off')
    const marker = (stream[at]! << 8) | stream[at + 1]!
    if (marker === 0xff93) break
    const own = bodyAt(stream, at)
    if (marker === 0xff5f && !hasOwnChanges && tile.parts.length === 0) {
      tile.coding.changes.length = 0
      hasOwnChanges = true
    }
    // What a tile says of all its components stands above what the main header says of one.
    if (marker === 0xff52) tile.coding.styles.clear()
    if (marker === 0xff5c) tile.coding.quantizations.clear()
    takeCoding(tile.coding, marker, own)
    at += 4 + own.length
  }
  tile.parts.push(stream.subarray(at + 2, end))
  return end
}

function endOfStream(stream: Uint8Array): number {
  const last = stream.length - 2
  return stream[last] === 0xff && stream[last + 1] === 0xd9 ? last : stream.length
}

/** How many tiles an image has. */
export function tilesOf(sizes: Sizes): number {
  const { wide, high } = tileGrid(sizes)
  return wide * high
}

/** How many tiles stand beside and below each other. */
export function tileGrid({ x1, y1, tileX0, tileY0, tileWidth, tileHeight }: Sizes) {
  return { wide: Math.ceil((x1 - tileX0) / tileWidth), high: Math.ceil((y1 - tileY0) / tileHeight) }
}

function readSizes(body: Uint8Array): Sizes {
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const count = body.length >= 36 ? view.getUint16(34) : 0
  if (count < 1 || count > 4 || body.length < 36 + 3 * count)
    throw new Undecodable('the sizes cannot be read')
  const [x1, y1, x0, y0] = [2, 6, 10, 14].map(at => view.getUint32(at)) as [number, number, number, number]
  const [tileWidth, tileHeight, tileX0, tileY0] = [18, 22, 26, 30].map(at => view.getUint32(at)) as [
    ...[number, number, number, number],
  ]
  const components = Array.from({ length: count }, (_, index): ComponentSize => {
    const [depth, dx, dy] = body.subarray(36 + 3 * index) as unknown as [number, number, number]
    return { bits: (depth & 0x7f) + 1, isSigned: depth >= 0x80, dx, dy }
  })
  const sizes = { x0, y0, x1, y1, tileX0, tileY0, tileWidth, tileHeight, components }
  const isRight =
    x0 < x1 &&
    y0 < y1 &&
    tileWidth > 0 &&
    tileHeight > 0 &&
    tileX0 <= x0 &&
    tileY0 <= y0 &&
    tileX0 + tileWidth > x0 &&
    tileY0 + tileHeight > y0 &&
    components.every(({ dx, dy, bits }) => dx > 0 && dy > 0 && bits <= 16)
  if (!isRight || tilesOf(sizes) > tilesMax) throw new Undecodable('the sizes are out of range')
  return sizes
}

/** Takes a marker segment about the coding in; comments and lengths are passed over. */
function takeCoding(coding: Coding, marker: number, body: Uint8Array): void {
  switch (marker) {
    case 0xff52:
      coding.order = readOrder(body)
      coding.style = readStyle(body.subarray(5), (body[0]! & 1) !== 0)
      return
    case 0xff53:
      coding.styles.set(body[0] ?? 0, readStyle(body.subarray(2), (body[1]! & 1) !== 0))
      return
    case 0xff5c:
      coding.quantization = readQuantization(body)
      return
    case 0xff5d:
      coding.quantizations.set(body[0] ?? 0, readQuantization(body.subarray(1)))
      return
    case 0xff5e:
      if (body[1] !== 0 || (body[2] ?? 0) > 31)
        throw new Undecodable('a region of interest of an unknown kind')
      coding.shifts.set(body[0]!, body[2] ?? 0)
      return
    case 0xff5f:
      readChanges(body, coding.changes)
      return
    case 0xff60:
    case 0xff61:
      throw new Undecodable('headers of packets that are packed are not decoded here')
    case 0xff50:
      throw new Undecodable('the stream needs abilities of another part of the standard')
  }
}

function readOrder(body: Uint8Array): Order {
  const progression = body[1] ?? 255
  const layers = (body[2]! << 8) | body[3]!
  const turns = body[4] ?? 255
  if (progression > 4 || !(layers >= 1) || turns > 1)
    throw new Undecodable('the coding style is out of range')
  const style = body[0]!
  return {
    ...{ progression, layers, turnsColours: turns === 1 },
    hasPacketStarts: (style & 2) !== 0,
    hasHeaderEnds: (style & 4) !== 0,
  }
}

function readStyle(body: Uint8Array, hasPrecincts: boolean): CodingStyle {
  if (body.length < 5) throw new Undecodable('a coding style is cut off')
  const [levels, width, height, blockStyle, wavelet] = body as unknown as [
    number,
    number,
    number,
    number,
    number,
  ]
  const [blockWidth, blockHeight] = [(width & 15) + 2, (height & 15) + 2]
  if (levels > 32 || blockWidth > 10 || blockHeight > 10 || blockWidth + blockHeight > 12 || wavelet > 1)
    throw new Undecodable('a coding style is out of range')
  if (blockStyle > 0x3f)
    throw new Undecodable('code-blocks are coded in a way of another part of the standard')
  const precincts = Array.from({ length: levels + 1 }, (_, index) => {
    if (!hasPrecincts) return { x: 15, y: 15 }
    const size = body[5 + index]
    if (size === undefined) throw new Undecodable('a coding style is cut off')
    const found = { x: size & 15, y: size >> 4 }
    if (index > 0 && (found.x === 0 || found.y === 0)) throw new Undecodable('precincts are too small')
    return found
  })
  return { levels, blockWidth, blockHeight, blockStyle, isReversible: wavelet === 1, precincts }
}

function readQuantization(body: Uint8Array): Quantization {
  const style = (body[0] ?? 3) & 31
  if (style > 2) throw new Undecodable('the quantization is out of range')
  const steps: { exponent: number; mantissa: number }[] = []
  for (let at = 1; at + (style === 0 ? 1 : 2) <= body.length; at += style === 0 ? 1 : 2) {
    if (style === 0) steps.push({ exponent: body[at]! >> 3, mantissa: 0 })
    else {
      const value = (body[at]! << 8) | body[at + 1]!
      steps.push({ exponent: value >> 11, mantissa: value & 0x7ff })
    }
  }
  if (steps.length === 0) throw new Undecodable('the quantization names no step')
  return { style, guardBits: body[0]! >> 5, steps }
}

function readChanges(body: Uint8Array, changes: OrderChange[]): void {
  for (let at = 0; at + 7 <= body.length; at += 7) {
    if (changes.length >= changesMax) throw new Undecodable('the progression changes too often')
    const [resolutionFrom, componentFrom] = [body[at]!, body[at + 1]!]
    const layersTo = (body[at + 2]! << 8) | body[at + 3]!
    const [resolutionTo, componentTo, progression] = [body[at + 4]!, body[at + 5]!, body[at + 6]!]
    if (progression > 4) throw new Undecodable('a progression is out of range')
    // Zero means all of them, where a byte has no room for 256.
    changes.push({
      ...{ resolutionFrom, componentFrom, layersTo, resolutionTo, progression },
      componentTo: componentTo === 0 ? 256 : componentTo,
    })
  }
}
