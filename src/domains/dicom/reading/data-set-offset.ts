// Where the data set of a file begins, found without reading the data set.

const explicitLong = new Set(['OB', 'OW', 'OF', 'SQ', 'UN', 'UT'])

/** The offset behind the meta group; undefined when the file has no preamble, or its beginning is not long enough. */
export function dataSetOffset(head: Uint8Array): number | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
  if (bytes.length < 132 || bytes.toString('latin1', 128, 132) !== 'DICM') return undefined
  let at = 132
  while (at + 8 <= bytes.length) {
    if (bytes.readUInt16LE(at) !== 2) return at
    const isLong = explicitLong.has(bytes.toString('latin1', at + 4, at + 6))
    if (isLong && at + 12 > bytes.length) return undefined
    at += isLong ? 12 + bytes.readUInt32LE(at + 8) : 8 + bytes.readUInt16LE(at + 6)
  }
  return undefined
}
