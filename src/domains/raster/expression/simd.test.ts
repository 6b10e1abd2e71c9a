import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { NdArray } from '../values/nd-array.ts'
import { evaluate } from './evaluate.ts'
import { blockSize, loops32, loops64 } from './kernels.ts'
import { parseExpression } from './parse.ts'
import { simd } from './simd.ts'

const special = [0, -0, Number.NaN, Infinity, -Infinity, 1e-45, 3.4e38, -1.5]
const value = fc.oneof(fc.constantFrom(...special), fc.double({ min: -1e6, max: 1e6, noNaN: true }))
const ops = ['+', '-', '*', '/'] as const

test('vector loops give bit for bit what the plain ones give, at any offset and length', () => {
  assert.ok(simd, 'this machine has the instructions')
  const cases = fc.record({
    ...{ op: fc.constantFrom(...ops), isSingle: fc.boolean() },
    ...{
      a: fc.array(value, { minLength: 30, maxLength: 30 }),
      b: fc.array(value, { minLength: 30, maxLength: 30 }),
    },
    ...{ ai: fc.nat(8), bi: fc.nat(8), o: fc.nat(8), n: fc.integer({ min: 1, max: 20 }) },
  })
  fc.assert(
    fc.property(cases, ({ op, isSingle, a, b, ai, bi, o, n }) => {
      const of = (list: number[]) => (isSingle ? Float32Array.from(list) : Float64Array.from(list))
      const [wanted, came] = [of(a), of(a)]
      const plain = isSingle ? loops32[op]! : loops64[op]!
      ;(plain as (...all: unknown[]) => void)(of(a), ai, of(b), bi, wanted, o, n)
      simd!.loop(isSingle ? 'float32' : 'float64', op)!(of(a), ai, of(b), bi, came, o, n)
      // Which NaN it is may differ; everything else may not, the sign of zero included.
      for (const [at, cell] of came.entries()) assert.ok(Object.is(cell, wanted[at]), `cell ${at}`)
    }),
    { seed: 9, numRuns: 400 },
  )
})

for (const dtype of ['float32', 'float64', 'int16'] as const) {
  test(`expressions over ${dtype} are what each cell gives by itself, across blocks and without room for all steps`, () => {
    const size = blockSize * 2 + 3
    const round = dtype === 'float32' ? Math.fround : (x: number) => x
    const cells = (seed: number) => Array.from({ length: size }, (_, at) => ((at * seed) % 101) - 50)
    const [a, b] = [cells(7), cells(13)]
    const make = { float32: Float32Array, float64: Float64Array, int16: Int16Array }[dtype]
    const names = new Map([
      ['a', new NdArray(dtype, [size], make.from(a))],
      ['b', new NdArray(dtype, [size], make.from(b))],
    ])
    const mark = simd!.mark()
    const simple = evaluate(parseExpression('(a + b * 2.5) / (a - 0.5)'), names) as NdArray
    for (const at of [0, 1, blockSize - 1, blockSize, blockSize * 2, size - 1]) {
      const whole = dtype === 'int16' ? Math.fround : round
      const wanted = whole(whole(a[at]! + whole(b[at]! * 2.5)) / whole(a[at]! - 0.5))
      assert.equal(simple.data[at], wanted, `cell ${at}`)
    }
    const deep = evaluate(parseExpression(`a${' + b * 0.5'.repeat(400)}`), names) as NdArray
    for (const at of [0, blockSize, size - 1]) {
      const whole = dtype === 'int16' ? Math.fround : round
      let wanted = a[at]!
      for (let count = 0; count < 400; count++) wanted = whole(wanted + whole(b[at]! * 0.5))
      assert.equal(deep.data[at], wanted, `cell ${at} of the deep one`)
    }
    assert.equal(simd!.mark(), mark, 'all room is given back')
  })
}

test('the room is given back when an expression fails', () => {
  const names = new Map<string, unknown>([['a', new NdArray('float32', [3], Float32Array.of(1, 2, 3))]])
  const mark = simd!.mark()
  assert.throws(() => evaluate(parseExpression('a * 2 + nobody'), names))
  assert.equal(simd!.mark(), mark)
})
