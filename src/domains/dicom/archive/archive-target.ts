// Where the bytes of an archive go: into a file that becomes a blob, or to a socket on which somebody waits for them.

import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { WorkResult, WorkTools } from '../../../core/work.ts'
import type { Sink } from '../zip/zip-writer.ts'
import { keepFile } from './keep-file.ts'
import type { ArchivePlan } from './plan.ts'

export interface Target {
  readonly sink: Sink
  /** Gives the outputs of the job: the kept file, or none. */
  finish(sizeBytes: number): Promise<NonNullable<WorkResult['outputs']>>
  drop(): Promise<void>
}

/** How much is hashed and written at a time. */
const writtenBytes = 256 * 1024
/** How much is written before the disk is asked to take it: each sync is one more that commits have to share it with. */
const unsyncedBytesMax = 4 * 1024 * 1024

/** Opens the place that a plan names. */
export function openTarget({ target }: ArchivePlan, tools: WorkTools): Promise<Target> {
  return target.type === 'socket' ? socketTarget(target.path) : fileTarget(tools)
}

/** A file that becomes a blob: hashed on its way, synced, then put where blobs are. */
async function fileTarget(tools: WorkTools): Promise<Target> {
  const path = join(tools.scratchDir, 'archive.zip')
  const handle = await open(path, 'w')
  const hash = createHash('sha256')
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let unsyncedBytes = 0
  let syncing: Promise<void> | undefined
  let failure: unknown
  const flush = async (): Promise<void> => {
    if (waiting.length === 0) return
    const pieces = waiting
    let missing = waitingBytes
    waiting = []
    waitingBytes = 0
    for (const piece of pieces) hash.update(piece)
    unsyncedBytes += missing
    missing -= (await handle.writev(pieces)).bytesWritten
    // A disk that is nearly full takes a part, and says why at the next try.
    if (missing > 0) await handle.writeFile(Buffer.concat(pieces).subarray(-missing))
  }
  return {
    async sink(bytes) {
      waiting.push(bytes)
      waitingBytes += bytes.length
      if (waitingBytes < writtenBytes) return
      await flush()
      if (failure !== undefined) throw failure
      if (syncing || unsyncedBytes < unsyncedBytesMax) return
      unsyncedBytes = 0
      // The disk takes what is there while the rest is made, so that the end waits for little.
      syncing = handle
        .datasync()
        .catch(error => (failure = error)) // It is told only once: a later sync that succeeds would prove nothing.
        .then(() => (syncing = undefined))
    },
    async finish(sizeBytes) {
      await flush()
      await syncing
      if (failure !== undefined) throw failure
      await handle.datasync()
      await handle.close()
      const blob = { hash: hash.digest('hex'), sizeBytes, mediaType: 'application/zip' }
      await keepFile(tools.blobsDir, path, blob.hash)
      return [{ name: 'archive', blob }]
    },
    async drop() {
      await syncing
      await handle.close()
    },
  }
}

/** A socket on which somebody takes the bytes as they come: nothing is kept, and a slow reader slows the writing. */
async function socketTarget(path: string): Promise<Target> {
  const socket = connect(path)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', () => reject(new Error('the client that asked for this archive has gone')))
  })
  let failure: Error | undefined
  socket.on('error', error => (failure = error))
  socket.on('close', () => (failure ??= new Error('the client has gone')))
  return {
    async sink(bytes) {
      if (failure) throw failure
      if (socket.write(bytes)) return
      await new Promise<void>((resolve, reject) => {
        const settle = (): void => {
          socket.off('drain', settle).off('close', settle)
          if (failure) reject(failure)
          else resolve()
        }
        socket.on('drain', settle).on('close', settle)
      })
    },
    finish: () => new Promise(resolve => socket.end(() => resolve([]))),
    async drop() {
      socket.destroy()
    },
  }
}
