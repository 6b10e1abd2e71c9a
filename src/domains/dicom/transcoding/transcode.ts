// A file in another transfer syntax: any layout without compression, and RLE Lossless, each into each. Identifiers stay
// as they are, since no pixel changes. What cannot be turned into the wanted syntax is said so, and nothing is thrown.

import type { Dictionary } from '../dictionary/dictionary.ts'
import { type DataSet, find } from '../reading/data-set.ts'
import { readDataSet } from '../reading/reader.ts'
import { memorySource } from '../reading/source.ts'
import { layoutOf } from '../reading/syntax.ts'
import { numberOf, readLittleEndian, textOf, type Values, valuesOf } from '../reading/value.ts'
import { tags } from '../tag.ts'
import { layoutPieces, plainSyntaxes } from '../writing/convert.ts'
import { padded } from '../writing/encode-value.ts'
import type { Piece } from '../writing/piece.ts'
import { writeDataSet, writeFile, writeOpening } from '../writing/writer.ts'
import { frameSize, type PixelShape, packFrame, unpackFrame } from './rle.ts'

const rle = '1.2.840.10008.1.2.5'
/** More is not held in memory, packed or unpacked. */
const pixelBytesMax = 1024 * 1024 * 1024

/** Whether files can be turned into this syntax at all. */
export function isTarget(transferSyntax: string): boolean {
  return plainSyntaxes.has(transferSyntax) || transferSyntax === rle
}

/**
 * The file in another syntax. Undefined when it has that one already, or cannot be turned into it: compressed by
 * anything but RLE, pixels that are not whole bytes, broken. The data set must be read with all its elements.
 */
export function transcode(set: DataSet, target: string, defaultTerm: string): Uint8Array | undefined {
  if (set.transferSyntax === target || !isTarget(target)) return undefined
  const { values } = valuesOf(set, defaultTerm)
  const name = {
    sopClassUid: textOf(set.elements, tags.SOPClassUID, values) ?? '',
    sopInstanceUid: textOf(set.elements, tags.SOPInstanceUID, values) ?? '',
    transferSyntax: target,
  }
  const pixels = nativePixels(set, values)
  if (pixels === 'compressed') return undefined
  const layout = layoutOf(target)
  const before = set.elements.filter(({ tag }) => tag < tags.PixelData)
  const after = set.elements.filter(({ tag }) => tag > tags.PixelData)
  const turns = set.isLittleEndian !== layout.isLittleEndian
  const rest = (elements: typeof before): Piece[] => layoutPieces(set, elements, turns)
  if (target !== rle) {
    const pieces = pixels ? [nativePiece(pixels, layout.isLittleEndian)] : []
    return writeFile({ ...name, pieces: [...rest(before), ...pieces, ...rest(after)] })
  }
  const packed = pixels?.shape && packAll(pixels.bytes, pixels.shape)
  if (!packed) return undefined
  const body = [
    ...writeDataSet(rest(before), layout),
    ...encapsulated(packed),
    ...writeDataSet(rest(after), layout),
  ]
  return Buffer.concat([writeOpening(name), ...body])
}

/** The same for the bytes of a file, which are given back when they cannot be turned into the syntax. */
export function transcodeBytes(
  bytes: Uint8Array,
  target: string | undefined,
  how: { readonly dictionary: Dictionary; readonly defaultTerm: string },
): Uint8Array {
  if (target === undefined || !isTarget(target)) return bytes
  const set = readDataSet(memorySource(bytes), { dictionary: how.dictionary })
  return transcode(set, target, how.defaultTerm) ?? bytes
}

interface NativePixels {
  /** In little endian. */
  readonly bytes: Uint8Array
  readonly vr: string
  /** Undefined when the attributes do not tell, or do not fit. */
  readonly shape: PixelShape | undefined
}

function nativePixels(set: DataSet, values: Values): NativePixels | 'compressed' | undefined {
  const element = find(set.elements, tags.PixelData)
  const isPlain = plainSyntaxes.has(set.transferSyntax)
  if (!element) return isPlain ? undefined : 'compressed'
  const shape = shapeOf(set, values)
  if (!element.fragments) {
    return isPlain ? { bytes: readLittleEndian(element, values), vr: element.vr, shape } : 'compressed'
  }
  if (set.transferSyntax !== rle || !shape) return 'compressed'
  const frames: Uint8Array[] = []
  // Each frame is one fragment, behind the table of offsets.
  const fragments = element.fragments.slice(1)
  if (fragments.length !== framesOf(set, values)) return 'compressed'
  if (fragments.length * frameSize(shape) > pixelBytesMax) return 'compressed'
  for (const { valueAt, length } of fragments) {
    const frame = unpackFrame(set.source.read(valueAt, length), shape)
    if (!frame) return 'compressed'
    frames.push(frame)
  }
  return { bytes: padded(Buffer.concat(frames), 0), vr: shape.bytesPerSample > 1 ? 'OW' : 'OB', shape }
}

function framesOf(set: DataSet, values: Values): number {
  return Math.max(1, numberOf(set.elements, tags.NumberOfFrames, values) ?? 1)
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

function nativePiece({ bytes, vr }: NativePixels, isLittleEndian: boolean): Piece {
  if (isLittleEndian || vr !== 'OW') return { tag: tags.PixelData, vr, bytes }
  return { tag: tags.PixelData, vr, bytes: Buffer.from(bytes).swap16() }
}

/** All frames packed; undefined when they are not whole frames. */
function packAll(bytes: Uint8Array, shape: PixelShape): Uint8Array[] | undefined {
  const size = frameSize(shape)
  const count = Math.floor(bytes.length / size)
  // One byte may be left over: it makes the length even.
  if (count === 0 || bytes.length - count * size > 1) return undefined
  const packed: Uint8Array[] = []
  for (let index = 0; index < count; index++) {
    const frame = packFrame(bytes.subarray(index * size, (index + 1) * size), shape)
    if (!frame) return undefined
    packed.push(frame)
  }
  return packed
}

/** PixelData in fragments, one a frame, behind a table of where they begin. */
function encapsulated(frames: readonly Uint8Array[]): Uint8Array[] {
  const head = Buffer.alloc(12)
  head.writeUInt16LE(0x7fe0, 0)
  head.writeUInt16LE(0x0010, 2)
  head.write('OB', 4, 'latin1')
  head.writeUInt32LE(0xffffffff, 8)
  const table = Buffer.alloc(frames.length * 4)
  let at = 0
  for (const [index, frame] of frames.entries()) {
    table.writeUInt32LE(at, index * 4)
    at += frame.length + 8
  }
  return [
    head,
    ...[table, ...frames].flatMap(part => [fragmentHead(0xe000, part.length), part]),
    fragmentHead(0xe0dd, 0),
  ]
}

function fragmentHead(element: number, length: number): Uint8Array {
  const head = Buffer.alloc(8)
  head.writeUInt16LE(0xfffe, 0)
  head.writeUInt16LE(element, 2)
  head.writeUInt32LE(length, 4)
  return head
}
