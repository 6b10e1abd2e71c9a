// Takes elements of one data set over into another whose layout or character set may differ.

import { longVrs } from '../dictionary/dictionary.ts'
import { swapped, wordBytes } from '../reading/byte-order.ts'
import type { Element } from '../reading/data-set.ts'
import { isEncodedVr, readBytes, readText, type Values } from '../reading/value.ts'
import type { Encoder } from '../text/encode.ts'
import { padded } from './encode-value.ts'
import type { Piece } from './piece.ts'

/** A piece with the value of an element, in the character set of the encoder; in little endian unless said. */
export function transferElement(
  element: Element,
  values: Values,
  encoder: Encoder,
  target: { readonly isLittleEndian: boolean } = { isLittleEndian: true },
): Piece {
  if (element.items) {
    const inItems = element.isUnknown ? { ...values, isLittleEndian: true } : values
    return {
      tag: element.tag,
      isOpen: false,
      items: element.items.map(item => ({
        isOpen: false,
        pieces: item.elements.map(inner => transferElement(inner, inItems, encoder, target)),
      })),
    }
  }
  const { tag, vr } = element
  if (isEncodedVr(vr)) {
    const bytes = padded(encoder.encode(readText(element, values)), 0x20)
    return { tag, vr: bytes.length > 0xffff && !longVrs.has(vr) ? 'UN' : vr, bytes }
  }
  const bytes = padded(readBytes(element, values), vr === 'UI' || longVrs.has(vr) ? 0 : 0x20)
  const size = wordBytes[vr]
  return {
    tag,
    vr,
    bytes:
      size === undefined || values.isLittleEndian === target.isLittleEndian ? bytes : swapped(bytes, size),
  }
}
