// A picture for tests of codecs: waves, noise, and a flat corner, in any depth.

/** Samples colour by pixel, in little endian; 16 bits each where `bits` is more than 8. */
export function aPicture(facts: {
  rows: number
  columns: number
  samples: number
  bits: number
}): Uint8Array {
  const { rows, columns, samples, bits } = facts
  const count = rows * columns * samples
  const out = bits > 8 ? new Uint16Array(count) : new Uint8Array(count)
  const most = 2 ** bits - 1
  let noise = 7
  for (let at = 0; at < count; at++) {
    const sample = at % samples
    const x = Math.floor(at / samples) % columns
    const y = Math.floor(at / samples / columns)
    noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0
    // Whole numbers only, so that every machine makes the same picture.
    const wave = Math.abs(((x * 5 + sample * 31) % 128) - 64) + Math.abs(((y * 7) % 96) - 48)
    const isFlat = x > columns * 0.7 && y < rows / 3
    const value = isFlat ? most >> 2 : Math.floor((wave * most) / 112) + (noise >>> 29) - 4
    out[at] = Math.max(0, Math.min(most, value))
  }
  return new Uint8Array(out.buffer)
}
