// Small files of an archive, many at a time: read, turned into another syntax where that is asked for, deflated, and
// made into a row of members. What runs on the thread of an archive's job, and beside it on its assistant's.

import { closeSync, openSync, readFileSync } from 'node:fs'
import type { WorkBlobs, WorkPart } from '../../../core/work.ts'
import { type Dictionary, makeDictionary } from '../dictionary/dictionary.ts'
import { readDataSet } from '../reading/reader.ts'
import { memorySource, openSource } from '../reading/source.ts'
import { showValue, valuesOf } from '../reading/value.ts'
import type { Tag } from '../tag.ts'
import { isTarget, transcode } from '../transcoding/transcode.ts'
import { packMembers, type Strategy, strategyFor } from '../zip/pack-members.ts'
import { QuickDeflater } from '../zip/quick-deflate/quick-deflate.ts'
import { type DirectoryEntry, directoryTags } from './dicomdir.ts'
import type { PlannedFile } from './plan.ts'

/** What is the same for all files of an archive. */
export interface PackOptions {
  readonly level: number
  readonly now: number
  readonly defaultTerm: string
  readonly transcode?: string
  /** Whether the directory of a medium needs to know of them. */
  readonly hasDirectory: boolean
  /** What was found for files like these; tried on one of them when absent. */
  readonly strategy?: Strategy
}

/** A file and the name that it gets. */
export interface NamedFile extends PlannedFile {
  readonly name: string
}

/** What the directory of a medium tells of a file. */
export type FileFacts = Omit<DirectoryEntry, 'file'>

export interface PackedFiles {
  /** Members with their headers, one after the other. */
  readonly row: Uint8Array<ArrayBuffer>
  /** Of each file, if they were asked for. */
  readonly facts: readonly (FileFacts | undefined)[]
  /** Which are not there any more. */
  readonly gone: readonly number[]
  /** How they were deflated. */
  readonly strategy: Strategy
}

export interface PackQuestion {
  readonly options: PackOptions
  readonly files: readonly NamedFile[]
}

/** The bytes, or the open file: what is open stays, even if it is deleted now. */
export type OpenBlob = { readonly bytes: Uint8Array } | { readonly fd: number }

/** Larger files are not turned into another syntax: they would have to be held in memory. */
const turnedBytesMax = 256 * 1024 * 1024

/** Packs files that a thread beside asks for (`PackQuestion`); the row is handed over. */
export const packBeside: WorkPart = async tools => {
  const blobs = await tools.blobs()
  const dictionary = lazily(makeDictionary)
  const quick = new QuickDeflater()
  return question => {
    const { options, files } = question as PackQuestion
    const packed = new FilePacker({ blobs, options, dictionary, quick }).pack(files, () => {})
    return { value: packed, give: [packed.row.buffer] }
  }
}

export interface PackerParts {
  readonly blobs: WorkBlobs
  readonly options: PackOptions
  /** Made when it is needed: most archives hold their files as they are. */
  readonly dictionary?: () => Dictionary
  /** Kept from one to the next where there are many. */
  readonly quick?: QuickDeflater
}

export class FilePacker {
  readonly #blobs: WorkBlobs
  readonly #options: PackOptions
  readonly #dictionary: () => Dictionary
  readonly #quick: QuickDeflater

  constructor({ blobs, options, dictionary, quick }: PackerParts) {
    this.#blobs = blobs
    this.#options = options
    this.#dictionary = dictionary ?? lazily(makeDictionary)
    this.#quick = quick ?? new QuickDeflater()
  }

  /** Packs files that are small. `stopIfAsked` is called between them, and may throw. */
  pack(files: readonly NamedFile[], stopIfAsked: () => void, known = this.#options.strategy): PackedFiles {
    const members: { name: string; bytes: Uint8Array; isStored: boolean }[] = []
    const facts: (FileFacts | undefined)[] = []
    const gone: number[] = []
    for (const [index, file] of files.entries()) {
      stopIfAsked()
      const found = this.open(file)
      if (!found) {
        gone.push(index)
        continue
      }
      const { given, isStored } = this.turn(found, file)
      if (this.#options.hasDirectory) facts[index] = this.facts(given)
      members.push({ name: file.name, isStored, bytes: 'bytes' in given ? given.bytes : readWhole(given.fd) })
    }
    const { level, now } = this.#options
    const strategy = known ?? strategyFor(members, level, this.#quick)
    const quick = strategy === 'quick' ? this.#quick : undefined
    return { row: packMembers(members, { level, now, quick }), facts, gone, strategy }
  }

  /** A file, opened. Undefined when it is gone already. */
  open({ hash }: PlannedFile): OpenBlob | undefined {
    const place = this.#blobs.find(hash)
    if ('bytes' in place) return place
    try {
      return { fd: openSync(place.path, 'r') }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Turns a file into the wanted syntax; one that cannot be turned stays as it is, as the original does it. */
  turn(found: OpenBlob, file: PlannedFile): { given: OpenBlob; isStored: boolean } {
    const asItIs = { given: found, isStored: file.isPacked === true }
    const { transcode: target, defaultTerm } = this.#options
    if (target === undefined || !isTarget(target) || file.sizeBytes > turnedBytesMax) return asItIs
    const set = readDataSet(sourceOf(found), { dictionary: this.#dictionary() })
    const bytes = transcode(set, target, defaultTerm)
    if (!bytes) return asItIs
    if ('fd' in found) closeSync(found.fd)
    return { given: { bytes }, isStored: false }
  }

  /** What the directory of a medium tells of a file. */
  facts(given: OpenBlob): FileFacts {
    const set = readDataSet(sourceOf(given), { dictionary: this.#dictionary(), keep: 'top' })
    const { values } = valuesOf(set, this.#options.defaultTerm)
    const wanted = new Set<Tag>(directoryTags)
    const found = new Map<Tag, string>()
    for (const element of set.elements) {
      if (!wanted.has(element.tag) || element.items || element.length > 4096 || found.has(element.tag))
        continue
      const text = showValue(element, values)
      if (text !== null) found.set(element.tag, text)
    }
    return { transferSyntax: set.transferSyntax, values: found }
  }
}

function sourceOf(blob: OpenBlob): ReturnType<typeof memorySource> {
  return 'bytes' in blob ? memorySource(blob.bytes) : openSource(blob.fd)
}

function readWhole(fd: number): Uint8Array {
  try {
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}
