// JPEG-LS (ITU T.87), lossless and near-lossless, with each of its three interleavings.

import { checkShape, type DecodedImage, type FrameShape, makeSamples, Undecodable } from '../decoded-image.ts'
import {
  type FrameHeader,
  readFrame,
  readScan,
  readSegment,
  type ScanHeader,
  type Segment,
  word,
} from '../jpeg/segments.ts'
import { BitReader } from './bit-reader.ts'
import { defaultParameters, Model, type Parameters, runBits } from './coding.ts'

/** The frame of a stream. Throws Undecodable. */
export function decodeJpegLs(bytes: Uint8Array, wanted: FrameShape): DecodedImage {
  let frame: FrameHeader | undefined
  let presets: Presets | undefined
  let data: Uint8Array | Uint16Array | undefined
  const seen = new Set<number>()
  let isLossy = false
  for (let segment = readSegment(bytes, 0); segment; ) {
    let next = segment.end
    if (segment.marker === 0xf7) {
      if (frame) throw new Undecodable('the stream has more than one frame')
      frame = readFrame(segment.marker, segment.body)
      checkFrame(frame, wanted)
      data = makeSamples(frame.bits, frame.rows * frame.columns * frame.components.length)
    } else if (segment.marker === 0xf8) presets = readPresets(segment) ?? presets
    else if (segment.marker === 0xe8) checkColours(segment)
    else if (segment.marker === 0xdd && segment.body.some(byte => byte !== 0))
      throw new Undecodable('restarts are not decoded here')
    else if (segment.marker === 0xda) {
      if (!frame || !data) throw new Undecodable('a scan comes before the frame')
      const scan = readScan(segment, frame)
      for (const { index } of scan.components) {
        if (seen.has(index)) throw new Undecodable('a component is scanned twice')
        seen.add(index)
      }
      if (scan.from > 0) isLossy = true
      next = decodeScan(bytes, { frame, scan, presets, data })
    }
    segment = readSegment(bytes, next)
  }
  if (!frame || !data || seen.size < frame.components.length) throw new Undecodable('a component has no scan')
  const { rows, columns, bits, components } = frame
  return { rows, columns, samples: components.length, bits, data, isTurnedToRgb: false, isLossy }
}

function checkFrame(frame: FrameHeader, wanted: FrameShape): void {
  checkShape({ ...frame, samples: frame.components.length }, wanted)
  if (frame.bits < 2 || frame.bits > 16) throw new Undecodable(`samples have ${frame.bits} bits`)
  if (frame.components.some(({ h, v }) => h !== 1 || v !== 1))
    throw new Undecodable('components of a JPEG-LS stream differ in size')
}

/** Zeros stand for what the stream does not name. */
interface Presets {
  readonly most: number
  readonly t1: number
  readonly t2: number
  readonly t3: number
  readonly reset: number
}

function readPresets({ body }: Segment): Presets | undefined {
  if (body[0] !== 1) throw new Undecodable('palettes are not decoded here')
  const [most, t1, t2, t3, reset] = [1, 3, 5, 7, 9].map(at => word(body, at)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  return { most, t1, t2, t3, reset }
}

/** One maker's extension turns colours before it codes them. */
function checkColours({ body }: Segment): void {
  if (Buffer.from(body.subarray(0, 4)).toString('latin1') === 'mrfx' && body[4] !== 0)
    throw new Undecodable('turned colours are not decoded here')
}

function parametersOf(frame: FrameHeader, scan: ScanHeader, presets: Presets | undefined): Parameters {
  const near = scan.from
  const most = presets?.most || (1 << frame.bits) - 1
  if (near > Math.min(255, most >> 1) || most >= 1 << frame.bits)
    throw new Undecodable('the parameters of a scan are out of range')
  const usual = defaultParameters(most, near)
  const { t1, t2, t3, reset } = presets ?? { t1: 0, t2: 0, t3: 0, reset: 0 }
  const found = {
    ...usual,
    t1: t1 || usual.t1,
    t2: t2 || usual.t2,
    t3: t3 || usual.t3,
    reset: reset || usual.reset,
  }
  const isInOrder = near < found.t1 && found.t1 <= found.t2 && found.t2 <= found.t3 && found.t3 <= most
  if (!isInOrder || found.reset < 3 || found.reset > Math.max(255, most))
    throw new Undecodable('the thresholds of a scan are out of range')
  return found
}

interface Parts {
  readonly frame: FrameHeader
  readonly scan: ScanHeader
  readonly presets: Presets | undefined
  readonly data: Uint8Array | Uint16Array
}

/** Two lines of a component, with a sample more at either end: what a line's first and last samples look at. */
class Lines {
  now: Int32Array
  above: Int32Array
  runIndex = 0

  constructor(columns: number) {
    this.now = new Int32Array(columns + 2)
    this.above = new Int32Array(columns + 2)
  }

  next(): void {
    const { now: finished, above: fresh } = this
    this.above = finished
    this.now = fresh
    const last = finished.length - 1
    finished[last] = finished[last - 1]!
    fresh[0] = finished[1]!
  }
}

function decodeScan(bytes: Uint8Array, { frame, scan, presets, data }: Parts): number {
  const { rows, columns, components } = frame
  const interleaving = scan.to
  if (interleaving > 2 || (interleaving === 0 && scan.components.length > 1))
    throw new Undecodable(`the interleaving ${interleaving} is not one`)
  if (scan.low !== 0) throw new Undecodable('a point transform is not decoded here')
  const model = new Model(parametersOf(frame, scan, presets))
  const bits = new BitReader(bytes, scan.at)
  const count = components.length
  const channels = scan.components.map(({ index }) => ({ index, lines: new Lines(columns) }))
  const all = channels.map(({ lines }) => lines)
  for (let y = 0; y < rows; y++) {
    for (const lines of all) lines.next()
    // By pixel, all components share their runs; otherwise each line is a component's own.
    if (interleaving === 2 && all.length > 1) decodeTogether(bits, model, all, columns)
    else for (const lines of all) decodeLine(bits, model, lines, columns)
    for (const { index, lines } of channels) {
      for (let x = 0, to = y * columns * count + index; x < columns; x++, to += count)
        data[to] = lines.now[x + 1]!
    }
  }
  return bits.endSegment()
}

/** The median of both neighbours and the plane through all three. */
function guess(left: number, above: number, corner: number): number {
  if (corner >= Math.max(left, above)) return Math.min(left, above)
  if (corner <= Math.min(left, above)) return Math.max(left, above)
  return left + above - corner
}

function decodeLine(bits: BitReader, model: Model, lines: Lines, columns: number): void {
  const { now, above } = lines
  for (let x = 1; x <= columns; ) {
    const [left, up, corner, ahead] = [now[x - 1]!, above[x]!, above[x - 1]!, above[x + 1]!]
    const context = model.contextOf(ahead - up, up - corner, corner - left)
    if (context !== 0) {
      now[x++] = model.regular(bits, context, guess(left, up, corner))
      continue
    }
    const length = readRun(bits, lines, columns - x + 1)
    now.fill(left, x, x + length)
    x += length
    if (x > columns) return
    const isLevel = Math.abs(left - above[x]!) <= model.parameters.near
    now[x] = model.broken(bits, { left, above: above[x]!, isLevel, runIndex: lines.runIndex })
    if (lines.runIndex > 0) lines.runIndex--
    x++
  }
}

/** The same for all components of a pixel at once: a run is one of all of them. */
function decodeTogether(bits: BitReader, model: Model, all: readonly Lines[], columns: number): void {
  const [shared] = all as [Lines]
  const contexts = new Int32Array(all.length)
  for (let x = 1; x <= columns; ) {
    let isFlat = true
    for (const [index, { now, above }] of all.entries()) {
      const [up, corner] = [above[x]!, above[x - 1]!]
      const context = model.contextOf(above[x + 1]! - up, up - corner, corner - now[x - 1]!)
      contexts[index] = context
      if (context !== 0) isFlat = false
    }
    if (!isFlat) {
      for (const [index, { now, above }] of all.entries()) {
        const guessed = guess(now[x - 1]!, above[x]!, above[x - 1]!)
        now[x] = model.regular(bits, contexts[index]!, guessed)
      }
      x++
      continue
    }
    const length = readRun(bits, shared, columns - x + 1)
    for (const { now } of all) now.fill(now[x - 1]!, x, x + length)
    const from = x
    x += length
    if (x > columns) return
    for (const { now, above } of all) {
      const left = now[from - 1]!
      now[x] = model.broken(bits, { left, above: above[x]!, isLevel: false, runIndex: shared.runIndex })
    }
    if (shared.runIndex > 0) shared.runIndex--
    x++
  }
}

/** How far a run goes, at most to the end of the line. */
function readRun(bits: BitReader, lines: Lines, most: number): number {
  let length = 0
  while (bits.bit() === 1) {
    const step = 1 << runBits[lines.runIndex]!
    const isWhole = step <= most - length
    length += isWhole ? step : most - length
    if (isWhole && lines.runIndex < 31) lines.runIndex++
    if (length === most) return length
  }
  length += bits.bits(runBits[lines.runIndex]!)
  if (length > most) throw new Undecodable('a run goes beyond its line')
  return length
}
