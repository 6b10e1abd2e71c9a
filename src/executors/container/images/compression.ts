// Which compression a stretch of bytes begins with, told by its first bytes, and how to undo it.
import type { FileHandle } from 'node:fs/promises'
import { pipeline, Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { ImageError } from './image-error.ts'

/** What we can undo. */
export type Compression = 'none' | 'gzip' | 'zstd'

const unreadable: readonly [name: string, magic: Buffer][] = [
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['bzip2', Buffer.from('BZh', 'latin1')],
  ['zip', Buffer.from('PK\x03\x04', 'latin1')],
]

/** Tells the compression by the first bytes; refuses formats that are known and not read here. */
export function compressionOf(first: Buffer): Compression {
  if (first.length >= 2 && first[0] === 0x1f && first[1] === 0x8b) return 'gzip'
  if (first.length >= 4 && first.readUInt32LE(0) === 0xfd2fb528) return 'zstd'
  for (const [name, magic] of unreadable) {
    if (first.subarray(0, magic.length).equals(magic)) {
      throw new ImageError('format', `the file is ${name}; read are tar, gzip and zstd`)
    }
  }
  return 'none'
}

/** The first bytes of a file. */
export async function firstBytes(handle: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(512)
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
  return buffer.subarray(0, bytesRead)
}

/** The decompressed chunks. Stopping early closes everything behind it. */
export async function* decompress(
  chunks: AsyncGenerator<Buffer>,
  compression: Compression,
): AsyncGenerator<Buffer> {
  if (compression === 'none') {
    yield* chunks
    return
  }
  const unpack = compression === 'gzip' ? createGunzip() : createZstdDecompress()
  let failure: unknown
  const source = Readable.from(chunks, { objectMode: false })
  source.on('error', error => {
    failure = error
  })
  // The error reaches the reader through the destroyed stream; the callback has nothing to add.
  pipeline(source, unpack, () => {})
  try {
    for await (const chunk of unpack) yield chunk as Buffer
  } catch (error) {
    if (failure !== undefined) throw failure
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code.startsWith('Z_') || code.startsWith('ZSTD_') || code.startsWith('ERR_')) {
      throw new ImageError('format', `damaged ${compression} data: ${(error as Error).message}`)
    }
    throw error
  }
}
