// Elements in another layout: implicit or explicit, little or big endian. Values keep their bytes but for their order;
// what is compressed is transcoding/'s affair.

import { longVrs } from '../dictionary/dictionary.ts'
import { swapped, wordBytes } from '../reading/byte-order.ts'
import type { DataSet, Element, Item } from '../reading/data-set.ts'
import { syntaxes } from '../reading/syntax.ts'
import type { Piece } from './piece.ts'

/** Syntaxes whose pixels stand as they are. */
export const plainSyntaxes: ReadonlySet<string> = new Set(Object.values(syntaxes))

/** Elements with their values, in the other byte order if `turns`; for a data set whose pixels are not compressed. */
export function layoutPieces(set: DataSet, elements: readonly Element[], turns: boolean): Piece[] {
  return elements.map(element => {
    if (element.items) return sequenceOf(set, element, element.items, turns)
    // Lengths over 64 KiB have no place behind a short VR; such values are written as unknown ones.
    const isUnknown = element.isUnknown || (element.length > 0xffff && !longVrs.has(element.vr))
    const vr = isUnknown ? 'UN' : element.vr
    const bytes = set.source.read(element.valueAt, element.length)
    // What is said to be unknown is in little endian whatever the data set is.
    const size = turns && !element.isUnknown ? wordBytes[element.vr] : undefined
    return { tag: element.tag, vr, bytes: size === undefined ? bytes : swapped(bytes, size) }
  })
}

/** Group lengths would be wrong now; nobody needs them. The depth of nesting was bounded when it was read. */
function sequenceOf(set: DataSet, element: Element, items: readonly Item[], turns: boolean): Piece {
  return {
    tag: element.tag,
    isOpen: element.isOpen,
    items: items.map(item => ({ isOpen: item.isOpen, pieces: layoutPieces(set, item.elements, turns) })),
  }
}
