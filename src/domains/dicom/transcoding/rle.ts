// RLE Lossless (PS3.5 annex G): each frame is taken apart into planes of bytes, highest first, and each plane is packed
// by runs.

/** How the pixels of a frame lie in native pixel data. */
export interface PixelShape {
  readonly rows: number
  readonly columns: number
  readonly samples: number
  /** Whole bytes only: 1, 2 or 4. */
  readonly bytesPerSample: number
  /** Colour by colour instead of pixel by pixel. */
  readonly isPlanar: boolean
}

/** The bytes of one native frame. */
export function frameSize({ rows, columns, samples, bytesPerSample }: PixelShape): number {
  return rows * columns * samples * bytesPerSample
}

const segmentsMax = 15
const headerBytes = 64

/** A frame in little endian, packed. Undefined when it has more planes than RLE allows. */
export function packFrame(frame: Uint8Array, shape: PixelShape): Uint8Array | undefined {
  const planes = planesOf(shape)
  if (planes.length > segmentsMax) return undefined
  const header = new Uint8Array(headerBytes)
  const view = new DataView(header.buffer)
  view.setUint32(0, planes.length, true)
  const parts: Uint8Array[] = [header]
  let at = headerBytes
  for (const [index, { first, step }] of planes.entries()) {
    view.setUint32(4 + 4 * index, at, true)
    const segment = packPlane(frame, { first, step, shape })
    parts.push(segment)
    at += segment.length
  }
  return Buffer.concat(parts)
}

/** A packed frame as it was, in little endian. Undefined when it is broken. */
export function unpackFrame(packed: Uint8Array, shape: PixelShape): Uint8Array | undefined {
  const planes = planesOf(shape)
  if (packed.length < headerBytes) return undefined
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length)
  if (view.getUint32(0, true) !== planes.length || planes.length > segmentsMax) return undefined
  const frame = new Uint8Array(frameSize(shape))
  for (const [index, { first, step }] of planes.entries()) {
    const from = view.getUint32(4 + 4 * index, true)
    const to = index + 1 < planes.length ? view.getUint32(8 + 4 * index, true) : packed.length
    if (from < headerBytes || to < from || to > packed.length) return undefined
    if (!unpackPlane(packed.subarray(from, to), frame, { first, step, shape })) return undefined
  }
  return frame
}

interface Plane {
  /** Where its first byte lies in the frame, and how far the next ones are. */
  readonly first: number
  readonly step: number
}

function planesOf({ rows, columns, samples, bytesPerSample, isPlanar }: PixelShape): Plane[] {
  const planes: Plane[] = []
  for (let sample = 0; sample < samples; sample++) {
    const start = isPlanar ? sample * rows * columns * bytesPerSample : sample * bytesPerSample
    const step = isPlanar ? bytesPerSample : samples * bytesPerSample
    for (let byte = bytesPerSample - 1; byte >= 0; byte--) planes.push({ first: start + byte, step })
  }
  return planes
}

/** Row by row, as the standard wants; even in length. */
function packPlane(frame: Uint8Array, plane: Plane & { shape: PixelShape }): Uint8Array {
  const { rows, columns } = plane.shape
  // A row of n bytes becomes at most n and one for each 128, and there is one byte to make it even.
  const out = new Uint8Array(rows * (columns + Math.ceil(columns / 128)) + 1)
  let length = 0
  const row = new Uint8Array(columns)
  for (let y = 0, at = plane.first; y < rows; y++) {
    for (let x = 0; x < columns; x++, at += plane.step) row[x] = frame[at]!
    length = packRow(row, out, length)
  }
  return out.subarray(0, length + (length % 2))
}

function packRow(row: Uint8Array, out: Uint8Array, start: number): number {
  let length = start
  for (let at = 0; at < row.length; ) {
    const run = runAt(row, at)
    if (run > 2 || (run === 2 && at + 2 >= row.length)) {
      out[length++] = 257 - run
      out[length++] = row[at]!
      at += run
      continue
    }
    let end = at
    while (end < row.length && end - at < 128 && runAt(row, end) < 3) end++
    out[length++] = end - at - 1
    out.set(row.subarray(at, end), length)
    length += end - at
    at = end
  }
  return length
}

/** How often the byte repeats, up to 128 times. */
function runAt(row: Uint8Array, at: number): number {
  const end = Math.min(row.length, at + 128)
  let to = at + 1
  while (to < end && row[to] === row[at]) to++
  return to - at
}

/** Whether the segment held exactly one plane. */
function unpackPlane(
  segment: Uint8Array,
  frame: Uint8Array,
  { first, step, shape }: Plane & { shape: PixelShape },
): boolean {
  const end = first + shape.rows * shape.columns * step
  let to = first
  for (let at = 0; at < segment.length && to < end; ) {
    const code = segment[at++]!
    if (code === 128) continue
    const count = code < 128 ? code + 1 : 257 - code
    if (to + count * step > end || at + (code < 128 ? count : 1) > segment.length) return false
    for (let index = 0; index < count; index++, to += step) frame[to] = segment[code < 128 ? at + index : at]!
    at += code < 128 ? count : 1
  }
  return to === end
}
