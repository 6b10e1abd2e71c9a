import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { find } from '../reading/data-set.ts'
import { syntaxes } from '../reading/syntax.ts'
import { readLittleEndian, showValue, valuesOf } from '../reading/value.ts'
import { tags, tagText } from '../tag.ts'
import { aDicomFile, read } from '../testing/sample.ts'
import { frameSize, packFrame, unpackFrame } from './rle.ts'
import { transcode } from './transcode.ts'

const rle = '1.2.840.10008.1.2.5'
const plain = Object.values(syntaxes)

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 6 }),
  columns: fc.integer({ min: 1, max: 300 }),
  samples: fc.constantFrom(1, 3),
  bytesPerSample: fc.constantFrom(1, 2, 4),
  isPlanar: fc.boolean(),
})

test('any frame comes back from RLE as it was', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 1, max: 4 }), fc.integer(), (shape, values, seed) => {
      const frame = new Uint8Array(frameSize(shape))
      let state = seed >>> 0
      for (let at = 0; at < frame.length; at++) {
        // Few different values, so that there are runs of every length.
        if (at === 0 || state % 5 === 0 || values > 1) state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        frame[at] = (state >>> 24) % values
      }
      const packed = packFrame(frame, shape)!
      assert.equal(packed.length % 2, 0)
      assert.deepEqual(unpackFrame(packed, shape), frame)
    }),
    { seed: 6, numRuns: 300 },
  )
})

test('broken RLE is refused, whatever is broken', () => {
  const shape = { rows: 4, columns: 40, samples: 3, bytesPerSample: 2, isPlanar: false }
  const packed = packFrame(
    new Uint8Array(frameSize(shape)).map((_, at) => at * 7),
    shape,
  )!
  fc.assert(
    fc.property(fc.nat(packed.length - 1), fc.nat(255), fc.nat(packed.length), (at, value, length) => {
      const broken = Uint8Array.from(packed).subarray(0, length)
      if (at < length) broken[at] = value
      const frame = unpackFrame(broken, shape)
      assert.ok(frame === undefined || frame.length === frameSize(shape))
    }),
    { seed: 6, numRuns: 2000 },
  )
})

/** Everything that a file says, with its pixels in little endian. */
function meaning(bytes: Uint8Array): unknown {
  const set = read(bytes)
  const { values } = valuesOf(set, 'ISO_IR 100')
  const texts = set.elements
    .filter(({ tag }) => tag !== tags.PixelData)
    .map(element => [tagText(element.tag), element.vr, element.items?.length ?? showValue(element, values)])
  const pixels = find(set.elements, tags.PixelData)!
  return { texts, pixels: Buffer.from(readLittleEndian(pixels, values)).toString('hex') }
}

const sequence = {
  tag: 0x00081140,
  isOpen: false,
  items: [{ isOpen: false, pieces: [{ tag: tags.PatientID, vr: 'LO', bytes: Buffer.from('P2') }] }],
}
const pixels = { tag: tags.PixelData, vr: 'OW', bytes: Uint8Array.from({ length: 256 }, (_, at) => at % 11) }
const facts = {
  Rows: '8',
  Columns: '8',
  BitsAllocated: '16',
  NumberOfFrames: '2',
  SpacingBetweenSlices: '1.5',
}

for (const from of plain) {
  for (const to of plain) {
    test(`${from} becomes ${to} by way of RLE and directly, and says the same`, () => {
      const file = aDicomFile({ tags: facts, transferSyntax: from, pieces: [sequence, pixels] })
      const packed = transcode(read(file), rle, 'ISO_IR 100')!
      assert.equal(read(packed).transferSyntax, rle)
      const direct = from === to ? file : transcode(read(file), to, 'ISO_IR 100')!
      const back = transcode(read(packed), to, 'ISO_IR 100')!
      assert.equal(read(back).transferSyntax, to)
      assert.deepEqual(meaning(direct), meaning(back))
      // Turned back, it says what the file said.
      const home = from === to ? back : transcode(read(back), from, 'ISO_IR 100')!
      assert.deepEqual(meaning(home), meaning(file))
    })
  }
}

test('what cannot be turned into a syntax, or need not, is left alone', () => {
  const file = aDicomFile({ tags: facts, pieces: [pixels] })
  assert.equal(transcode(read(file), syntaxes.explicitLittle, 'ISO_IR 100'), undefined)
  assert.equal(transcode(read(file), '1.2.840.10008.1.2.4.90', 'ISO_IR 100'), undefined)
  assert.equal(transcode(read(file), '1.2.3', 'ISO_IR 100'), undefined)
  const jpeg = aDicomFile({ transferSyntax: '1.2.840.10008.1.2.4.50' })
  assert.equal(transcode(read(jpeg), syntaxes.implicitLittle, 'ISO_IR 100'), undefined)
  const bits = aDicomFile({ tags: { BitsAllocated: '1' } })
  assert.equal(transcode(read(bits), rle, 'ISO_IR 100'), undefined)
  const short = aDicomFile({ tags: { ...facts, Rows: '4000' } })
  assert.equal(transcode(read(short), rle, 'ISO_IR 100'), undefined)
})
