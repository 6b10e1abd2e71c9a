// Identifiers: the small data sets of queries, moves and commitments, from and to tags with texts.

import type { Dictionary } from '../dictionary/dictionary.ts'
import type { DataSet } from '../reading/data-set.ts'
import { readDataSet } from '../reading/reader.ts'
import { memorySource } from '../reading/source.ts'
import { layoutOf } from '../reading/syntax.ts'
import type { Tag } from '../tag.ts'
import { makeEncoder } from '../text/encode.ts'
import { encodeValue } from '../writing/encode-value.ts'
import { type Piece, putPiece } from '../writing/piece.ts'
import { writeDataSet, writeOpening } from '../writing/writer.ts'

/** An identifier longer than this is no question that anybody asks. */
export const identifierBytesMax = 1024 * 1024

export interface IdentifierOptions {
  readonly dictionary: Dictionary
  readonly transferSyntax: string
  /** The terms of the character set that texts are written in. */
  readonly terms: readonly string[]
}

/** Writes tags with their texts; an empty text asks for the tag. A text that the tag cannot hold is refused. */
export function writeIdentifier(
  values: Iterable<readonly [Tag, string]>,
  options: IdentifierOptions,
  more: readonly Piece[] = [],
): Buffer {
  const layout = layoutOf(options.transferSyntax)
  const encoding = { encoder: makeEncoder(options.terms), isLittleEndian: layout.isLittleEndian }
  const pieces: Piece[] = []
  for (const [tag, text] of values) {
    const vr = options.dictionary.vrOf(tag)
    const bytes =
      vr === 'SQ' || text === '' ? new Uint8Array(0) : encodeValue(tag, settled(vr), text, encoding)
    putPiece(pieces, { tag, vr: settled(vr), bytes })
  }
  for (const piece of more) putPiece(pieces, piece)
  return Buffer.concat(writeDataSet(pieces, layout))
}

/** Several VRs are possible for some tags; in questions any of them will do. */
function settled(vr: string): string {
  return /^[A-Z]{2}$/.test(vr) ? vr : vr.slice(0, 2)
}

/** Reads a data set that came without a file around it. Refuses what is none. */
export function readIdentifier(
  bytes: Uint8Array,
  { dictionary, transferSyntax }: Pick<IdentifierOptions, 'dictionary' | 'transferSyntax'>,
): DataSet {
  return readDataSet(memorySource(asFile(bytes, transferSyntax)), { dictionary, keep: 'all' })
}

/** A data set with a file's opening before it, so that it is read by its syntax. */
export function asFile(
  bytes: Uint8Array,
  transferSyntax: string,
  facts: { sopClassUid?: string; sopInstanceUid?: string } = {},
): Buffer {
  const opening = writeOpening({
    sopClassUid: facts.sopClassUid ?? '',
    sopInstanceUid: facts.sopInstanceUid ?? '',
    transferSyntax,
  })
  return Buffer.concat([opening, bytes])
}
