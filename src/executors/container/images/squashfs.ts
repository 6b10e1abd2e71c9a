// A strict SquashFS 4 reader for images that strangers made, on top of which SIF images are read. It yields what a tar
// reader would, so that everything is placed and counted by the same rules; compressed with gzip (zlib) or zstd.
import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { inflate, inflateSync, zstdDecompress, zstdDecompressSync } from 'node:zlib'
import { ImageError } from './image-error.ts'
import type { Budget } from './limits.ts'
import { quote, type TarEntry, type TarType } from './tar-reader.ts'

/** Bytes of the file system by their place in it. */
export interface RandomBytes {
  readonly sizeBytes: number
  /** Exactly `count` bytes; the caller keeps within the size. */
  read(at: number, count: number): Promise<Buffer>
}

const MAGIC = 0x7371_7368
const META_BYTES = 8192
const META_CACHE_COUNT = 64
/** Small files come in no order of the blocks that they share. */
const FRAGMENT_CACHE_COUNT = 8
const NO_FRAGMENT = 0xffff_ffff
const STORED_BIT = 1 << 24
const SYMLINK_BYTES_MAX = 4095
const compressions: Readonly<Record<number, string>> = { 2: 'lzma', 3: 'lzo', 4: 'xz', 5: 'lz4' }
const inflateAway = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate)
const zstdAway = promisify<Buffer, { maxOutputLength: number }, Buffer>(zstdDecompress)

/** Whether these first bytes begin a SquashFS. */
export function isSquashfs(first: Buffer): boolean {
  return first.length >= 4 && first.readUInt32LE(0) === MAGIC
}

/**
 * Everything in a file system, each directory before what is in it. All that is unpacked counts against the budget, each
 * time that it is: a small file whose many names share one large block would else be work without end.
 */
export async function* readSquashfs(bytes: RandomBytes, budget: Budget): AsyncGenerator<TarEntry> {
  const image = await openSquashfs(bytes, budget)
  /** Inodes with several names, under the first of them. */
  const firstNames = new Map<number, string>()
  const walked = new Set<number>()
  const root = await image.inode(image.root)
  if (root.kind !== 'directory') throw damaged('its root is no directory')
  const ahead: { dir: DirInode; path: string }[] = [{ dir: root, path: '' }]
  yield entryOf(root, { name: './' })
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    const { dir, path } = next
    if (walked.has(dir.ref)) throw new ImageError('unsafe', `${quote(path)}: a directory that is in itself`)
    walked.add(dir.ref)
    for await (const { name, ref } of image.list(dir)) {
      const inode = await image.inode(ref)
      const inside = `${path}${name}`
      if (inode.kind === 'directory') {
        ahead.push({ dir: inode, path: `${inside}/` })
        yield entryOf(inode, { name: `${inside}/` })
        continue
      }
      const first = firstNames.get(ref)
      if (first === undefined && inode.linkCount > 1) firstNames.set(ref, inside)
      yield entryOf(inode, { name: inside, ...(first === undefined ? {} : { linkName: first }) })
    }
  }
}

interface InodeBase {
  /** Where the inode is: what its directory entries say. */
  readonly ref: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeMs: number
}
interface DirInode extends InodeBase {
  readonly kind: 'directory'
  readonly block: number
  readonly offset: number
  readonly listBytes: number
}
interface LeafInode extends InodeBase {
  readonly kind: 'file' | 'symlink' | 'device' | 'fifo'
  readonly linkCount: number
  readonly sizeBytes: number
  readonly linkName: string
  content(): AsyncGenerator<Buffer>
}

interface OpenImage {
  readonly root: number
  inode(ref: number): Promise<DirInode | LeafInode>
  list(dir: DirInode): AsyncGenerator<{ name: string; ref: number }>
}

function entryOf(
  inode: DirInode | LeafInode,
  { name, linkName }: { name: string; linkName?: string },
): TarEntry {
  const type: TarType = linkName === undefined ? inode.kind : 'link'
  const isFile = inode.kind === 'file' && type === 'file'
  return {
    name,
    type,
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    mtimeMs: inode.mtimeMs,
    sizeBytes: isFile ? inode.sizeBytes : 0,
    linkName: linkName ?? (inode.kind === 'symlink' ? inode.linkName : ''),
    contentAt: 0,
    content: () => (isFile ? inode.content() : nothing()),
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}

async function openSquashfs(bytes: RandomBytes, budget: Budget): Promise<OpenImage> {
  const read = async (at: number, count: number): Promise<Buffer> => {
    if (at < 0 || count < 0 || at + count > bytes.sizeBytes) throw damaged('it points outside of itself')
    return bytes.read(at, count)
  }
  const head = await read(0, 96)
  if (!isSquashfs(head) || head.readUInt16LE(28) !== 4) throw damaged('it is no SquashFS 4')
  const blockBytes = head.readUInt32LE(12)
  if (blockBytes < 4096 || blockBytes > 1024 ** 2 || (blockBytes & (blockBytes - 1)) !== 0)
    throw damaged(`its blocks have ${blockBytes} bytes`)
  const compressor = head.readUInt16LE(20)
  if (compressor !== 1 && compressor !== 6) {
    const name = compressions[compressor] ?? `method ${compressor}`
    throw new ImageError('format', `the SquashFS is compressed with ${name}; read are gzip and zstd`)
  }
  const fragmentCount = head.readUInt32LE(16)
  const idCount = head.readUInt16LE(26)
  const place = (at: number) => {
    const value = head.readBigUInt64LE(at)
    return value < BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.MAX_SAFE_INTEGER
  }
  const [root, idTable, inodeTable, dirTable, fragmentTable] = [32, 48, 64, 72, 80].map(place) as [
    number,
    number,
    number,
    number,
    number,
  ]

  const meta = openMeta(read, packed => {
    const unpacked = unpackSync(compressor, packed)
    budget.takeBytes(unpacked.length)
    return unpacked
  })
  /** A number of a table whose pieces are found through a list of addresses. */
  async function fromTable(table: number, at: number, count: number): Promise<Buffer> {
    const pointer = await read(table + 8 * Math.floor(at / META_BYTES), 8)
    const start = Number(pointer.readBigUInt64LE(0))
    return meta.cursor(start, 0, at % META_BYTES).take(count)
  }
  const ids = new Map<number, number>()
  async function idOf(index: number): Promise<number> {
    const known = ids.get(index)
    if (known !== undefined) return known
    if (index >= idCount) throw damaged('an owner is not in its table')
    const id = (await fromTable(idTable, index * 4, 4)).readUInt32LE(0)
    ids.set(index, id)
    return id
  }

  async function dataBlock(at: number, word: number, wantedBytes: number): Promise<Buffer> {
    const storedBytes = word & (STORED_BIT - 1)
    if (storedBytes > blockBytes || word > (STORED_BIT | (STORED_BIT - 1)))
      throw damaged('a block is too large')
    const stored = await read(at, storedBytes)
    const block = (word & STORED_BIT) !== 0 ? stored : await unpackAway(compressor, stored, blockBytes)
    if (block.length < wantedBytes) throw damaged('a block is too short')
    budget.takeBytes(block.length)
    return block
  }

  const fragments = new Map<number, Buffer>()
  async function fragment(index: number, offset: number, count: number): Promise<Buffer> {
    if (index >= fragmentCount) throw damaged('a piece of a file is not in its table')
    let block = fragments.get(index)
    if (block === undefined) {
      const entry = await fromTable(fragmentTable, index * 16, 16)
      block = await dataBlock(Number(entry.readBigUInt64LE(0)), entry.readUInt32LE(8), 0)
      const oldest = fragments.size >= FRAGMENT_CACHE_COUNT ? fragments.keys().next().value : undefined
      if (oldest !== undefined) fragments.delete(oldest)
      fragments.set(index, block)
    }
    if (offset + count > block.length) throw damaged('a piece of a file is too short')
    return block.subarray(offset, offset + count)
  }

  function fileContent(file: {
    sizeBytes: number
    start: number
    fragmentIndex: number
    fragmentOffset: number
    words: () => Cursor
  }): LeafInode['content'] {
    return async function* () {
      const hasTail = file.fragmentIndex !== NO_FRAGMENT
      const tailBytes = hasTail ? file.sizeBytes % blockBytes : 0
      const words = file.words()
      let at = file.start
      for (let left = file.sizeBytes - tailBytes; left > 0; ) {
        const count = Math.min(blockBytes, left)
        const word = (await words.take(4)).readUInt32LE(0)
        // A block of which nothing is stored is a hole.
        if (word === 0) {
          budget.takeBytes(count)
          yield Buffer.alloc(count)
        } else yield (await dataBlock(at, word, count)).subarray(0, count)
        at += word & (STORED_BIT - 1)
        left -= count
      }
      if (tailBytes === 0) return
      yield await fragment(file.fragmentIndex, file.fragmentOffset, tailBytes)
    }
  }

  async function inode(ref: number): Promise<DirInode | LeafInode> {
    const cursor = meta.cursor(inodeTable, Math.floor(ref / 0x1_0000), ref % 0x1_0000)
    const common = await cursor.take(16)
    const type = common.readUInt16LE(0)
    const base: InodeBase = {
      ref,
      mode: common.readUInt16LE(2) & 0o7777,
      uid: await idOf(common.readUInt16LE(4)),
      gid: await idOf(common.readUInt16LE(6)),
      mtimeMs: common.readUInt32LE(8) * 1000,
    }
    const leaf = (kind: LeafInode['kind'], more: Partial<LeafInode> = {}): LeafInode => ({
      ...base,
      ...{ kind, linkCount: 1, sizeBytes: 0, linkName: '', content: nothing },
      ...more,
    })
    switch (type) {
      case 1: {
        const rest = await cursor.take(16)
        const [block, listed, offset] = [rest.readUInt32LE(0), rest.readUInt16LE(8), rest.readUInt16LE(10)]
        return { ...base, kind: 'directory', block, offset, listBytes: Math.max(0, listed - 3) }
      }
      case 8: {
        const rest = await cursor.take(24)
        const [listed, block, offset] = [rest.readUInt32LE(4), rest.readUInt32LE(8), rest.readUInt16LE(18)]
        return { ...base, kind: 'directory', block, offset, listBytes: Math.max(0, listed - 3) }
      }
      case 2:
      case 9: {
        const isLarge = type === 9
        const rest = await cursor.take(isLarge ? 40 : 16)
        const sizeBytes = isLarge ? Number(rest.readBigUInt64LE(8)) : rest.readUInt32LE(12)
        const at = cursor.place()
        const content = fileContent({
          sizeBytes,
          start: isLarge ? Number(rest.readBigUInt64LE(0)) : rest.readUInt32LE(0),
          fragmentIndex: rest.readUInt32LE(isLarge ? 28 : 4),
          fragmentOffset: rest.readUInt32LE(isLarge ? 32 : 8),
          words: () => meta.at(at),
        })
        return leaf('file', { sizeBytes, content, linkCount: isLarge ? rest.readUInt32LE(24) : 1 })
      }
      case 3:
      case 10: {
        const rest = await cursor.take(8)
        const length = rest.readUInt32LE(4)
        if (length > SYMLINK_BYTES_MAX)
          throw new ImageError('unsafe', 'a symbolic link with an impossible target')
        const linkName = textOf(await cursor.take(length))
        return leaf('symlink', { linkName, linkCount: rest.readUInt32LE(0) })
      }
      case 4:
      case 5:
      case 11:
      case 12:
        return leaf('device')
      case 6:
      case 7:
      case 13:
      case 14:
        return leaf('fifo')
      default:
        throw damaged(`it has a thing of type ${type}`)
    }
  }

  async function* list({
    block,
    offset,
    listBytes,
  }: DirInode): AsyncGenerator<{ name: string; ref: number }> {
    const cursor = meta.cursor(dirTable, block, offset)
    for (let left = listBytes; left > 0; ) {
      const head = await cursor.take(12)
      left -= 12
      const count = head.readUInt32LE(0) + 1
      const start = head.readUInt32LE(4)
      if (count > 256) throw damaged('a directory lists too much at once')
      for (let i = 0; i < count && left > 0; i++) {
        const entry = await cursor.take(8)
        const nameBytes = entry.readUInt16LE(6) + 1
        if (nameBytes > 256) throw new ImageError('unsafe', 'a name is longer than 256 bytes')
        const name = textOf(await cursor.take(nameBytes))
        left -= 8 + nameBytes
        if (name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
          throw new ImageError('unsafe', `${quote(name)} is no name of a file`)
        yield { name, ref: start * 0x1_0000 + entry.readUInt16LE(0) }
      }
    }
  }

  return { root, inode, list }
}

/** Reads on through metadata blocks. */
interface Cursor {
  take(count: number): Promise<Buffer>
  place(): MetaPlace
}
/** Where a metadata block begins in the file, and an offset in what it unpacks to. */
interface MetaPlace {
  readonly block: number
  readonly offset: number
}

function openMeta(
  read: (at: number, count: number) => Promise<Buffer>,
  unpack: (packed: Buffer) => Buffer,
): { cursor(table: number, block: number, offset: number): Cursor; at(place: MetaPlace): Cursor } {
  const known = new Map<number, { bytes: Buffer; next: number }>()

  async function blockAt(at: number): Promise<{ bytes: Buffer; next: number }> {
    const found = known.get(at)
    if (found !== undefined) return found
    const word = (await read(at, 2)).readUInt16LE(0)
    const storedBytes = word & 0x7fff
    if (storedBytes === 0 || storedBytes > META_BYTES) throw damaged('a block of its tables has an odd size')
    const stored = await read(at + 2, storedBytes)
    const bytes = (word & 0x8000) !== 0 ? stored : unpack(stored)
    if (bytes.length > META_BYTES) throw damaged('a block of its tables is too large')
    const block = { bytes, next: at + 2 + storedBytes }
    const oldest = known.size >= META_CACHE_COUNT ? known.keys().next().value : undefined
    if (oldest !== undefined) known.delete(oldest)
    known.set(at, block)
    return block
  }

  function at(place: MetaPlace): Cursor {
    let { block, offset } = place
    return {
      place: () => ({ block, offset }),
      async take(count) {
        const parts: Buffer[] = []
        for (let missing = count; missing > 0; ) {
          const { bytes, next } = await blockAt(block)
          const part = bytes.subarray(offset, offset + missing)
          if (part.length > 0) parts.push(part)
          missing -= part.length
          offset += part.length
          if (missing === 0) break
          // Only a full block has a next one.
          if (bytes.length < META_BYTES || offset < bytes.length) throw damaged('its tables end too early')
          block = next
          offset = 0
        }
        return parts.length === 1 ? parts[0]! : Buffer.concat(parts, count)
      },
    }
  }

  return { at, cursor: (table, block, offset) => at({ block: table + block, offset }) }
}

function unpackSync(compressor: number, packed: Buffer): Buffer {
  try {
    const options = { maxOutputLength: META_BYTES }
    return compressor === 1 ? inflateSync(packed, options) : zstdDecompressSync(packed, options)
  } catch (error) {
    throw damaged((error as Error).message)
  }
}

async function unpackAway(compressor: number, packed: Buffer, bytesMax: number): Promise<Buffer> {
  try {
    return await (compressor === 1 ? inflateAway : zstdAway)(packed, { maxOutputLength: bytesMax })
  } catch (error) {
    throw damaged((error as Error).message)
  }
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new ImageError('unsafe', 'a name is not UTF-8')
  return bytes.toString('utf8')
}

function damaged(why: string): ImageError {
  return new ImageError('format', `the SquashFS is damaged: ${why}`)
}
