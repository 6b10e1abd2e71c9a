// Pictures as WebP without loss, by a WebAssembly codec that is loaded when the first one is asked for. The module is
// read from the package's own folder: it would fetch it from there as a page does, and Node has no such page.

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

interface Encoder {
  readonly default: (
    picture: { data: Uint8ClampedArray; width: number; height: number },
    options: Readonly<Record<string, number>>,
  ) => Promise<ArrayBuffer>
  readonly init: (module: object) => Promise<unknown>
}

/** Without loss and quickly: maps have few colours, and more effort gains little. `exact` keeps hidden colours. */
const options = { lossless: 1, quality: 0, method: 0, exact: 1 }

const encoder = await loadEncoder()

/** Encodes pixels of four bytes each. */
export async function encodeWebp(rgba: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const data = new Uint8ClampedArray(rgba.buffer, rgba.byteOffset, rgba.byteLength)
  return new Uint8Array(await encoder.default({ data, width, height }, options))
}

async function loadEncoder(): Promise<Encoder> {
  // The types of the package, and of WebAssembly, are a browser's.
  const loaded = (await import('@jsquash/webp/encode.js' as string)) as Encoder
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { Module: new (bytes: Uint8Array) => object }
  }
  const file = createRequire(import.meta.url).resolve('@jsquash/webp/codec/enc/webp_enc_simd.wasm')
  await loaded.init(new WebAssembly.Module(await readFile(file)))
  return loaded
}
