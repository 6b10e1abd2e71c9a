// Writes NetCDF classic files with 64-bit offsets (CDF-2): every reader opens them, GDAL included.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import type { Cells, Dtype } from '../values/nd-array.ts'
import { sizeOf } from '../values/nd-array.ts'
import { swapBytes } from './byte-order.ts'
import type { Attribute } from './grid-file.ts'

/** The types that the format has. */
export type ClassicType = 'int8' | 'int16' | 'int32' | 'float32' | 'float64' | 'char'

export interface VariableDraft {
  readonly name: string
  readonly type: ClassicType
  readonly dimensions: readonly string[]
  readonly attributes: readonly (readonly [string, Attribute])[]
  /** In the machine's byte order, and of the type; absent for a variable that only carries attributes. */
  readonly data?: Cells
}

export interface FileDraft {
  readonly dimensions: readonly (readonly [string, number])[]
  readonly attributes: readonly (readonly [string, Attribute])[]
  readonly variables: readonly VariableDraft[]
}

const typeNumbers: Readonly<Record<ClassicType, number>> = {
  int8: 1,
  char: 2,
  int16: 3,
  int32: 4,
  float32: 5,
  float64: 6,
}
const typeWidths: Readonly<Record<ClassicType, number>> = {
  int8: 1,
  char: 1,
  int16: 2,
  int32: 4,
  float32: 4,
  float64: 8,
}
const chunkBytes = 4 * 1024 * 1024

/** Writes a file and syncs it; each piece is also given to `hear`, for a hash. */
export function writeClassic(path: string, draft: FileDraft, hear: (bytes: Uint8Array) => void): number {
  const lengths = new Map(draft.dimensions)
  const sizes = draft.variables.map(variable => {
    const cells = sizeOf(variable.dimensions.map(name => lengths.get(name)!))
    return Math.ceil((cells * typeWidths[variable.type]) / 4) * 4
  })
  const headerBytes = writeHeader(draft, sizes, []).length
  const begins: number[] = []
  let end = headerBytes
  for (const size of sizes) {
    begins.push(end)
    end += size
  }
  const fd = openSync(path, 'wx', 0o600)
  try {
    const put = (bytes: Uint8Array): void => {
      hear(bytes)
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
    }
    put(writeHeader(draft, sizes, begins))
    for (const [index, variable] of draft.variables.entries()) writeCells(variable, sizes[index]!, put)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  return end
}

function writeCells(variable: VariableDraft, size: number, put: (bytes: Uint8Array) => void): void {
  const { data, type } = variable
  if (data === undefined) {
    put(new Uint8Array(size))
    return
  }
  const width = typeWidths[type]
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const chunk = new Uint8Array(Math.min(chunkBytes, bytes.length))
  for (let from = 0; from < bytes.length; from += chunkBytes) {
    const part = chunk.subarray(0, Math.min(chunkBytes, bytes.length - from))
    part.set(bytes.subarray(from, from + part.length))
    swapBytes(part, width)
    put(part)
  }
  if (size > bytes.length) put(new Uint8Array(size - bytes.length))
}

function writeHeader(draft: FileDraft, sizes: readonly number[], begins: readonly number[]): Buffer {
  const parts: Buffer[] = [Buffer.from('CDF\u0002', 'latin1'), int32(0)]
  const ids = new Map(draft.dimensions.map(([name], index) => [name, index]))
  parts.push(...listHead(10, draft.dimensions.length))
  for (const [name, length] of draft.dimensions) parts.push(text(name), int32(length))
  parts.push(...attributes(draft.attributes))
  parts.push(...listHead(11, draft.variables.length))
  for (const [index, variable] of draft.variables.entries()) {
    parts.push(text(variable.name), int32(variable.dimensions.length))
    for (const name of variable.dimensions) parts.push(int32(ids.get(name)!))
    parts.push(...attributes(variable.attributes))
    // What does not fit is written as the greatest number, as the format says; readers use the shape.
    const size = Math.min(sizes[index]!, 0xffff_fffc)
    const tail = Buffer.alloc(16)
    tail.writeInt32BE(typeNumbers[variable.type], 0)
    tail.writeUInt32BE(size, 4)
    tail.writeBigInt64BE(BigInt(begins[index] ?? 0), 8)
    parts.push(tail)
  }
  return Buffer.concat(parts)
}

function listHead(tag: number, length: number): Buffer[] {
  return [int32(length === 0 ? 0 : tag), int32(length)]
}

function attributes(list: readonly (readonly [string, Attribute])[]): Buffer[] {
  const parts = listHead(12, list.length)
  for (const [name, attribute] of list) {
    parts.push(text(name))
    if (attribute.type === 'text') {
      parts.push(int32(2), text(attribute.text))
      continue
    }
    const type = attribute.type as ClassicType
    const width = typeWidths[type]
    if (width === undefined) throw new Error(`an attribute cannot be of type ${attribute.type}`)
    const bytes = Buffer.alloc(Math.ceil((attribute.values.length * width) / 4) * 4)
    for (const [index, value] of attribute.values.entries()) writeNumber(bytes, type, value, index * width)
    parts.push(int32(typeNumbers[type]), int32(attribute.values.length), bytes)
  }
  return parts
}

function writeNumber(bytes: Buffer, type: ClassicType, value: number, at: number): void {
  if (type === 'int8') bytes.writeInt8(value, at)
  else if (type === 'int16') bytes.writeInt16BE(value, at)
  else if (type === 'int32') bytes.writeInt32BE(value, at)
  else if (type === 'float32') bytes.writeFloatBE(value, at)
  else bytes.writeDoubleBE(value, at)
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** Length, bytes and padding. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8')
  const padded = Buffer.alloc(4 + Math.ceil(bytes.length / 4) * 4)
  padded.writeInt32BE(bytes.length)
  bytes.copy(padded, 4)
  return padded
}

/** A text attribute, for drafts. */
export function textAttribute(value: string): Attribute {
  return { type: 'text', text: value }
}

/** An attribute of doubles, or of another type. */
export function numberAttribute(values: readonly number[], type: Dtype = 'float64'): Attribute {
  return { type, values }
}
