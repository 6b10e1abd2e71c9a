import assert from 'node:assert/strict'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { test } from 'vitest'
import { makeAlphabet, PrefixCoder } from './prefix-code.ts'
import { QuickDeflater } from './quick-deflate.ts'
import { distances, lengths } from './ranges.ts'

const deflater = new QuickDeflater()

function assertComesBack(bytes: Uint8Array): Uint8Array {
  const packed = Uint8Array.from(deflater.deflate(bytes))
  assert.ok(inflateRawSync(packed).equals(bytes), `${bytes.length} bytes`)
  return packed
}

/** Noise of which some values are much more frequent than others: the more, the longer the rarest codes. */
function noise(length: number, values: number, skew: number, seed: number): Uint8Array {
  let state = seed
  const next = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) / 0x80000000
  return Uint8Array.from({ length }, () => Math.floor(values * next() ** skew))
}

const contents = fc.oneof(
  fc.uint8Array({ maxLength: 3000, size: 'max' }),
  fc
    .record({
      length: fc.integer({ min: 0, max: 70_000 }),
      values: fc.integer({ min: 1, max: 256 }),
      skew: fc.integer({ min: 1, max: 40 }),
      seed: fc.nat(),
    })
    .map(({ length, values, skew, seed }) => noise(length, values, skew, seed)),
  // Pieces that come again, near and far.
  fc
    .record({
      pieces: fc.array(fc.uint8Array({ maxLength: 400, size: 'max' }), { minLength: 1, maxLength: 8 }),
      order: fc.array(fc.nat(7), { maxLength: 200, size: 'max' }),
    })
    .map(({ pieces, order }) => Buffer.concat(order.map(index => pieces[index % pieces.length]!))),
)

test('whatever is deflated comes back from zlib', () => {
  fc.assert(
    fc.property(contents, bytes => void assertComesBack(bytes)),
    { numRuns: 400, seed: 12 },
  )
})

test('contents of no, one and two values come back, of any length around the longest repeat', () => {
  for (const length of [0, 1, 2, 3, 4, 5, 6, 257, 258, 259, 260, 516, 517, 70_000]) {
    assertComesBack(new Uint8Array(length))
    assertComesBack(new Uint8Array(length).fill(255))
    assertComesBack(noise(length, 2, 1, 3))
  }
})

test('a piece is told as a repeat up to 32 KiB away, and anew beyond', () => {
  const piece = noise(2000, 256, 1, 7)
  const sizeWith = (between: number): number =>
    assertComesBack(Buffer.concat([piece, noise(between, 256, 1, 9), piece])).length
  const near = sizeWith(32 * 1024 - 2000)
  assert.ok(near < 33_500, String(near))
  assert.ok(sizeWith(32 * 1024 + 100) > near + 1500)
})

test('counts that would ask for codes of twenty bits and more get none above fifteen', () => {
  const fibonacci = [1, 1]
  while (fibonacci.length < 23) fibonacci.push(fibonacci.at(-1)! + fibonacci.at(-2)!)
  // Mixed, so that there is nothing but letters.
  const bytes = Uint8Array.from(fibonacci.flatMap((count, value) => Array<number>(count).fill(value)))
  const order = noise(bytes.length * 4, 256, 1, 5)
  for (let at = bytes.length - 1; at > 0; at--) {
    const other = ((order[at * 3]! << 16) | (order[at * 3 + 1]! << 8) | order[at * 3 + 2]!) % (at + 1)
    ;[bytes[at], bytes[other]] = [bytes[other]!, bytes[at]!]
  }
  assertComesBack(bytes)
})

test('codes are complete, within their limit, and as short as can be where the limit is far', () => {
  const coder = new PrefixCoder()
  const counts = fc.array(fc.oneof(fc.constant(0), fc.nat(9), fc.nat(100_000)), {
    minLength: 2,
    maxLength: 286,
  })
  fc.assert(
    fc.property(counts, fc.constantFrom(9, 15), (values, bitsMax) => {
      const { counts, bits, ...rest } = makeAlphabet(values.length)
      counts.set(values)
      coder.makeCodes({ counts, bits, ...rest }, bitsMax)
      const used = values.filter(count => count > 0)
      for (const [symbol, count] of values.entries()) assert.equal(bits[symbol]! > 0, count > 0)
      if (used.length < 2) return
      assert.equal(
        bits.reduce((sum, length) => sum + (length > 0 ? 2 ** -length : 0), 0),
        1,
      )
      assert.ok(Math.max(...bits) <= bitsMax)
      const cost = values.reduce((sum, count, symbol) => sum + count * bits[symbol]!, 0)
      const { least, deepest } = leastCost(used)
      if (deepest <= bitsMax) assert.equal(cost, least)
      else assert.ok(cost >= least && cost <= least * 1.2, `${cost} for ${least}`)
    }),
    { numRuns: 300, seed: 4 },
  )
})

/** What Huffman's tree costs in bits, found the plain way, and its depth. */
function leastCost(counts: readonly number[]): { least: number; deepest: number } {
  const trees = counts.map(weight => ({ weight, depth: 0 }))
  let least = 0
  while (trees.length > 1) {
    trees.sort((a, b) => b.weight - a.weight || b.depth - a.depth)
    const [a, b] = [trees.pop()!, trees.pop()!]
    least += a.weight + b.weight
    trees.push({ weight: a.weight + b.weight, depth: 1 + Math.max(a.depth, b.depth) })
  }
  return { least, deepest: trees[0]!.depth }
}

test('every length and distance is in the range of its symbol', () => {
  for (const [ranges, least, most] of [
    [lengths, 3, 258],
    [distances, 1, 32 * 1024],
  ] as const) {
    for (let value = least; value <= most; value++) {
      const symbol = ranges.symbolOf(value)
      const extra = value - ranges.base[symbol]!
      assert.ok(extra >= 0 && extra < 1 << ranges.extraBits[symbol]!, String(value))
    }
  }
  assert.equal(lengths.symbolOf(258), 28)
})

test('pixels with noise become nearly as short as a search makes them', () => {
  const grain = noise(4000, 32, 1, 11)
  const wander = Uint16Array.from(
    grain,
    (value, index) => 1000 + Math.round(600 * Math.sin(index / 300)) + value,
  )
  const bytes = new Uint8Array(wander.buffer)
  assert.ok(assertComesBack(bytes).length < deflateRawSync(bytes, { level: 3 }).length * 1.06)
})
