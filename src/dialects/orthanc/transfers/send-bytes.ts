// Bytes of a transfer from our own archive: the stretch of some instances that a bucket is made of.

import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { fileOf } from '../../../domains/dicom/store/browse.ts'
import { codes, fail, OrthancError } from '../errors.ts'
import type { House } from '../house.ts'

/** The bytes that instances, one after another, have from `offset` on; `size` of them. */
export async function readStretch(
  house: House,
  { ids, offset, size }: { ids: readonly string[]; offset: number; size: number },
): Promise<Buffer> {
  const stretch = Buffer.allocUnsafe(size)
  let filled = 0
  let skip = offset
  for (const id of ids) {
    if (filled === size) break
    const instance = await house.archive.browse.get('instance', id)
    if (!instance) throw new OrthancError(codes.unknownResource, `There is no instance ${id}`)
    const { hash, sizeBytes } = fileOf(instance)
    if (skip >= sizeBytes) fail(codes.outOfRange, 'The offset is beyond the first instance')
    const to = Math.min(sizeBytes, skip + size - filled)
    for await (const chunk of house.kit.blobs.open(hash, { from: skip, to })) {
      filled += (chunk as Buffer).copy(stretch, filled)
    }
    skip = 0
  }
  if (filled !== size) fail(codes.outOfRange, 'The instances are not that long')
  return stretch
}

export type Compression = 'gzip' | 'none'

/** A piece as it goes over the wire. */
export async function pack(bytes: Buffer, compression: Compression): Promise<Buffer> {
  return compression === 'gzip' ? promisify(gzip)(bytes, { level: 1 }) : bytes
}

/** Unpacks to exactly so many bytes, never to more. */
export async function unpack(bytes: Buffer, compression: Compression, size: number): Promise<Buffer> {
  let plain = bytes
  if (compression === 'gzip') {
    try {
      plain = await promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)(bytes, {
        maxOutputLength: Math.max(1, size),
      })
    } catch (error) {
      fail(codes.badFormat, `The bucket cannot be unpacked: ${(error as Error).message}`)
    }
  }
  if (plain.length !== size) fail(codes.badFormat, `The bucket has ${plain.length} bytes, not ${size}`)
  return plain
}
