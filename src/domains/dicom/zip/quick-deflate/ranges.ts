// How DEFLATE tells lengths and distances: a symbol for a range, and extra bits for the place in it (RFC 1951, 3.2.5).

/** The symbols of one kind; `base[symbol] + extra bits` is the value. */
export interface Ranges {
  readonly base: Uint16Array
  readonly extraBits: Uint8Array
  symbolOf(value: number): number
}

/** Lengths 3 to 258; the symbols stand behind the end of a block. The longest has one of its own. */
export const lengths: Ranges = (() => {
  const symbols = 29
  const ranges = makeRanges({ symbols, first: 3, perBitsLog2: 2 })
  ranges.base[symbols - 1] = 258
  ranges.extraBits[symbols - 1] = 0
  const { symbolOf } = ranges
  return { ...ranges, symbolOf: length => (length === 258 ? symbols - 1 : symbolOf(length)) }
})()

/** Distances 1 to 32 768. */
export const distances: Ranges = makeRanges({ symbols: 30, first: 1, perBitsLog2: 1 })

/** Ranges of which 2^`perBitsLog2` have as many extra bits each, and twice as many the least, which is none. */
function makeRanges({
  symbols,
  first,
  perBitsLog2,
}: {
  symbols: number
  first: number
  perBitsLog2: number
}): Ranges {
  const base = new Uint16Array(symbols)
  const extraBits = new Uint8Array(symbols)
  for (let symbol = 0, value = first; symbol < symbols; symbol++) {
    base[symbol] = value
    extraBits[symbol] = Math.max(0, (symbol >> perBitsLog2) - 1)
    value += 1 << extraBits[symbol]!
  }
  const withoutExtra = 2 << perBitsLog2
  const symbolOf = (value: number): number => {
    const place = value - first
    if (place < withoutExtra) return place
    const extra = 31 - Math.clz32(place) - perBitsLog2
    // The highest bits of the place, of which the first is always set.
    return (extra << perBitsLog2) + (place >> extra)
  }
  return { base, extraBits, symbolOf }
}
