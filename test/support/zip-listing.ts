// Looks into ZIP files in memory by their directory: names, sizes, methods, contents. For tests; small files only.

import { inflateRawSync } from 'node:zlib'

export interface ListedMember {
  readonly name: string
  readonly size: number
  readonly method: 'stored' | 'deflate'
  readonly at: number
  readonly packed: number
}

export function listZip(bytes: Buffer): ListedMember[] {
  const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  const members: ListedMember[] = []
  let at = bytes.readUInt32LE(end + 16)
  for (let count = bytes.readUInt16LE(end + 10); count > 0; count--) {
    const nameLength = bytes.readUInt16LE(at + 28)
    members.push({
      name: bytes.toString('utf8', at + 46, at + 46 + nameLength),
      size: bytes.readUInt32LE(at + 24),
      method: bytes.readUInt16LE(at + 10) === 8 ? 'deflate' : 'stored',
      at: bytes.readUInt32LE(at + 42),
      packed: bytes.readUInt32LE(at + 20),
    })
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32)
  }
  return members
}

export function readZipMember(bytes: Buffer, name: string): Buffer {
  const member = listZip(bytes).find(each => each.name === name)
  if (!member) throw new Error(`there is no ${name} in this ZIP file`)
  const from = member.at + 30 + bytes.readUInt16LE(member.at + 26) + bytes.readUInt16LE(member.at + 28)
  const packed = bytes.subarray(from, from + member.packed)
  return member.method === 'deflate' ? inflateRawSync(packed) : Buffer.from(packed)
}
