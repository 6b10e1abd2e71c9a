// Frames of pixel data as they are stored: slices of native data, joined fragments of encapsulated ones.

import { type DataSet, type Element, type Fragment, find } from './reading/data-set.ts'
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

/** What NumberOfFrames says; one unless it says a number. */
export function declaredCount(set: DataSet, values: Values): number {
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

function encapsulatedFrame(
  set: DataSet,
  pixels: Element,
  index: number,
  values: Values,
): Uint8Array | undefined {
  const fragments = fragmentsByFrame(set, pixels, declaredCount(set, values))?.[index]
  return fragments && joinFragments(set, fragments)
}

/**
 * The fragments of each frame of encapsulated pixels; undefined when nothing tells where frames begin. One fragment is
 * one frame where the numbers agree; otherwise the table of offsets tells, or the marks that streams begin with.
 */
export function fragmentsByFrame(
  set: DataSet,
  pixels: Element,
  count: number,
): readonly (readonly Fragment[])[] | undefined {
  const [table, ...fragments] = pixels.fragments ?? []
  if (fragments.length === 0) return undefined
  if (count === 1) return [fragments]
  if (fragments.length === count) return fragments.map(fragment => [fragment])
  const starts =
    table && table.length >= count * 4
      ? startsByTable(set, { table, fragments, count })
      : fragments.filter(fragment => beginsStream(set, fragment)).map(({ valueAt }) => valueAt)
  if (starts.length !== count || starts[0] !== fragments[0]!.valueAt) return undefined
  const frames: Fragment[][] = starts.map(() => [])
  let frame = 0
  for (const fragment of fragments) {
    while (frame + 1 < count && fragment.valueAt >= starts[frame + 1]!) frame++
    frames[frame]!.push(fragment)
  }
  return frames
}

/** Where the first fragment of each frame has its value. */
function startsByTable(
  set: DataSet,
  { table, fragments, count }: { table: Fragment; fragments: readonly Fragment[]; count: number },
): number[] {
  const bytes = set.source.read(table.valueAt, table.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: count }, (_, index) => fragments[0]!.valueAt + view.getUint32(index * 4, true))
}

/** Streams of the JPEG family begin with FFD8, those of JPEG 2000 with FF4F. */
function beginsStream(set: DataSet, { valueAt, length }: Fragment): boolean {
  if (length < 2) return false
  const [first, second] = set.source.read(valueAt, 2)
  return first === 0xff && (second === 0xd8 || second === 0x4f)
}

/** The bytes of fragments, joined; undefined where there are none. */
export function joinFragments(set: DataSet, fragments: readonly Fragment[]): Uint8Array | undefined {
  if (fragments.length === 0) return undefined
  return Buffer.concat(fragments.map(({ valueAt, length }) => set.source.read(valueAt, length)))
}
