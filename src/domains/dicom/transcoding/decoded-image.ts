// What every decoder gives: the samples of one frame, colour by pixel, and the error for streams that are broken or use
// what nobody decodes here.

export interface DecodedImage {
  readonly rows: number
  readonly columns: number
  readonly samples: number
  /** Significant bits of a sample, 1 to 16. */
  readonly bits: number
  /** Colour by pixel; negative values as two's complement of 16 bits. */
  readonly data: Uint8Array | Uint16Array
  /** The colours were another system's in the stream, and are red, green and blue now. */
  readonly isTurnedToRgb: boolean
  /** Something was lost when it was compressed. */
  readonly isLossy: boolean
}

/** A stream that cannot be decoded; the message says why. */
export class Undecodable extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Undecodable'
  }
}

/** Frames with more samples than this are refused before anything is held for them. */
export const samplesMax = 64 * 1024 * 1024

/** What the data set says of each frame; a stream that says otherwise is refused. */
export interface FrameShape {
  readonly rows: number
  readonly columns: number
  readonly samples: number
}

/** Throws unless the stream's frame is the data set's frame, and may be held. */
export function checkShape(found: FrameShape, wanted: FrameShape): void {
  const { rows, columns, samples } = found
  if (rows !== wanted.rows || columns !== wanted.columns || samples !== wanted.samples)
    throw new Undecodable(`the stream holds ${columns} × ${rows} × ${samples} samples`)
  if (rows === 0 || columns === 0 || rows * columns * samples > samplesMax)
    throw new Undecodable('the frame is empty or too large')
}

/** Room for samples of so many bits. */
export function makeSamples(bits: number, count: number): Uint8Array | Uint16Array {
  return bits <= 8 ? new Uint8Array(count) : new Uint16Array(count)
}
