// A strict tar reader for archives that strangers made: ustar, pax and GNU long names, nothing sparse or split.
// Written here because the header cost of the library at hand grows with (global keys × entries), which a small
// hostile file can turn into hours; this one is linear in the bytes and bounded in memory (README.md).
import { isUtf8 } from 'node:buffer'
import type { ByteSource } from './byte-source.ts'
import { ImageError } from './image-error.ts'
import type { ImageLimits } from './limits.ts'

/** What an entry makes; `device` covers character and block devices. */
export type TarType = 'file' | 'link' | 'symlink' | 'directory' | 'device' | 'fifo'

/** One entry; its content must be read before the next entry is asked for, or it is skipped. */
export interface TarEntry {
  readonly name: string
  readonly type: TarType
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly mtimeMs: number
  /** Target of a symbolic or hard link, else ''. */
  readonly linkName: string
  /** Where the content begins, counted from the beginning of the source. */
  readonly contentAt: number
  content(): AsyncGenerator<Buffer>
}

/** How to read. */
export interface TarOptions {
  readonly limits: ImageLimits
  /** Refuse an archive that just stops: for archives whose whole content no digest covers. */
  readonly mustEnd?: boolean
}

const BLOCK = 512
const OWNER_MAX = 0xffff_fffe // the highest 32-bit number means "leave as it is"
const MTIME_MS_MAX = 2 ** 33 * 1000
const typesByFlag: Record<string, TarType> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
}

/** The entries of a tar in their order. Ends at the first block of zeros; what follows is left unread. */
export async function* readTar(source: ByteSource, options: TarOptions): AsyncGenerator<TarEntry> {
  let extended: Extended = {}
  let extendedBytes = 0
  for (;;) {
    const block = await source.take(BLOCK)
    if (block === undefined) {
      if (options.mustEnd)
        throw new ImageError('format', 'the archive has no end mark: it is probably truncated')
      return
    }
    if (block.every(byte => byte === 0)) return
    const header = readHeader(block)

    if ('xgLK'.includes(header.flag)) {
      extendedBytes += BLOCK + header.sizeBytes
      if (extendedBytes > options.limits.maxExtendedHeaderBytes) {
        throw new ImageError(
          'limit',
          `extended headers of more than ${options.limits.maxExtendedHeaderBytes} bytes (maxExtendedHeaderBytes)`,
        )
      }
      const body = await source.take(header.sizeBytes)
      if (body === undefined) throw new ImageError('format', 'the archive is truncated')
      await source.skip(padding(header.sizeBytes))
      extended = { ...extended, ...readExtended(header.flag, body) }
      continue
    }

    const type = typesByFlag[header.flag]
    const name = extended.name ?? header.name
    if (type === undefined) {
      throw new ImageError('format', `${quote(name)}: tar entry type ${quote(header.flag)} is not supported`)
    }
    if (extended.sparse)
      throw new ImageError('format', `${quote(name)}: sparse tar entries are not supported`)
    const sizeBytes = type === 'file' ? (extended.sizeBytes ?? header.sizeBytes) : 0
    const uid = extended.uid ?? header.uid
    const gid = extended.gid ?? header.gid
    if (uid > OWNER_MAX || gid > OWNER_MAX) {
      throw new ImageError('format', `${quote(name)}: an impossible owner ${uid}:${gid}`)
    }
    const contentAt = source.offset
    let unread = sizeBytes
    yield {
      name,
      type,
      mode: header.mode,
      uid,
      gid,
      sizeBytes,
      mtimeMs: Math.min(extended.mtimeMs ?? header.mtimeMs, MTIME_MS_MAX),
      linkName: extended.linkName ?? header.linkName,
      contentAt,
      async *content() {
        while (unread > 0) {
          const part = await source.some(unread)
          unread -= part.length
          yield part
        }
      },
    }
    await source.skip(unread + padding(sizeBytes))
    extended = {}
    extendedBytes = 0
  }
}

interface Header {
  readonly name: string
  readonly flag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly mtimeMs: number
  readonly linkName: string
}

function readHeader(block: Buffer): Header {
  if (!isChecksumRight(block)) {
    throw new ImageError('format', 'not a tar archive, or a damaged one (header checksum)')
  }
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isPosix ? readText(block, 345, 155) : ''
  const name = readText(block, 0, 100)
  const flag = String.fromCharCode(block[156] ?? 0)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    // Before there was a flag for directories, a name ending in a slash was one.
    flag: (flag === '\0' || flag === '0') && name.endsWith('/') ? '5' : flag,
    mode: readNumber(block, 100, 8, 'mode') & 0o7777,
    uid: readNumber(block, 108, 8, 'uid'),
    gid: readNumber(block, 116, 8, 'gid'),
    sizeBytes: readNumber(block, 124, 12, 'size'),
    mtimeMs: readNumber(block, 136, 12, 'mtime') * 1000,
    linkName: readText(block, 157, 100),
  }
}

function isChecksumRight(block: Buffer): boolean {
  const stated = readNumber(block, 148, 8, 'checksum')
  let unsigned = 0
  let signed = 0
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 32 : (block[i] ?? 0)
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte // some old writers summed signed characters
  }
  return stated === unsigned || stated === signed
}

function readNumber(block: Buffer, at: number, length: number, field: string): number {
  const first = block[at] ?? 0
  if (first >= 0x80) {
    // Base 256, for what does not fit the octal digits. Negative numbers (0xff) are of no use to us.
    let value = first & 0x7f
    for (let i = at + 1; i < at + length; i++) value = value * 256 + (block[i] ?? 0)
    if (first === 0xff && field === 'mtime') return 0
    if (!Number.isSafeInteger(value)) throw new ImageError('format', `tar header with an impossible ${field}`)
    return value
  }
  const text = block.toString('latin1', at, at + length)
  const digits = /^ *([0-7]*)[ \0]*/.exec(text)?.[1] ?? ''
  if (digits === '' && !/^[ \0]*$/.test(text)) {
    const what =
      field === 'checksum' ? 'not a tar archive' : `tar header with a ${field} that is not a number`
    throw new ImageError('format', what)
  }
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function readText(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at)
  return decodeUtf8(block.subarray(at, end === -1 || end > at + length ? at + length : end))
}

interface Extended {
  readonly name?: string
  readonly linkName?: string
  readonly sizeBytes?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtimeMs?: number
  readonly sparse?: boolean
}

function readExtended(flag: string, body: Buffer): Extended {
  if (flag === 'L') return { name: readText(body, 0, body.length) }
  if (flag === 'K') return { linkName: readText(body, 0, body.length) }
  const found: { -readonly [key in keyof Extended]: Extended[key] } = {}
  for (const [key, value] of paxRecords(body)) {
    if (key === 'path') found.name = value
    else if (key === 'linkpath') found.linkName = value
    else if (key === 'size') found.sizeBytes = paxNumber(key, value)
    else if (key === 'uid') found.uid = paxNumber(key, value)
    else if (key === 'gid') found.gid = paxNumber(key, value)
    else if (key === 'mtime') found.mtimeMs = Math.max(0, Math.floor(Number(value) * 1000)) || 0
    else if (key.startsWith('GNU.sparse.')) found.sparse = true
  }
  // A global header applies to every later entry: harmless for comments, and for a name, a size or a link target
  // only ever an attempt to show two readers two different archives.
  if (flag === 'g') {
    if (
      found.name !== undefined ||
      found.linkName !== undefined ||
      found.sizeBytes !== undefined ||
      found.sparse
    ) {
      throw new ImageError('unsafe', 'a global pax header sets path, linkpath or size')
    }
    return {}
  }
  return found
}

function* paxRecords(body: Buffer): Generator<[key: string, value: string]> {
  const bad = () => new ImageError('format', 'a damaged pax header')
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const space = body.indexOf(32, at)
    if (space === -1 || space - at > 10) throw bad()
    const digits = body.toString('latin1', at, space)
    if (!/^[0-9]+$/.test(digits)) throw bad()
    const end = at + Number(digits)
    const equals = body.indexOf(61, space)
    if (end > body.length || end <= space + 1 || body[end - 1] !== 10 || equals === -1 || equals >= end)
      throw bad()
    const key = body.toString('latin1', space + 1, equals)
    // Values of other keys (extended attributes) may be any bytes and are not looked at.
    const isText = key === 'path' || key === 'linkpath'
    const value = body.subarray(equals + 1, end - 1)
    yield [key, isText ? decodeUtf8(value) : value.toString('latin1')]
    at = end
  }
}

function paxNumber(key: string, value: string): number {
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(number)) throw new ImageError('format', `a pax header with an impossible ${key}`)
  return number
}

function decodeUtf8(bytes: Buffer): string {
  // Two different byte names must never become one: a lossy name would overwrite a neighbour.
  if (!isUtf8(bytes)) throw new ImageError('format', 'a tar entry name is not UTF-8')
  return bytes.toString('utf8')
}

function padding(sizeBytes: number): number {
  return (BLOCK - (sizeBytes % BLOCK)) % BLOCK
}

/** A name from an archive, safe to print and not longer than a line. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name)
}
