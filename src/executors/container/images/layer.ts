// One layer as a stream: decompressed, counted against the budget, and hashed on both sides of the decompression.

import type { Blob } from './archive.ts'
import { type ByteSource, sourceFromChunks } from './byte-source.ts'
import { compressionOf, decompress } from './compression.ts'
import { RunningDigest, splitDigest } from './digest.ts'
import { ImageError } from './image-error.ts'
import type { Budget } from './limits.ts'
import type { LayerPlan } from './manifest.ts'
import type { RootWriter } from './root-writer.ts'
import { type RandomBytes, readSquashfs } from './squashfs.ts'
import { readTar } from './tar-reader.ts'

/** What is handed in for unpacking one layer. */
export interface LayerTools {
  readonly writer: RootWriter
  readonly budget: Budget
  readonly signal?: AbortSignal | undefined
  /** Told the bytes of the stored layer that were read. */
  readonly onBytes?: ((count: number) => void) | undefined
}

/** Unpacks a layer and answers the digest of its tar; refused when a digest is not the promised one. */
export async function unpackLayer(plan: LayerPlan, tools: LayerTools): Promise<string> {
  if (plan.squashfs !== undefined) return unpackSquashfs(plan.blob, plan.squashfs, tools)
  const stored = new RunningDigest(algorithmsOf(plan.digest))
  const unpacked = new RunningDigest(algorithmsOf(plan.diffId, 'sha256'))
  const [first, chunks] = await peek(plan.blob.chunks())
  const watched = watch(chunks, chunk => {
    stored.update(chunk)
    tools.onBytes?.(chunk.length)
  })
  const compression = first.length === 0 ? 'none' : compressionOf(first)
  const plain = watch(decompress(watched, compression), chunk => {
    unpacked.update(chunk)
    tools.budget.takeBytes(chunk.length)
  })
  try {
    const source = sourceFromChunks(plain)
    const isCovered = plan.diffId !== undefined
    await tools.writer.addLayer(readTar(source, { limits: tools.budget.limits, mustEnd: !isCovered }))
    await drain(source, tools.signal)
  } finally {
    await plain.return(undefined)
  }
  compare(plan.digest, stored, 'the layer')
  const diffId = plan.diffId ?? unpacked.end('sha256')
  compare(plan.diffId, unpacked, 'the unpacked layer')
  return diffId
}

/** A file system is hashed as it is stored: it has no other form. */
async function unpackSquashfs(blob: Blob, squashfs: RandomBytes, tools: LayerTools): Promise<string> {
  const stored = new RunningDigest(new Set(['sha256']))
  for await (const chunk of blob.chunks()) {
    tools.signal?.throwIfAborted()
    stored.update(chunk)
    tools.onBytes?.(chunk.length)
  }
  await tools.writer.addLayer(readSquashfs(squashfs, tools.budget))
  return stored.end('sha256')
}

function algorithmsOf(...digests: (string | undefined)[]): Set<string> {
  const found = new Set<string>()
  for (const digest of digests) {
    if (digest !== undefined) found.add(splitDigest(digest)?.algorithm ?? digest)
  }
  return found
}

function compare(digest: string | undefined, running: RunningDigest, what: string): void {
  const algorithm = digest === undefined ? undefined : splitDigest(digest)?.algorithm
  if (algorithm === undefined) return
  const found = running.end(algorithm)
  if (found !== digest) throw new ImageError('digest', `${what} has the digest ${found}, not ${digest}`)
}

/** What follows the end mark of a tar is padding, but it counts for the digest and against the budget. */
async function drain(source: ByteSource, signal: AbortSignal | undefined): Promise<void> {
  while (await source.drop()) signal?.throwIfAborted()
}

async function* watch(chunks: AsyncGenerator<Buffer>, see: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    see(chunk)
    yield chunk
  }
}

async function peek(chunks: AsyncGenerator<Buffer>): Promise<[first: Buffer, all: AsyncGenerator<Buffer>]> {
  const { value, done } = await chunks.next()
  const first: Buffer = done ? Buffer.alloc(0) : value
  return [
    first,
    (async function* () {
      if (first.length > 0) yield first
      yield* chunks
    })(),
  ]
}
