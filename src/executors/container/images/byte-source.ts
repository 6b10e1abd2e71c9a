// Bytes read in order: from a stream of chunks (a layer being decompressed) or from a file, where skipping is free.
import type { FileHandle } from 'node:fs/promises'
import { ImageError } from './image-error.ts'

/** What the tar reader reads from. */
export interface ByteSource {
  /** How many bytes were read or skipped so far. */
  readonly offset: number
  /** Exactly `count` bytes; undefined when the source ends right here; refused when it ends in between. */
  take(count: number): Promise<Buffer | undefined>
  /** Between one and `maxCount` bytes; refused at the end. */
  some(maxCount: number): Promise<Buffer>
  skip(count: number): Promise<void>
  /** Reads on without keeping anything; false at the end. */
  drop(): Promise<boolean>
}

const truncated = () => new ImageError('format', 'the archive is truncated')

/** A source over chunks, each used without copying where it can be. */
export function sourceFromChunks(chunks: AsyncIterable<Buffer>): ByteSource {
  const iterator = chunks[Symbol.asyncIterator]()
  let chunk: Buffer = Buffer.alloc(0)
  let at = 0
  let offset = 0

  async function fill(): Promise<boolean> {
    while (at === chunk.length) {
      const next = await iterator.next()
      if (next.done) return false
      chunk = next.value
      at = 0
    }
    return true
  }

  function cut(maxCount: number): Buffer {
    const part = chunk.subarray(at, at + maxCount)
    at += part.length
    offset += part.length
    return part
  }

  return {
    get offset() {
      return offset
    },
    async take(count) {
      if (count === 0) return Buffer.alloc(0)
      if (!(await fill())) return undefined
      if (chunk.length - at >= count) return cut(count)
      const parts = [cut(count)]
      let missing = count - (parts[0]?.length ?? 0)
      while (missing > 0) {
        if (!(await fill())) throw truncated()
        const part = cut(missing)
        parts.push(part)
        missing -= part.length
      }
      return Buffer.concat(parts, count)
    },
    async some(maxCount) {
      if (!(await fill())) throw truncated()
      return cut(maxCount)
    },
    async skip(count) {
      for (let missing = count; missing > 0; ) {
        if (!(await fill())) throw truncated()
        missing -= cut(missing).length
      }
    },
    async drop() {
      if (!(await fill())) return false
      cut(chunk.length)
      return true
    },
  }
}

/** A source over a stretch of an open file. */
export function sourceFromFile(handle: FileHandle, sizeBytes: number): ByteSource {
  let offset = 0

  async function read(count: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(count)
    let filled = 0
    while (filled < count) {
      const { bytesRead } = await handle.read(buffer, filled, count - filled, offset + filled)
      if (bytesRead === 0) throw truncated()
      filled += bytesRead
    }
    offset += count
    return buffer
  }

  return {
    get offset() {
      return offset
    },
    async take(count) {
      if (count > 0 && offset === sizeBytes) return undefined
      if (offset + count > sizeBytes) throw truncated()
      return read(count)
    },
    async some(maxCount) {
      if (offset >= sizeBytes) throw truncated()
      return read(Math.min(maxCount, sizeBytes - offset, 64 * 1024))
    },
    async skip(count) {
      if (offset + count > sizeBytes) throw truncated()
      offset += count
    },
    async drop() {
      const isMore = offset < sizeBytes
      offset = sizeBytes
      return isMore
    },
  }
}

/** The chunks of a stretch of an open file. */
export async function* fileChunks(
  handle: FileHandle,
  from: number,
  sizeBytes: number,
): AsyncGenerator<Buffer> {
  for (let done = 0; done < sizeBytes; ) {
    const buffer = Buffer.allocUnsafe(Math.min(256 * 1024, sizeBytes - done))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from + done)
    if (bytesRead === 0) throw truncated()
    done += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
