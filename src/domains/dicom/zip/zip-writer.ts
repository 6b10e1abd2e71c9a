// Writes a ZIP file to a sink, part by part, with bounded memory. Rows of small members come packed, others are
// deflated in one go, large ones stream.
// Own code instead of zip-stream: it deflates several large members at a time, and takes small ones by the row.

import { closeSync, createReadStream, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { crc32, createDeflateRaw, deflateRaw } from 'node:zlib'
import { asPacked, type Member, type Packed, packNow, shouldPack, syncBytesMax } from './pack-members.ts'
import {
  dataDescriptor,
  directoryExtra,
  directoryHeader,
  type Entry,
  ending,
  entriesOf,
  localExtra,
  localHeader,
  nameOf,
  stampOf,
} from './zip-format.ts'

/** Takes the bytes in their order; resolves when it can take more. They are not touched afterwards. */
export type Sink = (bytes: Uint8Array) => Promise<void> | void

export interface ZipOptions {
  readonly sink: Sink
  /** The time that members get. */
  readonly now: number
  /** 1 to 9, or 0 to store. */
  readonly level?: number
}

export interface ZipWriter {
  /** Adds bytes. Several calls may be in flight: members come in the order of the calls. */
  addBytes(member: Member, bytes: Uint8Array): Promise<void>
  /** Adds an open file of any size with bounded memory, and closes it. */
  addFile(member: Member, file: { fd: number; sizeBytes: number }): Promise<void>
  /** Adds a row of members (`packMembers`) that is there or is coming. Its bytes are not to be changed any more. */
  addRow(row: Uint8Array | Promise<Uint8Array>): Promise<void>
  /** Writes the directory; the size of the whole file. */
  finish(): Promise<number>
}

/** Members up to this size are held in memory. */
const wholeBytesMax = 8 * 1024 * 1024
/** Small writes are gathered into ones of this size. */
const gatheredBytes = 64 * 1024
const deflateAside = promisify<Uint8Array, { level: number; chunkSize: number }, Buffer>(deflateRaw)

/** Makes a writer of one ZIP file. */
export function makeZipWriter(options: ZipOptions): ZipWriter {
  const { sink } = options
  const level = options.level ?? 6
  const stamp = stampOf(options.now)
  const directory = new Gathered()
  const body = new Gathered()
  let count = 0
  let at = 0
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
    const extra = directoryExtra(entry)
    directory.add(directoryHeader(entry, stamp, extra.length))
    directory.add(entry.name)
    directory.add(extra)
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

  async function prepare(member: Member, bytes: Uint8Array): Promise<Packed> {
    if (bytes.length <= syncBytesMax) return packNow(member, bytes, level)
    if (!shouldPack(member, bytes, level)) return asPacked(bytes)
    // Large blocks: each one that is filled costs a way to the thread pool and back.
    return asPacked(bytes, await deflateAside(bytes, { level, chunkSize: 256 * 1024 }))
  }

  /** The place is taken at once, the bytes may come later. */
  function addPacked(member: Member, coming: Promise<Packed>): Promise<void> {
    coming.catch(() => {}) // Heard when its turn comes.
    return inOrder(async () => {
      const { bytes, crc, size, method } = await coming
      const sizes = { method, crc, packed: bytes.length, size, at, isStreamed: false }
      const entry: Entry = { ...nameOf(member.name), ...sizes }
      note(entry)
      putHeader(entry)
      put(bytes)
      await flushIfMuch()
    })
  }

  function putHeader(entry: Entry): void {
    const extra = localExtra(entry)
    put(localHeader(entry, stamp, extra.length))
    put(entry.name)
    put(extra)
  }

  function addRow(coming: Uint8Array | Promise<Uint8Array>): Promise<void> {
    if (coming instanceof Promise) coming.catch(() => {}) // Heard when its turn comes.
    return inOrder(async () => {
      const row = await coming
      for (const entry of entriesOf(row)) note({ ...entry, at: at + entry.at })
      put(row)
      await flushIfMuch()
    })
  }

  function addFile(member: Member, file: { fd: number; sizeBytes: number }): Promise<void> {
    if (file.sizeBytes > wholeBytesMax) return inOrder(() => streamFile(member, file.fd, file.sizeBytes))
    return addPacked(member, prepare(member, readWhole(file.fd)))
  }

  async function streamFile(member: Member, fd: number, expected: number): Promise<void> {
    const method = member.isStored || level === 0 ? 0 : 8
    const empty = { method, crc: 0, packed: 0, size: expected, at, isStreamed: true } as const
    const opening: Entry = { ...nameOf(member.name), ...empty }
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

  return { addBytes, addFile, addRow, finish }
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
