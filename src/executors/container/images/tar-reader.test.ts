// The tar reader against two writers that are not ours, and against damage.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'vitest'
import { tarOf } from './archive-fixture.ts'
import { sourceFromChunks } from './byte-source.ts'
import { ImageError } from './image-error.ts'
import { defaultLimits, type ImageLimits } from './limits.ts'
import { readTar } from './tar-reader.ts'

interface Read {
  name: string
  type: string
  linkName: string
  content: string
}

/** Reads bytes handed over in pieces of `pieceBytes`. */
async function read(
  bytes: Buffer,
  options: { pieceBytes?: number; limits?: Partial<ImageLimits>; mustEnd?: boolean } = {},
) {
  const pieceBytes = options.pieceBytes ?? 65_536
  const pieces = async function* () {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
  }
  const found: Read[] = []
  const limits = { ...defaultLimits, ...options.limits }
  for await (const entry of readTar(sourceFromChunks(pieces()), {
    limits,
    mustEnd: options.mustEnd ?? true,
  })) {
    const parts: Buffer[] = []
    for await (const part of entry.content()) parts.push(part)
    found.push({
      name: entry.name,
      type: entry.type,
      linkName: entry.linkName,
      content: Buffer.concat(parts).toString('latin1'),
    })
  }
  return found
}

const refusal = (pattern: RegExp) => (error: unknown) =>
  error instanceof ImageError && pattern.test(error.message)

/** A header of our own making, for what no honest writer writes. */
function header(fields: { name?: string; flag: string; size?: string | Buffer; link?: string }): Buffer {
  const block = Buffer.alloc(512)
  block.write(fields.name ?? 'x', 0)
  block.write('0000644\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  const size = fields.size ?? '00000000000\0'
  if (typeof size === 'string') block.write(size, 124)
  else size.copy(block, 124)
  block.write('00000000000\0', 136)
  block.write(fields.flag, 156, 'latin1')
  block.write(fields.link ?? '', 157)
  block.write('ustar\x0000', 257, 'latin1')
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
const end = Buffer.alloc(1024)

test('any names and contents written by tar-stream are read back, however the bytes are cut', async () => {
  const name = fc
    .array(fc.stringMatching(/^[a-zA-Zé中_-]{1,60}$/), { minLength: 1, maxLength: 8 })
    .map(names => names.join('/'))
  const item = fc.tuple(
    name,
    fc.uint8Array({ maxLength: 2000 }).map(bytes => Buffer.from(bytes)),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(item, { maxLength: 6 }),
      fc.integer({ min: 1, max: 1500 }),
      async (items, pieceBytes) => {
        const found = await read(await tarOf(items), { pieceBytes })
        assert.deepEqual(
          found.map(({ name, content }) => [name, content]),
          items.map(([name, content]) => [name, content.toString('latin1')]),
        )
      },
    ),
    { seed: 7, numRuns: 60 },
  )
})

test.for(['gnu', 'pax', 'ustar', 'v7'])(
  'an archive of the system tar in the format %s is read',
  async format => {
    const dir = mkdtempSync(join(tmpdir(), 'switchyard-tar-'))
    try {
      const long = format === 'v7' || format === 'ustar' ? 'n'.repeat(60) : 'n'.repeat(200)
      mkdirSync(join(dir, 'd', long), { recursive: true })
      writeFileSync(join(dir, 'd', long, 'file'), 'text')
      symlinkSync(format === 'v7' || format === 'ustar' ? 'short' : 't'.repeat(300), join(dir, 'd', 'link'))
      const bytes = execFileSync('tar', ['-C', dir, `--format=${format}`, '--sort=name', '-cf', '-', 'd'])
      const found = await read(bytes)
      assert.deepEqual(
        found.map(entry => [entry.type, entry.name.replace(/\/$/, '')]),
        [
          ['directory', 'd'],
          ['symlink', 'd/link'],
          ['directory', `d/${long}`],
          ['file', `d/${long}/file`],
        ],
      )
      assert.equal(found[3]?.content, 'text')
      if (format === 'gnu' || format === 'pax') assert.equal(found[1]?.linkName, 't'.repeat(300))
    } finally {
      rmSync(dir, { recursive: true })
    }
  },
)

test('every truncation is either refused or ends before the cut', async () => {
  const bytes = await tarOf([
    ['a', 'x'.repeat(700)],
    ['b', 'y'],
  ])
  for (let length = 0; length < 512 * 5; length += 100) {
    await assert.rejects(read(bytes.subarray(0, length)), refusal(/truncated/), `cut at ${length}`)
  }
})

test('random damage is refused or read, and never anything else', async () => {
  const bytes = await tarOf([
    ['dir/', {}],
    ['dir/a', 'hello'],
    ['n'.repeat(150), { type: 'symlink', linkname: 'dir/a' }],
  ])
  const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(damage, async changes => {
      const broken = Buffer.from(bytes)
      for (const [at, value] of changes) broken[at] = value
      await read(broken).catch(error => assert.ok(error instanceof ImageError, String(error)))
    }),
    { seed: 11, numRuns: 400 },
  )
})

test('what is not tar at all is refused', async () => {
  await assert.rejects(read(Buffer.alloc(2048, 'hello ')), refusal(/not a tar archive/))
})

test('a size beyond any file is refused', async () => {
  const huge = Buffer.concat([Buffer.from([0x80]), Buffer.alloc(11, 0xff)])
  await assert.rejects(
    read(Buffer.concat([header({ flag: '0', size: huge }), end])),
    refusal(/impossible size/),
  )
})

test('a negative size is refused', async () => {
  const negative = Buffer.alloc(12, 0xff)
  await assert.rejects(
    read(Buffer.concat([header({ flag: '0', size: negative }), end])),
    refusal(/impossible size/),
  )
})

test('a file that is said to be larger than the archive is refused', async () => {
  const size = '00000077777\0'
  await assert.rejects(read(Buffer.concat([header({ flag: '0', size }), end])), refusal(/truncated/))
})

test.for(['S', 'M', 'V', 'D', '\x01'])('the entry type %j is refused', async flag => {
  await assert.rejects(read(Buffer.concat([header({ flag }), end])), refusal(/type .* is not supported/))
})

function pax(flag: string, records: string): Buffer {
  const size = `${records.length.toString(8).padStart(11, '0')}\0`
  return Buffer.concat([
    header({ flag, size }),
    Buffer.from(records, 'latin1'),
    Buffer.alloc((512 - (records.length % 512)) % 512),
  ])
}

test.for(['7 a=b', '99 path=a\n', '0 path=a\n', '-5 path=a\n', 'path=a\n', '8 patha\n', '9 path=ab'])(
  'the damaged pax record %j is refused',
  async record => {
    await assert.rejects(
      read(Buffer.concat([pax('x', record), header({ flag: '0' }), end])),
      refusal(/damaged pax/),
    )
  },
)

test.for(['14 path=other\n', '14 size=99999\n', '22 linkpath=/etc/pass\n'])(
  'a global pax header that sets what names the entry (%j) is refused',
  async record => {
    await assert.rejects(
      read(Buffer.concat([pax('g', record), header({ flag: '0' }), end])),
      refusal(/global pax/),
    )
  },
)

test('a global pax header with a comment is harmless', async () => {
  const found = await read(
    Buffer.concat([pax('g', '14 comment=xy\n'), header({ flag: '0', name: 'a' }), end]),
  )
  assert.equal(found[0]?.name, 'a')
})

test('a pax name of bytes that are no UTF-8 is refused', async () => {
  const record = '11 path=a\xff\n'
  await assert.rejects(
    read(Buffer.concat([pax('x', record), header({ flag: '0' }), end])),
    refusal(/not UTF-8/),
  )
})

test('extended headers are limited, one by one and in a row', async () => {
  const one = pax('x', '14 comment=xy\n')
  const row = Buffer.concat([...Array.from({ length: 50 }, () => one), header({ flag: '0' }), end])
  await assert.rejects(
    read(row, { limits: { maxExtendedHeaderBytes: 4096 } }),
    refusal(/maxExtendedHeaderBytes/),
  )
  const large = header({ flag: 'L', size: '77777777777\0' })
  await assert.rejects(read(Buffer.concat([large, end])), refusal(/maxExtendedHeaderBytes/))
})

test('a sparse file is refused instead of read wrongly', async () => {
  const record = '22 GNU.sparse.major=1\n'
  await assert.rejects(read(Buffer.concat([pax('x', record), header({ flag: '0' }), end])), refusal(/sparse/))
})

test('directories and links have no content even when their header says so', async () => {
  const size = '00000001000\0'
  const found = await read(
    Buffer.concat([
      header({ flag: '5', name: 'd', size }),
      header({ flag: '1', name: 'l', link: 'd', size }),
      header({ flag: '0', name: 'f' }),
      end,
    ]),
  )
  assert.deepEqual(
    found.map(entry => entry.name),
    ['d', 'l', 'f'],
  )
})
