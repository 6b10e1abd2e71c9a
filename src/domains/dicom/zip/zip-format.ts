// The structures of a ZIP file as bytes: headers of members, the directory and its end. ZIP64 ones appear only where the
// old ones cannot hold a number.

/** A member, as the directory tells of it. */
export interface Entry {
  readonly name: Uint8Array
  readonly isUtf8: boolean
  readonly method: 0 | 8
  readonly crc: number
  readonly packed: number
  readonly size: number
  /** Where its own header begins. */
  readonly at: number
  /** Its sizes follow the data. */
  readonly isStreamed: boolean
}

/** The time of a member as DOS keeps it: whole pairs of seconds from 1980 to 2107. */
export interface Stamp {
  readonly date: number
  readonly time: number
}

const max32 = 0xffffffff
const max16 = 0xffff
const nothing = new Uint8Array(0)

/** How many bytes a member's own header has before its name. */
export const localHeaderBytes = 30

/** The bytes of a member's name. Throws RangeError for one that no header can tell. */
export function nameOf(name: string): { name: Uint8Array; isUtf8: boolean } {
  const bytes = Buffer.from(name, 'utf8')
  if (bytes.length > max16) throw new RangeError('a name in a ZIP file may have 65 535 bytes')
  // As many bytes as code units: nothing but ASCII.
  return { name: bytes, isUtf8: bytes.length !== name.length }
}

/** Bit 3: sizes follow the data; bit 11: the name is UTF-8. */
function flagsOf(entry: Pick<Entry, 'isStreamed' | 'isUtf8'>): number {
  return (entry.isStreamed ? 0x0008 : 0) | (entry.isUtf8 ? 0x0800 : 0)
}

/** A streamed member announces by its extra field that its sizes, after the data, have eight bytes each. */
export function localExtra(entry: Entry): Uint8Array {
  const needs64 = entry.isStreamed ? isNear4G(entry.size) : entry.size > max32 || entry.packed > max32
  return needs64 ? zip64Extra(entry.isStreamed ? [0, 0] : [entry.size, entry.packed]) : nothing
}

/** The header that goes before a member's name, extra field and content. */
export function localHeader(entry: Entry, stamp: Stamp, extraBytes: number): Uint8Array {
  const header = Buffer.allocUnsafe(localHeaderBytes)
  writeLocalHeader(header, 0, entry, stamp, extraBytes)
  return header
}

/** The same into a place of a larger buffer. */
export function writeLocalHeader(
  header: Buffer,
  at: number,
  entry: Omit<Entry, 'at'>,
  stamp: Stamp,
  extraBytes = 0,
): void {
  const needs64 = extraBytes > 0
  header.writeUInt32LE(0x04034b50, at)
  header.writeUInt16LE(needs64 ? 45 : 20, at + 4)
  header.writeUInt16LE(flagsOf(entry), at + 6)
  header.writeUInt16LE(entry.method, at + 8)
  header.writeUInt16LE(stamp.time, at + 10)
  header.writeUInt16LE(stamp.date, at + 12)
  header.writeUInt32LE(entry.isStreamed ? 0 : entry.crc, at + 14)
  header.writeUInt32LE(needs64 ? max32 : entry.isStreamed ? 0 : entry.packed, at + 18)
  header.writeUInt32LE(needs64 ? max32 : entry.isStreamed ? 0 : entry.size, at + 22)
  header.writeUInt16LE(entry.name.length, at + 26)
  header.writeUInt16LE(extraBytes, at + 28)
}

/** The members of a row of whole ones (`packMembers`): `at` counts from the beginning of these bytes. */
export function* entriesOf(bytes: Uint8Array): Generator<Entry> {
  const row = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < row.length; ) {
    const [packed, nameBytes] = [row.readUInt32LE(at + 18), row.readUInt16LE(at + 26)]
    const nameAt = at + localHeaderBytes
    yield {
      name: row.subarray(nameAt, nameAt + nameBytes),
      isUtf8: (row.readUInt16LE(at + 6) & 0x0800) !== 0,
      method: row.readUInt16LE(at + 8) as 0 | 8,
      crc: row.readUInt32LE(at + 14),
      packed,
      size: row.readUInt32LE(at + 22),
      at,
      isStreamed: false,
    }
    at = nameAt + nameBytes + packed
  }
}

/** Deflating may add a little, so that the decision is made some way before the limit. */
function isNear4G(sizeBytes: number): boolean {
  return sizeBytes > max32 - 64 * 1024 * 1024
}

/** What follows the content of a streamed member that was expected to have so many bytes. */
export function dataDescriptor(entry: Entry, expected: number): Uint8Array {
  const is64 = isNear4G(expected)
  const bytes = Buffer.alloc(is64 ? 24 : 16)
  bytes.writeUInt32LE(0x08074b50, 0)
  bytes.writeUInt32LE(entry.crc, 4)
  if (is64) {
    bytes.writeBigUInt64LE(BigInt(entry.packed), 8)
    bytes.writeBigUInt64LE(BigInt(entry.size), 16)
  } else {
    bytes.writeUInt32LE(entry.packed, 8)
    bytes.writeUInt32LE(entry.size, 12)
  }
  return bytes
}

/** The directory's header of a member; its name and `directoryExtra` follow. */
export function directoryHeader(entry: Entry, stamp: Stamp, extraBytes: number): Uint8Array {
  const header = Buffer.allocUnsafe(46).fill(0, 32)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE(45, 4)
  header.writeUInt16LE(extraBytes > 0 ? 45 : 20, 6)
  header.writeUInt16LE(flagsOf(entry), 8)
  header.writeUInt16LE(entry.method, 10)
  header.writeUInt16LE(stamp.time, 12)
  header.writeUInt16LE(stamp.date, 14)
  header.writeUInt32LE(entry.crc, 16)
  header.writeUInt32LE(Math.min(entry.packed, max32), 20)
  header.writeUInt32LE(Math.min(entry.size, max32), 24)
  header.writeUInt16LE(entry.name.length, 28)
  header.writeUInt16LE(extraBytes, 30)
  header.writeUInt32LE(Math.min(entry.at, max32), 42)
  return header
}

/** What does not fit into the header's own fields. */
export function directoryExtra(entry: Entry): Uint8Array {
  if (entry.size < max32 && entry.packed < max32 && entry.at < max32) return nothing
  return zip64Extra([entry.size, entry.packed, entry.at].filter(number => number >= max32))
}

function zip64Extra(numbers: readonly number[]): Uint8Array {
  const extra = Buffer.alloc(4 + numbers.length * 8)
  extra.writeUInt16LE(1, 0)
  extra.writeUInt16LE(numbers.length * 8, 2)
  numbers.forEach((number, index) => {
    extra.writeBigUInt64LE(BigInt(number), 4 + index * 8)
  })
  return extra
}

/** What closes the file: where the directory is and how much it holds. */
export function ending(facts: { count: number; directoryAt: number; directoryBytes: number }): Uint8Array {
  const { count, directoryAt, directoryBytes } = facts
  const parts: Uint8Array[] = []
  if (count >= max16 || directoryAt >= max32 || directoryBytes >= max32) {
    const end64 = Buffer.alloc(56)
    end64.writeUInt32LE(0x06064b50, 0)
    end64.writeBigUInt64LE(44n, 4)
    end64.writeUInt16LE(45, 12)
    end64.writeUInt16LE(45, 14)
    end64.writeBigUInt64LE(BigInt(count), 24)
    end64.writeBigUInt64LE(BigInt(count), 32)
    end64.writeBigUInt64LE(BigInt(directoryBytes), 40)
    end64.writeBigUInt64LE(BigInt(directoryAt), 48)
    const locator = Buffer.alloc(20)
    locator.writeUInt32LE(0x07064b50, 0)
    locator.writeBigUInt64LE(BigInt(directoryAt + directoryBytes), 8)
    locator.writeUInt32LE(1, 16)
    parts.push(end64, locator)
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(Math.min(count, max16), 8)
  end.writeUInt16LE(Math.min(count, max16), 10)
  end.writeUInt32LE(Math.min(directoryBytes, max32), 12)
  end.writeUInt32LE(Math.min(directoryAt, max32), 16)
  parts.push(end)
  return Buffer.concat(parts)
}

/** A time in epoch milliseconds as a stamp. */
export function stampOf(now: number): Stamp {
  const at = new Date(now)
  const year = Math.min(2107, Math.max(1980, at.getUTCFullYear()))
  return {
    date: ((year - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
  }
}
