// The four operations over floats, four or two cells at a time: a small WebAssembly module, put together here from a
// table of instructions (it never depends on an expression), and the memory in which its operands lie. Blocks of arrays
// are copied in and out; results of one step stay there for the next, so that a long expression costs little more.

import type { Cells } from '../values/nd-array.ts'
import { blockSize } from './kernels.ts'
import type { Operator } from './tree.ts'

type FloatType = 'float32' | 'float64'
type Floats = Float32Array | Float64Array

/** The instruction of each operation (WebAssembly's vector instructions, after the prefix 0xfd). */
const instructions: readonly (readonly [type: FloatType, op: Operator, code: number])[] = [
  ['float32', '+', 0xe4],
  ['float32', '-', 0xe5],
  ['float32', '*', 0xe6],
  ['float32', '/', 0xe7],
  ['float64', '+', 0xf0],
  ['float64', '-', 0xf1],
  ['float64', '*', 0xf2],
  ['float64', '/', 0xf3],
]

const widths: Readonly<Record<FloatType, number>> = { float32: 4, float64: 8 }
/** Room for the intermediate results of some 250 steps; the system gives what is touched. Others stay outside. */
const memoryPages = 256
/** Of 16 bytes, on which the loads are quickest. */
const regionBytes = blockSize * 8

/** out[o + i] = a[ai + i] ∘ b[bi + i] for i below n. */
export type SimdLoop = (a: Cells, ai: number, b: Cells, bi: number, out: Cells, o: number, n: number) => void

type Kernel = (a: number, b: number, out: number, bytes: number) => void

interface Wasm {
  readonly validate: (bytes: Uint8Array) => boolean
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: Readonly<Record<string, Kernel>> }
}

/** A thread's module with its memory. */
export class Simd {
  readonly #buffer: ArrayBuffer
  readonly #kernels = new Map<string, Kernel>()
  /** Two operands and a result that lie outside are brought here; behind them, what `region` gives. */
  readonly #staging: Readonly<Record<FloatType, readonly [Floats, Floats, Floats]>>
  #used = 3 * regionBytes

  constructor({ Memory, Module, Instance }: Wasm, bytes: Uint8Array) {
    const memory = new Memory({ initial: memoryPages, maximum: memoryPages })
    this.#buffer = memory.buffer
    const { exports } = new Instance(new Module(bytes), { room: { memory } })
    for (const [type, op] of instructions) this.#kernels.set(type + op, exports[type + op]!)
    const staged = (type: FloatType, index: number): Floats => this.#view(type, index * regionBytes)
    this.#staging = {
      float32: [staged('float32', 0), staged('float32', 1), staged('float32', 2)],
      float64: [staged('float64', 0), staged('float64', 1), staged('float64', 2)],
    }
  }

  #view(type: FloatType, at: number): Floats {
    return type === 'float32'
      ? new Float32Array(this.#buffer, at, blockSize)
      : new Float64Array(this.#buffer, at, blockSize)
  }

  /** The memory that is in use; give it to `release` when what was taken since is not needed any more. */
  mark(): number {
    return this.#used
  }

  release(mark: number): void {
    this.#used = mark
  }

  /** A block in the memory for an intermediate result; undefined when it is full. */
  region(type: FloatType): Floats | undefined {
    if (this.#used + regionBytes > this.#buffer.byteLength) return undefined
    this.#used += regionBytes
    return this.#view(type, this.#used - regionBytes)
  }

  /** The loop of an operation on arrays of this type, inside of the memory or outside. */
  loop(type: FloatType, op: Operator): SimdLoop | undefined {
    const kernel = this.#kernels.get(type + op)
    if (kernel === undefined) return undefined
    const buffer = this.#buffer
    const width = widths[type]
    const [stageA, stageB, stageOut] = this.#staging[type]
    const bring = (cells: Cells, at: number, stage: Floats, n: number): number => {
      if (cells.buffer === buffer && at === 0) return cells.byteOffset
      stage.set(n === cells.length ? cells : cells.subarray(at, at + n))
      return stage.byteOffset
    }
    return (a, ai, b, bi, out, o, n) => {
      const left = bring(a, ai, stageA, n)
      const right = a === b && ai === bi ? left : bring(b, bi, stageB, n)
      const isInside = out.buffer === buffer && o === 0
      kernel(left, right, isInside ? out.byteOffset : stageOut.byteOffset, n * width)
      if (!isInside) out.set(n === blockSize ? stageOut : stageOut.subarray(0, n), o)
    }
  }
}

// ---- the module's bytes: see the WebAssembly specification, chapter 5 (binary format) ----

const i32 = 0x7f

function assemble(): Uint8Array {
  const kernels = instructions.map(([, , code]) => sized(body(code)))
  const types = vector([[0x60, 4, i32, i32, i32, i32, 0]])
  const imports = vector([
    [...name('room'), ...name('memory'), 2, 1, ...leb(memoryPages), ...leb(memoryPages)],
  ])
  const functions = vector(instructions.map(() => [0]))
  const exports = vector(instructions.map(([type, op], index) => [...name(type + op), 0, index]))
  const head = [0, ...Buffer.from('asm'), 1, 0, 0, 0]
  const sections = [
    [1, types],
    [2, imports],
    [3, functions],
    [7, exports],
    [10, vector(kernels)],
  ] as const
  return Uint8Array.from([...head, ...sections.flatMap(([id, content]) => [id, ...sized(content)])])
}

/** do { out = a ∘ b, all three go on by 16 bytes } while less than `bytes` are done, which is at least once. */
function body(code: number): number[] {
  const [a, b, out, bytes] = [0, 1, 2, 3]
  const get = (local: number): number[] => [0x20, local]
  const vectorOp = (op: number): number[] => [0xfd, ...leb(op)]
  const load = (local: number): number[] => [...get(local), ...vectorOp(0), 4, 0]
  const advance = (local: number): number[] => [...get(local), 0x41, 16, 0x6a, 0x21, local]
  const lessBytes = [...get(bytes), 0x41, 16, 0x6b, 0x22, bytes]
  return [
    0, // no locals
    ...[0x03, 0x40], // loop
    ...[...get(out), ...load(a), ...load(b), ...vectorOp(code), ...vectorOp(11), 4, 0],
    ...[...advance(a), ...advance(b), ...advance(out)],
    ...[...lessBytes, 0x41, 0, 0x4a, 0x0d, 0], // again if there is more
    ...[0x0b, 0x0b],
  ]
}

function leb(value: number): number[] {
  const rest = value >>> 7
  return rest === 0 ? [value] : [(value & 0x7f) | 0x80, ...leb(rest)]
}

function sized(content: readonly number[]): number[] {
  return [...leb(content.length), ...content]
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...leb(items.length), ...items.flat()]
}

function name(text: string): number[] {
  return sized([...Buffer.from(text)])
}

/** One for this thread; undefined where the machine has no such instructions: the plain loops give the same. */
export const simd: Simd | undefined = make()

function make(): Simd | undefined {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: Wasm }
  const bytes = assemble()
  return WebAssembly.validate(bytes) ? new Simd(WebAssembly, bytes) : undefined
}
