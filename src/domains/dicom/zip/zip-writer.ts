// Writes a ZIP file to a sink, part by part, with bounded memory. Small members are deflated in one go, large ones
// stream. ZIP64 structures appear only where the old ones cannot hold a number.
// Own code instead of zip-stream: it deflates several members at a time, and small ones without a stream each.

import { readFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { crc32, createDeflateRaw, deflateRaw, deflateRawSync } from 'node:zlib'

/** Takes the bytes in their order; resolves when it can take more. */
export type Sink = (bytes: Uint8Array) => Promise<void> | void

export interface ZipOptions {
  readonly sink: Sink
  /** The time that members get. */
  readonly now: number
  /** 1 to 9, or 0 to store. */
  readonly level?: number
}

export interface Member {
  /** With `/` between folders. */
  readonly name: string
  /** Stored as it is: bytes that are compressed already. */
  readonly isStored?: boolean
}

export interface ZipWriter {
  /** Adds bytes. Several calls may be in flight: members come in the order of the calls. */
  addBytes(member: Member, bytes: Uint8Array): Promise<void>
  /** Adds a file of any size with bounded memory. */
  addFile(member: Member, file: { path: string; sizeBytes: number }): Promise<void>
  /** Writes the directory; the size of the whole file. */
  finish(): Promise<number>
}

const max32 = 0xffffffff
const max16 = 0xffff
/** Members up to this size are held in memory. */
const wholeBytesMax = 8 * 1024 * 1024
/** Up to this size deflating is done at once: handing over to a thread would cost more. */
const syncBytesMax = 64 * 1024
/** Small writes are gathered into ones of this size. */
const gatheredBytes = 128 * 1024
const deflateAside = promisify<Uint8Array, { level: number }, Buffer>(deflateRaw)

interface Entry {
  readonly name: Uint8Array
  readonly isUtf8: boolean
  readonly method: 0 | 8
  readonly crc: number
  readonly packed: number
  readonly size: number
  readonly at: number
  readonly isStreamed: boolean
}

interface Packed {
  readonly bytes: Uint8Array
  readonly crc: number
  readonly size: number
  readonly method: 0 | 8
}

/** Makes a writer of one ZIP file. */
export function makeZipWriter(options: ZipOptions): ZipWriter {
  const { sink } = options
  const level = options.level ?? 6
  const stamp = dosTime(options.now)
  const entries: Entry[] = []
  let at = 0
  let last: Promise<void> = Promise.resolve()

  let waiting: Uint8Array[] = []
  let waitingBytes = 0

  /** Small pieces are gathered; the very first ones go out at once, for somebody is waiting. */
  async function put(bytes: Uint8Array): Promise<void> {
    at += bytes.length
    waiting.push(bytes)
    waitingBytes += bytes.length
    if (waitingBytes >= gatheredBytes || at < gatheredBytes) await flush()
  }

  async function flush(): Promise<void> {
    if (waitingBytes === 0) return
    const bytes = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting, waitingBytes)
    waiting = []
    waitingBytes = 0
    await sink(bytes)
  }

  /** Runs `write` after everything before it, so that members never mix. */
  function inOrder(write: () => Promise<void>): Promise<void> {
    const mine = last.then(write)
    last = mine.catch(() => {}) // Its caller hears of it; those after it fail by themselves if the sink is broken.
    return mine
  }

  function addBytes(member: Member, bytes: Uint8Array): Promise<void> {
    return addPacked(member, prepare(member, bytes))
  }

  async function prepare(member: Member, coming: Uint8Array | Promise<Uint8Array>): Promise<Packed> {
    const bytes = coming instanceof Uint8Array ? coming : await coming
    const crc = crc32(bytes)
    if (member.isStored || level === 0 || bytes.length === 0)
      return { bytes, crc, size: bytes.length, method: 0 }
    const packed = await pack(bytes, level)
    const isWorse = packed.length >= bytes.length
    return { bytes: isWorse ? bytes : packed, crc, size: bytes.length, method: isWorse ? 0 : 8 }
  }

  /** The place is taken at once, the bytes may come later. */
  function addPacked(member: Member, coming: Promise<Packed>): Promise<void> {
    coming.catch(() => {}) // Heard when its turn comes.
    return inOrder(async () => {
      const { bytes, crc, size, method } = await coming
      const entry: Entry = {
        ...nameOf(member),
        method,
        crc,
        packed: bytes.length,
        size,
        at,
        isStreamed: false,
      }
      entries.push(entry)
      await put(localHeader(entry, stamp))
      await put(bytes)
    })
  }

  function addFile(member: Member, file: { path: string; sizeBytes: number }): Promise<void> {
    if (file.sizeBytes > wholeBytesMax) return inOrder(() => streamFile(member, file.path, file.sizeBytes))
    // A small file is read at once: on a worker thread that is quicker than asking for it.
    const bytes = file.sizeBytes <= syncBytesMax ? readFileSync(file.path) : readFile(file.path)
    return addPacked(member, prepare(member, bytes))
  }

  async function streamFile(member: Member, path: string, expected: number): Promise<void> {
    const method = member.isStored || level === 0 ? 0 : 8
    const begin = at
    const opening: Entry = {
      ...nameOf(member),
      method,
      crc: 0,
      packed: 0,
      size: expected,
      at: begin,
      isStreamed: true,
    }
    await put(localHeader(opening, stamp))
    const dataAt = at
    let crc = 0
    let size = 0
    const handle = await open(path)
    try {
      const source = handle.createReadStream({ autoClose: false, highWaterMark: 256 * 1024 })
      async function* counted() {
        for await (const chunk of source) {
          crc = crc32(chunk, crc)
          size += chunk.length
          yield chunk as Uint8Array
        }
      }
      if (method === 0) for await (const chunk of counted()) await put(chunk)
      else for await (const chunk of deflated(counted(), level)) await put(chunk)
    } finally {
      await handle.close()
    }
    const entry: Entry = { ...opening, crc, size, packed: at - dataAt }
    entries.push(entry)
    await put(dataDescriptor(entry, expected))
  }

  async function finish(): Promise<number> {
    await last
    const directoryAt = at
    let chunk: Uint8Array[] = []
    for (const entry of entries) {
      chunk.push(directoryHeader(entry, stamp))
      if (chunk.length === 512) {
        await put(Buffer.concat(chunk))
        chunk = []
      }
    }
    await put(Buffer.concat([...chunk]))
    await put(ending({ count: entries.length, directoryAt, directoryBytes: at - directoryAt }))
    await flush()
    return at
  }

  return { addBytes, addFile, finish }
}

function pack(bytes: Uint8Array, level: number): Promise<Uint8Array> | Uint8Array {
  return bytes.length <= syncBytesMax ? deflateRawSync(bytes, { level }) : deflateAside(bytes, { level })
}

async function* deflated(source: AsyncIterable<Uint8Array>, level: number): AsyncIterable<Uint8Array> {
  const deflate = createDeflateRaw({ level, chunkSize: 256 * 1024 })
  const input = Readable.from(source)
  input.once('error', error => deflate.destroy(error))
  yield* input.pipe(deflate) as AsyncIterable<Uint8Array>
}

function nameOf(member: Member): { name: Uint8Array; isUtf8: boolean } {
  const name = Buffer.from(member.name, 'utf8')
  if (name.length > max16) throw new RangeError('a name in a ZIP file may have 65 535 bytes')
  return { name, isUtf8: name.some(byte => byte >= 0x80) }
}

/** Bit 3: sizes follow the data; bit 11: the name is UTF-8. */
function flagsOf(entry: Entry): number {
  return (entry.isStreamed ? 0x0008 : 0) | (entry.isUtf8 ? 0x0800 : 0)
}

function localHeader(entry: Entry, stamp: { date: number; time: number }): Uint8Array {
  // A streamed member announces by its extra field that its sizes, after the data, have eight bytes each.
  const needs64 = entry.isStreamed ? isNear4G(entry.size) : entry.size > max32 || entry.packed > max32
  const extra = needs64
    ? zip64Extra(entry.isStreamed ? [0, 0] : [entry.size, entry.packed])
    : new Uint8Array(0)
  const header = Buffer.alloc(30)
  header.writeUInt32LE(0x04034b50, 0)
  header.writeUInt16LE(needs64 ? 45 : 20, 4)
  header.writeUInt16LE(flagsOf(entry), 6)
  header.writeUInt16LE(entry.method, 8)
  header.writeUInt16LE(stamp.time, 10)
  header.writeUInt16LE(stamp.date, 12)
  header.writeUInt32LE(entry.isStreamed ? 0 : entry.crc, 14)
  header.writeUInt32LE(needs64 ? max32 : entry.isStreamed ? 0 : entry.packed, 18)
  header.writeUInt32LE(needs64 ? max32 : entry.isStreamed ? 0 : entry.size, 22)
  header.writeUInt16LE(entry.name.length, 26)
  header.writeUInt16LE(extra.length, 28)
  return Buffer.concat([header, entry.name, extra])
}

/** Deflating may add a little, so that the decision is made some way before the limit. */
function isNear4G(sizeBytes: number): boolean {
  return sizeBytes > max32 - 64 * 1024 * 1024
}

function dataDescriptor(entry: Entry, expected: number): Uint8Array {
  const is64 = isNear4G(expected)
  const bytes = Buffer.alloc(is64 ? 24 : 16)
  bytes.writeUInt32LE(0x08074b50, 0)
  bytes.writeUInt32LE(entry.crc, 4)
  if (is64) {
    bytes.writeBigUInt64LE(BigInt(entry.packed), 8)
    bytes.writeBigUInt64LE(BigInt(entry.size), 16)
  } else {
    bytes.writeUInt32LE(entry.packed, 8)
    bytes.writeUInt32LE(entry.size, 12)
  }
  return bytes
}

function directoryHeader(entry: Entry, stamp: { date: number; time: number }): Uint8Array {
  const large = [entry.size, entry.packed, entry.at].filter(number => number >= max32)
  const extra = large.length > 0 ? zip64Extra(large) : new Uint8Array(0)
  const header = Buffer.alloc(46)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE(45, 4)
  header.writeUInt16LE(large.length > 0 ? 45 : 20, 6)
  header.writeUInt16LE(flagsOf(entry), 8)
  header.writeUInt16LE(entry.method, 10)
  header.writeUInt16LE(stamp.time, 12)
  header.writeUInt16LE(stamp.date, 14)
  header.writeUInt32LE(entry.crc, 16)
  header.writeUInt32LE(Math.min(entry.packed, max32), 20)
  header.writeUInt32LE(Math.min(entry.size, max32), 24)
  header.writeUInt16LE(entry.name.length, 28)
  header.writeUInt16LE(extra.length, 30)
  header.writeUInt32LE(Math.min(entry.at, max32), 42)
  return Buffer.concat([header, entry.name, extra])
}

function zip64Extra(numbers: readonly number[]): Uint8Array {
  const extra = Buffer.alloc(4 + numbers.length * 8)
  extra.writeUInt16LE(1, 0)
  extra.writeUInt16LE(numbers.length * 8, 2)
  numbers.forEach((number, index) => {
    extra.writeBigUInt64LE(BigInt(number), 4 + index * 8)
  })
  return extra
}

function ending(facts: { count: number; directoryAt: number; directoryBytes: number }): Uint8Array {
  const { count, directoryAt, directoryBytes } = facts
  const parts: Uint8Array[] = []
  if (count >= max16 || directoryAt >= max32 || directoryBytes >= max32) {
    const end64 = Buffer.alloc(56)
    end64.writeUInt32LE(0x06064b50, 0)
    end64.writeBigUInt64LE(44n, 4)
    end64.writeUInt16LE(45, 12)
    end64.writeUInt16LE(45, 14)
    end64.writeBigUInt64LE(BigInt(count), 24)
    end64.writeBigUInt64LE(BigInt(count), 32)
    end64.writeBigUInt64LE(BigInt(directoryBytes), 40)
    end64.writeBigUInt64LE(BigInt(directoryAt), 48)
    const locator = Buffer.alloc(20)
    locator.writeUInt32LE(0x07064b50, 0)
    locator.writeBigUInt64LE(BigInt(directoryAt + directoryBytes), 8)
    locator.writeUInt32LE(1, 16)
    parts.push(end64, locator)
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(Math.min(count, max16), 8)
  end.writeUInt16LE(Math.min(count, max16), 10)
  end.writeUInt32LE(Math.min(directoryBytes, max32), 12)
  end.writeUInt32LE(Math.min(directoryAt, max32), 16)
  parts.push(end)
  return Buffer.concat(parts)
}

function dosTime(now: number): { date: number; time: number } {
  const at = new Date(now)
  const year = Math.min(2107, Math.max(1980, at.getUTCFullYear()))
  return {
    date: ((year - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
  }
}
