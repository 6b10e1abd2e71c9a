// Text to the bytes of a value, as its VR wants them; the other way round is reading/value.ts.

import { refuse } from '../../../core/refusal.ts'
import { longVrs } from '../dictionary/dictionary.ts'
import { isTextVr } from '../reading/value.ts'
import { type Tag, tagText } from '../tag.ts'
import type { Encoder } from '../text/encode.ts'

export interface EncodeOptions {
  readonly encoder: Encoder
  readonly isLittleEndian: boolean
}

type WriteNumber = (view: DataView, at: number, text: string, little: boolean) => boolean

const whole = (text: string, min: number, max: number): number | undefined => {
  const number = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  return number >= min && number <= max ? number : undefined
}

const numbers: Readonly<Record<string, { size: number; write: WriteNumber }>> = {
  US: {
    size: 2,
    write: (view, at, text, little) => put(whole(text, 0, 0xffff), n => view.setUint16(at, n, little)),
  },
  SS: {
    size: 2,
    write: (view, at, text, little) => put(whole(text, -0x8000, 0x7fff), n => view.setInt16(at, n, little)),
  },
  UL: {
    size: 4,
    write: (view, at, text, little) => put(whole(text, 0, 0xffffffff), n => view.setUint32(at, n, little)),
  },
  SL: {
    size: 4,
    write: (view, at, text, little) =>
      put(whole(text, -0x80000000, 0x7fffffff), n => view.setInt32(at, n, little)),
  },
  FL: { size: 4, write: (view, at, text, little) => put(decimal(text), n => view.setFloat32(at, n, little)) },
  FD: { size: 8, write: (view, at, text, little) => put(decimal(text), n => view.setFloat64(at, n, little)) },
  UV: { size: 8, write: (view, at, text, little) => putBig(text, 0n, n => view.setBigUint64(at, n, little)) },
  SV: {
    size: 8,
    write: (view, at, text, little) => putBig(text, -(2n ** 63n), n => view.setBigInt64(at, n, little)),
  },
  AT: {
    size: 4,
    write(view, at, text, little) {
      if (!/^\(?[0-9a-fA-F]{4},[0-9a-fA-F]{4}\)?$/.test(text)) return false
      const hex = text.replace(/[(),]/g, '')
      view.setUint16(at, Number.parseInt(hex.slice(0, 4), 16), little)
      view.setUint16(at + 2, Number.parseInt(hex.slice(4), 16), little)
      return true
    },
  },
}

/** Encodes a text for a VR; refuses, with the fault `bad-value`, what the VR cannot hold. */
export function encodeValue(tag: Tag, vr: string, text: string, options: EncodeOptions): Uint8Array {
  const writer = numbers[vr]
  if (writer) return encodeNumbers(tag, text, writer, options.isLittleEndian)
  if (!isTextVr(vr)) return checked(tag, vr, text, padded(Buffer.from(text, 'utf8'), 0))
  return checked(tag, vr, text, padded(options.encoder.encode(text), vr === 'UI' ? 0 : 0x20))
}

/** Bytes of even length: one more byte where it is odd. */
export function padded(bytes: Uint8Array, padding: number): Uint8Array {
  if (bytes.length % 2 === 0) return bytes
  const even = new Uint8Array(bytes.length + 1)
  even.set(bytes)
  even[bytes.length] = padding
  return even
}

function encodeNumbers(
  tag: Tag,
  text: string,
  writer: { size: number; write: WriteNumber },
  isLittleEndian: boolean,
): Uint8Array {
  if (text === '') return new Uint8Array(0)
  const texts = text.split('\\')
  const bytes = new Uint8Array(texts.length * writer.size)
  const view = new DataView(bytes.buffer)
  texts.forEach((one, index) => {
    if (!writer.write(view, index * writer.size, one.trim(), isLittleEndian)) refuseValue(tag, text)
  })
  return bytes
}

function checked(tag: Tag, vr: string, text: string, bytes: Uint8Array): Uint8Array {
  if (!longVrs.has(vr) && bytes.length > 0xffff) refuseValue(tag, `${text.slice(0, 40)}…`)
  return bytes
}

function refuseValue(tag: Tag, text: string): never {
  refuse(
    'bad-field',
    `While creating a DICOM instance, tag (${tagText(tag)}) has out-of-range value: "${text}"`,
    {
      field: tagText(tag),
      facts: { fault: 'bad-value' },
    },
  )
}

function decimal(text: string): number | undefined {
  const number = text === '' ? Number.NaN : Number(text)
  return Number.isFinite(number) ? number : undefined
}

function put(number: number | undefined, set: (number: number) => void): boolean {
  if (number === undefined) return false
  set(number)
  return true
}

function putBig(text: string, min: bigint, set: (number: bigint) => void): boolean {
  if (!/^[+-]?\d{1,20}$/.test(text)) return false
  const number = BigInt(text)
  if (number < min || number >= (min === 0n ? 2n ** 64n : 2n ** 63n)) return false
  set(number)
  return true
}
