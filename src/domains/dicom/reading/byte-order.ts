// Turning the byte order of values round: which VRs hold numbers of how many bytes.

/** Sizes of the numbers in values of bytes: what turning the byte order round means for them. */
export const wordBytes: Readonly<Record<string, number>> = {
  ...{ AT: 2, OW: 2, SS: 2, US: 2 },
  ...{ FL: 4, OF: 4, OL: 4, SL: 4, UL: 4 },
  ...{ FD: 8, OD: 8, OV: 8, SV: 8, UV: 8 },
}

/** The bytes with each word of `size` turned round. */
export function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const turned = new Uint8Array(bytes.length)
  for (let at = 0; at < bytes.length; at += size) {
    const end = Math.min(at + size, bytes.length)
    for (let i = at; i < end; i++) turned[i] = bytes[end - 1 - (i - at)]!
  }
  return turned
}
