// JPEG (ITU T.81) with Huffman codes: baseline, extended (8 and 12 bits), progressive and lossless (all predictors).
// Arithmetic codes and hierarchies are not decoded; no DICOM application is known to write them.

import { checkShape, type DecodedImage, type FrameShape, Undecodable } from '../decoded-image.ts'
import { makePlanes } from './blocks.ts'
import { joinPlanes } from './colours.ts'
import { decodeDctScan } from './dct-scan.ts'
import { decodeLosslessScan } from './lossless-scan.ts'
import {
  type FrameHeader,
  isFrame,
  readFrame,
  readScan,
  readSegment,
  type Tables,
  takeTables,
} from './segments.ts'

/**
 * The frame of a stream. `isYbr`: the data set says that its colours are luminance and two differences; with lossy
 * processes they become red, green and blue. Throws Undecodable.
 */
export function decodeJpeg(bytes: Uint8Array, wanted: FrameShape, isYbr: boolean): DecodedImage {
  const tables: Tables = { dc: [], ac: [], quantization: [], restartInterval: 0 }
  let frame: FrameHeader | undefined
  let picture: Picture | undefined
  for (let segment = readSegment(bytes, 0); segment; ) {
    let next = segment.end
    if (isFrame(segment.marker)) {
      if (frame) throw new Undecodable('the stream has more than one frame')
      frame = readFrame(segment.marker, segment.body)
      checkShape({ ...frame, samples: frame.components.length }, wanted)
      picture = makePicture(frame)
    } else if (segment.marker === 0xda) {
      if (!frame || !picture) throw new Undecodable('a scan comes before the frame')
      next = picture.take(bytes, readScan(segment, frame), tables)
    } else takeTables(tables, segment)
    segment = readSegment(bytes, next)
  }
  if (!frame || !picture) throw new Undecodable('the stream has no frame')
  return picture.finish(isYbr)
}

/** Progressive streams have some ten scans. Each passes over the whole frame, however few bytes it has. */
const scansMax = 200

/** What scans are gathered in. */
interface Picture {
  /** Decodes a scan; where the next segment begins. */
  take(bytes: Uint8Array, scan: ReturnType<typeof readScan>, tables: Tables): number
  finish(isYbr: boolean): DecodedImage
}

function makePicture(frame: FrameHeader): Picture {
  const { kind, bits, rows, columns, components } = frame
  const shape = { rows, columns, samples: components.length, bits }
  const seen = new Set<number>()
  let scans = 0
  const note = (scan: ReturnType<typeof readScan>): void => {
    if (++scans > scansMax) throw new Undecodable('the stream has too many scans')
    for (const { index } of scan.components) {
      if (kind !== 0xc2 && seen.has(index)) throw new Undecodable('a component is scanned twice')
      seen.add(index)
    }
  }
  const checkWhole = (): void => {
    if (seen.size < components.length) throw new Undecodable('a component has no scan')
  }
  if (kind === 0xc3) {
    if (bits < 2 || bits > 16) throw new Undecodable(`samples have ${bits} bits`)
    if (components.some(({ h, v }) => h !== components[0]!.h || v !== components[0]!.v))
      throw new Undecodable('components of a lossless stream differ in size')
    const data =
      bits <= 8
        ? new Uint8Array(rows * columns * components.length)
        : new Uint16Array(rows * columns * components.length)
    return {
      take(bytes, scan, tables) {
        note(scan)
        return decodeLosslessScan(bytes, { frame, scan, tables, data })
      },
      finish() {
        checkWhole()
        return { ...shape, data, isTurnedToRgb: false, isLossy: false }
      },
    }
  }
  if (kind > 0xc2) throw new Undecodable('the stream is of a process that is not decoded here')
  if (bits !== 8 && !(bits === 12 && kind !== 0xc0)) throw new Undecodable(`samples have ${bits} bits`)
  const planes = makePlanes(frame)
  return {
    take(bytes, scan, tables) {
      note(scan)
      return decodeDctScan(bytes, { frame, scan, tables, planes })
    },
    finish(isYbr) {
      checkWhole()
      const isTurned = isYbr && components.length === 3
      return { ...shape, data: joinPlanes(frame, planes, isTurned), isTurnedToRgb: isTurned, isLossy: true }
    },
  }
}
