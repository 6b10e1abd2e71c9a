// New UIDs and UUIDs, from random bytes that are handed in. `2.25.` before a UUID's number is valid everywhere.

import type { Random } from '../../core/ids.ts'

/** A random UUID (version 4). */
export function makeUuid(random: Random): string {
  const bytes = new Uint8Array(16)
  random(bytes)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A DICOM UID. */
export function makeUid(random: Random): string {
  return `2.25.${BigInt(`0x${makeUuid(random).replaceAll('-', '')}`)}`
}
