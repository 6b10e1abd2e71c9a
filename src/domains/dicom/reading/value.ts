// Values of elements as text: numbers printed, text decoded, padding taken off.

import { type Tag, tags } from '../tag.ts'
import { type Decoder, makeDecoder } from '../text/decode.ts'
import { swapped, wordBytes } from './byte-order.ts'
import { type DataSet, type Element, find } from './data-set.ts'
import type { ByteSource } from './source.ts'

/** What values of a data set are read with. */
export interface Values {
  readonly source: ByteSource
  readonly isLittleEndian: boolean
  readonly decoder: Decoder
}

/** Text VRs whose characters SpecificCharacterSet decides. */
const encodedVrs = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT'])
/** Text VRs in plain ASCII. */
const asciiVrs = new Set(['AE', 'AS', 'CS', 'DA', 'DS', 'DT', 'IS', 'TM', 'UI', 'UR'])

/** Whether values of this kind are texts. */
export function isTextVr(vr: string): boolean {
  return encodedVrs.has(vr) || asciiVrs.has(vr)
}

/** Whether values of this kind are in the data set's character set, and not in ASCII. */
export function isEncodedVr(vr: string): boolean {
  return encodedVrs.has(vr)
}

/** Readers of the values of a data set, and of its meta group. */
export function valuesOf(set: DataSet, defaultTerm: string): { values: Values; metaValues: Values } {
  const plain = makeDecoder(undefined, 'ISO_IR 100')
  const raw: Values = { source: set.source, isLittleEndian: set.isLittleEndian, decoder: plain }
  const term = find(set.elements, tags.SpecificCharacterSet)
  const decoder = makeDecoder(term && term.length <= 1024 ? readText(term, raw) : undefined, defaultTerm)
  return {
    values: { ...raw, decoder },
    metaValues: { source: set.metaSource, isLittleEndian: true, decoder: plain },
  }
}

/** The bytes of a value, padding included. */
export function readBytes(element: Element, values: Values): Uint8Array {
  return values.source.read(element.valueAt, element.length)
}

/** The same with numbers in little endian, whatever the data set is in; what is unknown always is. */
export function readLittleEndian(element: Element, values: Values): Uint8Array {
  const bytes = readBytes(element, values)
  const size = values.isLittleEndian || element.isUnknown ? undefined : wordBytes[element.vr]
  return size === undefined ? bytes : swapped(bytes, size)
}

/** A text value without the blanks and NULs at its end. For VRs of text. */
export function readText(element: Element, values: Values): string {
  const bytes = readBytes(element, values)
  let end = bytes.length
  while (end > 0 && (bytes[end - 1] === 0 || (bytes[end - 1] === 0x20 && !element.isUnknown))) end--
  const text = values.decoder.decode(bytes.subarray(0, end), element.vr)
  // No blank belongs to a UID; some writers pad with them, or align lists. Identifiers must not depend on it.
  return element.vr === 'UI' && text.includes(' ') ? text.replaceAll(' ', '') : text
}

/** Whether a text has more bytes in UTF-8 than so many: how the original measures what it shows and keeps. */
export function isLongerThan(text: string, bytesMax: number): boolean {
  return text.length > bytesMax || (text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax)
}

/** The bytes of a value as they are, one character each. */
export function readAscii(element: Element, values: Values): string {
  return Buffer.from(readBytes(element, values)).toString('latin1')
}

/** A value as text, whatever its VR; null where it is bytes that text cannot show. */
export function showValue(element: Element, values: Values): string | null {
  const { vr } = element
  if (isTextVr(vr)) return readText(element, values)
  return printNumbers(element, values)
}

/** The text of a top-level element, if it is there. */
export function textOf(elements: readonly Element[], tag: Tag, values: Values): string | undefined {
  const element = find(elements, tag)
  if (!element || element.items || element.fragments) return undefined
  return showValue(element, values) ?? undefined
}

/** The first number of an integer or decimal value, of a text or a binary VR. */
export function numberOf(elements: readonly Element[], tag: Tag, values: Values): number | undefined {
  const text = textOf(elements, tag, values)?.split('\\', 1)[0]?.trim()
  if (text === undefined || text === '') return undefined
  const number = Number(text)
  return Number.isFinite(number) ? number : undefined
}

const printers: Readonly<
  Record<string, { size: number; print(view: DataView, at: number, little: boolean): string }>
> = {
  US: { size: 2, print: (view, at, little) => String(view.getUint16(at, little)) },
  SS: { size: 2, print: (view, at, little) => String(view.getInt16(at, little)) },
  UL: { size: 4, print: (view, at, little) => String(view.getUint32(at, little)) },
  SL: { size: 4, print: (view, at, little) => String(view.getInt32(at, little)) },
  UV: { size: 8, print: (view, at, little) => String(view.getBigUint64(at, little)) },
  SV: { size: 8, print: (view, at, little) => String(view.getBigInt64(at, little)) },
  FL: { size: 4, print: (view, at, little) => printFloat(view.getFloat32(at, little), 17) },
  FD: { size: 8, print: (view, at, little) => printFloat(view.getFloat64(at, little), 17) },
  AT: {
    size: 4,
    print(view, at, little) {
      const group = view.getUint16(at, little).toString(16).padStart(4, '0')
      return `${group},${view
        .getUint16(at + 2, little)
        .toString(16)
        .padStart(4, '0')}`
    },
  },
}

function printNumbers(element: Element, values: Values): string | null {
  const printer = printers[element.vr]
  if (!printer) return null
  const bytes = readBytes(element, values)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const texts: string[] = []
  for (let at = 0; at + printer.size <= bytes.length; at += printer.size) {
    texts.push(printer.print(view, at, values.isLittleEndian))
  }
  return texts.length === 0 ? null : texts.join('\\')
}

/** A float with so many significant digits and no superfluous zeros, as C's %g prints it. */
export function printFloat(value: number, digits: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const { mantissa, power } = roundHalfEven(value, digits)
  if (power < -4 || power >= digits) {
    const short = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa
    return `${short}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  }
  const sign = mantissa.startsWith('-') ? '-' : ''
  const figures = mantissa.replace(/[-.]/g, '')
  const plain =
    power < 0
      ? `0.${'0'.repeat(-power - 1)}${figures}`
      : `${figures.slice(0, power + 1)}.${figures.slice(power + 1)}`
  return sign + plain.replace(/\.?0+$/, '')
}

/** So many digits, a tie going to the even one: C rounds so, JavaScript away from zero. */
function roundHalfEven(value: number, digits: number): { mantissa: string; power: number } {
  const [mantissa, power] = value.toExponential(digits - 1).split('e') as [string, string]
  const exact = value.toExponential(100).split('e')[0]!
  const cut = mantissa.length
  const isTie = exact[cut] === '5' && /^0*$/.test(exact.slice(cut + 1))
  if (isTie && Number(exact[cut - 1]) % 2 === 0)
    return { mantissa: exact.slice(0, cut), power: Number(power) }
  return { mantissa, power: Number(power) }
}
