// DICOM files of the benchmarks: made by our own writer, with pixels that deflate about as well as those of CT slices.

import { tags } from '../../../src/domains/dicom/tag.ts'
import { aDicomFile } from '../../../src/domains/dicom/testing/sample.ts'

export interface Set {
  /** Told in all identifiers, so that sets do not meet. */
  readonly number: number
  readonly count: number
  readonly bytes: number
  readonly perSeries: number
}

/** The files of a set: series of so many instances, two to a study, four to a patient. */
export function* dicomFiles({ number, count, bytes, perSeries }: Set): Generator<Uint8Array> {
  const length = bytes - 600
  const noise = slice(2 * length)
  for (let index = 0; index < count; index++) {
    const series = Math.floor(index / perSeries)
    const root = `1.2.826.0.1.3680043.10.9998.${number}`
    // Each slice is another piece of the same noise, and none is smoother than the first.
    const pixels = noise.subarray((index * 64) % length).subarray(0, length)
    yield aDicomFile({
      tags: {
        PatientID: patientOf(number, Math.floor(series / 4)),
        StudyInstanceUID: `${root}.1.${Math.floor(series / 2)}`,
        SeriesInstanceUID: `${root}.2.${series}`,
        SOPInstanceUID: `${root}.3.${index}`,
        InstanceNumber: String((index % perSeries) + 1),
      },
      pixelBytes: 0,
      pieces: [{ tag: tags.PixelData, vr: 'OW', bytes: Uint8Array.from(pixels) }],
    })
  }
}

export function patientOf(number: number, index: number): string {
  return `BENCH-${number}-${index}`
}

/** 12-bit values that wander, with noise in the lowest bits. */
function slice(bytes: number): Uint8Array {
  const words = new Uint16Array(Math.floor(bytes / 2))
  let seed = 12345
  for (let index = 0; index < words.length; index++) {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    words[index] = 1000 + Math.round(600 * Math.sin(index / 300)) + ((seed >> 16) & 0x1f)
  }
  return new Uint8Array(words.buffer)
}
