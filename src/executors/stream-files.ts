// Where the streams of attempts are kept: flat files in 256 folders, which are made once.

import { mkdirSync } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Chunk } from './executor.ts'

/** Makes the folders, so that starting an attempt never makes one. */
export function makeStreamFolders(folder: string): void {
  mkdirSync(join(folder, 'spare'), { recursive: true, mode: 0o700 })
  for (let shard = 0; shard < 256; shard++)
    mkdirSync(join(folder, 'streams', shard.toString(16).padStart(2, '0')), { recursive: true, mode: 0o700 })
}

const keyPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/** Whether a key can name an attempt's files. */
export function isFileKey(key: string): boolean {
  return keyPattern.test(key)
}

/** Where a stream of an attempt lies. */
export function streamPath(folder: string, key: string, stream: 'out' | 'err' | 'in'): string {
  return join(folder, 'streams', shardOf(key), `${key}.${stream}`)
}

function shardOf(key: string): string {
  let hash = 0
  for (let i = 0; i < key.length; i++) hash = (hash * 31 + key.charCodeAt(i)) | 0
  return (hash & 0xff).toString(16).padStart(2, '0')
}

/** Bytes of a file from an offset, as it is now; undefined when there is no such file. */
export async function readStream(path: string, from: number, maxBytes: number): Promise<Chunk | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!file) return undefined
  try {
    const { size } = await file.stat()
    const bytes = Buffer.alloc(Math.max(0, Math.min(maxBytes, size - from)))
    const { bytesRead } = bytes.length > 0 ? await file.read(bytes, 0, bytes.length, from) : { bytesRead: 0 }
    return { bytes: bytes.subarray(0, bytesRead), sizeBytes: size }
  } finally {
    await file.close()
  }
}

/** Removes the streams of these attempts, a few at a time, without anybody waiting for it. */
export function removeStreams(folder: string, keys: readonly string[]): void {
  const paths = keys.flatMap(key =>
    (['out', 'err', 'in'] as const).map(name => streamPath(folder, key, name)),
  )
  const lane = async () => {
    for (let path = paths.pop(); path !== undefined; path = paths.pop()) await unlink(path).catch(() => {}) // not there: fine
  }
  for (let i = 0; i < 2; i++) void lane()
}
