// Frames of pixel data as they are stored: slices of native data, joined fragments of encapsulated ones.

import { type DataSet, type Element, find } from './reading/data-set.ts'
import { numberOf, readLittleEndian, type Values, valuesOf } from './reading/value.ts'
import { tags } from './tag.ts'

/** How many frames there are, as far as the instance says: one unless it tells a number, pixels or not. */
export function frameCount(set: DataSet, defaultTerm: string): number {
  const { values } = valuesOf(set, defaultTerm)
  return declaredCount(set, values)
}

/** The bytes of a frame, from 0; undefined when there is no such frame. */
export function frameBytes(set: DataSet, index: number, defaultTerm: string): Uint8Array | undefined {
  const pixels = find(set.elements, tags.PixelData)
  const { values } = valuesOf(set, defaultTerm)
  if (!pixels || index < 0 || index >= declaredCount(set, values)) return undefined
  return pixels.fragments
    ? encapsulatedFrame(set, pixels, index, values)
    : nativeFrame(set, pixels, index, values)
}

function declaredCount(set: DataSet, values: Values): number {
  const count = numberOf(set.elements, tags.NumberOfFrames, values) ?? 1
  return Number.isInteger(count) && count >= 1 ? Math.min(count, 1_000_000) : 1
}

function nativeFrame(set: DataSet, pixels: Element, index: number, values: Values): Uint8Array | undefined {
  const read = (tag: number, otherwise: number): number => numberOf(set.elements, tag, values) ?? otherwise
  const bits = read(tags.BitsAllocated, 8)
  const samples = read(tags.SamplesPerPixel, 1)
  const bytes = Math.ceil((read(tags.Rows, 0) * read(tags.Columns, 0) * samples * bits) / 8)
  const at = index * bytes
  if (bytes <= 0 || at + bytes > pixels.length) return undefined
  return readLittleEndian({ ...pixels, valueAt: pixels.valueAt + at, length: bytes }, values)
}

/** One fragment is one frame where the numbers agree; otherwise the offset table tells where frames begin. */
function encapsulatedFrame(
  set: DataSet,
  pixels: Element,
  index: number,
  values: Values,
): Uint8Array | undefined {
  const [table, ...fragments] = pixels.fragments!
  const count = declaredCount(set, values)
  if (count === 1) return join(set, fragments)
  if (fragments.length === count) return join(set, fragments.slice(index, index + 1))
  if (!table || table.length < count * 4 || fragments.length === 0) return undefined
  const bytes = set.source.read(table.valueAt, table.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const base = fragments[0]!.valueAt - 8
  const from = base + view.getUint32(index * 4, true)
  const to = index + 1 < count ? base + view.getUint32(index * 4 + 4, true) : pixels.end
  return join(
    set,
    fragments.filter(({ valueAt }) => valueAt - 8 >= from && valueAt - 8 < to),
  )
}

function join(
  set: DataSet,
  fragments: readonly { valueAt: number; length: number }[],
): Uint8Array | undefined {
  if (fragments.length === 0) return undefined
  return Buffer.concat(fragments.map(({ valueAt, length }) => set.source.read(valueAt, length)))
}
