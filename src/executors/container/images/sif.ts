// Where the root file system is in a Singularity image: a SIF file lists its parts; older images are a bare SquashFS,
// with or without a first line for the shell.
import { ImageError } from './image-error.ts'
import { isSquashfs, type RandomBytes } from './squashfs.ts'

/** The stretch of a file that is the SquashFS, and for which processor it is ('' where that is not said). */
export interface SifRoot {
  readonly at: number
  readonly sizeBytes: number
  readonly architecture: string
}

const FIRST_LINE = '#!/usr/bin/env run-singularity\n'
const HEADER_BYTES = 128
const MAGIC = 'SIF_MAGIC\0'
const DESCRIPTOR_BYTES = 585
const DESCRIPTOR_COUNT_MAX = 4096
const PARTITION = 0x4004
const SYSTEM = 1
const PRIMARY_SYSTEM = 2
const SQUASHFS = 1
const kinds: Readonly<Record<number, string>> = { 2: 'ext3', 3: 'an archive', 4: 'raw data', 5: 'encrypted' }
const architectures: Readonly<Record<string, string>> = {
  '01': '386',
  '02': 'amd64',
  '03': 'arm',
  '04': 'arm64',
  '05': 'ppc64',
  '06': 'ppc64le',
  '11': 's390x',
  '12': 'riscv64',
}

/** Finds the root of a Singularity image; undefined for any other file. */
export async function findSifRoot(bytes: RandomBytes): Promise<SifRoot | undefined> {
  const first = await bytes.read(0, Math.min(bytes.sizeBytes, HEADER_BYTES))
  if (isSquashfs(first)) return { at: 0, sizeBytes: bytes.sizeBytes, architecture: '' }
  if (first.subarray(32, 42).toString('latin1') === MAGIC) return readSif(bytes, first)
  if (first.subarray(0, FIRST_LINE.length).toString('latin1') !== FIRST_LINE) return undefined
  if (isSquashfs(first.subarray(FIRST_LINE.length)))
    return { at: FIRST_LINE.length, sizeBytes: bytes.sizeBytes - FIRST_LINE.length, architecture: '' }
  throw new ImageError('format', 'the file is a Singularity image, but its root is no SquashFS')
}

async function readSif(bytes: RandomBytes, header: Buffer): Promise<SifRoot> {
  if (header.length < HEADER_BYTES) throw new ImageError('format', 'the SIF file is truncated')
  const [total, listAt] = [header.readBigInt64LE(88), header.readBigInt64LE(96)]
  if (total < 1n || total > BigInt(DESCRIPTOR_COUNT_MAX))
    throw new ImageError('format', `the SIF file lists ${total} parts`)
  const listBytes = Number(total) * DESCRIPTOR_BYTES
  checkWithin(bytes, listAt, BigInt(listBytes))
  const list = await bytes.read(Number(listAt), listBytes)
  let found: SifRoot | undefined
  let other: string | undefined
  for (let at = 0; at < listBytes; at += DESCRIPTOR_BYTES) {
    const part = list.subarray(at, at + DESCRIPTOR_BYTES)
    if (part.readInt32LE(0) !== PARTITION || part[4] !== 1) continue
    const [kind, use] = [part.readInt32LE(201), part.readInt32LE(205)]
    if (use !== PRIMARY_SYSTEM && use !== SYSTEM) continue
    if (kind !== SQUASHFS) {
      other ??= kinds[kind] ?? `of type ${kind}`
      continue
    }
    if (found !== undefined && use !== PRIMARY_SYSTEM) continue
    const [offset, size] = [part.readBigInt64LE(17), part.readBigInt64LE(25)]
    checkWithin(bytes, offset, size)
    const architecture = architectures[part.subarray(209, 211).toString('latin1')] ?? ''
    found = { at: Number(offset), sizeBytes: Number(size), architecture }
    if (use === PRIMARY_SYSTEM) break
  }
  if (found !== undefined) return found
  throw new ImageError(
    'format',
    `the root of the SIF file is ${other ?? 'missing'}; read is SquashFS that is not encrypted`,
  )
}

function checkWithin({ sizeBytes }: RandomBytes, at: bigint, count: bigint): void {
  if (at < 0n || count < 0n || at + count > BigInt(sizeBytes))
    throw new ImageError('format', 'the SIF file points outside of itself')
}
