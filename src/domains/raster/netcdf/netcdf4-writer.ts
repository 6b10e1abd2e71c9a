// Writes NetCDF-4 (HDF5) files through h5wasm: compressed, with dimension scales as the format wants them. Slower than
// the classic format by far, and only where it is asked for.

import { closeSync, fsyncSync, openSync, readSync } from 'node:fs'
import type { Dtype } from '../values/nd-array.ts'
import type { FileDraft, VariableDraft } from './classic-writer.ts'
import type { Attribute } from './grid-file.ts'

type Library = typeof import('h5wasm/node')
type H5Dataset = InstanceType<Library['Dataset']>
type H5File = InstanceType<Library['File']>

/** How hard the cells are pressed: as the original does it. */
const deflateLevel = 4
const chunkSideMax = 512
const pieceBytes = 1024 * 1024

/** As h5wasm calls types. */
const letters: Readonly<Partial<Record<Dtype | 'char', string>>> = {
  int8: '<b',
  uint8: '<B',
  int16: '<h',
  uint16: '<H',
  int32: '<i',
  uint32: '<I',
  float32: '<f',
  float64: '<d',
  char: 'A1',
}

/** Writes a file and syncs it; its bytes are also given to `hear`, for a hash. Gives its length. */
export async function writeNetcdf4(
  path: string,
  draft: FileDraft,
  hear: (bytes: Uint8Array) => void,
): Promise<number> {
  const library = await import('h5wasm/node')
  await library.ready
  const file = new library.File(path, 'w')
  try {
    writeAll(file, draft)
  } finally {
    file.close()
  }
  return settle(path, hear)
}

function writeAll(file: H5File, draft: FileDraft): void {
  for (const [name, attribute] of draft.attributes) writeAttribute(file, name, attribute)
  const lengths = new Map(draft.dimensions)
  for (const variable of draft.variables) {
    const shape = variable.dimensions.map(name => lengths.get(name)!)
    const dataset = file.create_dataset({
      name: variable.name,
      data: variable.data ?? [' '],
      shape,
      dtype: letters[variable.type]!,
      ...compression(variable, shape),
    })
    for (const [name, attribute] of variable.attributes) writeAttribute(dataset, name, attribute)
  }
  // First all scales, then what lies along them.
  for (const [name] of draft.dimensions) datasetOf(file, name).make_scale(name)
  for (const { name, dimensions } of draft.variables) {
    if (dimensions.length === 1 && dimensions[0] === name) continue
    for (const [axis, dimension] of dimensions.entries())
      datasetOf(file, name).attach_scale(axis, `/${dimension}`)
  }
}

function datasetOf(file: H5File, name: string): H5Dataset {
  return file.get(name) as H5Dataset
}

/** Coordinates are small and stay as they are. */
function compression({ dimensions }: VariableDraft, shape: readonly number[]): object {
  if (dimensions.length < 2 || shape.includes(0)) return {}
  const chunks = shape.map(length => Math.min(length, chunkSideMax))
  return { chunks, compression: 'gzip', compression_opts: deflateLevel }
}

function writeAttribute(owner: H5File | H5Dataset, name: string, attribute: Attribute): void {
  if (attribute.type === 'text') {
    // Of a fixed length: texts of any length become `string` attributes, which CF readers of old do not take.
    const length = Math.max(1, Buffer.byteLength(attribute.text))
    const letter = length === Math.max(1, attribute.text.length) ? 'A' : 'S'
    owner.create_attribute(name, attribute.text, [], `${letter}${length}`)
    return
  }
  const letter = letters[attribute.type]
  if (letter === undefined) throw new Error(`an attribute cannot be of type ${attribute.type}`)
  owner.create_attribute(name, [...attribute.values], [attribute.values.length], letter)
}

/** The library writes by itself: what it wrote is read once for the hash, and synced. */
function settle(path: string, hear: (bytes: Uint8Array) => void): number {
  const fd = openSync(path, 'r+')
  try {
    const piece = new Uint8Array(pieceBytes)
    let length = 0
    for (let got = -1; got !== 0; length += got) {
      got = readSync(fd, piece, 0, pieceBytes, length)
      hear(piece.subarray(0, got))
    }
    fsyncSync(fd)
    return length
  } finally {
    closeSync(fd)
  }
}
