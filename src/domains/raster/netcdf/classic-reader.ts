// Reads NetCDF classic files (CDF-1, CDF-2 and CDF-5) from disk: the header once, cells where they are asked for.
// Files that lie about their sizes are refused when they are opened.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type Cells, type Dtype, makeCells, sizeOf } from '../values/nd-array.ts'
import { swapBytes } from './byte-order.ts'
import type { Attribute, GridFile, GridVariable } from './grid-file.ts'

const headerBytesMax = 16 * 1024 * 1024
const listMax = 100_000

/** The external types by their numbers. */
const externalTypes: Readonly<Record<number, Dtype | 'char' | 'int64' | 'uint64'>> = {
  1: 'int8',
  2: 'char',
  3: 'int16',
  4: 'int32',
  5: 'float32',
  6: 'float64',
  7: 'uint8',
  8: 'uint16',
  9: 'uint32',
  10: 'int64',
  11: 'uint64',
}
const widths: Readonly<Record<string, number>> = {
  int8: 1,
  char: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  float64: 8,
  int64: 8,
  uint64: 8,
}

interface Place {
  readonly external: string
  readonly begin: number
  readonly isRecord: boolean
}

/** Opens a classic file; throws when it is none, or is not whole. */
export function openClassic(path: string): GridFile {
  const fd = openSync(path, 'r')
  try {
    return readClassic(fd, fstatSync(fd).size)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function readClassic(fd: number, fileBytes: number): GridFile {
  const header = new Header(fd, fileBytes)
  const version = header.magic()
  header.isWide = version === 5
  const hasLongOffsets = version !== 1
  const recordCount = header.count({ mayStream: true })
  const dimensionList = header.list(10, () => ({ name: header.name(), length: header.count() }))
  const attributes = readAttributes(header)
  const places = new Map<string, Place>()
  const variables = new Map<string, GridVariable>()
  const recordParts: { name: string; bytes: number }[] = []
  header.list(11, () => {
    const name = header.name()
    const ids = Array.from({ length: header.bounded(header.count(), 1024) }, () => header.count())
    const own = readAttributes(header)
    const external = externalTypes[header.int32()]
    header.count()
    const begin = hasLongOffsets ? header.int64() : header.int32()
    if (external === undefined) throw new Error(`variable ${name} has a type that NetCDF does not know`)
    const found = ids.map(id => dimensionList[id] ?? header.fail(`variable ${name} has an unknown dimension`))
    const isRecord = found[0]?.length === 0
    const shape = found.map((dimension, index) =>
      index === 0 && isRecord ? Math.max(0, recordCount) : dimension.length,
    )
    const bytes = (isRecord ? sizeOf(shape.slice(1)) : sizeOf(shape)) * widths[external]!
    if (isRecord) recordParts.push({ name, bytes })
    else if (begin + bytes > fileBytes) throw new Error(`variable ${name} reaches beyond the end of the file`)
    places.set(name, { external, begin, isRecord })
    variables.set(name, {
      name,
      dtype: (external === 'uint64' ? 'int64' : external) as Dtype | 'char',
      dimensions: found.map(dimension => dimension.name),
      shape,
      attributes: own,
    })
  })
  // A single record variable is not padded: the format says so.
  const recordBytes =
    recordParts.length === 1
      ? recordParts[0]!.bytes
      : recordParts.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 4) * 4, 0)
  for (const { name, bytes } of recordParts) {
    const end = places.get(name)!.begin + Math.max(0, recordCount - 1) * recordBytes + bytes
    if (recordCount > 0 && end > fileBytes)
      throw new Error(`variable ${name} reaches beyond the end of the file`)
  }
  const dimensions = new Map(
    dimensionList.map(({ name, length }) => [name, length === 0 ? Math.max(0, recordCount) : length]),
  )
  return {
    format: 'netcdf-3',
    dimensions,
    attributes,
    variables,
    read(name, start, count) {
      const variable = variables.get(name)
      const place = places.get(name)
      if (!variable || !place) throw new Error(`there is no variable ${name}`)
      return readSlab(fd, variable, place, { recordBytes, start, count })
    },
    close: () => closeSync(fd),
  }
}

function readAttributes(header: Header): Map<string, Attribute> {
  const entries = header.list(12, (): readonly [string, Attribute] => {
    const name = header.name()
    const external = externalTypes[header.int32()]
    const length = header.count()
    if (external === undefined) throw new Error(`attribute ${name} has a type that NetCDF does not know`)
    const bytes = header.bytes(header.bounded(length, headerBytesMax) * widths[external]!)
    if (external === 'char')
      return [name, { type: 'text', text: Buffer.from(bytes).toString('utf8').replace(/\0+$/, '') }]
    return [
      name,
      { type: external === 'uint64' ? 'int64' : external, values: [...decode(bytes, external, length)] },
    ]
  })
  return new Map(entries)
}

/** Big-endian bytes as numbers. The bytes are changed. */
function decode(bytes: Uint8Array, external: string, length: number): Cells {
  const width = widths[external]!
  if (external === 'int64' || external === 'uint64') {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return Float64Array.from({ length }, (_, index) =>
      Number(external === 'int64' ? view.getBigInt64(index * 8) : view.getBigUint64(index * 8)),
    )
  }
  const cells = makeCells((external === 'char' ? 'uint8' : external) as Dtype, length)
  const own = new Uint8Array(cells.buffer)
  own.set(bytes.subarray(0, length * width))
  swapBytes(own, width)
  return cells
}

/** Reads runs that lie together in the file with one call each. */
function readSlab(
  fd: number,
  variable: GridVariable,
  place: Place,
  part: { recordBytes: number; start: readonly number[]; count: readonly number[] },
): Cells {
  const { start, count } = part
  const { shape } = variable
  const rank = shape.length
  if (start.length !== rank || count.length !== rank)
    throw new Error(`${variable.name} has ${rank} dimensions`)
  for (let axis = 0; axis < rank; axis++) {
    if (start[axis]! < 0 || count[axis]! < 0 || start[axis]! + count[axis]! > shape[axis]!)
      throw new Error(`a part of ${variable.name} that was asked for lies outside of it`)
  }
  const width = widths[place.external]!
  const total = sizeOf(count)
  const isBig = place.external === 'int64' || place.external === 'uint64'
  const cells = makeCells(
    (place.external === 'char' ? 'uint8' : isBig ? 'int64' : place.external) as Dtype,
    total,
  )
  const bytes = new Uint8Array(cells.buffer)
  if (total === 0) return cells
  // The innermost axes that are wanted whole, and one more, are a run.
  let runAxis = rank - 1
  while (runAxis > 0 && count[runAxis] === shape[runAxis] && !(place.isRecord && runAxis === 1)) runAxis--
  if (place.isRecord && runAxis === 0) runAxis = rank === 1 ? 1 : 1
  const strides: number[] = new Array(rank).fill(width)
  for (let axis = rank - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  if (place.isRecord) strides[0] = part.recordBytes
  const runBytes = sizeOf(count.slice(runAxis)) * width
  const runs = sizeOf(count.slice(0, runAxis))
  const at = [...start]
  for (let run = 0; run < runs; run++) {
    let offset = place.begin
    for (let axis = 0; axis < rank; axis++) offset += at[axis]! * strides[axis]!
    readExactly(fd, bytes, { at: run * runBytes, length: runBytes, from: offset })
    for (let axis = runAxis - 1; axis >= 0; axis--) {
      if (++at[axis]! < start[axis]! + count[axis]!) break
      at[axis] = start[axis]!
    }
  }
  if (isBig) return decode(bytes, place.external, total)
  swapBytes(bytes, width)
  return cells
}

function readExactly(
  fd: number,
  into: Uint8Array,
  { at, length, from }: { at: number; length: number; from: number },
): void {
  for (let done = 0; done < length; ) {
    const got = readSync(fd, into, at + done, Math.min(length - done, 1 << 30), from + done)
    if (got === 0) throw new Error('the file ended before the cells that it promised')
    done += got
  }
}

/** A reader of the header that fetches more of the file as it goes. */
class Header {
  isWide = false
  readonly #fd: number
  readonly #fileBytes: number
  #buffer = Buffer.alloc(0)
  #at = 0

  constructor(fd: number, fileBytes: number) {
    this.#fd = fd
    this.#fileBytes = fileBytes
  }

  fail(text: string): never {
    throw new Error(text)
  }

  magic(): number {
    const bytes = this.bytes(4)
    const version = bytes[3]!
    if (Buffer.from(bytes.subarray(0, 3)).toString('latin1') !== 'CDF' || ![1, 2, 5].includes(version))
      this.fail('this is no NetCDF classic file')
    return version
  }

  bounded(value: number, max: number): number {
    return value <= max ? value : this.fail('the header of the file has an impossible length')
  }

  /** Bytes of the header, and the padding after them skipped. */
  bytes(length: number): Uint8Array {
    const padded = Math.ceil(length / 4) * 4
    this.#need(padded)
    const bytes = Uint8Array.from(this.#buffer.subarray(this.#at, this.#at + length))
    this.#at += padded
    return bytes
  }

  int32(): number {
    this.#need(4)
    this.#at += 4
    return this.#buffer.readInt32BE(this.#at - 4)
  }

  int64(): number {
    this.#need(8)
    this.#at += 8
    const value = Number(this.#buffer.readBigInt64BE(this.#at - 8))
    return value >= 0 && Number.isSafeInteger(value)
      ? value
      : this.fail('the header has an impossible offset')
  }

  count({ mayStream = false } = {}): number {
    const value = this.isWide ? this.#wide() : this.#narrow()
    if (value < 0 && !mayStream) this.fail('the header of the file has a negative length')
    return value
  }

  #wide(): number {
    this.#need(8)
    this.#at += 8
    return Number(this.#buffer.readBigInt64BE(this.#at - 8))
  }

  #narrow(): number {
    return this.int32()
  }

  name(): string {
    return Buffer.from(this.bytes(this.bounded(this.count(), 4096))).toString('utf8')
  }

  list<T>(tag: number, read: () => T): T[] {
    const found = this.int32()
    const length = this.count()
    if (found === 0 && length === 0) return []
    if (found !== tag) this.fail('the header of the file is damaged')
    return Array.from({ length: this.bounded(length, listMax) }, read)
  }

  #need(length: number): void {
    if (this.#at + length <= this.#buffer.length) return
    if (this.#at + length > headerBytesMax) this.fail('the header of the file is too long')
    if (this.#at + length > this.#fileBytes) this.fail('the file ends within its header')
    const wanted = Math.min(this.#fileBytes, Math.max(this.#at + length, this.#buffer.length * 2, 8192))
    const more = Buffer.alloc(wanted)
    readExactly(this.#fd, more, { at: 0, length: wanted, from: 0 })
    this.#buffer = more
  }
}
