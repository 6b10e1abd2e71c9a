// Prefix codes as DEFLATE wants them (RFC 1951, 3.2.2): from how often each symbol occurs to how many bits each gets,
// and from those to the bits themselves.

/** Codes have 15 bits at most, so that one fits beside its length into a number. */
export const codeBitsMax = 15

/** Symbols with how often they occur, and what they are written as. */
export interface Alphabet {
  /** How often each symbol occurs; all together less than 2^30. */
  readonly counts: Uint32Array
  /** How many bits its code has; 0 when it does not occur. */
  readonly bits: Uint8Array
  /** Its code in the order in which bits are sent, and above bit 15 how many they are. */
  readonly codes: Uint32Array
  /** The symbols, rare ones first, as they were the last time: contents of one archive are alike. */
  readonly order: Uint16Array
}

/** An alphabet of so many symbols, of which none occurs. */
export function makeAlphabet(symbols: number): Alphabet {
  return {
    counts: new Uint32Array(symbols),
    bits: new Uint8Array(symbols),
    codes: new Uint32Array(symbols),
    order: Uint16Array.from({ length: symbols }, (_, symbol) => symbol),
  }
}

/** Makes codes for alphabets of up to 512 symbols, with scratch space of its own. */
export class PrefixCoder {
  readonly #tree = new Int32Array(512)
  readonly #perLength = new Int32Array(512)
  readonly #next = new Int32Array(codeBitsMax + 2)

  /**
   * Gives each symbol that occurs a code of at most `bitsMax` bits. The codes are complete, unless a symbol is alone: that one
   * gets one bit.
   */
  makeCodes(alphabet: Alphabet, bitsMax: number): void {
    this.#chooseLengths(alphabet, bitsMax)
    this.#chooseCodes(alphabet)
  }

  #chooseLengths({ counts, bits, order }: Alphabet, bitsMax: number): void {
    sortByCount(order, counts)
    bits.fill(0)
    let first = 0
    while (first < order.length && counts[order[first]!] === 0) first++
    const used = order.subarray(first)
    if (used.length < 2) {
      if (used.length === 1) bits[used[0]!] = 1
      return
    }
    this.#countLengths(used, counts)
    this.#limitLengths(bitsMax)
    for (let at = 0, length = bitsMax; at < used.length; length--) {
      for (let left = this.#perLength[length]!; left > 0; left--) bits[used[at++]!] = length
    }
  }

  /** Joins the two lightest until one tree is left; then counts its leaves at each depth. */
  #countLengths(used: Uint16Array, counts: Uint32Array): void {
    const tree = this.#tree
    const leaves = used.length
    const inner = leaves - 1
    // Joined ones come in order of weight. Of each there is the weight, and once it is joined itself, the place of its parent.
    let leaf = 0
    let joined = 0
    for (let made = 0; made < inner; made++) {
      let weight = 0
      for (let side = 0; side < 2; side++) {
        if (joined < made && (leaf === leaves || tree[joined]! < counts[used[leaf]!]!)) {
          weight += tree[joined]!
          tree[joined++] = made
        } else {
          weight += counts[used[leaf++]!]!
        }
      }
      tree[made] = weight
    }
    // From the root down places turn into depths. A level has room for two of each that was joined on the one above.
    tree[inner - 1] = 0
    for (let at = inner - 2; at >= 0; at--) tree[at] = tree[tree[at]!]! + 1
    this.#perLength.fill(0)
    let at = inner - 1
    for (let depth = 0, room = 1; room > 0; depth++) {
      let parents = 0
      for (; at >= 0 && tree[at] === depth; at--) parents++
      this.#perLength[depth] = room - parents
      room = 2 * parents
    }
  }

  /** Lengths above the limit are cut to it; then others are lengthened until all codes have room again. */
  #limitLengths(bitsMax: number): void {
    const perLength = this.#perLength
    for (let bits = bitsMax + 1; bits < perLength.length; bits++) perLength[bitsMax]! += perLength[bits]!
    let taken = 0
    for (let bits = 1; bits <= bitsMax; bits++) taken += perLength[bits]! << (bitsMax - bits)
    for (; taken > 1 << bitsMax; taken--) {
      // Where a shorter code ends, two longer ones begin: itself, and one of the longest.
      let bits = bitsMax - 1
      while (perLength[bits] === 0) bits--
      perLength[bits]!--
      perLength[bits + 1]! += 2
      perLength[bitsMax]!--
    }
  }

  /** Shorter codes come before longer ones, and those of one length in the order of their symbols. */
  #chooseCodes({ bits, codes }: Alphabet): void {
    const next = this.#next.fill(0)
    for (let symbol = 0; symbol < bits.length; symbol++) next[bits[symbol]! + 1]!++
    next[1] = 0
    for (let length = 1; length <= codeBitsMax; length++)
      next[length + 1] = 2 * (next[length]! + next[length + 1]!)
    for (let symbol = 0; symbol < bits.length; symbol++) {
      const length = bits[symbol]!
      codes[symbol] = length === 0 ? 0 : reversed(next[length]!++, length) | (length << 16)
    }
  }
}

/** In place, by insertion: next to nothing to do where the order is nearly right. */
function sortByCount(order: Uint16Array, counts: Uint32Array): void {
  for (let at = 1; at < order.length; at++) {
    const symbol = order[at]!
    const count = counts[symbol]!
    let to = at
    for (; to > 0 && counts[order[to - 1]!]! > count; to--) order[to] = order[to - 1]!
    order[to] = symbol
  }
}

/** The first bit of a code becomes the lowest one: neighbours change places, then pairs, then fours and eights. */
function reversed(code: number, bits: number): number {
  let turned = ((code & 0x5555) << 1) | ((code & 0xaaaa) >>> 1)
  turned = ((turned & 0x3333) << 2) | ((turned & 0xcccc) >>> 2)
  turned = ((turned & 0x0f0f) << 4) | ((turned & 0xf0f0) >>> 4)
  turned = ((turned & 0x00ff) << 8) | (turned >>> 8)
  return turned >>> (16 - bits)
}
