// The end of a transfer on the receiving side: every instance is checked by its MD5, then all are stored in one batch, or
// none.

import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { readDataSetAsync } from '../../../domains/dicom/reading/reader.ts'
import { fileSource, memorySource } from '../../../domains/dicom/reading/source.ts'
import type { Arrival } from '../../../domains/dicom/store/archive.ts'
import { summarise } from '../../../domains/dicom/summary.ts'
import { codes, OrthancError } from '../errors.ts'
import { defaultTerm, type House } from '../house.ts'
import { type Origin, originMeta, place } from '../upload.ts'
import type { ArrivalsFolder } from './arrivals-folder.ts'
import { bucketsOf, type TransferItem } from './manifest.ts'

/** Larger instances go from file to file. */
const heldBytesMax = 16 * 1024 * 1024
const stretchBytes = 1024 * 1024

/** Stores all instances of a transfer that has come whole. Buckets of an instance that is not right are taken back. */
export async function takeIn(
  house: House,
  folder: ArrivalsFolder,
  { origin, signal }: { origin: Origin; signal?: AbortSignal },
): Promise<void> {
  const { items } = folder.manifest
  const content = await open(folder.contentPath, 'r')
  const arrivals: Arrival[] = []
  const kept: (() => void)[] = []
  try {
    let at = 0
    for (const [index, item] of items.entries()) {
      signal?.throwIfAborted()
      const arrival = await readArrival(house, content, { item, at, origin }).catch(async error => {
        if (!(error instanceof WrongContent)) throw error
        const { first, last } = bucketsOf(folder.manifest, index)
        await folder.drop(Array.from({ length: last - first + 1 }, (_, step) => first + step))
        throw new OrthancError(codes.network, `The instance ${item.id} did not arrive as it was sent`)
      })
      kept.push(house.kit.blobs.keep(arrival.blob.hash))
      arrivals.push(arrival)
      at += item.sizeBytes
    }
    await house.archive.storeAll(arrivals)
  } finally {
    for (const letGo of kept) letGo()
    await content.close()
  }
}

class WrongContent extends Error {}

async function readArrival(
  house: House,
  content: FileHandle,
  { item, at, origin }: { item: TransferItem; at: number; origin: Origin },
): Promise<Arrival> {
  const shared = { md5: item.md5, remoteAet: '', origin: originMeta(origin) }
  if (item.sizeBytes > heldBytesMax) return { ...shared, ...(await readLarge(house, content, { item, at })) }
  const bytes = Buffer.allocUnsafe(item.sizeBytes)
  await readFully(content, bytes, at)
  if (createHash('md5').update(bytes).digest('hex') !== item.md5) throw new WrongContent()
  const set = await readDataSetAsync(memorySource(bytes), { dictionary: house.dictionary, keep: 'top' })
  return { ...shared, summary: summarise(set, defaultTerm(house)), ...(await place(house, bytes)) }
}

async function readLarge(
  house: House,
  content: FileHandle,
  { item, at }: { item: TransferItem; at: number },
): Promise<Pick<Arrival, 'summary' | 'blob'>> {
  const md5 = createHash('md5')
  async function* stretches(): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < item.sizeBytes; done += stretchBytes) {
      const bytes = Buffer.allocUnsafe(Math.min(stretchBytes, item.sizeBytes - done))
      await readFully(content, bytes, at + done)
      md5.update(bytes)
      yield bytes
    }
  }
  const blob = await house.kit.blobs.write(stretches())
  if (md5.digest('hex') !== item.md5) throw new WrongContent()
  const source = fileSource(house.kit.blobs.path(blob.hash))
  try {
    const set = await readDataSetAsync(source, { dictionary: house.dictionary, keep: 'top' })
    return { blob, summary: summarise(set, defaultTerm(house)) }
  } finally {
    source.close()
  }
}

async function readFully(content: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await content.read(bytes, done, bytes.length - done, at + done)
    if (bytesRead === 0) throw new WrongContent()
    done += bytesRead
  }
}
