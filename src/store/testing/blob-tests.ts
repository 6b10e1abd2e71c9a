// Conformance: small content that comes with a batch is a blob like those that were written before.

import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { BlobCount, Store } from '../store.ts'
import { aBatch } from './samples.ts'
import { inWorld, type MakeWorld } from './store-world.ts'

function named(bytes: Uint8Array): BlobCount & { readonly bytes: Uint8Array } {
  const hash = createHash('sha256').update(bytes).digest('hex')
  return { hash, sizeBytes: bytes.length, delta: 1, bytes }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function expectReadable(store: Store, { hash, bytes }: ReturnType<typeof named>): Promise<void> {
  expect(await store.blobs.stat(hash)).toEqual({ hash, sizeBytes: bytes.length })
  expect(await buffer(store.blobs.open(hash))).toEqual(Buffer.from(bytes))
  const range = { from: 1, to: Math.max(1, bytes.length - 1) }
  expect(await buffer(store.blobs.open(hash, range))).toEqual(
    Buffer.from(bytes.subarray(range.from, range.to)),
  )
  expect(await readFile(store.blobs.path(hash))).toEqual(Buffer.from(bytes))
  const place = store.blobs.find(hash)
  const found = 'bytes' in place ? place.bytes : await readFile(place.path)
  expect(Buffer.from(found)).toEqual(Buffer.from(bytes))
}

export function blobTests(makeWorld: MakeWorld): void {
  test('content that comes with a batch is read back whole and in ranges, also after a restart', () =>
    inWorld(makeWorld, async bench => {
      const contents = [0, 1, 700, bench.store.blobs.smallBytesMax].map(size => named(randomBytes(size)))
      await bench.store.commit(aBatch({ blobs: contents }))
      for (const content of contents) await expectReadable(bench.store, content)
      await bench.reopen()
      for (const content of contents) await expectReadable(bench.store, content)
    }))

  test('content that comes twice, or was written before, is there once and goes with its last name', () =>
    inWorld(makeWorld, async bench => {
      const twice = named(randomBytes(100))
      const written = named(randomBytes(100))
      await bench.store.blobs.write(once(written.bytes))
      const { bytes: _, ...withoutBytes } = written
      await bench.store.commit(aBatch({ blobs: [twice, twice, withoutBytes] }))
      await bench.store.commit(aBatch({ blobs: [twice, written] }))
      expect(await bench.store.blobCount(twice.hash)).toBe(3)
      for (const content of [twice, written]) await expectReadable(bench.store, content)
      const dropped = { hash: twice.hash, sizeBytes: 100, delta: -1 } as const
      await bench.store.commit(aBatch({ blobs: [dropped, dropped] }))
      await expectReadable(bench.store, twice)
      await bench.store.commit(aBatch({ blobs: [dropped] }))
      expect(await bench.store.blobCount(twice.hash)).toBe(0)
      // It may come back, and is the same.
      await bench.store.commit(aBatch({ blobs: [twice] }))
      await expectReadable(bench.store, twice)
    }))

  test('content changes hands within one batch, in any order', () =>
    inWorld(makeWorld, async bench => {
      const content = named(randomBytes(100))
      const dropped = { hash: content.hash, sizeBytes: 100, delta: -1 } as const
      await bench.store.commit(aBatch({ blobs: [content] }))
      await bench.store.commit(aBatch({ blobs: [dropped, content] }))
      await bench.store.commit(aBatch({ blobs: [content, dropped] }))
      expect(await bench.store.blobCount(content.hash)).toBe(1)
      await expectReadable(bench.store, content)
    }))

  test('a batch that fails leaves no count of its content, and later content is not mixed up with it', () =>
    inWorld(makeWorld, async bench => {
      const [kept, failed, later] = [1, 2, 3].map(() => named(randomBytes(300)))
      await bench.store.commit(aBatch({ blobs: [kept!] }))
      const impossible = { hash: 'e'.repeat(64), sizeBytes: 1, delta: -1 } as const
      await expect(bench.store.commit(aBatch({ blobs: [failed!, impossible] }))).rejects.toThrow()
      expect(await bench.store.blobCount(failed!.hash)).toBe(0)
      await bench.store.commit(aBatch({ blobs: [later!] }))
      for (const content of [kept!, later!]) await expectReadable(bench.store, content)
    }))

  test('a sweep leaves content that a batch brought', () =>
    inWorld(makeWorld, async bench => {
      const content = named(randomBytes(300))
      await bench.store.commit(aBatch({ blobs: [content] }))
      await bench.store.blobs.sweep(async hash => (await bench.store.blobCount(hash)) > 0)
      await expectReadable(bench.store, content)
    }))
}
