// What a transfer moves: instances one after another, as one long row of bytes that is cut into buckets of equal size.
// Small instances share a bucket, large ones lie in several; both sides cut alike.

import { isObject, type JsonObject } from '../../../core/json.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { fileOf } from '../../../domains/dicom/store/browse.ts'
import { codes, fail } from '../errors.ts'

export interface TransferItem {
  readonly id: string
  readonly sizeBytes: number
  readonly md5: string
}

export interface Manifest {
  readonly items: readonly TransferItem[]
  readonly bucketBytes: number
}

const itemsMax = 1_000_000
const bucketBytesMax = 64 * 1024 * 1024

/** An instance of a transfer: its id, and what its bytes have to be. */
export function itemOf(instance: Resource): TransferItem {
  const { sizeBytes, md5 } = fileOf(instance)
  return { id: instance.id, sizeBytes, md5 }
}

/** How much is transferred. */
export function totalBytes({ items }: Pick<Manifest, 'items'>): number {
  return items.reduce((sum, item) => sum + item.sizeBytes, 0)
}

/** In how many pieces it is transferred. */
export function bucketCount(manifest: Manifest): number {
  return Math.ceil(totalBytes(manifest) / manifest.bucketBytes)
}

/** Where a bucket begins and ends in the row of bytes. */
export function bucketRange(manifest: Manifest, bucket: number): { from: number; to: number } {
  const from = bucket * manifest.bucketBytes
  return { from, to: Math.min(from + manifest.bucketBytes, totalBytes(manifest)) }
}

/** The instances that lie in a stretch of the row, with where it begins in the first of them. */
export function itemsWithin(
  { items }: Manifest,
  { from, to }: { from: number; to: number },
): { items: TransferItem[]; offset: number } {
  const found: TransferItem[] = []
  let offset = 0
  let at = 0
  for (const item of items) {
    const end = at + item.sizeBytes
    if (end > from && at < to) {
      if (found.length === 0) offset = from - at
      found.push(item)
    }
    if (end >= to) break
    at = end
  }
  return { items: found, offset }
}

/** The buckets that hold something of an item. */
export function bucketsOf(manifest: Manifest, index: number): { first: number; last: number } {
  const from = manifest.items.slice(0, index).reduce((sum, item) => sum + item.sizeBytes, 0)
  const to = from + manifest.items[index]!.sizeBytes
  const { bucketBytes } = manifest
  return { first: Math.floor(from / bucketBytes), last: Math.max(0, Math.ceil(to / bucketBytes) - 1) }
}

/** The instances of a transfer, as its two sides tell each other of them. */
export function showItems(items: readonly TransferItem[]): JsonObject[] {
  return items.map(({ id, sizeBytes, md5 }) => ({ ID: id, Size: sizeBytes, MD5: md5 }))
}

/** The items that another server names; refused when they are not what we expect. */
export function readItems(value: unknown): TransferItem[] {
  if (!Array.isArray(value) || value.length > itemsMax) fail(codes.badFormat, 'Instances must be a list')
  return value.map(item => {
    if (!isObject(item)) fail(codes.badFormat, 'Instances must be objects')
    const { ID: id, Size: sizeBytes, MD5: md5 } = item
    const isSound =
      typeof id === 'string' &&
      typeof sizeBytes === 'number' &&
      Number.isSafeInteger(sizeBytes) &&
      sizeBytes > 0 &&
      typeof md5 === 'string' &&
      /^[0-9a-f]{32}$/.test(md5)
    if (!isSound) fail(codes.badFormat, 'An instance must have an ID, a Size and an MD5')
    return { id, sizeBytes, md5 }
  })
}

/** How long pieces are to be, from a request; bad format where that makes no sense. */
export function readBucketBytes(value: unknown): number {
  const isSound =
    typeof value === 'number' && Number.isInteger(value) && value >= 1024 && value <= bucketBytesMax
  return isSound ? value : fail(codes.badFormat, 'BucketSize must be a number of bytes')
}
