import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import packed from '../testing/packed-frames.json' with { type: 'json' }
import { aPicture } from '../testing/picture.ts'
import { decodeFrame } from './decode-frame.ts'

const shapeOf = ({ rows, columns, samples, bits }: (typeof packed)[number]) => ({
  ...{ rows, columns, samples, isPlanar: false },
  bytesPerSample: bits > 8 ? 2 : 1,
})

// Compressed by DCMTK and OpenJPEG from pictures that can be made again, all but one without loss.
for (const frame of packed) {
  const shape = shapeOf(frame)
  const stream = Buffer.from(frame.stream, 'base64')
  const decode = (bytes: Uint8Array) =>
    decodeFrame(bytes, frame.transferSyntax, { shape, isYbr: frame.samples === 3 })

  describe(frame.name, () => {
    test(frame.near === 0 ? 'gives back the picture, bit by bit' : 'gives back the picture, nearly', () => {
      const found = decode(stream)!
      const picture = aPicture(frame)
      assert.equal(found.isLossy, frame.near > 0)
      if (frame.near === 0) return assert.deepEqual(Buffer.from(found.bytes), Buffer.from(picture))
      const worst = picture.reduce((most, value, at) => Math.max(most, Math.abs(value - found.bytes[at]!)), 0)
      assert.ok(worst <= frame.near, `a sample is off by ${worst}`)
    })

    test('is refused where the data set says another size', () => {
      for (const other of [{ rows: shape.rows + 1 }, { columns: shape.columns - 1 }, { samples: 2 }]) {
        const wrong = { shape: { ...shape, ...other }, isYbr: false }
        assert.equal(decodeFrame(stream, frame.transferSyntax, wrong), undefined)
      }
    })

    test('is refused wherever it is cut off', () => {
      // The last bytes are the mark of the end, and what fills up the last byte of codes.
      for (let length = 0; length < stream.length - 8; length++)
        assert.equal(decode(stream.subarray(0, length)), undefined, `cut to ${length} bytes`)
    })

    test('is refused where its scan comes twice', () => {
      // Of JPEG and JPEG-LS: from the first scan's marker to the end.
      const at = stream.indexOf(Buffer.of(0xff, 0xda))
      if (frame.transferSyntax.endsWith('.90')) return
      const end = stream.lastIndexOf(Buffer.of(0xff, 0xd9))
      const twice = [stream.subarray(0, end), stream.subarray(at, end), stream.subarray(end)]
      assert.equal(decode(Buffer.concat(twice)), undefined)
    })

    test('may be broken anywhere, and is decoded to something or refused', () => {
      const places = fc.array(fc.tuple(fc.nat(stream.length - 1), fc.nat(255)), {
        minLength: 1,
        maxLength: 4,
      })
      fc.assert(
        fc.property(places, changes => {
          const broken = Uint8Array.from(stream)
          for (const [at, value] of changes) broken[at] = value
          const found = decode(broken)
          assert.ok(found === undefined || found.bytes.length === aPicture(frame).length)
        }),
        { seed: 7, numRuns: 400 },
      )
    })
  })
}
