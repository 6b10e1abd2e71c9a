// The work of archive and media jobs: reads stored files and writes a ZIP, on a worker thread of the function executor.

import { createHash, randomFillSync } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Json } from '../../../core/json.ts'
import type { WorkBlobs, WorkResult, WorkTools } from '../../../core/work.ts'
import { makeDictionary } from '../dictionary/dictionary.ts'
import { readDataSet } from '../reading/reader.ts'
import { memorySource, openSource } from '../reading/source.ts'
import { showValue, valuesOf } from '../reading/value.ts'
import type { Tag } from '../tag.ts'
import { isTarget, transcode } from '../transcoding/transcode.ts'
import { makeUid } from '../uid.ts'
import { makeZipWriter, type Sink } from '../zip/zip-writer.ts'
import { type DirectoryEntry, directoryTags, writeDicomDir } from './dicomdir.ts'
import { keepFile } from './keep-file.ts'
import {
  type ArchivePlan,
  type PartsAnswer,
  type PartsQuestion,
  type PlannedFile,
  type PlannedSeries,
  plannedName,
} from './plan.ts'

/** How many members may be on their way: one a core, and one to follow. The thread pool is everybody's. */
const aheadMax = Math.min(4, availableParallelism() + 1)
/** And how many bytes of them. */
const aheadBytesMax = 32 * 1024 * 1024
/** Larger files are not turned into another syntax: they would have to be held in memory. */
const turnedBytesMax = 256 * 1024 * 1024

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
  const blobs = await tools.blobs()
  const directory = plan.kind === 'media' ? new Directory(plan) : undefined
  const flights = makeFlights()
  const transcoder = new Transcoder(plan.defaultTerm)
  const total = plan.count + 1
  let done = 0
  const finishOne = (): void => {
    done++
    // Telling costs more than a small file does.
    if (done % 32 === 0 || done === plan.count) tools.progress(done / total, { instancesDone: done })
  }
  for await (const series of seriesOf(plan, tools)) {
    for (const [index, file] of series.files.entries()) {
      stopIfAsked(tools)
      const found = openBlob(blobs, file)
      if (!found) {
        // It was deleted since the archive was asked for: the others are archived all the same.
        tools.log(`a file of ${series.folder} is gone: ${file.hash}`)
        continue
      }
      const given = plan.transcode === undefined ? found : transcoder.turn(found, file, plan.transcode)
      const name = directory ? directory.add(given) : plannedName(series, index)
      const member = { name, ...(file.isPacked && given === found ? { isStored: true } : {}) }
      if ('bytes' in given) {
        const waiting = zip.addNow(member, given.bytes)
        if (waiting) await flights.add(given.bytes.length, waiting)
        finishOne()
      } else {
        const adding = zip.addFile(member, { fd: given.fd, sizeBytes: file.sizeBytes })
        await flights.add(file.sizeBytes, adding.then(finishOne))
      }
    }
  }
  await flights.all()
  stopIfAsked(tools)
  if (directory) await zip.addBytes({ name: 'DICOMDIR' }, directory.write())
  return zip.finish()
}

/** The parts of the plan: in its own list, else the server is asked for some after the others, one request ahead. */
async function* seriesOf(plan: ArchivePlan, tools: WorkTools): AsyncGenerator<PlannedSeries> {
  if (plan.series) return yield* plan.series
  if (plan.target.type !== 'socket') throw new Error('an archive that is kept has to list its files')
  const question: PartsQuestion = { plan: plan.target.path }
  const ask = (): Promise<PartsAnswer> => {
    const coming = tools.ask(question) as Promise<PartsAnswer>
    coming.catch(() => {}) // Heard when its turn comes.
    return coming
  }
  for (let coming = ask(); ; ) {
    const { parts, isLast } = await coming
    if (!isLast) coming = ask()
    yield* parts
    if (isLast) return
  }
}

type OpenBlob = { readonly bytes: Uint8Array } | { readonly fd: number }

/** The bytes, or the open file: what is open stays, even if it is deleted now. Undefined when it is gone already. */
function openBlob(blobs: WorkBlobs, { hash }: PlannedFile): OpenBlob | undefined {
  const place = blobs.find(hash)
  if ('bytes' in place) return place
  try {
    return { fd: openSync(place.path, 'r') }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Turns files into another syntax; those that cannot be turned stay as they are, as the original does it. */
class Transcoder {
  readonly #dictionary = lazily(makeDictionary)
  readonly #defaultTerm: string

  constructor(defaultTerm: string) {
    this.#defaultTerm = defaultTerm
  }

  turn(found: OpenBlob, { sizeBytes }: PlannedFile, target: string): OpenBlob {
    if (!isTarget(target) || sizeBytes > turnedBytesMax) return found
    const source = 'bytes' in found ? memorySource(found.bytes) : openSource(found.fd)
    const set = readDataSet(source, { dictionary: this.#dictionary() })
    const bytes = transcode(set, target, this.#defaultTerm)
    if (!bytes) return found
    if ('fd' in found) closeSync(found.fd)
    return { bytes }
  }
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

/** What the directory of a medium tells of its files. */
class Directory {
  readonly #plan: ArchivePlan & { readonly now: number }
  readonly #dictionary = makeDictionary()
  readonly #entries: DirectoryEntry[] = []

  constructor(plan: ArchivePlan & { readonly now: number }) {
    this.#plan = plan
  }

  /** Notes a file, and gives its name on the medium. */
  add(file: OpenBlob): string {
    const name = `IM${this.#entries.length}`
    const source = 'bytes' in file ? memorySource(file.bytes) : openSource(file.fd)
    const set = readDataSet(source, { dictionary: this.#dictionary, keep: 'top' })
    this.#entries.push({ file: `IMAGES\\${name}`, ...readFacts(set, this.#plan.defaultTerm) })
    return `IMAGES/${name}`
  }

  write(): Uint8Array {
    const { isExtended, now } = this.#plan
    return writeDicomDir(this.#entries, { isExtended, now, uid: makeUid(randomFillSync) })
  }
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
