// The segments of a JPEG stream (ITU T.81 annex B): tables and headers as objects, read one after another.

import { Undecodable } from '../decoded-image.ts'
import { HuffmanTable } from './huffman.ts'

export interface Component {
  readonly id: number
  /** Sampling factors, 1 to 4. */
  readonly h: number
  readonly v: number
  readonly quantization: number
}

export interface FrameHeader {
  /** The marker's second byte: C0 baseline, C1 extended, C2 progressive, C3 lossless, F7 JPEG-LS. */
  readonly kind: number
  readonly bits: number
  readonly rows: number
  readonly columns: number
  readonly components: readonly Component[]
}

export interface ScanHeader {
  /** Places of the scan's components in the frame, with the numbers of their tables. */
  readonly components: readonly { readonly index: number; readonly dc: number; readonly ac: number }[]
  /** Spectral selection, or the predictor (lossless), or NEAR and the interleaving (JPEG-LS). */
  readonly from: number
  readonly to: number
  /** Successive approximation, high and low; the low one is the point transform. */
  readonly high: number
  readonly low: number
  /** Where its entropy-coded bytes begin. */
  readonly at: number
}

export interface Tables {
  readonly dc: (HuffmanTable | undefined)[]
  readonly ac: (HuffmanTable | undefined)[]
  /** In zigzag order. */
  readonly quantization: (Uint16Array | undefined)[]
  /** In units of the scan; 0 for none. */
  restartInterval: number
}

/** One segment: its marker's second byte, and what follows its length. */
export interface Segment {
  readonly marker: number
  readonly body: Uint8Array
  /** Where the next one begins. */
  readonly end: number
}

const endOfImage = 0xd9

/** The segment at a place; undefined at the end of the image, or of the bytes. */
export function readSegment(bytes: Uint8Array, at: number): Segment | undefined {
  let from = at
  if (from >= bytes.length) return undefined
  if (bytes[from] !== 0xff) throw new Undecodable('there is no marker where one belongs')
  while (bytes[from + 1] === 0xff) from++
  const marker = bytes[from + 1]
  if (marker === undefined || marker === endOfImage) return undefined
  // Markers without a length.
  if (marker === 0xd8 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7))
    return { marker, body: bytes.subarray(0, 0), end: from + 2 }
  const length = word(bytes, from + 2)
  const end = from + 2 + length
  if (length < 2 || end > bytes.length) throw new Undecodable('a segment is cut off')
  return { marker, body: bytes.subarray(from + 4, end), end }
}

/** Two bytes of a segment, the high one first; Undecodable beyond its end. */
export function word(bytes: Uint8Array, at: number): number {
  if (at + 2 > bytes.length) throw new Undecodable('a segment is too short')
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** Whether a marker begins a frame, of whatever kind. */
export function isFrame(marker: number): boolean {
  const others = marker === 0xc4 || marker === 0xc8 || marker === 0xcc
  return (marker >= 0xc0 && marker <= 0xcf && !others) || marker === 0xf7
}

/** A frame header (SOFn): ITU T.81 B.2.2. */
export function readFrame(marker: number, body: Uint8Array): FrameHeader {
  const count = body[5] ?? 0
  if (body.length < 6 + 3 * count || count === 0) throw new Undecodable('a frame header is too short')
  const components: Component[] = []
  for (let index = 0; index < count; index++) {
    const [id, sampling, quantization] = body.subarray(6 + 3 * index) as unknown as [number, number, number]
    const [h, v] = [sampling >> 4, sampling & 15]
    if (h < 1 || h > 4 || v < 1 || v > 4) throw new Undecodable('a sampling factor is out of range')
    components.push({ id, h, v, quantization })
  }
  return { kind: marker, bits: body[0]!, rows: word(body, 1), columns: word(body, 3), components }
}

/** A scan header (SOS) of a frame: ITU T.81 B.2.3. */
export function readScan({ body, end }: Segment, frame: FrameHeader): ScanHeader {
  const count = body[0] ?? 0
  if (count < 1 || count > 4 || body.length < 4 + 2 * count)
    throw new Undecodable('a scan header is too short')
  const components = Array.from({ length: count }, (_, at) => {
    const index = frame.components.findIndex(({ id }) => id === body[1 + 2 * at])
    if (index < 0) throw new Undecodable('a scan has a component that the frame has not')
    const numbers = body[2 + 2 * at]!
    return { index, dc: numbers >> 4, ac: numbers & 15 }
  })
  if (new Set(components.map(({ index }) => index)).size !== count)
    throw new Undecodable('a scan has a component twice')
  const [from, to, approximation] = body.subarray(1 + 2 * count) as unknown as [number, number, number]
  return { components, from, to, high: approximation >> 4, low: approximation & 15, at: end }
}

/** Takes a segment of tables in; others are passed over. */
export function takeTables(tables: Tables, { marker, body }: Segment): void {
  if (marker === 0xc4) takeHuffman(tables, body)
  else if (marker === 0xdb) takeQuantization(tables, body)
  else if (marker === 0xdd) tables.restartInterval = word(body, 0)
}

function takeHuffman(tables: Tables, body: Uint8Array): void {
  for (let at = 0; at < body.length; ) {
    const numbers = body[at]!
    const counts = body.subarray(at + 1, at + 17)
    const total = counts.reduce((sum, count) => sum + count, 0)
    const [kind, number] = [numbers >> 4, numbers & 15]
    if (counts.length < 16 || at + 17 + total > body.length || kind > 1 || number > 3)
      throw new Undecodable('a Huffman table is broken')
    const table = new HuffmanTable(counts, body.slice(at + 17, at + 17 + total))
    const place = kind === 0 ? tables.dc : tables.ac
    place[number] = table
    at += 17 + total
  }
}

function takeQuantization(tables: Tables, body: Uint8Array): void {
  for (let at = 0; at < body.length; ) {
    const [isWide, number] = [body[at]! >> 4 !== 0, body[at]! & 15]
    const size = isWide ? 128 : 64
    if (number > 3 || at + 1 + size > body.length) throw new Undecodable('a quantization table is broken')
    const values = new Uint16Array(64)
    for (let index = 0; index < 64; index++)
      values[index] = isWide ? word(body, at + 1 + 2 * index) : body[at + 1 + index]!
    tables.quantization[number] = values
    at += 1 + size
  }
}
