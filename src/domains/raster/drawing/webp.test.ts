import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'vitest'
import { encodePicture } from './encode.ts'

interface Decoder {
  readonly default: (bytes: Uint8Array) => Promise<{ data: Uint8ClampedArray; width: number }>
  readonly init: (module: object) => Promise<unknown>
}

async function decode(bytes: Uint8Array): Promise<Uint8Array> {
  const decoder = (await import('@jsquash/webp/decode.js' as string)) as Decoder
  const { WebAssembly, ...globals } = globalThis as unknown as {
    WebAssembly: { Module: new (bytes: Uint8Array) => object }
    ImageData?: unknown
  }
  // Node has no pictures; the decoder only fills one in.
  if (globals.ImageData === undefined) {
    class ImageData {
      readonly data: Uint8ClampedArray
      readonly width: number
      constructor(data: Uint8ClampedArray, width: number) {
        this.data = data
        this.width = width
      }
    }
    Object.assign(globalThis, { ImageData })
  }
  const file = createRequire(import.meta.url).resolve('@jsquash/webp/codec/dec/webp_dec.wasm')
  await decoder.init(new WebAssembly.Module(readFileSync(file)))
  return Uint8Array.from((await decoder.default(bytes)).data)
}

test('a picture as WebP has every pixel as it was, also the transparent ones', async () => {
  const [width, height] = [37, 21]
  const rgba = Uint8Array.from({ length: width * height * 4 }, (_, at) => (at * 2_654_435_761) >>> 24)
  const bytes = await encodePicture({ width, height, rgba }, { format: 'webp', isTransparent: true })
  assert.equal(Buffer.from(bytes.subarray(8, 12)).toString(), 'WEBP')
  assert.deepEqual(await decode(bytes), rgba)
})

test('a picture by palette lies on white in a WebP that is not transparent', async () => {
  const picture = {
    ...{ width: 2, height: 1, places: Uint8Array.of(0, 1) },
    palette: [
      [255, 255, 255, 0],
      [10, 20, 30, 255],
    ] as const,
  }
  const bytes = await encodePicture(picture, { format: 'webp', isTransparent: false })
  assert.deepEqual([...(await decode(bytes))], [255, 255, 255, 255, 10, 20, 30, 255])
})
