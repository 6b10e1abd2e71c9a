// Files that clients have had compressed: eight bytes with the length, then a zlib stream, as the original keeps them.
// The file of an instance is kept in plain as well, because archives and jobs read it all the time.

import { createHash } from 'node:crypto'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createDeflate, createInflate } from 'node:zlib'
import type { Level } from '../../domains/dicom/levels.ts'
import { type Attachment, dicomFile } from '../../domains/dicom/store/bodies.ts'
import type { House } from './house.ts'

/** A file of a resource. */
export interface FilePlace {
  readonly level: Level
  readonly id: string
  readonly number: string
  readonly file: Attachment
}

const headBytes = 8

/** The bytes of a file, whichever form of it is kept. */
export function openPlain(house: House, { hash, packed }: Attachment): Readable {
  if (!packed?.isOnly) return house.kit.blobs.open(hash)
  const inflate = createInflate()
  const source = house.kit.blobs.open(packed.hash, { from: headBytes, to: packed.sizeBytes })
  source.once('error', error => inflate.destroy(error))
  return source.pipe(inflate)
}

/** Keeps a compressed form of a file; nothing happens when there is one. */
export async function packFile(house: House, { level, id, number, file }: FilePlace): Promise<void> {
  if (file.packed) return
  const head = Buffer.alloc(headBytes)
  head.writeBigUInt64LE(BigInt(file.sizeBytes))
  const { blob, md5 } = await writeBlob(house, async function* () {
    yield head
    yield* packing(house.kit.blobs.open(file.hash))
  })
  const packed = { ...blob, md5, ...(number === dicomFile ? {} : { isOnly: true as const }) }
  await holding(house, blob.hash, () => house.archive.change.repack(level, id, { number, file, packed }))
}

/** Keeps a file in plain only. */
export async function unpackFile(house: House, { level, id, number, file }: FilePlace): Promise<void> {
  if (!file.packed) return
  if (file.packed.isOnly) await writeBlob(house, () => openPlain(house, file))
  await holding(house, file.hash, () =>
    house.archive.change.repack(level, id, { number, file, packed: undefined }),
  )
}

async function* packing(source: Readable): AsyncGenerator<Uint8Array> {
  const out = new PassThrough()
  const done = pipeline(source, createDeflate(), out)
  done.catch(error => out.destroy(error)) // Whoever reads hears of it.
  yield* out as AsyncIterable<Uint8Array>
  await done
}

async function writeBlob(house: House, source: () => AsyncIterable<Uint8Array>) {
  const md5 = createHash('md5')
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source()) {
      md5.update(chunk)
      yield chunk
    }
  }
  const blob = await house.kit.blobs.write(hashed())
  return { blob, md5: md5.digest('hex') }
}

async function holding(house: House, hash: string, use: () => Promise<unknown>): Promise<void> {
  const letGo = house.kit.blobs.keep(hash)
  try {
    await use()
  } finally {
    letGo()
  }
}
