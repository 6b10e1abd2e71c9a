// Writes a ZIP file to a sink, part by part, with bounded memory. Small members are deflated in one go, large ones
// stream. ZIP64 structures appear only where the old ones cannot hold a number.
// Own code instead of zip-stream: it deflates several large members at a time, and adds small ones without a promise or
// a stream each.

import { closeSync, createReadStream, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { crc32, createDeflateRaw, deflateRaw, deflateRawSync } from 'node:zlib'

/** Takes the bytes in their order; resolves when it can take more. They are not touched afterwards. */
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
  /** Adds an open file of any size with bounded memory, and closes it. */
  addFile(member: Member, file: { fd: number; sizeBytes: number }): Promise<void>
  /** Adds a few bytes on the spot, unless others are in flight. A promise when the sink has to be waited for. */
  addNow(member: Member, bytes: Uint8Array): Promise<void> | undefined
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
const gatheredBytes = 64 * 1024
const deflateAside = promisify<Uint8Array, { level: number; chunkSize: number }, Buffer>(deflateRaw)

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
  const directory = new Gathered()
  const body = new Gathered()
  let count = 0
  let at = 0
  let inFlight = 0
  let last: Promise<void> = Promise.resolve()

  /** Small pieces are gathered; the very first ones go out at once, for somebody is waiting. */
  function put(bytes: Uint8Array): void {
    at += bytes.length
    body.add(bytes)
  }

  function flushIfMuch(): Promise<void> | void {
    if (body.length >= gatheredBytes || body.isUntaken) return flush()
  }

  function flush(): Promise<void> | void {
    const bytes = body.take()
    if (bytes.length > 0) return sink(bytes)
  }

  function note(entry: Entry): void {
    count++
    directory.add(directoryHeader(entry, stamp))
    directory.add(entry.name)
    directory.add(directoryExtra(entry))
  }

  /** Runs `write` after everything before it, so that members never mix. */
  function inOrder(write: () => Promise<void>): Promise<void> {
    inFlight++
    const mine = last.then(write).finally(() => inFlight--)
    last = mine.catch(() => {}) // Its caller hears of it; those after it fail by themselves if the sink is broken.
    return mine
  }

  function addBytes(member: Member, bytes: Uint8Array): Promise<void> {
    return addPacked(member, prepare(member, bytes))
  }

  function addNow(member: Member, bytes: Uint8Array): Promise<void> | undefined {
    if (inFlight > 0 || bytes.length > syncBytesMax) return addBytes(member, bytes)
    putMember(member, asPacked(bytes, shouldPack(member, bytes) ? packSync(bytes, level) : undefined))
    return flushIfMuch() ?? undefined
  }

  function shouldPack(member: Member, bytes: Uint8Array): boolean {
    return !member.isStored && level > 0 && bytes.length > 0
  }

  async function prepare(member: Member, bytes: Uint8Array): Promise<Packed> {
    if (!shouldPack(member, bytes)) return asPacked(bytes)
    if (bytes.length <= syncBytesMax) return asPacked(bytes, packSync(bytes, level))
    // Large blocks: each one that is filled costs a way to the thread pool and back.
    return asPacked(bytes, await deflateAside(bytes, { level, chunkSize: 256 * 1024 }))
  }

  /** The place is taken at once, the bytes may come later. */
  function addPacked(member: Member, coming: Promise<Packed>): Promise<void> {
    coming.catch(() => {}) // Heard when its turn comes.
    return inOrder(async () => {
      putMember(member, await coming)
      await flushIfMuch()
    })
  }

  function putMember(member: Member, { bytes, crc, size, method }: Packed): void {
    const sizes = { method, crc, packed: bytes.length, size, at, isStreamed: false }
    const entry: Entry = { ...nameOf(member), ...sizes }
    note(entry)
    putHeader(entry)
    put(bytes)
  }

  function putHeader(entry: Entry): void {
    const extra = localExtra(entry)
    put(localHeader(entry, stamp, extra.length))
    put(entry.name)
    put(extra)
  }

  function addFile(member: Member, file: { fd: number; sizeBytes: number }): Promise<void> {
    if (file.sizeBytes > wholeBytesMax) return inOrder(() => streamFile(member, file.fd, file.sizeBytes))
    return addPacked(member, prepare(member, readWhole(file.fd)))
  }

  async function streamFile(member: Member, fd: number, expected: number): Promise<void> {
    const method = member.isStored || level === 0 ? 0 : 8
    const empty = { method, crc: 0, packed: 0, size: expected, at, isStreamed: true } as const
    const opening: Entry = { ...nameOf(member), ...empty }
    putHeader(opening)
    const dataAt = at
    let crc = 0
    let size = 0
    async function* counted() {
      for await (const chunk of createReadStream('', { fd, highWaterMark: 256 * 1024 })) {
        crc = crc32(chunk, crc)
        size += chunk.length
        yield chunk as Uint8Array
      }
    }
    for await (const chunk of method === 0 ? counted() : deflated(counted(), level)) {
      put(chunk)
      await flushIfMuch()
    }
    const entry: Entry = { ...opening, crc, size, packed: at - dataAt }
    note(entry)
    put(dataDescriptor(entry, expected))
    await flushIfMuch()
  }

  async function finish(): Promise<number> {
    await last
    await flush()
    const directoryAt = at
    for (const chunk of directory.takeAll()) {
      at += chunk.length
      await sink(chunk)
    }
    put(ending({ count, directoryAt, directoryBytes: at - directoryAt }))
    await flush()
    return at
  }

  return { addBytes, addFile, addNow, finish }
}

/** Bytes that are gathered in blocks: cheap to add to, and nothing is kept of the pieces. */
class Gathered {
  #full: Uint8Array[] = []
  #block = Buffer.allocUnsafeSlow(4096)
  #used = 0
  length = 0
  /** Nothing was taken yet. */
  isUntaken = true

  add(bytes: Uint8Array): void {
    this.length += bytes.length
    if (bytes.length > this.#block.length - this.#used) {
      this.#close()
      if (bytes.length >= gatheredBytes) {
        this.#full.push(bytes)
        return
      }
      this.#block = Buffer.allocUnsafeSlow(gatheredBytes + 8192)
    }
    this.#block.set(bytes, this.#used)
    this.#used += bytes.length
  }

  /** Everything so far, as one piece. */
  take(): Uint8Array {
    const parts = this.takeAll()
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  takeAll(): Uint8Array[] {
    this.#close()
    const parts = this.#full
    this.#full = []
    this.length = 0
    this.isUntaken = false
    return parts
  }

  #close(): void {
    if (this.#used > 0) this.#full.push(this.#block.subarray(0, this.#used))
    this.#block = this.#block.subarray(this.#used)
    this.#used = 0
  }
}

function asPacked(bytes: Uint8Array, packed?: Uint8Array): Packed {
  const crc = crc32(bytes)
  const size = bytes.length
  if (packed === undefined || packed.length >= size) return { bytes, crc, size, method: 0 }
  return { bytes: packed, crc, size, method: 8 }
}

/** A deflater for few bytes needs little memory, and asking for little is what makes it cheap. */
function packSync(bytes: Uint8Array, level: number): Uint8Array {
  const windowBits = Math.min(15, Math.max(9, 32 - Math.clz32(bytes.length)))
  const memLevel = windowBits >= 15 ? 8 : 7
  return deflateRawSync(bytes, { level, windowBits, memLevel, chunkSize: Math.max(1024, bytes.length >> 1) })
}

/** Read at once: on a worker thread that is quicker than asking the thread pool, which is busy deflating. */
function readWhole(fd: number): Uint8Array {
  try {
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
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

const nothing = new Uint8Array(0)

/** A streamed member announces by its extra field that its sizes, after the data, have eight bytes each. */
function localExtra(entry: Entry): Uint8Array {
  const needs64 = entry.isStreamed ? isNear4G(entry.size) : entry.size > max32 || entry.packed > max32
  return needs64 ? zip64Extra(entry.isStreamed ? [0, 0] : [entry.size, entry.packed]) : nothing
}

function localHeader(entry: Entry, stamp: { date: number; time: number }, extraBytes: number): Uint8Array {
  const needs64 = extraBytes > 0
  const header = Buffer.allocUnsafe(30)
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
  header.writeUInt16LE(extraBytes, 28)
  return header
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
  const extraBytes = directoryExtra(entry).length
  const header = Buffer.alloc(46)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE(45, 4)
  header.writeUInt16LE(extraBytes > 0 ? 45 : 20, 6)
  header.writeUInt16LE(flagsOf(entry), 8)
  header.writeUInt16LE(entry.method, 10)
  header.writeUInt16LE(stamp.time, 12)
  header.writeUInt16LE(stamp.date, 14)
  header.writeUInt32LE(entry.crc, 16)
  header.writeUInt32LE(Math.min(entry.packed, max32), 20)
  header.writeUInt32LE(Math.min(entry.size, max32), 24)
  header.writeUInt16LE(entry.name.length, 28)
  header.writeUInt16LE(extraBytes, 30)
  header.writeUInt32LE(Math.min(entry.at, max32), 42)
  return header
}

/** What does not fit into the header's own fields. */
function directoryExtra(entry: Entry): Uint8Array {
  if (entry.size < max32 && entry.packed < max32 && entry.at < max32) return nothing
  return zip64Extra([entry.size, entry.packed, entry.at].filter(number => number >= max32))
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
