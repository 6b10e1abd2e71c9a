// Contents made ready for a ZIP file: a checksum, and deflated where that makes them shorter. Small ones are made into
// a row of whole members, which a thread can hand to another as one buffer.

import { crc32, deflateRawSync } from 'node:zlib'
import type { QuickDeflater } from './quick-deflate/quick-deflate.ts'
import { localHeaderBytes, nameOf, stampOf, writeLocalHeader } from './zip-format.ts'

export interface Member {
  /** With `/` between folders. */
  readonly name: string
  /** Stored as it is: bytes that are compressed already. */
  readonly isStored?: boolean
}

/** A content, ready to be written. */
export interface Packed {
  readonly bytes: Uint8Array
  readonly crc: number
  readonly size: number
  readonly method: 0 | 8
}

/** Up to this size deflating is done at once: handing one content over to a thread would cost more. */
export const syncBytesMax = 64 * 1024

/** How small contents are deflated: by zlib, which searches for all that it can say shorter, or by our own that hardly does. */
export type Strategy = 'search' | 'quick'

/** Less says little about what would become of the others. */
const sampleBytesMin = 2 * 1024

/** Who asks for more than the usual ArchiveLevel wants few bytes, not little work. */
const usualLevel = 3

/** How much longer a row may become for half of the processor's time: a sixteenth. */
const quickFactorMax = 17 / 16

/** With fewer bytes the codes that they bring along weigh too much. */
const quickBytesMin = 1024

/** Members with their headers, one after the other; the directory can be made from these bytes (`entriesOf`). */
export function packMembers(
  members: readonly (Member & { readonly bytes: Uint8Array })[],
  { level, now, quick }: { level: number; now: number; quick?: QuickDeflater | undefined },
): Uint8Array<ArrayBuffer> {
  const stamp = stampOf(now)
  const named = members.map(member => ({ member, ...nameOf(member.name) }))
  const bytesMax = named.reduce(
    (sum, { member, name }) => sum + localHeaderBytes + name.length + member.bytes.length,
    0,
  )
  // Not of the common pool: it is handed over to another thread as a whole.
  const row = Buffer.allocUnsafeSlow(bytesMax)
  let at = 0
  for (const { member, name, isUtf8 } of named) {
    const { bytes, crc, size, method } = packNow(member, member.bytes, level, quick)
    const entry = { name, isUtf8, method, crc, packed: bytes.length, size, isStreamed: false }
    writeLocalHeader(row, at, entry, stamp)
    row.set(name, at + localHeaderBytes)
    at += localHeaderBytes + name.length
    row.set(bytes, at)
    at += bytes.length
  }
  return row.subarray(0, at) as Uint8Array<ArrayBuffer>
}

/** Packs a small content on the spot; what a quick deflater made of it is to be read before it makes something else. */
export function packNow(member: Member, bytes: Uint8Array, level: number, quick?: QuickDeflater): Packed {
  if (!shouldPack(member, bytes, level)) return asPacked(bytes)
  const isQuick = quick !== undefined && bytes.length >= quickBytesMin
  return asPacked(bytes, isQuick ? quick.deflate(bytes) : deflateNow(bytes, level))
}

/**
 * Pixels with noise, as detectors make them, hardly repeat themselves: looking for matches costs them more time than it gains
 * bytes. Texts and drawings gain much. The first large member is tried both ways and speaks for others of its series.
 */
export function strategyFor(
  members: readonly (Member & { readonly bytes: Uint8Array })[],
  level: number,
  quick: QuickDeflater,
): Strategy {
  if (level > usualLevel) return 'search'
  const sample = members.find(
    member => member.bytes.length >= sampleBytesMin && shouldPack(member, member.bytes, level),
  )
  if (sample === undefined) return 'search'
  const searched = deflateNow(sample.bytes, level).length
  return quick.deflate(sample.bytes).length <= searched * quickFactorMax ? 'quick' : 'search'
}

/** Whether deflating may gain something. */
export function shouldPack(member: Member, bytes: Uint8Array, level: number): boolean {
  return !member.isStored && level > 0 && bytes.length > 0
}

/** The deflated bytes if they are fewer, else the content itself. */
export function asPacked(bytes: Uint8Array, packed?: Uint8Array): Packed {
  const crc = crc32(bytes)
  const size = bytes.length
  if (packed === undefined || packed.length >= size) return { bytes, crc, size, method: 0 }
  return { bytes: packed, crc, size, method: 8 }
}

/** A deflater for few bytes needs little memory, and asking for little is what makes it cheap. */
function deflateNow(bytes: Uint8Array, level: number): Uint8Array {
  const windowBits = Math.min(15, Math.max(9, 32 - Math.clz32(bytes.length)))
  const memLevel = windowBits >= 15 ? 8 : 7
  return deflateRawSync(bytes, { level, windowBits, memLevel, chunkSize: Math.max(1024, bytes.length) })
}
