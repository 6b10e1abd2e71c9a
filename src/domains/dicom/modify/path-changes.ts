// Removals and replacements inside sequences, by path. An item that is not there is left alone.

import type { Tag } from '../tag.ts'
import { openSequence, type Piece, putPiece } from '../writing/piece.ts'
import { type PieceWriter, readPiece } from '../writing/value-piece.ts'
import type { Modification } from './modification.ts'
import type { TagPath } from './tag-path.ts'

/** Applies the paths of a modification to pieces, which are changed. */
export function applyPaths(
  pieces: Piece[],
  change: Pick<Modification, 'removePaths' | 'replacePaths'>,
  write: PieceWriter,
): void {
  for (const path of change.removePaths) {
    follow(pieces, path, write, found => {
      const at = found.findIndex(piece => piece.tag === path.tag)
      if (at >= 0) found.splice(at, 1)
    })
  }
  for (const [path, value] of change.replacePaths) {
    follow(pieces, path, write, (found, how) => putPiece(found, readPiece(path.tag, value, how)))
  }
}

type Change = (pieces: Piece[], write: PieceWriter) => void

function follow(pieces: Piece[], path: TagPath, write: PieceWriter, change: Change): void {
  const [step, ...within] = path.within
  if (!step) {
    change(pieces, write)
    return
  }
  const at = pieces.findIndex(piece => piece.tag === step.tag)
  const opened = at < 0 ? undefined : open(pieces[at]!)
  if (!opened || (step.item !== null && step.item >= opened.items.length)) return
  pieces[at] = opened
  const inner = opened.isUnknown ? { ...write, isLittleEndian: true } : write
  for (const [index, item] of opened.items.entries()) {
    if (step.item !== null && step.item !== index) continue
    follow(item.pieces, { within, tag: path.tag }, inner, change)
  }
}

interface OpenedSequence {
  readonly tag: Tag
  readonly items: readonly { readonly isOpen: boolean; readonly pieces: Piece[] }[]
  readonly isOpen: boolean
  readonly isUnknown?: boolean
}

/** A sequence with items that can be changed. */
function open(piece: Piece): OpenedSequence | undefined {
  if ('copy' in piece) {
    const { items } = piece.copy
    if (!items) return undefined
    return changeable(openSequence({ ...piece.copy, items }))
  }
  return 'items' in piece ? changeable(piece) : undefined
}

function changeable(piece: Extract<Piece, { items: unknown }>): OpenedSequence {
  const items = piece.items.map(({ isOpen, pieces }) => ({ isOpen, pieces: [...pieces] }))
  return { ...piece, items }
}
