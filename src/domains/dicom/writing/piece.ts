// What a data set is written from: places of a read one that are copied byte for byte, new values, and sequences
// whose items are pieces again. Whatever nobody touched stays exactly as it was.

import type { DataSet, Element, Item } from '../reading/data-set.ts'
import type { Tag } from '../tag.ts'

export type Piece = CopiedPiece | ValuePiece | SequencePiece

/** An element as it stands in its source. The layout of source and target must be the same. */
export interface CopiedPiece {
  readonly tag: Tag
  readonly copy: Element
}

export interface ValuePiece {
  readonly tag: Tag
  readonly vr: string
  /** Even in length: padded already. */
  readonly bytes: Uint8Array
}

export interface SequencePiece {
  readonly tag: Tag
  readonly items: readonly ItemPiece[]
  /** Written with undefined length and a delimiter, as the sequence it came from was. */
  readonly isOpen: boolean
  /** Its items are in implicit little endian though the data set is not (an open UN). */
  readonly isUnknown?: boolean
}

export interface ItemPiece {
  readonly pieces: readonly Piece[]
  readonly isOpen: boolean
}

/** All elements of a data set as copies, in their order. */
export function copyPieces(set: DataSet): Piece[] {
  return set.elements.map(copy => ({ tag: copy.tag, copy }))
}

/** A sequence opened up, so that its items can be changed one by one. */
export function openSequence(element: Element & { items: readonly Item[] }): SequencePiece {
  const items = element.items.map(item => ({
    isOpen: item.isOpen,
    pieces: item.elements.map(copy => ({ tag: copy.tag, copy })),
  }))
  return {
    tag: element.tag,
    items,
    isOpen: element.isOpen,
    ...(element.isUnknown ? { isUnknown: true } : {}),
  }
}

/** Takes the piece with a tag away, if there is one. `pieces` is changed. */
export function dropPiece(pieces: Piece[], tag: Tag): void {
  const at = pieces.findIndex(piece => piece.tag === tag)
  if (at >= 0) pieces.splice(at, 1)
}

/** Puts a piece where its tag belongs, in place of any piece with the same tag. `pieces` is changed. */
export function putPiece(pieces: Piece[], piece: Piece): void {
  const same = pieces.findIndex(other => other.tag === piece.tag)
  if (same >= 0) {
    pieces[same] = piece
    return
  }
  const next = pieces.findIndex(other => other.tag > piece.tag)
  if (next < 0) pieces.push(piece)
  else pieces.splice(next, 0, piece)
}
