// Turns numbers between the file's byte order (big-endian) and the machine's (little-endian everywhere we run).

/** Reverses the bytes of each number in place; `width` is the bytes of one. */
export function swapBytes(bytes: Uint8Array, width: number): void {
  if (width === 1) return
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (width === 2) buffer.swap16()
  else if (width === 4) buffer.swap32()
  else buffer.swap64()
}
