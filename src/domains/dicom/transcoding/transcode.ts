// A file in another transfer syntax: from whatever can be decoded (decode-frame.ts) into any layout without compression,
// or RLE Lossless. Identifiers stay as they are. What cannot be turned into the wanted syntax is said so, and nothing is
// thrown.

import type { Dictionary } from '../dictionary/dictionary.ts'
import type { DataSet, Element } from '../reading/data-set.ts'
import { readDataSet } from '../reading/reader.ts'
import { memorySource } from '../reading/source.ts'
import { layoutOf } from '../reading/syntax.ts'
import { textOf, type Values, valuesOf } from '../reading/value.ts'
import { type Tag, tags } from '../tag.ts'
import { makeEncoder } from '../text/encode.ts'
import { layoutPieces, plainSyntaxes } from '../writing/convert.ts'
import { encodeValue } from '../writing/encode-value.ts'
import { type Piece, putPiece } from '../writing/piece.ts'
import { writeDataSet, writeFile, writeOpening } from '../writing/writer.ts'
import { isDecodable, rle } from './decode-frame.ts'
import { type NativePixels, pixelsOf, unpackPixels } from './native-pixels.ts'
import { frameSize, type PixelShape, packFrame } from './rle.ts'
import type { Unpacker } from './unpack-aside.ts'

/** Whether files can be turned into this syntax at all. */
export function isTarget(transferSyntax: string): boolean {
  return plainSyntaxes.has(transferSyntax) || transferSyntax === rle
}

/** Whether files in this syntax can be turned into others, as far as they are whole. */
export function isSource(transferSyntax: string): boolean {
  return plainSyntaxes.has(transferSyntax) || isDecodable(transferSyntax)
}

/**
 * The file in another syntax. Undefined when it has that one already, or cannot be turned into it: compressed in a way
 * that is not decoded here, pixels that are not whole bytes, broken. The data set must be read with all its elements.
 */
export function transcode(set: DataSet, target: string, defaultTerm: string): Uint8Array | undefined {
  if (set.transferSyntax === target || !isTarget(target)) return undefined
  const { values } = valuesOf(set, defaultTerm)
  const found = pixelsOf(set, values)
  if (found === 'unknown') return undefined
  const pixels = found && 'frames' in found ? unpackPixels(found) : found
  return found && !pixels ? undefined : assemble(set, pixels, { target, values })
}

/** As transcode; large pixels are decoded on a thread of their own. */
export async function transcodeAside(
  set: DataSet,
  target: string,
  { defaultTerm, unpacker }: { defaultTerm: string; unpacker: Unpacker },
): Promise<Uint8Array | undefined> {
  if (set.transferSyntax === target || !isTarget(target)) return undefined
  const { values } = valuesOf(set, defaultTerm)
  const found = pixelsOf(set, values)
  if (found === 'unknown') return undefined
  const pixels = found && 'frames' in found ? await unpacker.unpack(found) : found
  return found && !pixels ? undefined : assemble(set, pixels, { target, values })
}

/** The file with these pixels, in the target's layout. */
function assemble(
  set: DataSet,
  pixels: NativePixels | undefined,
  { target, values }: { target: string; values: Values },
): Uint8Array | undefined {
  const name = {
    sopClassUid: textOf(set.elements, tags.SOPClassUID, values) ?? '',
    sopInstanceUid: textOf(set.elements, tags.SOPInstanceUID, values) ?? '',
    transferSyntax: target,
  }
  const layout = layoutOf(target)
  const before = set.elements.filter(({ tag }) => tag < tags.PixelData)
  const after = set.elements.filter(({ tag }) => tag > tags.PixelData)
  const turns = set.isLittleEndian !== layout.isLittleEndian
  const changes = pixels?.changes ?? new Map<Tag, string>()
  const rest = (elements: readonly Element[]): Piece[] => layoutPieces(set, elements, turns)
  const head = withChanges(rest(before), changes, layout.isLittleEndian)
  if (target !== rle) {
    const pieces = pixels ? [nativePiece(pixels, layout.isLittleEndian)] : []
    return writeFile({ ...name, pieces: [...head, ...pieces, ...rest(after)] })
  }
  const packed = pixels?.shape && packAll(pixels.bytes, pixels.shape)
  if (!packed) return undefined
  const body = [...writeDataSet(head, layout), ...encapsulated(packed), ...writeDataSet(rest(after), layout)]
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

/** As transcodeBytes; large pixels are decoded on a thread of their own. */
export async function transcodeBytesAside(
  bytes: Uint8Array,
  target: string | undefined,
  how: { readonly dictionary: Dictionary; readonly defaultTerm: string; readonly unpacker: Unpacker },
): Promise<Uint8Array> {
  if (target === undefined || !isTarget(target)) return bytes
  const set = readDataSet(memorySource(bytes), { dictionary: how.dictionary })
  return (await transcodeAside(set, target, how)) ?? bytes
}

/** VRs of attributes that change with the pixels: all others are texts. */
const vrOfChange: Readonly<Record<Tag, string>> = { [tags.PlanarConfiguration]: 'US' }

/** The pieces, which are changed, with attributes that say something else than before. */
function withChanges(pieces: Piece[], changes: ReadonlyMap<Tag, string>, isLittleEndian: boolean): Piece[] {
  for (const [tag, text] of changes) {
    const vr = vrOfChange[tag] ?? 'CS'
    putPiece(pieces, {
      tag,
      vr,
      bytes: encodeValue(tag, vr, text, { encoder: makeEncoder([]), isLittleEndian }),
    })
  }
  return pieces
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
