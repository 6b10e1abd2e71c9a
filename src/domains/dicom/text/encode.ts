// Strings to DICOM text: reverse tables built once from the platform's decoders. A character that a set does not
// have becomes a question mark, as DICOM software has always done.

import { plainEncodings, readTerm } from './decode.ts'

export interface Encoder {
  encode(text: string): Uint8Array
}

/** The encoder for the terms of SpecificCharacterSet, the first one being the plain set: ASCII where it is empty. */
export function makeEncoder(terms: readonly string[]): Encoder {
  const names = terms.map(term => readTerm(term) || 'ISO_IR 6')
  const first = names[0] ?? 'ISO_IR 6'
  if (first === 'ISO_IR 192') return { encode: text => Buffer.from(text, 'utf8') }
  const tables: Table[] = []
  for (const name of names) {
    // Alone it reads as Latin-1, which many files without a character set hold. Beside others its right half is theirs.
    if (names.length > 1 && isAscii(name)) continue
    const table = tableOf(name)
    if (table) tables.push(table)
  }
  // Sets of two bytes are announced wherever they begin; a plain first set is there from the start.
  const initial = isAnnounced(first) || (names.length > 1 && isAscii(first)) ? undefined : tables[0]
  return {
    encode(text) {
      if (/^[\0-\x7f]*$/.test(text)) return Buffer.from(text, 'latin1')
      return encodeWith(tables, initial, text)
    },
  }
}

function isAscii(term: string): boolean {
  return /^ISO(_| 2022 )IR 6$/.test(term)
}

function isAnnounced(term: string): boolean {
  return /^ISO 2022 IR (58|87|149|159)$/.test(term)
}

interface Table {
  /** What announces it, when it is not the initial set. */
  readonly escape: readonly number[]
  /** Whether it replaces ASCII (G0), so that one must go back to ASCII before a delimiter. */
  readonly isG0: boolean
  readonly bytes: ReadonlyMap<string, readonly number[]>
}

function encodeWith(tables: readonly Table[], initial: Table | undefined, text: string): Uint8Array {
  const out: number[] = []
  let active = initial
  let inAscii = true
  for (const char of text) {
    if (char < '\x80') {
      if (!inAscii) out.push(0x1b, 0x28, 0x42)
      inAscii = true
      // Delimiters reset the code extensions: what was announced must be announced again.
      if (char === '\\' || char === '^' || char === '=' || char === '\n' || char === '\r') active = initial
      out.push(char.charCodeAt(0))
      continue
    }
    const table = active?.bytes.has(char) ? active : tables.find(other => other.bytes.has(char))
    if (!table) {
      if (!inAscii) out.push(0x1b, 0x28, 0x42)
      inAscii = true
      out.push(0x3f)
      continue
    }
    if (table.isG0) {
      if (inAscii || table !== active) out.push(...table.escape)
      inAscii = false
    } else if (table !== active && table.escape.length > 0) {
      out.push(...table.escape)
    }
    active = table
    out.push(...table.bytes.get(char)!)
  }
  if (!inAscii) out.push(0x1b, 0x28, 0x42)
  return Uint8Array.from(out)
}

/** Escapes that announce the right half (G1) of single-byte sets, by ISO-IR number. */
const singleByteEscapes: Readonly<Record<string, number>> = {
  '100': 0x41,
  '101': 0x42,
  '109': 0x43,
  '110': 0x44,
  '144': 0x4c,
  '127': 0x47,
  '126': 0x46,
  '138': 0x48,
  '148': 0x4d,
  '166': 0x54,
}

function tableOf(term: string): Table | undefined {
  if (term === 'ISO 2022 IR 87')
    return { escape: [0x1b, 0x24, 0x42], isG0: true, bytes: doubleByte('euc-jp', 0x80) }
  if (term === 'ISO 2022 IR 159')
    return { escape: [0x1b, 0x24, 0x28, 0x44], isG0: true, bytes: doubleByte('euc-jp', 0x80, [0x8f]) }
  if (term === 'ISO 2022 IR 149')
    return { escape: [0x1b, 0x24, 0x29, 0x43], isG0: false, bytes: doubleByte('euc-kr', 0) }
  if (term === 'ISO 2022 IR 58')
    return { escape: [0x1b, 0x24, 0x29, 0x41], isG0: false, bytes: doubleByte('gb2312', 0) }
  if (term === 'GB18030' || term === 'GBK')
    return { escape: [], isG0: false, bytes: doubleByte('gb18030', 0) }
  if (term === 'ISO_IR 13' || term === 'ISO 2022 IR 13') {
    return { escape: [0x1b, 0x29, 0x49], isG0: false, bytes: singleByte('shift-jis') }
  }
  const encoding = plainEncodings[term.replace('ISO 2022 IR', 'ISO_IR')]
  if (encoding === undefined || encoding === 'utf-8') return undefined
  const final = singleByteEscapes[/\d+$/.exec(term)?.[0] ?? '']
  return { escape: final === undefined ? [] : [0x1b, 0x2d, final], isG0: false, bytes: singleByte(encoding) }
}

function singleByte(encoding: string): Map<string, readonly number[]> {
  const bytes = new Map<string, readonly number[]>()
  for (let byte = 0x80; byte <= 0xff; byte++) {
    // TextDecoder reads `latin1` as windows-1252, which differs from it in 0x80 to 0x9f.
    const char =
      encoding === 'latin1'
        ? String.fromCharCode(byte)
        : new TextDecoder(encoding).decode(Uint8Array.of(byte))
    if (char.length === 1 && char !== '\ufffd') bytes.set(char, [byte])
  }
  return bytes
}

/**
 * Two-byte sets; `shift` is taken off each byte (sets that DICOM puts into the left half). `lead`: what the platform's
 * encoding puts before each pair.
 */
function doubleByte(
  encoding: string,
  shift: number,
  lead: readonly number[] = [],
): Map<string, readonly number[]> {
  const bytes = new Map<string, readonly number[]>()
  const decoder = new TextDecoder(encoding)
  const wide = encoding === 'gb18030'
  const pair = Uint8Array.from([...lead, 0, 0])
  for (let first = wide ? 0x81 : 0xa1; first <= 0xfe; first++) {
    for (let second = wide ? 0x40 : 0xa1; second <= 0xfe; second++) {
      pair[lead.length] = first
      pair[lead.length + 1] = second
      const char = decoder.decode(pair)
      if ([...char].length === 1 && char !== '\ufffd') bytes.set(char, [first - shift, second - shift])
    }
  }
  return bytes
}
