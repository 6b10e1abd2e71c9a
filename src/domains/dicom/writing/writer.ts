// Writes data sets and files from pieces. Lengths are worked out from the inside, copies come from the source as
// they are, and the meta group is made anew.

import { deflateRawSync } from 'node:zlib'
import { longVrs } from '../dictionary/dictionary.ts'
import type { ByteSource } from '../reading/source.ts'
import type { Layout } from '../reading/syntax.ts'
import { layoutOf } from '../reading/syntax.ts'
import { type Tag, tags } from '../tag.ts'
import { padded } from './encode-value.ts'
import type { ItemPiece, Piece, SequencePiece } from './piece.ts'

/** Who wrote a file: our own UID (from a UUID, as the standard allows) and name. */
export const implementation = {
  classUid: '2.25.318604112790485110370211853714806261117',
  versionName: 'SWITCHYARD_1',
}

export interface FileParts {
  readonly sopClassUid: string
  readonly sopInstanceUid: string
  readonly transferSyntax: string
  readonly pieces: readonly Piece[]
  /** Where copies come from; not needed when there are none. */
  readonly source?: ByteSource
}

/** A stretch of the source that is to be copied as it is. */
export interface Place {
  readonly at: number
  readonly length: number
}

export type Chunk = Uint8Array | Place

/** A whole file: preamble, meta group, data set. */
export function writeFile(parts: FileParts): Uint8Array {
  return Buffer.concat(writeFileChunks(parts, (at, length) => parts.source!.read(at, length)))
}

/**
 * A whole file in chunks. `copy` says what stands for a stretch of the source: its bytes, or the place itself for
 * files that are too large to be held. Deflated ones are always held.
 */
export function writeFileChunks<C extends Chunk>(
  parts: FileParts,
  copy: (at: number, length: number) => C,
): (C | Uint8Array)[] {
  const layout = layoutOf(parts.transferSyntax)
  if (layout.isDeflated) {
    const body = Buffer.concat(writeDataSet(parts.pieces, layout, parts.source))
    return [writeOpening(parts), padded(deflateRawSync(body), 0)]
  }
  const chunks: (C | Uint8Array)[] = [writeOpening(parts)]
  writePieces(parts.pieces, layout, copy, chunks)
  return chunks
}

/** The preamble and the meta group. */
export function writeOpening(parts: Omit<FileParts, 'pieces' | 'source'>): Uint8Array {
  const uid = (text: string): Uint8Array => padded(Buffer.from(text, 'latin1'), 0)
  const meta: Piece[] = [
    { tag: tags.MetaVersion, vr: 'OB', bytes: Uint8Array.of(0, 1) },
    { tag: tags.MediaStorageSOPClassUID, vr: 'UI', bytes: uid(parts.sopClassUid) },
    { tag: tags.MediaStorageSOPInstanceUID, vr: 'UI', bytes: uid(parts.sopInstanceUid) },
    { tag: tags.TransferSyntaxUID, vr: 'UI', bytes: uid(parts.transferSyntax) },
    { tag: tags.ImplementationClassUID, vr: 'UI', bytes: uid(implementation.classUid) },
    {
      tag: tags.ImplementationVersionName,
      vr: 'SH',
      bytes: padded(Buffer.from(implementation.versionName), 0x20),
    },
  ]
  const layout = { isExplicit: true, isLittleEndian: true, isDeflated: false }
  const group = Buffer.concat(writeDataSet(meta, layout))
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, group.length, true)
  const head = writeDataSet([{ tag: tags.MetaGroupLength, vr: 'UL', bytes: length }], layout)
  return Buffer.concat([new Uint8Array(128), Buffer.from('DICM'), ...head, group])
}

/** The bytes of a data set, in chunks; copies of the source are views where the source allows it. */
export function writeDataSet(pieces: readonly Piece[], layout: Layout, source?: ByteSource): Uint8Array[] {
  const chunks: Uint8Array[] = []
  writePieces(pieces, layout, (at, length) => source!.read(at, length), chunks)
  return chunks
}

/** How many bytes pieces will be. */
export function lengthOf(pieces: readonly Piece[], layout: Layout): number {
  return writePieces<Chunk>(pieces, layout, (at, length) => ({ at, length }), [])
}

/** Writes pieces and says how many bytes they are. The depth of pieces is that of what was read: bounded. */
function writePieces<C extends Chunk>(
  pieces: readonly Piece[],
  layout: Layout,
  copy: (at: number, length: number) => C,
  chunks: (C | Uint8Array)[],
): number {
  let length = 0
  let copyAt = -1
  let copyEnd = -1
  const flush = (): void => {
    if (copyAt >= 0) chunks.push(copy(copyAt, copyEnd - copyAt))
    copyAt = -1
  }
  for (const piece of pieces) {
    if ('copy' in piece) {
      // Neighbours are copied in one go: most of a file is one piece.
      if (copyAt >= 0 && piece.copy.at !== copyEnd) flush()
      if (copyAt < 0) copyAt = piece.copy.at
      copyEnd = piece.copy.end
      length += piece.copy.end - piece.copy.at
      continue
    }
    flush()
    if ('items' in piece) length += writeSequence(piece, layout, copy, chunks)
    else {
      const header = writeHeader(piece.tag, piece.vr, piece.bytes.length, layout)
      chunks.push(header, piece.bytes)
      length += header.length + piece.bytes.length
    }
  }
  flush()
  return length
}

function writeSequence<C extends Chunk>(
  piece: SequencePiece,
  layout: Layout,
  copy: (at: number, length: number) => C,
  chunks: (C | Uint8Array)[],
): number {
  const inner = piece.isUnknown ? { isExplicit: false, isLittleEndian: true, isDeflated: false } : layout
  const headerAt = chunks.push(new Uint8Array(0)) - 1
  let length = 0
  for (const item of piece.items) length += writeItem(item, inner, copy, chunks)
  const header = writeHeader(
    piece.tag,
    piece.isUnknown ? 'UN' : 'SQ',
    piece.isOpen ? 0xffffffff : length,
    layout,
  )
  chunks[headerAt] = header
  if (piece.isOpen) {
    chunks.push(writeDelimiter(tags.SequenceEnd, 0, inner))
    length += 8
  }
  return header.length + length
}

function writeItem<C extends Chunk>(
  item: ItemPiece,
  layout: Layout,
  copy: (at: number, length: number) => C,
  chunks: (C | Uint8Array)[],
): number {
  const headerAt = chunks.push(new Uint8Array(0)) - 1
  let length = writePieces(item.pieces, layout, copy, chunks)
  chunks[headerAt] = writeDelimiter(tags.Item, item.isOpen ? 0xffffffff : length, layout)
  if (item.isOpen) {
    chunks.push(writeDelimiter(tags.ItemEnd, 0, layout))
    length += 8
  }
  return 8 + length
}

function writeDelimiter(tag: Tag, length: number, layout: Layout): Uint8Array {
  return writeHeader(tag, '', length, { ...layout, isExplicit: false })
}

function writeHeader(tag: Tag, vr: string, length: number, layout: Layout): Uint8Array {
  const isLong = layout.isExplicit && longVrs.has(vr)
  const header = new Uint8Array(isLong ? 12 : 8)
  const view = new DataView(header.buffer)
  const little = layout.isLittleEndian
  view.setUint16(0, Math.floor(tag / 0x10000), little)
  view.setUint16(2, tag % 0x10000, little)
  if (!layout.isExplicit) {
    view.setUint32(4, length, little)
    return header
  }
  header[4] = vr.charCodeAt(0)
  header[5] = vr.charCodeAt(1)
  if (isLong) view.setUint32(8, length, little)
  else view.setUint16(6, length, little)
  return header
}
