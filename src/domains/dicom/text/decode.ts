// DICOM text to strings: the character sets that SpecificCharacterSet names. ISO 2022 escapes are decoded by
// dicom-character-set; plain sets by the platform's TextDecoder.

import { characterSets, convertBytes } from 'dicom-character-set'

/** Names of encodings as configurations write them (`DefaultEncoding`), with the term that DICOM has for each. */
export const encodingTerms: Readonly<Record<string, string>> = {
  Ascii: 'ISO_IR 6',
  Utf8: 'ISO_IR 192',
  Latin1: 'ISO_IR 100',
  Latin2: 'ISO_IR 101',
  Latin3: 'ISO_IR 109',
  Latin4: 'ISO_IR 110',
  Latin5: 'ISO_IR 148',
  Cyrillic: 'ISO_IR 144',
  Windows1251: 'windows-1251',
  Arabic: 'ISO_IR 127',
  Greek: 'ISO_IR 126',
  Hebrew: 'ISO_IR 138',
  Thai: 'ISO_IR 166',
  Japanese: 'ISO_IR 13',
  Chinese: 'GB18030',
  JapaneseKanji: 'ISO 2022 IR 87',
  Korean: 'ISO 2022 IR 149',
  SimplifiedChinese: 'ISO 2022 IR 58',
}

/** Platform encodings of the plain terms. */
export const plainEncodings: Readonly<Record<string, string>> = {
  'ISO_IR 6': 'latin1',
  'ISO_IR 100': 'latin1',
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'iso-8859-9',
  'ISO_IR 166': 'windows-874',
  'ISO_IR 13': 'shift-jis',
  'ISO_IR 192': 'utf-8',
  'windows-1251': 'windows-1251',
  GB18030: 'gb18030',
  GBK: 'gbk',
}

/** How the text of one data set is decoded. */
export interface Decoder {
  /** The terms, for writing text back: the first one is the plain set, more of them use escapes. */
  readonly terms: readonly string[]
  decode(bytes: Uint8Array, vr: string): string
}

/**
 * The decoder for a value of SpecificCharacterSet; without one, and for terms that nobody knows, for `fallback`,
 * which is a term itself.
 */
export function makeDecoder(specificCharacterSet: string | undefined, fallback: string): Decoder {
  const terms = (specificCharacterSet ?? '').split('\\').map(readTerm)
  // An empty first term of several stands for plain ASCII; an empty value says nothing.
  if (terms[0] === '') terms[0] = terms.length === 1 ? fallback : 'ISO_IR 6'
  const known = terms.filter(isKnownTerm)
  if (known.length === 0) known.push(fallback)
  const first = known[0]!
  const plain = plainEncodings[first] ?? plainEncodings[first.replace('ISO 2022 IR', 'ISO_IR')]
  if (known.length === 1 && plain !== undefined) return { terms: known, decode: plainDecoder(plain) }
  const charsets = known.map(term =>
    term.startsWith('ISO_IR ') ? term.replace('ISO_IR', 'ISO 2022 IR') : term,
  )
  const whole = charsets.join('\\')
  const simple = plainDecoder(plain ?? 'latin1')
  return {
    terms: known,
    decode(bytes, vr) {
      if (isPlainAscii(bytes)) return latin1(bytes)
      try {
        return convertBytes(whole, bytes, { vr })
      } catch {
        return simple(bytes) // An escape that the terms do not announce: what can be read is better than nothing.
      }
    },
  }
}

/** Whether a term of SpecificCharacterSet can be decoded. */
export function isKnownTerm(term: string): boolean {
  return term in plainEncodings || term in characterSets
}

/** A term as people write it: without padding, and with the common slips repaired. */
export function readTerm(text: string): string {
  const term = text.replace(/[\0 ]+$/, '').trim()
  if (isKnownTerm(term) || term === '') return term
  const number = /^ISO[ _-]?(2022[ _-])?IR[ _-]?(\d+)$/i.exec(term)
  if (!number) return term
  return number[1] ? `ISO 2022 IR ${number[2]}` : `ISO_IR ${number[2]}`
}

function plainDecoder(encoding: string): (bytes: Uint8Array) => string {
  if (encoding === 'latin1') return latin1
  let decoder: InstanceType<typeof TextDecoder> | undefined
  return bytes => {
    if (isPlainAscii(bytes)) return latin1(bytes)
    decoder ??= new TextDecoder(encoding)
    return decoder.decode(bytes)
  }
}

function isPlainAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte >= 0x80 || byte === 0x1b) return false
  return true
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}
