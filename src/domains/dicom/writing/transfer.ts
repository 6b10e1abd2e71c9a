// Takes elements of one data set over into another whose layout or character set may differ.

import { longVrs } from '../dictionary/dictionary.ts'
import type { Element } from '../reading/data-set.ts'
import { isEncodedVr, readBytes, readText, type Values } from '../reading/value.ts'
import type { Encoder } from '../text/encode.ts'
import { padded } from './encode-value.ts'
import type { Piece } from './piece.ts'

/** Sizes of the numbers in values of bytes: what turning the byte order round means for them. */
export const wordBytes: Readonly<Record<string, number>> = {
  ...{ AT: 2, OW: 2, SS: 2, US: 2 },
  ...{ FL: 4, OF: 4, OL: 4, SL: 4, UL: 4 },
  ...{ FD: 8, OD: 8, OV: 8, SV: 8, UV: 8 },
}

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

/** The bytes with each word of `size` turned round. */
export function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const turned = new Uint8Array(bytes.length)
  for (let at = 0; at < bytes.length; at += size) {
    const end = Math.min(at + size, bytes.length)
    for (let i = at; i < end; i++) turned[i] = bytes[end - 1 - (i - at)]!
  }
  return turned
}
