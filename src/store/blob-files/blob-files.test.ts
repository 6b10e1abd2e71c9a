import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { StoreFailed } from '../store.ts'
import { BlobFiles } from './blob-files.ts'

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('bytes come back under the hash of their content, whole and in ranges', async () => {
  const { blobs } = await setup()
  const bytes = randomBytes(1_000_000)
  const ref = await blobs.write(chunksOf(bytes, 70_001))
  expect(ref).toEqual({ hash: hashOf(bytes), sizeBytes: bytes.length })
  expect(await blobs.stat(ref.hash)).toEqual(ref)
  expect(await buffer(blobs.open(ref.hash))).toEqual(bytes)
  expect(await readFile(blobs.path(ref.hash))).toEqual(bytes)
  for (const [from, to] of [
    [0, 1],
    [10, 10],
    [999_999, 1_000_000],
    [5, 300_000],
  ] as const) {
    expect(await buffer(blobs.open(ref.hash, { from, to }))).toEqual(bytes.subarray(from, to))
  }
})

test('the empty blob is a blob', async () => {
  const { blobs } = await setup()
  const ref = await blobs.write(chunksOf(Buffer.alloc(0)))
  expect(ref).toEqual({ hash: hashOf(Buffer.alloc(0)), sizeBytes: 0 })
  expect(await buffer(blobs.open(ref.hash))).toHaveLength(0)
})

test('many writers of the same and of other content at a time all get what they wrote, and leave no other file', async () => {
  const { blobs, files } = await setup()
  const contents = Array.from({ length: 12 }, (_, at) => randomBytes(at % 2 ? 1000 : 400_000))
  const refs = await Promise.all(
    [...contents, ...contents, ...contents].map(bytes => blobs.write(chunksOf(bytes))),
  )
  for (const [at, { hash }] of refs.entries()) {
    const bytes = contents[at % 12]!
    expect(hash).toBe(hashOf(bytes))
    expect((await readFile(blobs.path(hash))).equals(bytes)).toBe(true)
  }
  expect((await files()).length).toBe(12)
})

test('content past the limit is refused when it passes, and leaves nothing', async () => {
  const { blobs, files } = await setup()
  let sent = 0
  async function* endless() {
    for (;;) {
      sent++
      yield Buffer.alloc(100_000, sent)
    }
  }
  await expect(blobs.write(endless(), { limitBytes: 1_000_000 })).rejects.toMatchObject({
    refusal: { kind: 'too-large' },
  })
  expect(sent).toBe(11)
  expect(await files()).toEqual([])
  const atTheLimit = await blobs.write(chunksOf(Buffer.alloc(1000)), { limitBytes: 1000 })
  expect(atTheLimit.sizeBytes).toBe(1000)
})

test('content that is not what was announced is refused and leaves nothing', async () => {
  const { blobs, files } = await setup()
  const bytes = randomBytes(500_000)
  await expect(
    blobs.write(chunksOf(bytes), { expectHash: hashOf(Buffer.from('other')) }),
  ).rejects.toMatchObject({
    refusal: { kind: 'bad-request' },
  })
  expect(await files()).toEqual([])
  expect(await blobs.write(chunksOf(bytes), { expectHash: hashOf(bytes).toUpperCase() })).toMatchObject({
    hash: hashOf(bytes),
  })
})

test('a source that breaks off fails the write with its own error and leaves nothing', async () => {
  const { blobs, files } = await setup()
  async function* broken() {
    yield randomBytes(600_000)
    throw new Error('the client went away')
  }
  await expect(blobs.write(broken())).rejects.toThrow('the client went away')
  expect(await files()).toEqual([])
})

// vitest fails the run for errors that nobody catches.
test('a stream that fails before it is read is told to the writer alone', async () => {
  const { blobs, files } = await setup()
  const source = new Readable({ read() {} })
  process.nextTick(() => source.destroy(new Error('it went early')))
  await expect(blobs.write(source)).rejects.toThrow('it went early')
  expect(await files()).toEqual([])
})

test('a disk without space is reported as the store reports it', async () => {
  const { blobs } = await setup()
  // biome-ignore lint/correctness/useYield: it fails before there is anything
  async function* full(): AsyncGenerator<Uint8Array> {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  }
  const failure = await blobs.write(full()).catch(error => error)
  expect(failure).toBeInstanceOf(StoreFailed)
  expect(failure.code).toBe('full')
})

test('a finished file is adopted by moving it', async () => {
  const { blobs, files } = await setup()
  const bytes = randomBytes(50_000)
  for (let round = 0; round < 2; round++) {
    const file = await blobs.scratchFile()
    await writeFile(file, bytes)
    expect(await blobs.adopt(file)).toEqual({ hash: hashOf(bytes), sizeBytes: bytes.length })
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' })
  }
  expect(await files()).toHaveLength(1)
  await expect(blobs.adopt(await blobs.scratchFile())).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a name that is not a hash never becomes a path', async () => {
  const { blobs } = await setup()
  for (const name of [
    '../../etc/passwd',
    '',
    'A'.repeat(64),
    'a'.repeat(63),
    `${'a'.repeat(64)}/x`,
    'a'.repeat(64) + '\n',
  ]) {
    expect(() => blobs.path(name)).toThrow('hexadecimal')
    expect(() => blobs.open(name)).toThrow('hexadecimal')
    expect(await blobs.stat(name)).toBeUndefined()
  }
  expect(await blobs.stat('a'.repeat(64))).toBeUndefined()
})

test('a sweep removes old blobs that nobody names or keeps, and no others', async () => {
  const { blobs, age } = await setup()
  const [named, kept, orphan, young] = await Promise.all(
    ['named', 'kept', 'orphan', 'young'].map(text => blobs.write(chunksOf(Buffer.from(text)))),
  )
  for (const ref of [named, kept, orphan]) await age(ref!.hash)
  const letGo = [blobs.keep(kept!.hash), blobs.keep(kept!.hash)]
  const sweep = () => blobs.sweep(async hash => hash === named!.hash)
  expect(await sweep()).toEqual({ removed: 1 })
  expect(await blobs.stat(orphan!.hash)).toBeUndefined()
  for (const ref of [named, kept, young]) expect(await blobs.stat(ref!.hash)).toEqual(ref)

  // It is kept until both have let go, each of them once.
  letGo[0]!()
  letGo[0]!()
  expect(await sweep()).toEqual({ removed: 0 })
  letGo[1]!()
  expect(await sweep()).toEqual({ removed: 1 })
})

test('a blob that is written again is young again, so that it lives until its new name is committed', async () => {
  const { blobs, age } = await setup()
  const { hash } = await blobs.write(chunksOf(Buffer.from('again')))
  await age(hash)
  await blobs.write(chunksOf(Buffer.from('again')))
  expect(await blobs.sweep(async () => false)).toEqual({ removed: 0 })
  await age(hash)
  const file = await blobs.scratchFile()
  await writeFile(file, 'again')
  await blobs.adopt(file)
  expect(await blobs.sweep(async () => false)).toEqual({ removed: 0 })
})

test('what nobody names any more goes at once when it is old, and later when it is young', async () => {
  const { blobs, age } = await setup({ youthMs: 50 })
  const [old, young, renamed] = await Promise.all(
    ['old', 'young', 'renamed'].map(text => blobs.write(chunksOf(Buffer.from(text)))),
  )
  await age(old!.hash)
  blobs.discard([old!.hash, young!.hash, renamed!.hash], hash => hash === renamed!.hash)
  await expect.poll(() => blobs.stat(old!.hash), { timeout: 20_000 }).toBeUndefined()
  await expect.poll(() => blobs.stat(young!.hash), { timeout: 20_000 }).toBeUndefined()
  expect(await blobs.stat(renamed!.hash)).toEqual(renamed)
  blobs.close()
})

test('what is young stays when it loses its name, and what has a name again stays for good', async () => {
  const { blobs, age } = await setup()
  const [young, renamed, last] = await Promise.all(
    ['young', 'renamed', 'last'].map(text => blobs.write(chunksOf(Buffer.from(text)))),
  )
  for (const ref of [renamed, last]) await age(ref!.hash)
  blobs.discard([young!.hash, renamed!.hash, last!.hash], hash => hash === renamed!.hash)
  await expect.poll(() => blobs.stat(last!.hash), { timeout: 20_000 }).toBeUndefined()
  expect(await blobs.stat(young!.hash)).toEqual(young)
  expect(await blobs.stat(renamed!.hash)).toEqual(renamed)
  blobs.close()
})

test('a sweep clears away temporary files that nobody has touched for a day', async () => {
  const { blobs } = await setup()
  const [stale, fresh] = [await blobs.scratchFile(), await blobs.scratchFile()]
  await writeFile(stale!, 'x')
  await writeFile(fresh!, 'x')
  const dayBefore = new Date(Date.now() - 25 * 3600 * 1000)
  await utimes(stale!, dayBefore, dayBefore)
  await blobs.sweep(async () => true)
  await expect(stat(stale!)).rejects.toMatchObject({ code: 'ENOENT' })
  await stat(fresh!)
})

test('a file that was cut short is replaced by whoever writes the content again', async () => {
  const { blobs } = await setup()
  const bytes = randomBytes(3000)
  const { hash } = await blobs.write(chunksOf(bytes))
  await writeFile(blobs.path(hash), bytes.subarray(0, 10))
  await blobs.write(chunksOf(bytes))
  expect(await readFile(blobs.path(hash))).toEqual(bytes)
})

async function setup(options: { youthMs?: number } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'blob-files-'))
  const blobs = new BlobFiles(join(folder, 'blobs'), options)
  onTestFinished(() => rm(folder, { recursive: true }))
  return {
    blobs,
    /** All files there are, blobs and temporary ones. */
    files: async () => {
      const found = await readdir(folder, { recursive: true, withFileTypes: true })
      return found.filter(entry => entry.isFile()).map(entry => entry.name)
    },
    /** Makes a blob look as if it had been written an hour ago. */
    age: async (hash: string) => {
      const hourBefore = new Date(Date.now() - 3_600_000)
      await utimes(blobs.path(hash), hourBefore, hourBefore)
    },
  }
}

async function* chunksOf(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
