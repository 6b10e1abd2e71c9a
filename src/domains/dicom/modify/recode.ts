// Turns the text of a data set into another character set: for when SpecificCharacterSet itself is replaced.

import type { Element } from '../reading/data-set.ts'
import { isEncodedVr, readText, type Values } from '../reading/value.ts'
import type { Encoder } from '../text/encode.ts'
import { padded } from '../writing/encode-value.ts'
import { openSequence, type Piece } from '../writing/piece.ts'

/** Rewrites copied elements of text, also those inside sequences. `pieces` is changed; what is plain stays a copy. */
export function recodePieces(pieces: Piece[], values: Values, encoder: Encoder): void {
  for (const [index, piece] of pieces.entries()) {
    if ('copy' in piece) pieces[index] = recoded(piece.copy, values, encoder)
    else if ('items' in piece) {
      const items = piece.items.map(item => {
        const inner = [...item.pieces]
        recodePieces(inner, values, encoder)
        return { ...item, pieces: inner }
      })
      pieces[index] = { ...piece, items }
    }
  }
}

function recoded(element: Element, values: Values, encoder: Encoder): Piece {
  const { tag, vr, items } = element
  const copy = { tag, copy: element }
  if (items) {
    const treated = items.map(item => ({
      isOpen: item.isOpen,
      pieces: item.elements.map(inner => recoded(inner, values, encoder)),
    }))
    const isSame = treated.every(item => item.pieces.every(piece => 'copy' in piece))
    return isSame ? copy : { ...openSequence({ ...element, items }), items: treated }
  }
  if (!isEncodedVr(vr) || isPlain(values.source.read(element.valueAt, element.length))) return copy
  return { tag, vr, bytes: padded(encoder.encode(readText(element, values)), 0x20) }
}

/** ASCII without escapes means the same in every character set. */
function isPlain(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte < 0x80 && byte !== 0x1b)
}
