// The inverse DCT of one block, in whole numbers: the factorization of Loeffler, Ligtenberg and Moschytz (1989) with
// eleven multiplications, constants of 13 bits. Decoders that follow it agree to the last bit.

/** Constants × 2¹³, named by the angles' sums in the paper: √2 times sums of cosines of k·π/16. */
const c = {
  even: { a: 4433, b: 6270, c: 15137 },
  odd: { a: 2446, b: 16819, c: 25172, d: 12299, e: 7373, f: 20995, g: 16069, h: 3196, i: 9633 },
} as const
const constantBits = 13

const work = new Int32Array(64)

/**
 * Turns 64 coefficients (natural order) times their steps (`steps`, natural order) into samples of so many bits, into
 * `out` from `outAt` on, rows `stride` apart.
 */
export function inverseDct(
  block: Int16Array,
  at: number,
  steps: Uint16Array,
  to: {
    readonly out: Uint8Array | Uint16Array
    readonly at: number
    readonly stride: number
    readonly bits: number
  },
): void {
  // What the columns keep beyond whole numbers; with 12 bits there is less room for it.
  const keptBits = to.bits > 8 ? 1 : 2
  for (let column = 0; column < 8; column++) {
    for (let row = 0; row < 8; row++) line[row] = block[at + row * 8 + column]! * steps[row * 8 + column]!
    transform(constantBits - keptBits)
    for (let row = 0; row < 8; row++) work[row * 8 + column] = line[row]!
  }
  const most = (1 << to.bits) - 1
  const middle = 1 << (to.bits - 1)
  for (let row = 0; row < 8; row++) {
    for (let column = 0; column < 8; column++) line[column] = work[row * 8 + column]!
    transform(constantBits + keptBits + 3)
    const from = to.at + row * to.stride
    for (let column = 0; column < 8; column++) {
      const value = line[column]! + middle
      to.out[from + column] = value < 0 ? 0 : value > most ? most : value
    }
  }
}

const line = new Int32Array(8)

/** Eight values in place, scaled down by so many bits with rounding. */
function transform(down: number): void {
  const [v0, v1, v2, v3] = [line[0]!, line[1]!, line[2]!, line[3]!]
  const [v4, v5, v6, v7] = [line[4]!, line[5]!, line[6]!, line[7]!]
  // The even half.
  const shared = (v2 + v6) * c.even.a
  const e2 = shared - v6 * c.even.c
  const e3 = shared + v2 * c.even.b
  const sum = (v0 + v4) * 8192
  const difference = (v0 - v4) * 8192
  const [s0, s3, s1, s2] = [sum + e3, sum - e3, difference + e2, difference - e2]
  // The odd half.
  const all = (v7 + v3 + v5 + v1) * c.odd.i
  const z1 = -(v7 + v1) * c.odd.e
  const z2 = -(v5 + v3) * c.odd.f
  const z3 = all - (v7 + v3) * c.odd.g
  const z4 = all - (v5 + v1) * c.odd.h
  const o0 = v7 * c.odd.a + z1 + z3
  const o1 = v5 * c.odd.b + z2 + z4
  const o2 = v3 * c.odd.c + z2 + z3
  const o3 = v1 * c.odd.d + z1 + z4
  const half = 2 ** (down - 1)
  const scale = (value: number): number => (value + half) >> down
  line[0] = scale(s0 + o3)
  line[7] = scale(s0 - o3)
  line[1] = scale(s1 + o2)
  line[6] = scale(s1 - o2)
  line[2] = scale(s2 + o1)
  line[5] = scale(s2 - o1)
  line[3] = scale(s3 + o0)
  line[4] = scale(s3 - o0)
}
