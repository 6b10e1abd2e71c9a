// Evaluates `a + b * 2` many times, and prints the median rates, ours and that of a plain loop, as JSON.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { builtRoot } from '../processes.ts'
import { quantile } from '../suite.ts'

const root = builtRoot()
const ending = root.endsWith('dist') ? 'js' : 'ts'
const room = (path: string) => import(pathToFileURL(join(root, `domains/raster/${path}.${ending}`)).href)
const { evaluate } = await room('expression/evaluate')
const { parseExpression } = await room('expression/parse')
const { NdArray } = await room('values/nd-array')

const side = 4000
const grid = (value: number) =>
  new NdArray('float32', [side, side], new Float32Array(side * side).fill(value))
const names = new Map([
  ['a', grid(1.5)],
  ['b', grid(2.5)],
])
const tree = parseExpression('a + b * 2')
const rates = { ours: [] as number[], plain: [] as number[] }
for (let round = 0; round < 15; round++) {
  const ours = rateOf(() => evaluate(tree, names))
  const plain = rateOf(plainLoop)
  if (round < 3) continue
  rates.ours.push(ours)
  rates.plain.push(plain)
}
console.log(JSON.stringify({ ours: quantile(rates.ours, 0.5), plain: quantile(rates.plain, 0.5) }))

function rateOf(work: () => void): number {
  const startedAt = performance.now()
  work()
  return (side * side) / (performance.now() - startedAt) / 1000
}

/** What the machine allows: the expression written out by hand, into a fresh array as well. */
function plainLoop(): Float32Array {
  const [a, b] = [names.get('a')!.data as Float32Array, names.get('b')!.data as Float32Array]
  const out = new Float32Array(a.length)
  for (let at = 0; at < out.length; at++) out[at] = a[at]! + b[at]! * 2
  return out
}
