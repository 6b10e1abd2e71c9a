import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { blockBytes, expandBlock, inflateBlock, unpackBlock } from './tiff-blocks.ts'

const shape = { tileWidth: 10, tileHeight: 4, planarConfiguration: 1, bitsPerSample: [16, 16] }

describe('a block of a TIFF file', () => {
  test('has as many bytes as its image says, and never more than can be held', () => {
    expect(blockBytes(shape)).toBe(160)
    expect(blockBytes({ ...shape, planarConfiguration: 2 })).toBe(80)
    expect(blockBytes({ ...shape, bitsPerSample: 1 })).toBe(8)
    expect(blockBytes({ ...shape, tileHeight: 2 ** 32 - 1, bitsPerSample: 8 })).toBe(1_000_000)
    expect(() => blockBytes({ ...shape, tileWidth: 2 ** 32 })).toThrow('too large')
    expect(() => blockBytes({ ...shape, tileWidth: Number.NaN })).toThrow('too large')
  })

  test('that stands for more than that is not unfolded', () => {
    const bomb = deflateSync(Buffer.alloc(50_000_000))
    expect(() => inflateBlock(bomb, 1000)).toThrow()
    expect(unpackBlock(new Uint8Array(100_000).fill(0x81), 1000)).toHaveLength(1000)
    expect(expandBlock(packed([256, 7, ...Array.from({ length: 3000 }, (_, at) => 258 + at)]), 1000)).toEqual(
      new Uint8Array(1000).fill(7),
    )
  })

  test('is decoded whatever it holds, and never for ever', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), bytes => {
        expect(inflateBlock(deflateSync(bytes), bytes.length)).toEqual(Buffer.from(bytes))
        for (const decode of [unpackBlock, expandBlock])
          try {
            expect(decode(bytes, 5000).length).toBeLessThanOrEqual(5000)
          } catch (error) {
            expect((error as Error).message).toBe('a block of the image is broken')
          }
      }),
      { seed: 8 },
    )
  })
})

// Codes as TIFF's LZW writes them, without the dictionary: the widths grow with the number of codes.
function packed(codes: readonly number[]): Uint8Array {
  let text = ''
  let [next, width] = [258, 9]
  let isFirst = true
  for (const code of codes) {
    text += code.toString(2).padStart(width, '0')
    if (code === 256) {
      ;[next, width, isFirst] = [258, 9, true]
      continue
    }
    if (!isFirst) next++
    isFirst = false
    if (next + 1 >= 1 << width && width < 12) width++
  }
  return Uint8Array.from(text.match(/.{1,8}/g) ?? [], byte => Number.parseInt(byte.padEnd(8, '0'), 2))
}
