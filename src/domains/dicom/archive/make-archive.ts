// The work of archive and media jobs: reads stored files and writes a ZIP, on a worker thread of the function executor.

import { createHash, randomFillSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Json } from '../../../core/json.ts'
import type { WorkResult, WorkTools } from '../../../core/work.ts'
import { makeDictionary } from '../dictionary/dictionary.ts'
import { readDataSet } from '../reading/reader.ts'
import { type ByteSource, memorySource, withFile } from '../reading/source.ts'
import { showValue, valuesOf } from '../reading/value.ts'
import type { Tag } from '../tag.ts'
import { makeUid } from '../uid.ts'
import { makeZipWriter, type Sink } from '../zip/zip-writer.ts'
import { type DirectoryEntry, directoryTags, writeDicomDir } from './dicomdir.ts'
import { keepFile } from './keep-file.ts'
import { type ArchivePlan, plannedNames, planTotals } from './plan.ts'

/** How many members may be read and deflated at the same time. */
const aheadMax = 4
/** And how many bytes of them. */
const aheadBytesMax = 32 * 1024 * 1024

/** Makes an archive. The outcome's detail tells its size; its output `archive` is the file, unless it was streamed. */
export async function makeArchive(input: Json, tools: WorkTools): Promise<WorkResult> {
  const plan = input as unknown as ArchivePlan & { readonly now: number }
  const target =
    plan.target.type === 'socket' ? await socketTarget(plan.target.path) : await fileTarget(tools)
  try {
    const sizeBytes = await writeArchive(plan, tools, target.sink)
    const outputs = await target.finish(sizeBytes)
    const blob = outputs[0]?.blob
    return { detail: { archiveBytes: sizeBytes, ...(blob ? { archiveHash: blob.hash } : {}) }, outputs }
  } catch (error) {
    await target.drop()
    throw error
  }
}

async function writeArchive(
  plan: ArchivePlan & { now: number },
  tools: WorkTools,
  sink: Sink,
): Promise<number> {
  const zip = makeZipWriter({ sink, now: plan.now, level: plan.level })
  const directory: DirectoryEntry[] = []
  const total = planTotals(plan).count + 1
  const flights = makeFlights()
  let done = 0
  let image = 0
  const dictionary = plan.kind === 'media' ? makeDictionary() : undefined
  const blobs = await tools.blobs()
  for (const series of plan.series) {
    const names = plan.kind === 'media' ? undefined : plannedNames(series)
    for (const [index, file] of series.files.entries()) {
      stopIfAsked(tools)
      const place = blobs.find(file.hash)
      if ('path' in place && !existsSync(place.path)) {
        // It was deleted since the archive was asked for: the others are archived all the same.
        tools.log(`a file of ${series.folder} is gone: ${file.hash}`)
        continue
      }
      const name = names?.[index] ?? `IMAGES/IM${image}`
      if (dictionary) {
        const read = (source: ByteSource) =>
          readFacts(readDataSet(source, { dictionary, keep: 'top' }), plan.defaultTerm)
        const facts = 'bytes' in place ? read(memorySource(place.bytes)) : withFile(place.path, read)
        directory.push({ file: `IMAGES\\IM${image}`, ...facts })
      }
      image++
      const member = { name, ...(file.isPacked ? { isStored: true } : {}) }
      const adding =
        'bytes' in place
          ? zip.addBytes(member, place.bytes)
          : zip.addFile(member, { path: place.path, sizeBytes: file.sizeBytes })
      await flights.add(
        file.sizeBytes,
        adding.then(() => {
          done++
          tools.progress(done / total, { instancesDone: done })
        }),
      )
    }
  }
  await flights.all()
  stopIfAsked(tools)
  if (plan.kind === 'media') {
    const options = { isExtended: plan.isExtended, now: plan.now, uid: makeUid(randomFillSync) }
    await zip.addBytes({ name: 'DICOMDIR' }, writeDicomDir(directory, options))
  }
  return zip.finish()
}

/** Work under way, bounded in number and bytes; the first failure surfaces at the next call. */
function makeFlights() {
  const flying = new Map<Promise<void>, number>()
  let bytes = 0
  async function landOne(): Promise<void> {
    const first = flying.keys().next().value!
    try {
      await first
    } finally {
      bytes -= flying.get(first)!
      flying.delete(first)
    }
  }
  return {
    async add(sizeBytes: number, flight: Promise<void>): Promise<void> {
      flight.catch(() => {}) // Heard when it lands; until then it must not count as unhandled.
      flying.set(flight, sizeBytes)
      bytes += sizeBytes
      while (flying.size >= aheadMax || (bytes > aheadBytesMax && flying.size > 0)) await landOne()
    },
    async all(): Promise<void> {
      while (flying.size > 0) await landOne()
    },
  }
}

function stopIfAsked(tools: WorkTools): void {
  if (tools.signal.aborted) throw new Error(`stopped: ${tools.stopReason() ?? 'aborted'}`)
}

function readFacts(set: ReturnType<typeof readDataSet>, defaultTerm: string): Omit<DirectoryEntry, 'file'> {
  const { values } = valuesOf(set, defaultTerm)
  const wanted = new Set<Tag>(directoryTags)
  const found = new Map<Tag, string>()
  for (const element of set.elements) {
    if (!wanted.has(element.tag) || element.items || element.length > 4096 || found.has(element.tag)) continue
    const text = showValue(element, values)
    if (text !== null) found.set(element.tag, text)
  }
  return { transferSyntax: set.transferSyntax, values: found }
}

interface Target {
  readonly sink: Sink
  finish(sizeBytes: number): Promise<NonNullable<WorkResult['outputs']>>
  drop(): Promise<void>
}

/** A file that becomes a blob: hashed on its way, synced, then put where blobs are. */
async function fileTarget(tools: WorkTools): Promise<Target> {
  const path = join(tools.scratchDir, 'archive.zip')
  const handle = await open(path, 'w')
  const hash = createHash('sha256')
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  const flush = async (): Promise<void> => {
    if (waiting.length === 0) return
    const bytes = Buffer.concat(waiting)
    waiting = []
    waitingBytes = 0
    hash.update(bytes)
    await handle.writeFile(bytes)
  }
  return {
    async sink(bytes) {
      waiting.push(bytes)
      waitingBytes += bytes.length
      if (waitingBytes >= 1024 * 1024) await flush()
    },
    async finish(sizeBytes) {
      await flush()
      await handle.sync()
      await handle.close()
      const blob = { hash: hash.digest('hex'), sizeBytes, mediaType: 'application/zip' }
      await keepFile(tools.blobsDir, path, blob.hash)
      return [{ name: 'archive', blob }]
    },
    drop: () => handle.close(),
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
