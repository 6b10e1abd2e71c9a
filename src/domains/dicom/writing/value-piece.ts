// Values as people write them (texts, data URIs, lists of objects) to pieces of a data set.

import { isObject } from '../../../core/json.ts'
import { refuse } from '../../../core/refusal.ts'
import { readDataUri } from '../content/data-uri.ts'
import { type Dictionary, settleVr } from '../dictionary/dictionary.ts'
import { isTextVr } from '../reading/value.ts'
import { creatorTagOf, elementOf, groupOf, isPrivate, isPrivateCreator, type Tag, tagText } from '../tag.ts'
import type { Encoder } from '../text/encode.ts'
import { encodeValue, padded } from './encode-value.ts'
import { type Piece, putPiece } from './piece.ts'

export interface PieceWriter {
  readonly dictionary: Dictionary
  readonly encoder: Encoder
  readonly isLittleEndian: boolean
  /** Whose elements the private ones are: decides their VR. */
  readonly privateCreator?: string
  /** Data URIs in values of binary VRs stand for their bytes. */
  readonly readsBinary: boolean
  /** Decides the VRs that are signed or not. */
  readonly pixelRepresentation?: number
}

const depthMax = 64

/** The piece for a text, or for a list of objects by tag name; refuses, with the fault `bad-type`, anything else. */
export function readPiece(tag: Tag, value: unknown, write: PieceWriter, depth = 0): Piece {
  if (typeof value === 'string') return valuePiece(tag, value, write)
  if (!Array.isArray(value) || depth > depthMax || !maySequence(tag, write)) refuseType(tag)
  const items = value.map(item => {
    if (!isObject(item)) refuseType(tag)
    const pieces: Piece[] = []
    for (const [name, inner] of Object.entries(item)) {
      putPiece(pieces, readPiece(write.dictionary.readTag(name), inner, write, depth + 1))
    }
    return { pieces, isOpen: false }
  })
  return { tag, items, isOpen: false }
}

/** Whether items may stand in an element: not where the dictionary says that it holds something else. */
function maySequence(tag: Tag, { dictionary, privateCreator }: PieceWriter): boolean {
  const vr = dictionary.vrOf(tag, isPrivate(tag) ? privateCreator : undefined)
  return vr === 'SQ' || vr === 'UN'
}

/**
 * Whether a tag is of a group that every file gets from its writer. What callers say of them is passed over, as in the
 * original: a transfer syntax, for one, that the data set is not in would make the file unreadable.
 */
export function isWriterOwned(tag: Tag): boolean {
  return groupOf(tag) <= 2
}

/** The piece for a text, by the VR that the dictionary has for the tag. */
export function valuePiece(tag: Tag, text: string, write: PieceWriter): Piece {
  const { dictionary, encoder, isLittleEndian } = write
  const creator = isPrivate(tag) ? write.privateCreator : undefined
  const vr = settleVr(dictionary.vrOf(tag, creator), tag, write.pixelRepresentation ?? 0)
  if (vr === 'SQ') {
    if (text === '') return { tag, items: [], isOpen: false }
    refuseType(tag)
  }
  const isBinary = !isTextVr(vr) && (vr.startsWith('O') || vr === 'UN')
  const uri = isBinary && write.readsBinary ? readDataUri(text) : undefined
  if (uri) return { tag, vr, bytes: padded(uri.bytes, 0) }
  return { tag, vr, bytes: encodeValue(tag, vr, text, { encoder, isLittleEndian }) }
}

/** Adds the creator element of a private block, which callers tend to forget. `pieces` is changed. */
export function addCreator(tag: Tag, pieces: Piece[], write: PieceWriter): void {
  const { privateCreator } = write
  if (!isPrivate(tag) || isPrivateCreator(tag) || elementOf(tag) < 0x1000 || !privateCreator) return
  const creatorTag = creatorTagOf(tag)
  if (pieces.some(piece => piece.tag === creatorTag)) return
  putPiece(pieces, valuePiece(creatorTag, privateCreator, write))
}

function refuseType(tag: Tag): never {
  refuse('bad-field', `Bad Parameter type for tag ${tagText(tag)}`, {
    field: tagText(tag),
    facts: { fault: 'bad-type' },
  })
}
