// The work of archive and media jobs: reads stored files and writes a ZIP, on a worker thread of the function executor.
// Small files are packed many at a time, here and on an assistant's thread; large ones one by one on the thread pool.

import { randomFillSync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { setImmediate as turn } from 'node:timers/promises'
import type { Json } from '../../../core/json.ts'
import { type WorkResult, type WorkTools, workAt } from '../../../core/work.ts'
import { makeUid } from '../uid.ts'
import { type Strategy, syncBytesMax } from '../zip/pack-members.ts'
import { makeZipWriter, type Sink, type ZipWriter } from '../zip/zip-writer.ts'
import { openTarget } from './archive-target.ts'
import { type DirectoryEntry, writeDicomDir } from './dicomdir.ts'
import {
  type FileFacts,
  FilePacker,
  type NamedFile,
  type PackedFiles,
  type PackOptions,
} from './pack-files.ts'
import {
  type ArchivePlan,
  type PartsAnswer,
  type PartsQuestion,
  type PlannedSeries,
  plannedName,
} from './plan.ts'

type Plan = ArchivePlan & { readonly now: number }

/** How many large members may be on their way: one a core, and one to follow. The thread pool is everybody's. */
const aheadMax = Math.min(4, availableParallelism() + 1)
/** And how many bytes of them. */
const aheadBytesMax = 32 * 1024 * 1024
/** How many packs of small ones may wait for one before them, or for the sink. */
const packsAheadMax = 8
/** Small files are packed so many together, or so many bytes: some ms of work, for which a message costs nothing. */
const together = { files: 40, bytes: 512 * 1024 }
/** The first ones are few, for somebody waits for the first bytes; and the last, so that no thread waits for another's many. */
const fewFiles = 8
/** No pack is a larger part of what is left than this. */
const partOfRest = 1 / 8
/** How many packs the assistant is given at a time: one to work on, and one to follow. */
const givenMax = 2
/** Fewer files are not worth another thread. */
const assistedMin = 100

/** Makes an archive. The outcome's detail tells its size; its output `archive` is the file, unless it was streamed. */
export async function makeArchive(input: Json, tools: WorkTools): Promise<WorkResult> {
  const plan = input as unknown as Plan
  const target = await openTarget(plan, tools)
  try {
    const sizeBytes = await new ArchiveWriter(plan, tools, target.sink).write()
    const outputs = await target.finish(sizeBytes)
    const blob = outputs[0]?.blob
    return { detail: { archiveBytes: sizeBytes, ...(blob ? { archiveHash: blob.hash } : {}) }, outputs }
  } catch (error) {
    await target.drop()
    throw error
  }
}

class ArchiveWriter {
  readonly #plan: Plan
  readonly #tools: WorkTools
  readonly #zip: ZipWriter
  readonly #flights = makeFlights()
  readonly #options: PackOptions
  readonly #directory: (DirectoryEntry | undefined)[] = []
  #packer: FilePacker | undefined
  #strategy: Strategy | undefined
  #done = 0

  constructor(plan: Plan, tools: WorkTools, sink: Sink) {
    const { level, now, defaultTerm, transcode, kind } = plan
    this.#plan = plan
    this.#tools = tools
    this.#zip = makeZipWriter({ sink, now, level })
    this.#options = {
      ...{ level, now, defaultTerm, hasDirectory: kind === 'media' },
      ...(transcode === undefined ? {} : { transcode }),
    }
  }

  /** Writes everything; the size of the ZIP. */
  async write(): Promise<number> {
    const assistant =
      this.#plan.count < assistedMin
        ? undefined
        : this.#tools.assistant(workAt(import.meta.url, './pack-files.ts', 'packBeside'))
    this.#packer = new FilePacker({ blobs: await this.#tools.blobs(), options: this.#options })
    for await (const { first, files, beginsSeries } of this.#groups()) {
      stopIfAsked(this.#tools)
      if (files.length === 1 && files[0]!.sizeBytes > syncBytesMax) {
        await this.#addLarge(first, files[0]!)
        continue
      }
      // The first bytes need no way to another thread and back.
      const isAssisted = first > 0 && assistant?.isReady && assistant.waiting < givenMax
      // Files of a series are alike; those of another one may not be.
      const strategy = beginsSeries ? undefined : this.#strategy
      const packed = isAssisted
        ? (assistant.ask({ options: { ...this.#options, strategy }, files }) as Promise<PackedFiles>)
        : this.#packer.pack(files, () => stopIfAsked(this.#tools), strategy)
      await this.#addPacked(first, files, packed)
      // Answers are heard between packs of our own.
      if (assistant && !isAssisted) await turn()
    }
    await this.#flights.all()
    stopIfAsked(this.#tools)
    if (this.#plan.kind === 'media') await this.#zip.addBytes({ name: 'DICOMDIR' }, this.#writeDirectory())
    return this.#zip.finish()
  }

  #addPacked(
    first: number,
    files: readonly NamedFile[],
    packed: PackedFiles | Promise<PackedFiles>,
  ): Promise<void> {
    const note = ({ row, facts, gone, strategy }: PackedFiles): Uint8Array => {
      this.#strategy = strategy
      for (const index of gone) this.#logGone(files[index]!)
      for (const [index, fact] of facts.entries()) if (fact) this.#noteFacts(first + index, fact)
      return row
    }
    const adding = this.#zip.addRow(packed instanceof Promise ? packed.then(note) : note(packed))
    return this.#flights.add(
      { large: 0, packs: 1, bytes: 0 },
      adding.then(() => this.#finish(files.length)),
    )
  }

  /** `index` counts the files of the archive. */
  async #addLarge(index: number, file: NamedFile): Promise<void> {
    const packer = this.#packer!
    const found = packer.open(file)
    if (!found) return this.#logGone(file)
    const { given, isStored } = packer.turn(found, file)
    if (this.#options.hasDirectory) this.#noteFacts(index, packer.facts(given))
    const member = { name: file.name, isStored }
    const adding =
      'bytes' in given
        ? this.#zip.addBytes(member, given.bytes)
        : this.#zip.addFile(member, { fd: given.fd, sizeBytes: file.sizeBytes })
    await this.#flights.add(
      { large: 1, packs: 0, bytes: file.sizeBytes },
      adding.then(() => this.#finish(1)),
    )
  }

  /** It was deleted since the archive was asked for: the others are archived all the same. */
  #logGone(file: NamedFile): void {
    this.#tools.log(`${file.name} is gone: ${file.hash}`)
  }

  #finish(count: number): void {
    this.#done += count
    this.#tools.progress(this.#done / (this.#plan.count + 1), { instancesDone: this.#done })
  }

  /** The files in their order with their names: large ones alone, small ones together. */
  async *#groups(): AsyncGenerator<{ first: number; files: NamedFile[]; beginsSeries: boolean }> {
    let first = 0
    let files: NamedFile[] = []
    let bytes = 0
    let beginsSeries = false
    const take = () => {
      const group = { first, files, beginsSeries }
      first += files.length
      files = []
      bytes = 0
      beginsSeries = false
      return group
    }
    for await (const series of this.#series()) {
      for (const [index, file] of series.files.entries()) {
        const isLarge = file.sizeBytes > syncBytesMax
        const rest = Math.ceil((this.#plan.count - first) * partOfRest)
        const filesMax = first === 0 ? fewFiles : Math.max(fewFiles, Math.min(together.files, rest))
        const isFull = files.length >= filesMax || bytes + file.sizeBytes > together.bytes
        if (files.length > 0 && (isLarge || isFull)) yield take()
        const name = this.#options.hasDirectory
          ? `IMAGES/IM${first + files.length}`
          : plannedName(series, index)
        files.push({ ...file, name })
        beginsSeries ||= index === 0 && !series.from
        bytes += file.sizeBytes
        if (isLarge) yield take()
      }
    }
    if (files.length > 0) yield take()
  }

  /** The parts of the plan: in its own list, else the server is asked for some after the others, one request ahead. */
  async *#series(): AsyncGenerator<PlannedSeries> {
    const { series, target } = this.#plan
    if (series) return yield* series
    if (target.type !== 'socket') throw new Error('an archive that is kept has to list its files')
    const question: PartsQuestion = { plan: target.path }
    const ask = (): Promise<PartsAnswer> => {
      const coming = this.#tools.ask(question) as Promise<PartsAnswer>
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

  #noteFacts(index: number, facts: FileFacts): void {
    this.#directory[index] = { file: `IMAGES\\IM${index}`, ...facts }
  }

  #writeDirectory(): Uint8Array {
    const { isExtended, now } = this.#plan
    const entries = this.#directory.filter(entry => entry !== undefined)
    return writeDicomDir(entries, { isExtended, now, uid: makeUid(randomFillSync) })
  }
}

/** What is under way: large members, or packs of small ones. */
interface Cost {
  readonly large: number
  readonly packs: number
  readonly bytes: number
}

/** Work under way, bounded; the first failure surfaces at the next call. */
function makeFlights() {
  const flying = new Map<Promise<void>, Cost>()
  const now = { large: 0, packs: 0, bytes: 0 }
  const add = (cost: Cost, sign: 1 | -1): void => {
    for (const name of ['large', 'packs', 'bytes'] as const) now[name] += sign * cost[name]
  }
  const isMuch = () => now.large >= aheadMax || now.packs >= packsAheadMax || now.bytes > aheadBytesMax
  async function landOne(): Promise<void> {
    const [first, cost] = flying.entries().next().value!
    try {
      await first
    } finally {
      add(cost, -1)
      flying.delete(first)
    }
  }
  return {
    async add(cost: Cost, flight: Promise<void>): Promise<void> {
      flight.catch(() => {}) // Heard when it lands; until then it must not count as unhandled.
      flying.set(flight, cost)
      add(cost, 1)
      while (flying.size > 0 && isMuch()) await landOne()
    },
    async all(): Promise<void> {
      while (flying.size > 0) await landOne()
    },
  }
}

function stopIfAsked(tools: WorkTools): void {
  const why = tools.stopReason()
  if (why !== undefined) throw new Error(`stopped: ${why}`)
}
