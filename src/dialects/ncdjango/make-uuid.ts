// Random (version 4) UUIDs: what jobs and temporary files are named by.

import type { Random } from '../../core/ids.ts'

/** A new UUID (version 4). */
export function makeUuid(random: Random): string {
  const bytes = new Uint8Array(16)
  random(bytes)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const text = Buffer.from(bytes).toString('hex')
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join(
    '-',
  )
}
