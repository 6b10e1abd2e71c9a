// A SIF file around a SquashFS, for tests, written after the description of the format and not with our reader.

const descriptorBytes = 585

/** The file. What is said of the partition can be changed: kind 1 is SquashFS, use 2 the primary system. */
export function sifOf(
  squashfs: Buffer,
  {
    kind = 1,
    use = 2,
    size = squashfs.length,
    total = 3,
  }: {
    kind?: number
    use?: number
    size?: number
    total?: number
  } = {},
): Buffer {
  const listAt = 4096
  const dataAt = 32_768
  const header = Buffer.alloc(dataAt)
  header.write('#!/usr/bin/env run-singularity\n', 0, 'latin1')
  header.write('SIF_MAGIC\0', 32, 'latin1')
  header.write('01\0', 42, 'latin1')
  header.write('02\0', 45, 'latin1')
  header.writeBigInt64LE(BigInt(Math.max(0, total - 2)), 80)
  header.writeBigInt64LE(BigInt(total), 88)
  header.writeBigInt64LE(BigInt(listAt), 96)
  header.writeBigInt64LE(BigInt(3 * descriptorBytes), 104)
  header.writeBigInt64LE(BigInt(dataAt), 112)
  header.writeBigInt64LE(BigInt(squashfs.length), 120)
  // A definition file, the partition, and a descriptor that is free.
  part(header.subarray(listAt), { type: 0x4001, at: dataAt, size: 0 })
  const partition = header.subarray(listAt + descriptorBytes)
  part(partition, { type: 0x4004, at: dataAt, size })
  partition.writeInt32LE(kind, 201)
  partition.writeInt32LE(use, 205)
  partition.write('02\0', 209, 'latin1')
  return Buffer.concat([header, squashfs])
}

function part(into: Buffer, { type, at, size }: { type: number; at: number; size: number }): void {
  into.writeInt32LE(type, 0)
  into[4] = 1
  into.writeUInt32LE(1, 5)
  into.writeBigInt64LE(BigInt(at), 17)
  into.writeBigInt64LE(BigInt(size), 25)
}
